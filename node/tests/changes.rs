//! Real processes whose cluster changes while clients write and do not try again: one node grows to three, and a dead one is
//! replaced.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use api::json::envelope_json;
use model::Record;
use node::cli::client::Client;
use serde_json::Value;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use support::cluster::{Cluster, until};
use support::{claim, key};

/// What a node of a cluster is told that a node alone is not.
const AMONG_OTHERS: [&str; 3] = ["STEMEDB_SEEDS", "STEMEDB_BOOTSTRAP_EXPECT", "STEMEDB_CLUSTER_KEY_FILE"];

fn named(name: &str) -> Record {
    claim(&key(1), &format!("test://{name}"), "is", name, 1)
}

/// Has a node store a record, with one attempt.
fn store(client: &Client, record: &Record) -> Result<Value, String> {
    let reply = client.post("/v1/assert", &[], "application/json", &envelope_json(record.envelope()));
    reply.and_then(|reply| reply.taken()).map_err(|failure| failure.to_string())
}

fn run(cluster: &Cluster, node: usize, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stemedb"));
    command.args(arguments).env("STEMEDB_ADMIN_URL", cluster.admins[node].url()).output().unwrap()
}

/// What a command prints that succeeds.
#[track_caller]
fn done(cluster: &Cluster, node: usize, arguments: &[&str]) -> String {
    let output = run(cluster, node, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What a command says that is refused.
#[track_caller]
fn refused(cluster: &Cluster, node: usize, arguments: &[&str]) -> String {
    let output = run(cluster, node, arguments);
    assert!(!output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).unwrap()
}

fn name_of(client: &Client) -> String {
    let mut name = String::new();
    until("the node says who it is", || {
        let health = client.get("/v1/health", &[]).map_err(|failure| failure.to_string())?;
        let health: Value = serde_json::from_slice(&health.body).map_err(|error| error.to_string())?;
        name = health["node_id"].as_str().ok_or("no name")?.to_owned();
        Ok::<_, String>(())
    });
    name
}

/// Until `work` is done, a client writes to one node after the other and tries nothing twice. Returns what was acknowledged.
fn write_during(clients: &[Client], work: impl FnOnce()) -> Vec<Record> {
    let (is_done, written) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for (number, client) in (0..).zip(clients.iter().cycle()) {
                if is_done.load(Ordering::SeqCst) {
                    return;
                }
                let record = named(&format!("while it changes {number}"));
                store(client, &record).unwrap_or_else(|why| panic!("write {number} failed: {why}"));
                written.lock().unwrap().push(record);
            }
        });
        let worked = catch_unwind(AssertUnwindSafe(work));
        is_done.store(true, Ordering::SeqCst);
        writer.join().unwrap();
        worked.unwrap_or_else(|panic| resume_unwind(panic));
    });
    written.into_inner().unwrap()
}

/// Every record is on exactly two of the nodes.
fn each_is_on_two(cluster: &Cluster, nodes: &[usize], records: &[Record]) -> Result<(), String> {
    let held: Vec<_> = nodes.iter().map(|node| cluster.own_records(*node)).collect();
    let copies = |record: &Record| held.iter().filter(|held| held.contains(&record.id().to_string())).count();
    records
        .iter()
        .find(|record| copies(record) != 2)
        .map_or(Ok(()), |record| Err(format!("{} is on {} nodes", record.id(), copies(record))))
}

/// Starts a node that only joins, of which the others need not have heard yet; returns its name.
fn run_to_join(cluster: &mut Cluster, node: usize) -> String {
    cluster.unset(node, "STEMEDB_BOOTSTRAP_EXPECT");
    cluster.run(node);
    name_of(&cluster.clients[node])
}

#[test]
fn one_node_with_data_grows_to_three_and_no_write_fails() {
    let mut cluster = Cluster::prepare(3);
    let settings = AMONG_OTHERS.map(|name| (name, cluster.setting(0, name).to_owned()));
    AMONG_OTHERS.iter().for_each(|name| cluster.unset(0, name));
    cluster.run(0);
    until("it is ready", || cluster.ready(0));
    let mut records: Vec<_> = (0..50).map(|number| named(&format!("before {number}"))).collect();
    records.iter().for_each(|record| assert_eq!(store(&cluster.clients[0], record).unwrap()["copies"], 1));
    assert!(refused(&cluster, 0, &["node", "join", "0123456789abcdef"]).contains("waits for nothing here"));

    // The one restart: with a key it talks to others.
    cluster.kill(0);
    cluster.set(0, "STEMEDB_CLUSTER_KEY_FILE", settings[2].1.clone());
    cluster.run(0);
    until("it is ready again", || cluster.ready(0));
    let writers = [cluster.clients[0].clone()];
    let mut joined = Vec::new();
    records.extend(write_during(&writers, || {
        for node in [1, 2] {
            let name = run_to_join(&mut cluster, node);
            let plan = done(&cluster, 0, &["node", "join", &name, "--plan"]);
            assert!(plan.contains("homes would move") && plan.contains(&name), "{plan}");
            assert!(done(&cluster, 0, &["node", "join", &name]).contains("done"));
            assert!(done(&cluster, 0, &["node", "join", &name]).contains("0 homes to move"), "asked again");
            joined.push(name);
        }
    }));
    assert!(records.len() > 60, "{} writes", records.len());
    until("all three are one cluster", || cluster.whole());
    until("each record is on two nodes", || each_is_on_two(&cluster, &[0, 1, 2], &records));
    until("nothing lacks a copy", || cluster.rested());
    for client in &cluster.clients {
        assert_eq!(store(client, &named(client.url())).unwrap()["copies"], 2);
    }
    cluster.stop();
}

#[test]
fn a_dead_node_is_replaced_by_a_fresh_one_at_its_address_and_stays_out_when_it_returns() {
    let mut cluster = Cluster::start(3);
    let mut records: Vec<_> = (0..50).map(|number| named(&format!("before {number}"))).collect();
    records.iter().for_each(|record| drop(store(&cluster.clients[0], record).unwrap()));
    let old = name_of(&cluster.clients[2]);
    cluster.kill(2);
    let lost = cluster.folder().join("lost");
    std::fs::rename(cluster.data_dir(2), &lost).unwrap();
    let new = run_to_join(&mut cluster, 2);
    assert_ne!(new, old, "an id is never used twice");
    until("it is seen to wait", || {
        let list = done(&cluster, 0, &["node", "list"]);
        if list.contains(&format!("stemedb node replace {old} {new}")) { Ok(()) } else { Err(list) }
    });
    let writers = [cluster.clients[0].clone(), cluster.clients[1].clone()];
    records.extend(write_during(&writers, || drop(done(&cluster, 1, &["node", "replace", &old, &new]))));
    until("all three are one cluster", || cluster.whole());
    until("each record is on two nodes", || each_is_on_two(&cluster, &[0, 1, 2], &records));
    until("nothing lacks a copy, for certain", || cluster.rested());

    // The one that was replaced returns with its disk.
    cluster.kill(2);
    std::fs::rename(cluster.data_dir(2), cluster.folder().join("new")).unwrap();
    std::fs::rename(&lost, cluster.data_dir(2)).unwrap();
    cluster.run(2);
    until("it is told that it was removed", || {
        let says = cluster.ready(2).err().unwrap_or_default();
        if says.contains("was removed from its cluster") { Ok(()) } else { Err(says) }
    });
    let query = [("subject", "test://before 1".to_owned())];
    assert_eq!(cluster.clients[2].get("/v1/query", &query).unwrap().status, 503, "it serves nothing");
    assert!(store(&cluster.clients[2], &named("to nobody")).is_err());
    assert!(refused(&cluster, 0, &["node", "join", &old]).contains("never comes back"));
    cluster.stop();
}
