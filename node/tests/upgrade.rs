//! Real processes of two builds: the one that is shipped, and one that speaks the next version, on loopback.
//!
//! Both are built by the one command that runs all tests, with the feature `next`; what the shipped one speaks is what its
//! `main` says. A client writes all the time, never twice, and not to the node that is being restarted, as a load balancer has
//! it. Not one write may fail.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use api::json::envelope_json;
use model::record::{Authors, Note, Subject, Text};
use model::{AgentId, Body, Record, Timestamp, acceptance};
use node::cli::client::Client;
use serde_json::Value;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use support::cluster::{Cluster, until};
use support::{claim, key};

const SHIPPED: &str = env!("CARGO_BIN_EXE_stemedb");
const NEXT: &str = env!("CARGO_BIN_EXE_stemedb-next");
const NODES: usize = 3;
/// No node: all may be written to.
const NOBODY: usize = usize::MAX;

fn note(text: &str) -> Record {
    let author = key(1);
    let note = Note {
        authors: Authors::new(vec![AgentId(author.verifying_key().to_bytes())]).unwrap(),
        timestamp: Timestamp::from_ms(1).unwrap(),
        subject: Subject::new("test://note").unwrap(),
        text: Text::new(text).unwrap(),
    };
    acceptance::sign(Body::Opaque(Box::new(note.into_opaque())), std::slice::from_ref(&author)).unwrap()
}

/// Has a node store a record of any kind, with one attempt; what it says.
fn store(cluster: &Cluster, node: usize, record: &Record) -> Value {
    let body = envelope_json(record.envelope());
    let reply = cluster.clients[node].post("/v1/records", &[], "application/x-ndjson", &body).unwrap();
    serde_json::from_slice(&reply.body).unwrap()
}

fn active_version(cluster: &Cluster, node: usize) -> Option<u64> {
    let health = cluster.clients[node].get("/v1/health", &[]).ok()?;
    serde_json::from_slice::<Value>(&health.body).ok()?["active_version"].as_u64()
}

/// `stemedb node activate`: whether it succeeded, and what it said.
fn activate(cluster: &Cluster, node: usize, flags: &[&str]) -> (bool, String) {
    let mut command = Command::new(SHIPPED);
    command.args(["node", "activate", "2"]).args(flags).env("STEMEDB_ADMIN_URL", cluster.admins[node].url());
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

/// Stops a node in order, once no write is under way to it, starts it as another build, and waits until the cluster is whole
/// and nothing is owed to it.
fn replace(cluster: &mut Cluster, node: usize, program: &str, away: &Mutex<usize>) {
    *away.lock().unwrap() = node;
    cluster.terminate(node);
    cluster.install(node, program);
    cluster.run(node);
    until("the cluster is whole again", || cluster.whole());
    *away.lock().unwrap() = NOBODY;
}

/// Writes while `work` is done, to one node after the other but the one that is away, and nothing twice; returns what was
/// acknowledged, which is everything.
fn write_during(cluster: &mut Cluster, work: impl FnOnce(&mut Cluster, &Mutex<usize>)) -> Vec<Record> {
    // Whoever is away is changed between two writes only.
    let (is_done, away, written) = (AtomicBool::new(false), Mutex::new(NOBODY), Mutex::new(Vec::new()));
    let clients = cluster.clients.clone();
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 0_usize.. {
                if is_done.load(Ordering::SeqCst) {
                    return;
                }
                let at = [number % NODES, (number + 1) % NODES];
                let away = away.lock().unwrap();
                let to = at.into_iter().find(|node| *node != *away).unwrap();
                // A connection of its own: those from before a restart are closed.
                let client = Client::new(clients[to].url()).unwrap();
                let record = claim(&key(1), &format!("test://upgrade/{number}"), "is", "written", 1);
                let body = envelope_json(record.envelope());
                let reply = client.post("/v1/assert", &[], "application/json", &body);
                let reply = reply.and_then(|reply| reply.taken());
                reply.unwrap_or_else(|why| panic!("write {number} to node {to} failed: {why}"));
                written.lock().unwrap().push(record);
            }
        });
        let worked = catch_unwind(AssertUnwindSafe(|| work(cluster, &away)));
        is_done.store(true, Ordering::SeqCst);
        let wrote = writer.join();
        worked.unwrap_or_else(|panic| resume_unwind(panic));
        wrote.unwrap_or_else(|panic| resume_unwind(panic));
    });
    written.into_inner().unwrap()
}

#[test]
fn a_cluster_is_upgraded_node_by_node_and_back_and_activated_and_no_write_fails() {
    let mut cluster = Cluster::start(NODES);
    let written = write_during(&mut cluster, |cluster, away| {
        for node in 0..NODES {
            assert_eq!(store(cluster, node, &note("too early"))["code"], "unknown_kind");
            replace(cluster, node, NEXT, away);
        }
        replace(cluster, 1, SHIPPED, away);
        let (done, said) = activate(cluster, 0, &[]);
        assert!(!done && said.contains("not every member speaks version 2") && said.contains("speaks 1"), "{said}");
        replace(cluster, 1, NEXT, away);
        assert_eq!(store(cluster, 0, &note("too early"))["code"], "unknown_kind");
        let (done, said) = activate(cluster, 2, &["--plan"]);
        assert!(done && said.contains("1 to 2") && said.contains("version 2 would be active"), "{said}");
        assert_eq!(active_version(cluster, 2), Some(1), "a plan changes nothing");
        let (done, said) = activate(cluster, 2, &[]);
        assert!(done && said.contains("version 2 is active"), "{said}");
        until("all go by version 2", || {
            let said: Vec<_> = (0..NODES).map(|node| active_version(cluster, node)).collect();
            if said == [Some(2); NODES] { Ok(()) } else { Err(format!("{said:?}")) }
        });
    });
    assert!(written.len() > 10, "only {} writes", written.len()); // how many depends on the machine
    let notes: Vec<_> = (0..NODES).map(|node| note(&format!("by way of {node}"))).collect();
    for (node, note) in notes.iter().enumerate() {
        let said = store(&cluster, node, note);
        assert_eq!(said["copies"], 2, "{said}");
    }
    for node in 0..NODES {
        for record in written.iter().chain(&notes) {
            let reply = cluster.clients[node].get(&format!("/v1/records/{}", record.id()), &[]).unwrap();
            assert!(reply.is_success(), "node {node} does not have {}", record.id());
        }
    }
    let before = std::fs::read(cluster.data_dir(0).join("wal/MANIFEST")).unwrap();
    cluster.terminate(0);
    cluster.install(0, SHIPPED);
    cluster.run(0);
    let said = cluster.refusal(0);
    assert!(said.contains("run a release that speaks version 2"), "{said}");
    assert!(before.starts_with(b"stemedb-log-manifest 2"));
    cluster.install(0, NEXT);
    cluster.run(0);
    until("the cluster is whole again", || cluster.whole());
    cluster.stop();
}
