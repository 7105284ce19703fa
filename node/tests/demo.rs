//! The parts of `stemedb demo` on a real node: a process that is killed and comes back, writers that go on, and the check
//! that nothing acknowledged was lost.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use model::RecordId;
use node::cli::client::Client;
use node::cli::demo::{Acknowledged, Ground, Nodes, read_back, write_while};
use node::cli::failure::Failure;
use node::cli::stop::Stop;
use node::clock::{Clock as _, SystemClock};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The longest a node may take for anything before a test calls it lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// Looks again and again until something is so.
fn until(what: &str, mut look: impl FnMut() -> bool) {
    let (clock, stop) = (SystemClock::start(), Stop::default());
    while !look() {
        assert!(clock.monotonic() < PATIENCE, "waited in vain: {what}");
        stop.wait(Duration::from_millis(10));
    }
}

fn alone(folder: &Path) -> (Nodes, Client, Client) {
    let ground = Ground::prepare(Some(folder), None, 1).unwrap();
    let mut nodes = Nodes::start(env!("CARGO_BIN_EXE_stemedb").as_ref(), ground).unwrap();
    let (mut clients, mut admins) = nodes.clients().unwrap();
    let (client, admin) = (clients.remove(0), admins.remove(0));
    until("the node is ready", || {
        nodes.check_running().unwrap();
        is_ready(&client)
    });
    (nodes, client, admin)
}

fn is_ready(client: &Client) -> bool {
    client.get("/v1/ready", &[]).is_ok_and(|reply| reply.is_success())
}

fn records(admin: &Client) -> u64 {
    let status = admin.get("/v1/admin/status", &[]).and_then(|reply| reply.taken());
    status.map_or(0, |status| status["records"].as_u64().unwrap())
}

#[test]
fn writers_go_on_while_a_node_is_killed_and_comes_back_and_nothing_acknowledged_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (mut nodes, client, admin) = alone(folder.path());
    let clock = SystemClock::start();
    let urls = [client.url().to_owned()];
    let (history, killed) = write_while(&urls, &clock, || {
        until("claims are written", || records(&admin) >= 10);
        let killed = clock.monotonic();
        nodes.kill(0)?;
        until("nobody listens", || !is_ready(&client));
        nodes.start_one(0)?;
        until("the node is back", || is_ready(&client));
        let before = records(&admin);
        until("claims are written again", || records(&admin) >= before + 10);
        Ok(killed)
    })
    .unwrap();
    assert!(history.acknowledged.len() >= 20 && history.copies_min == Some(1));
    assert!(history.errors_seen_for(killed) > Duration::ZERO, "a node that is dead is noticed");
    assert!(history.attempts > u64::try_from(history.acknowledged.len()).unwrap());
    let clients = [client];
    let checked = read_back(&history.acknowledged, &clients, &Stop::default(), |_| {});
    assert_eq!((checked.found, checked.lost, checked.unanswered), (history.acknowledged.len(), vec![], vec![]));
    nodes.stop().unwrap();
}

#[test]
fn a_claim_that_is_gone_is_found_out_and_a_node_that_is_silent_is_not_taken_for_a_loss() {
    let folder = tempfile::tempdir().unwrap();
    let (nodes, client, _) = alone(folder.path());
    let never_written = [Acknowledged { id: RecordId([7; 32]), subject: "demo://nobody".to_owned() }];
    let checked = read_back(&never_written, &[client], &Stop::default(), |_| {});
    assert_eq!((checked.found, checked.lost), (0, vec![RecordId([7; 32])]));
    nodes.stop().unwrap();
    let never_accepts = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", never_accepts.local_addr().unwrap());
    let silent = Client::with_deadline(&url, Duration::from_millis(10)).unwrap();
    let checked = read_back(&never_written, &[silent], &Stop::default(), |_| {});
    assert_eq!((checked.lost, checked.unanswered), (vec![], vec![RecordId([7; 32])]));
}

#[test]
fn a_node_that_ends_by_itself_is_told_with_the_end_of_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let (mut nodes, ..) = alone(folder.path());
    nodes.check_running().unwrap();
    nodes.kill(0).unwrap();
    std::fs::write(folder.path().join("node-1/node.key"), "not a key").unwrap();
    nodes.start_one(0).unwrap();
    let mut told = None;
    until("the node ends", || {
        told = nodes.check_running().err();
        told.is_some()
    });
    let Some(Failure::Failed(told)) = told else { panic!("it failed otherwise") };
    assert!(told.starts_with("node 1 ended by itself") && told.contains("node key"), "{told}");
}

#[test]
fn every_node_ends_with_the_value_that_stands_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let (nodes, client, _) = alone(folder.path());
    let process = PathBuf::from(format!("/proc/{}", nodes.pid(0).unwrap()));
    assert!(process.exists() || !Path::new("/proc").exists());
    drop((nodes, client));
    assert!(!process.exists(), "a process was left behind");
}
