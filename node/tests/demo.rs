//! `stemedb demo`, whole, and its parts on a real node: a process that is killed and comes back, writers that go on, and
//! the check that nothing acknowledged was lost.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use model::RecordId;
use node::cli::client::Client;
use node::cli::demo::{Acknowledged, Ground, Nodes, read_back, write_while};
use node::cli::failure::Failure;
use node::cli::stop::Stop;
use node::clock::{Clock as _, SystemClock};
use serde_json::Value;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;
use support::cluster::until;
use support::signal;

/// The processes that a demo must not leave behind are looked for here, where there is such a thing.
const PROCESSES: &str = "/proc";

/// A demo as a process. It is asked to stop when a test ends, so that it ends its nodes.
struct Running {
    child: Child,
    out: PathBuf,
}

impl Running {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let out = folder.join("out");
        let mut command = Command::new(env!("CARGO_BIN_EXE_stemedb"));
        command.args(["demo", "--json"]).args(arguments).env("TMPDIR", folder).stdout(File::create(&out).unwrap());
        Self { child: command.spawn().unwrap(), out }
    }

    /// What it printed so far, a value a line.
    fn told(&mut self) -> Vec<Value> {
        let text = fs::read_to_string(&self.out).unwrap();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits for a line of which `is` holds.
    fn tells(&mut self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let mut told = None;
        until(what, || {
            assert_eq!(self.child.try_wait().unwrap(), None, "the demo ended");
            told = self.told().into_iter().find(&is);
            told.is_some().then_some(()).ok_or("not yet")
        });
        told.unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            signal(self.child.id(), "TERM");
            self.child.wait().unwrap();
        }
    }
}

fn lives(pid: &Value) -> bool {
    Path::new(PROCESSES).join(pid.to_string()).exists()
}

fn alone(folder: &Path) -> (Nodes, Client, Client) {
    let ground = Ground::prepare(Some(folder), None, 1).unwrap();
    let mut nodes = Nodes::start(env!("CARGO_BIN_EXE_stemedb").as_ref(), ground).unwrap();
    let (mut clients, mut admins) = nodes.clients().unwrap();
    let (client, admin) = (clients.remove(0), admins.remove(0));
    until("the node is ready", || {
        nodes.check_running().unwrap();
        so(is_ready(&client))
    });
    (nodes, client, admin)
}

/// What [`until`] waits for.
fn so(is_so: bool) -> Result<(), &'static str> {
    is_so.then_some(()).ok_or("not yet")
}

fn is_ready(client: &Client) -> bool {
    client.get("/v1/ready", &[]).is_ok_and(|reply| reply.is_success())
}

fn records(admin: &Client) -> u64 {
    let status = admin.get("/v1/admin/status", &[]).and_then(|reply| reply.taken());
    status.map_or(0, |status| status["records"].as_u64().unwrap())
}

#[test]
fn a_demo_loses_nothing_and_leaves_three_nodes_which_it_starts_again_until_it_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = Running::start(folder.path(), &["--seconds", "1"]);
    let report = demo.tells("the report", |line| line["running"].is_array());
    assert_eq!(
        (&report["imported"], &report["imported_found"]),
        (&6478.into(), &report["imported_claims"]),
        "{report}"
    );
    assert!(report["imported_claims"].as_u64() > Some(6_400), "{report}");
    assert_eq!((&report["lost"], &report["unanswered"]), (&0.into(), &0.into()), "{report}");
    assert_eq!((&report["found"], &report["copies_min"]), (&report["acknowledged"], &2.into()), "{report}");
    assert!(report["acknowledged_after_kill"].as_u64() > Some(0), "{report}");
    assert_eq!(report["answer"]["result"]["answers"][0]["winner"]["object"]["value"], "Sucre", "{report}");
    let nodes = report["running"].as_array().unwrap();
    assert!(nodes.len() == 3 && nodes.iter().all(|node| node["state"] == "alive"), "{report}");

    let environment = report["try"]["environment"].as_str().unwrap();
    for hint in report["try"]["commands"].as_array().unwrap() {
        let command = hint["run"].as_str().unwrap().replace("--watch", "");
        let output = Command::new("sh").args(["-c", &format!("{environment}; {command}")]).output().unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    }

    signal(u32::try_from(nodes[1]["pid"].as_u64().unwrap()).unwrap(), "KILL");
    let ended = demo.tells("a node's end", |line| line["event"] == "ended");
    assert_eq!(ended["number"], 2, "{ended}");
    demo.tells("its return", |line| line["event"] == "ready" && line["number"] == 2);
    let admin = Client::new(nodes[0]["admin_url"].as_str().unwrap()).unwrap();
    until("all three are there", || {
        let cluster = admin.get("/v1/admin/status", &[]).and_then(|reply| reply.taken()).unwrap()["cluster"].take();
        if cluster["nodes_up"] == 3 { Ok(()) } else { Err(cluster) }
    });

    signal(demo.child.id(), "TERM");
    assert!(demo.child.wait().unwrap().success());
    let pids = nodes.iter().map(|node| &node["pid"]).chain([&ended["pid"]]);
    assert!(pids.filter(|pid| lives(pid)).count() == 0, "a process was left behind");
    assert!(!Path::new(report["folder"].as_str().unwrap()).exists(), "the temporary folder was left behind");
}

#[test]
fn writers_go_on_while_a_node_is_killed_and_comes_back_and_nothing_acknowledged_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (mut nodes, client, admin) = alone(folder.path());
    let clock = SystemClock::start();
    let urls = [client.url().to_owned()];
    let (history, killed) = write_while(&urls, &clock, || {
        until("claims are written", || so(records(&admin) >= 10));
        let killed = clock.monotonic();
        nodes.kill(0)?;
        until("nobody listens", || so(!is_ready(&client)));
        nodes.start_one(0)?;
        until("the node is back", || so(is_ready(&client)));
        let before = records(&admin);
        until("claims are written again", || so(records(&admin) >= before + 10));
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
    let (subject, at) = ("demo://nobody".to_owned(), Duration::ZERO);
    let never_written = [Acknowledged { id: RecordId([7; 32]), subject, at, took: at }];
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
    fs::write(folder.path().join("node-1/node.key"), "not a key").unwrap();
    nodes.start_one(0).unwrap();
    let mut told = None;
    until("the node ends", || {
        told = nodes.check_running().err();
        so(told.is_some())
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
