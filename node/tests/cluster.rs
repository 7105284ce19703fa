//! Three real processes that are one cluster: every one takes and gives claims, and what one of them missed it is given.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use api::json::envelope_json;
use model::Record;
use node::cli::client::Client;
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;
use support::cluster::{Cluster, until};
use support::{alias, claim, key};

/// Has a node store a record, and returns the receipt.
fn store(client: &Client, path: &str, record: &Record) -> Value {
    client.post(path, &[], "application/json", &envelope_json(record.envelope())).unwrap().taken().unwrap()
}

fn query(client: &Client, subject: &str, consistency: &str) -> Value {
    let parameters = [("subject", subject), ("lens", "authority"), ("consistency", consistency)];
    client.get("/v1/query", &parameters.map(|(name, value)| (name, value.to_owned()))).unwrap().taken().unwrap()
}

/// A claim of which both the subject and the value are `name`.
fn named(name: &str) -> Record {
    claim(&key(1), &format!("test://{name}"), "is", name, 1)
}

/// A metric of a node, added up over its labels.
fn metric(cluster: &Cluster, node: usize, name: &str) -> f64 {
    let text = cluster.metrics(node);
    let is_its = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
    let values = text.lines().filter(is_its).map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap());
    values.sum()
}

#[test]
fn every_node_of_three_takes_claims_and_gives_all_of_them() {
    let cluster = Cluster::start(3);
    let records: Vec<_> = (0..12).map(|number| named(&format!("claim-{number}"))).collect();
    for (number, record) in records.iter().enumerate() {
        let receipt = store(&cluster.clients[number % 3], "/v1/assert", record);
        assert_eq!((receipt["status"].as_str(), receipt["copies"].as_u64()), (Some("created"), Some(2)), "{receipt}");
        let again = store(&cluster.clients[(number + 1) % 3], "/v1/assert", record);
        assert_eq!((again["status"].as_str(), again["copies"].as_u64()), (Some("exists"), Some(2)), "{again}");
        assert_eq!(again["received_at"], receipt["received_at"], "one record has one stamp");
    }
    for client in &cluster.clients {
        for (number, record) in records.iter().enumerate() {
            for (consistency, copies) in [("one", 1), ("all", 2)] {
                let answer = query(client, &format!("test://claim-{number}"), consistency);
                let value = &answer["result"]["answers"][0]["winner"]["object"]["value"];
                assert_eq!(value, &format!("claim-{number}"), "{answer}");
                let meta = &answer["meta"];
                assert_eq!((meta["lens"].as_str(), meta["placement_epoch"].as_u64()), (Some("authority"), Some(1)));
                assert_eq!(meta["copies_consulted"], copies, "{meta}");
                assert!(meta["freshness_ms"].is_u64() && meta["as_of"].is_string(), "{meta}");
            }
            let reply = client.get(&format!("/v1/records/{}", record.id()), &[]).unwrap();
            assert_eq!(reply.body, envelope_json(record.envelope()), "the same bytes at every node");
        }
        let listed = client.get("/v1/query", &[("prefix", "test://".to_owned()), ("limit", "5".to_owned())]);
        let first = listed.unwrap().taken().unwrap();
        assert_eq!(first["result"]["answers"].as_array().unwrap().len(), 5);
        assert!(first["meta"]["cursor"].is_string());
        let never = named("never").id();
        assert_eq!(client.get(&format!("/v1/records/{never}"), &[]).unwrap().status, 404);
    }
    cluster.stop();
}

#[test]
fn a_claim_is_on_two_disks_and_is_read_at_the_third_node_too() {
    let cluster = Cluster::start(3);
    let records: Vec<_> = (0..20).map(|number| named(&format!("claim-{number}"))).collect();
    records.iter().for_each(|record| drop(store(&cluster.clients[0], "/v1/assert", record)));
    let held: Vec<_> = (0..3).map(|node| cluster.own_records(node)).collect();
    let mut elsewhere = BTreeSet::new();
    for record in &records {
        let id = record.id().to_string();
        let without: Vec<_> = (0..3).filter(|node| !held[*node].contains(&id)).collect();
        let [without] = without[..] else { panic!("{id} is on {} disks", 3 - without.len()) };
        let reply = cluster.clients[without].get(&format!("/v1/records/{id}"), &[]).unwrap();
        assert_eq!((reply.status, reply.body), (200, envelope_json(record.envelope())));
        elsewhere.insert(without);
    }
    assert!(elsewhere.len() > 1, "homes are spread over the nodes");
    cluster.stop();
}

#[test]
fn an_alias_comes_to_lie_on_every_disk() {
    let cluster = Cluster::start(3);
    let alias = alias(&key(1), "test://one", "test://other");
    let receipt = store(&cluster.clients[0], "/v1/aliases", &alias);
    assert_eq!(receipt["copies"], 2, "{receipt}");
    let id = alias.id().to_string();
    for node in 0..3 {
        until("the alias is there", || cluster.own_records(node).contains(&id).then_some(()).ok_or("not yet"));
        assert_eq!(cluster.clients[node].get(&format!("/v1/records/{id}"), &[]).unwrap().status, 200);
    }
    cluster.stop();
}

#[test]
fn hints_are_kept_for_a_node_that_is_down_and_are_gone_when_it_has_them() {
    let mut cluster = Cluster::start(3);
    until("the first node has compared its copies with both others", || {
        let compared = cluster.metrics(0).lines().filter(|line| line.starts_with("replication_lag_seconds{")).count();
        if compared == 2 { Ok(()) } else { Err(format!("only with {compared}")) }
    });
    cluster.kill(2);
    let records: Vec<_> = (0..30).map(|number| named(&format!("claim-{number}"))).collect();
    for (number, record) in records.iter().enumerate() {
        let receipt = store(&cluster.clients[number % 2], "/v1/assert", record);
        assert_eq!(receipt["copies"], 2, "{receipt}");
    }
    until("its death shows", || {
        let glance = cluster.glance(0)?;
        let pending = glance["hints_pending"].as_u64().unwrap();
        let shows = glance["nodes_up"] == 2 && pending > 0 && glance["under_replicated"]["records"].as_u64() > Some(0);
        if shows && glance["under_replicated"]["is_exact"] == false { Ok(()) } else { Err(glance.to_string()) }
    });
    until("its death is in the metrics", || {
        let pending = cluster.glance(0)?["hints_pending"].as_f64().unwrap();
        let hints = metric(&cluster, 0, "stemedb_hints_pending") + metric(&cluster, 1, "stemedb_hints_pending");
        let lags = metric(&cluster, 0, "replication_lag_seconds") > 0.0;
        let missing = metric(&cluster, 0, "stemedb_under_replicated_records") > 0.0;
        let leaders = metric(&cluster, 0, "stemedb_raft_is_leader") + metric(&cluster, 1, "stemedb_raft_is_leader");
        if hints > 0.0 && hints == pending && lags && missing && leaders == 1.0 {
            Ok(())
        } else {
            Err(cluster.metrics(0))
        }
    });
    cluster.run(2);
    until("nothing lacks a copy", || cluster.rested());
    until("the metrics say so too", || {
        let gauges = ["stemedb_hints_pending", "replication_lag_seconds", "stemedb_under_replicated_records"];
        let is_rested = (0..3).all(|node| gauges.iter().all(|gauge| metric(&cluster, node, gauge) == 0.0));
        if is_rested && metric(&cluster, 0, "stemedb_repair_rounds_total") > 0.0 {
            Ok(())
        } else {
            Err(cluster.metrics(0))
        }
    });
    let held: Vec<_> = (0..3).map(|node| cluster.own_records(node)).collect();
    for record in &records {
        let id = record.id().to_string();
        assert_eq!(held.iter().filter(|held| held.contains(&id)).count(), 2, "{id} is on both its owners' disks");
    }
    assert!(!held[2].is_empty(), "the node that returned has its part");
    cluster.stop();
}

#[test]
fn the_command_line_lists_the_nodes_as_the_admin_listener_has_them() {
    let cluster = Cluster::start(3);
    let told = cluster.admins[1].get("/v1/admin/nodes", &[]).unwrap().taken().unwrap();
    let nodes = told["nodes"].as_array().unwrap();
    assert!(nodes.iter().all(|node| node["state"] == "alive"), "{told}");
    let homes: u64 = nodes.iter().map(|node| node["homes"].as_u64().unwrap()).sum();
    assert_eq!(homes, 2 * 257, "every home has two owners");
    for (arguments, wanted) in [(&["node", "list"][..], "alive"), (&["status"], "3 of 3")] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stemedb"));
        let output = command.args(arguments).env("STEMEDB_ADMIN_URL", cluster.admins[1].url()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && text.contains(wanted), "{text}{}", String::from_utf8_lossy(&output.stderr));
    }
    cluster.stop();
}

#[test]
fn a_third_copy_is_made_of_everything_when_an_operator_asks_for_it() {
    let cluster = Cluster::start(3);
    let records: Vec<_> = (0..20).map(|number| named(&format!("claim-{number}"))).collect();
    records.iter().for_each(|record| drop(store(&cluster.clients[0], "/v1/assert", record)));
    let mut command = Command::new(env!("CARGO_BIN_EXE_stemedb"));
    command.args(["settings", "set", "--replication-factor", "3"]).env("STEMEDB_ADMIN_URL", cluster.admins[1].url());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    until("every disk has everything", || {
        let held: Vec<_> = (0..3).map(|node| cluster.own_records(node)).collect();
        let missing = records.iter().find(|record| held.iter().any(|held| !held.contains(&record.id().to_string())));
        missing.map_or(Ok(()), |record| Err(record.id()))
    });
    until("nothing lacks a copy", || cluster.rested());
    let receipt = store(&cluster.clients[2], "/v1/assert", &named("later"));
    assert_eq!(receipt["status"], "created", "{receipt}");
    let later = named("later").id().to_string();
    until("what is written later is on every disk", || {
        if (0..3).all(|node| cluster.own_records(node).contains(&later)) { Ok(()) } else { Err("not yet") }
    });
    cluster.stop();
}

#[test]
fn a_byte_that_changed_on_the_disk_of_an_owner_is_noticed_and_the_record_fetched_from_another() {
    let mut cluster = Cluster::start(3);
    let records: Vec<_> = (0..20).map(|number| named(&format!("claim-{number}"))).collect();
    records.iter().for_each(|record| drop(store(&cluster.clients[0], "/v1/assert", record)));
    let held = cluster.own_records(0);
    let number = records.iter().position(|record| held.contains(&record.id().to_string())).unwrap();
    cluster.terminate(0);
    let needle = format!("test://claim-{number}");
    let changed = std::fs::read_dir(cluster.data_dir(0).join("wal")).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        let mut bytes = if path.is_file() { std::fs::read(&path).unwrap() } else { Vec::new() };
        let place = bytes.windows(needle.len()).position(|window| window == needle.as_bytes());
        place.is_some_and(|place| {
            bytes[place] ^= 1;
            std::fs::write(&path, bytes).unwrap();
            true
        })
    });
    assert!(changed, "the claim is not in the log");
    cluster.run(0);
    until("it is ready again", || cluster.ready(0));
    until("the damaged record is healed", || {
        let told =
            ["healed_records_total", "damaged_records"].map(|name| metric(&cluster, 0, &format!("stemedb_{name}")));
        if told == [1.0, 0.0] { Ok(()) } else { Err(format!("{told:?}: {}", cluster.said(0))) }
    });
    // Alone it has nobody to ask.
    [1, 2].into_iter().for_each(|node| cluster.terminate(node));
    let reply = cluster.clients[0].get(&format!("/v1/records/{}", records[number].id()), &[]).unwrap();
    assert_eq!(reply.body, envelope_json(records[number].envelope()));
    cluster.stop();
}
