//! What an operator sees of four clusters: healthy, a node down, no leader, one node.

use super::*;
use model::Timestamp;

fn shown(print: impl FnOnce(&mut Console<'_>) -> std::io::Result<()>) -> String {
    let mut out = Vec::new();
    let mut console = Console {
        out: &mut out,
        for_person: true,
        color: false,
        columns: 120,
        progress: false,
        now: Timestamp::from_ms(1_785_000_000_000).unwrap(),
    };
    print(&mut console).unwrap();
    let text = String::from_utf8(out).unwrap();
    text.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

const NAMES: [&str; 3] = ["3b6a27bcceb6a42d", "81bc1f0000000000", "e0f1d2c3b4a59687"];

/// A node that lives, is well, and has nothing left to do.
fn node(number: usize) -> Value {
    json!({
        "node_id": NAMES[number], "state": "alive", "is_self": number == 0, "is_leader": number == 1,
        "addresses": {"client": format!("10.0.0.{}:18180", number + 1), "rpc": null, "gossip": null},
        "zone": "a", "speaks": {"min": 1, "max": 1}, "homes": 172 - number / 2, "version": "0.1.0", "replication_lag_seconds": 0.012,
        "hints_pending": 0, "under_replicated": {"records": 0, "is_exact": true},
    })
}

/// A node that is gone: what only it can say is missing.
fn gone(number: usize, state: &str) -> Value {
    let mut node = node(number);
    node["state"] = state.into();
    for untold in ["version", "replication_lag_seconds", "hints_pending", "under_replicated"] {
        node[untold] = Value::Null;
    }
    node["is_leader"] = false.into();
    node
}

fn cluster() -> Value {
    json!({
        "cluster_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "epoch": 3, "leader": NAMES[1], "active_version": 1, "nodes": 3, "nodes_up": 3,
        "copies": 2, "replication_factor": 2, "hints_pending": 0,
        "under_replicated": {"records": 0, "is_exact": true},
    })
}

fn list(nodes: &[Value]) -> String {
    let nodes: Nodes = read(json!({"nodes": nodes})).unwrap();
    shown(|console| list::print(&nodes.nodes, console))
}

fn glance(cluster: &Value, nodes: &[Value], is_ready: bool) -> String {
    let detail = if is_ready { "ok" } else { "rebuilding from the log, 41 %" };
    let parts = json!({"parts": [
        {"name": "log", "ok": true, "detail": "ok"}, {"name": "index", "ok": is_ready, "detail": detail},
    ]});
    let figures = json!({"version": "0.1.0", "parts": [], "records": 6478, "uptime_s": 61, "cluster": cluster});
    let seen = Seen {
        url: "http://127.0.0.1:18181".to_owned(),
        health: json!({"node_id": NAMES[0], "status": "healthy", "version": "0.1.0"}),
        ready: read(parts).unwrap(),
        figures: read(figures),
        nodes: read::<Nodes>(json!({"nodes": nodes})).unwrap().nodes,
    };
    shown(|console| seen.print(console))
}

#[test]
fn a_healthy_cluster() {
    let nodes = [node(0), node(1), node(2)];
    expect_test::expect![[r#"
         Node              State  Address         Zone  Speaks  Homes  Lag    Hints  Under-replicated  Role
         3b6a27bcceb6a42d  alive  10.0.0.1:18180  a     1         172  12 ms      0                 0  asked
         81bc1f0000000000  alive  10.0.0.2:18180  a     1         172  12 ms      0                 0  leader
         e0f1d2c3b4a59687  alive  10.0.0.3:18180  a     1         171  12 ms      0                 0
        3 of 3 alive
    "#]]
    .assert_eq(&list(&nodes));
    expect_test::expect![[r#"
        ✓ all is well
        cluster  0f1e2d3c4b5a69788796a5b4c3d2e1f0
            nodes up          3 of 3
            leader            81bc1f0000000000
            epoch             3
            active version    1
            copies            2
            under-replicated  0 (exact)
            hints pending     0
         Node              State  Address         Zone  Speaks  Homes  Lag    Hints  Under-replicated  Role
         3b6a27bcceb6a42d  alive  10.0.0.1:18180  a     1         172  12 ms      0                 0  asked
         81bc1f0000000000  alive  10.0.0.2:18180  a     1         172  12 ms      0                 0  leader
         e0f1d2c3b4a59687  alive  10.0.0.3:18180  a     1         171  12 ms      0                 0
        3 of 3 alive
        node  http://127.0.0.1:18181  node_id 3b6a27bcceb6a42d  status healthy  version 0.1.0
          ✓ log      ok
          ✓ index    ok
            records           6,478
            uptime s          61
            version           0.1.0
    "#]]
    .assert_eq(&glance(&cluster(), &nodes, true));
}

#[test]
fn a_cluster_with_a_node_down() {
    let mut nodes = [node(0), node(1), gone(2, "down")];
    nodes[0]["hints_pending"] = 1041.into();
    nodes[0]["under_replicated"] = json!({"records": 1041, "is_exact": false});
    let mut cluster = cluster();
    cluster["nodes_up"] = 2.into();
    cluster["hints_pending"] = 1041.into();
    cluster["under_replicated"] = json!({"records": 1041, "is_exact": false});
    expect_test::expect![[r#"
         Node              State  Address         Zone  Speaks  Homes  Lag    Hints  Under-replicated  Role
         3b6a27bcceb6a42d  alive  10.0.0.1:18180  a     1         172  12 ms  1,041           ≥ 1,041  asked
         81bc1f0000000000  alive  10.0.0.2:18180  a     1         172  12 ms      0                 0  leader
         e0f1d2c3b4a59687  down   10.0.0.3:18180  a     1         171      –      –                 –
        2 of 3 alive
    "#]]
    .assert_eq(&list(&nodes));
    expect_test::expect![[r#"
        ✗ node e0f1d2c3b4a59687 is down
        ! at least 1,041 records are not on all their owners
        cluster  0f1e2d3c4b5a69788796a5b4c3d2e1f0
            nodes up          2 of 3
            leader            81bc1f0000000000
            epoch             3
            active version    1
            copies            2
            under-replicated  ≥ 1,041
            hints pending     1,041
         Node              State  Address         Zone  Speaks  Homes  Lag    Hints  Under-replicated  Role
         3b6a27bcceb6a42d  alive  10.0.0.1:18180  a     1         172  12 ms  1,041           ≥ 1,041  asked
         81bc1f0000000000  alive  10.0.0.2:18180  a     1         172  12 ms      0                 0  leader
         e0f1d2c3b4a59687  down   10.0.0.3:18180  a     1         171      –      –                 –
        2 of 3 alive
        node  http://127.0.0.1:18181  node_id 3b6a27bcceb6a42d  status healthy  version 0.1.0
          ✓ log      ok
          ✓ index    ok
            records           6,478
            uptime s          61
            version           0.1.0
    "#]]
    .assert_eq(&glance(&cluster, &nodes, true));
}

#[test]
fn a_cluster_without_a_leader_and_a_node_that_is_not_ready() {
    let mut nodes = [node(0), gone(1, "suspect"), gone(2, "unknown")];
    nodes[0]["replication_lag_seconds"] = 184.2.into();
    let mut cluster = cluster();
    cluster["leader"] = Value::Null;
    cluster["nodes_up"] = 1.into();
    cluster["under_replicated"]["is_exact"] = false.into();
    expect_test::expect![[r#"
         Node              State    Address         Zone  Speaks  Homes  Lag    Hints  Under-replicated  Role
         3b6a27bcceb6a42d  alive    10.0.0.1:18180  a     1         172  3 min      0                 0  asked
         81bc1f0000000000  suspect  10.0.0.2:18180  a     1         172      –      –                 –
         e0f1d2c3b4a59687  unknown  10.0.0.3:18180  a     1         171      –      –                 –
        1 of 3 alive
    "#]]
    .assert_eq(&list(&nodes));
    expect_test::expect![[r#"
        ✗ this node is not ready: index: rebuilding from the log, 41 %
        ! node 81bc1f0000000000 is suspected to be down
        ! node e0f1d2c3b4a59687 was not heard of yet
        ! no leader is known: reads and writes go on, but no node can join or leave
        cluster  0f1e2d3c4b5a69788796a5b4c3d2e1f0
            nodes up          1 of 3
            leader            none
            epoch             3
            active version    1
            copies            2
            under-replicated  ≥ 0
            hints pending     0
         Node              State    Address         Zone  Speaks  Homes  Lag    Hints  Under-replicated  Role
         3b6a27bcceb6a42d  alive    10.0.0.1:18180  a     1         172  3 min      0                 0  asked
         81bc1f0000000000  suspect  10.0.0.2:18180  a     1         172      –      –                 –
         e0f1d2c3b4a59687  unknown  10.0.0.3:18180  a     1         171      –      –                 –
        1 of 3 alive
        node  http://127.0.0.1:18181  node_id 3b6a27bcceb6a42d  status healthy  version 0.1.0
          ✓ log      ok
          ✗ index    rebuilding from the log, 41 %
            records           6,478
            uptime s          61
            version           0.1.0
    "#]]
    .assert_eq(&glance(&cluster, &nodes, false));
}

#[test]
fn a_cluster_of_one() {
    let mut alone = node(0);
    alone["is_leader"] = true.into();
    alone["zone"] = Value::Null;
    alone["homes"] = 257.into();
    let mut cluster = cluster();
    cluster["leader"] = NAMES[0].into();
    cluster["nodes"] = 1.into();
    cluster["nodes_up"] = 1.into();
    cluster["copies"] = 1.into();
    expect_test::expect![[r#"
         Node              State  Address         Zone  Speaks  Homes  Lag    Hints  Under-replicated  Role
         3b6a27bcceb6a42d  alive  10.0.0.1:18180  –     1         257  12 ms      0                 0  leader, asked
        1 of 1 alive
    "#]]
    .assert_eq(&list(std::slice::from_ref(&alone)));
    expect_test::expect![[r#"
        ! records have 1 of 2 copies: there are fewer nodes than copies
        cluster  0f1e2d3c4b5a69788796a5b4c3d2e1f0
            nodes up          1 of 1
            leader            3b6a27bcceb6a42d
            epoch             3
            active version    1
            copies            1
            under-replicated  0 (exact)
            hints pending     0
        node  http://127.0.0.1:18181  node_id 3b6a27bcceb6a42d  status healthy  version 0.1.0
          ✓ log      ok
          ✓ index    ok
            records           6,478
            uptime s          61
            version           0.1.0
    "#]]
    .assert_eq(&glance(&cluster, &[alone], true));
}

#[test]
fn a_name_cannot_move_the_cursor() {
    let mut node = node(0);
    node["zone"] = "\u{1b}[2J".into();
    node["state"] = "\u{7}".into();
    assert!(!list(&[node]).contains(['\u{1b}', '\u{7}']));
}

#[test]
fn an_answer_of_another_shape_is_told_as_such() {
    let failure = read::<Nodes>(json!({"nodes": 7})).unwrap_err();
    assert!(failure.to_string().starts_with("the answer is not that of a node of this release"), "{failure}");
}
