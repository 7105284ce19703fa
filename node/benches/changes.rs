//! A cluster of real processes that changes while a client goes on: how long a change takes, and what the client feels.
//!
//! `cargo bench -p node --bench changes -- [--json] [--rounds 3] [--records 100000] [--pace BYTES] [--only NAME]`.
//! Clusters are processes of the built program on loopback, with certificates and TLS as everywhere. The client sends 500
//! requests a second in an open loop, reads and writes in turn, and nothing twice. Quiet times lie before and after each
//! change in the same run, and ratios are taken within it.
//!
//! NAME is one of
//!
//! - `grow`: one node with the claims of `examples/advisories` becomes three; the client knows the first one only.
//! - `replace`: of three nodes one is killed and its folder is gone; a fresh one takes its place.
//! - `add`: a fourth node joins three.
//! - `seal`: what certificates, TLS and sealed gossip cost, beside nodes in this process that do without.
//!
//! Nodes and client share the cores. `--pace` sets `repair.bytes_per_second` of all nodes.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark that cannot go on stops")]
#![allow(unreachable_pub, reason = "modules that several targets include are public in all of them")]

#[path = "changes/bare.rs"]
mod bare;
mod load;
#[path = "../tests/support/mod.rs"]
mod support;

use load::claims::{self, Signed};
use load::import::Import;
use load::report::{Report, Target};
use load::steady::{Kind, Requests, Sent, latencies};
use load::{argument, flag, now, sleep_until};
use serde_json::Value;
use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use support::cluster::{Cluster, until};

/// How often each change is made unless `--rounds` says otherwise.
const ROUNDS: usize = 3;
/// Records of the clusters that are not about the advisories, unless `--records` says otherwise.
const RECORDS: u64 = 100_000;
/// How many of them are imported at once.
const PART: usize = 10_000;
/// What the client sends a second.
const PER_SECOND: u32 = 500;
/// How long is quiet before and after a change.
const QUIET: Duration = Duration::from_secs(15);
/// The client's claims last for so many seconds of one change.
const LASTS_SECONDS: u64 = 200;
/// The number of the first of the client's claims, beyond all others.
const WRITTEN: u64 = 1 << 41;
/// How often it is looked whether nothing lacks a copy any more: seldom, since each look asks every node.
const LOOK: Duration = Duration::from_millis(250);
/// What a node of a cluster is told that a node alone is not.
const AMONG_OTHERS: [&str; 3] = ["STEMEDB_SEEDS", "STEMEDB_BOOTSTRAP_EXPECT", "STEMEDB_CLUSTER_KEY_FILE"];
const ADVISORIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/advisories/advisories.ndjson.gz");
/// How long a change at 100K records may take, in seconds, and how much slower the 99th of a hundred requests may be.
const CHANGE_SECONDS_MAX: f64 = 30.0;
const SLOWER_MAX: f64 = 1.5;

fn main() {
    let mut report = Report::default();
    let records = argument("--records").map_or(RECORDS, |count| count.parse().unwrap());
    let rounds = argument("--rounds").map_or(ROUNDS, |count| count.parse().unwrap());
    let only = argument("--only");
    let is_meant = |name: &str| only.as_deref().is_none_or(|only| only == name);
    report.note(format!("{} cores, shared by nodes and client; {rounds} rounds", load::cores()));
    let written = claims::made(WRITTEN..WRITTEN + u64::from(PER_SECOND) * LASTS_SECONDS / 2);
    if is_meant("grow") {
        let (held, questions) = claims::of_file(Path::new(ADVISORIES));
        let requests = Requests::of(&questions, &written);
        let made: Vec<_> = (0..rounds).map(|_| grow(&held, &requests)).collect();
        show(&mut report, "one node becomes three", &made, None);
    }
    if is_meant("replace") || is_meant("add") {
        let held = claims::made(0..records);
        let questions = claims::distinct((0..records).map(claims::made_question));
        let requests = Requests::of(&questions, &written);
        if is_meant("replace") {
            let made: Vec<_> = (0..rounds).map(|_| replace(&held, &requests)).collect();
            show(&mut report, "a lost disk is replaced", &made, Some(CHANGE_SECONDS_MAX));
        }
        if is_meant("add") {
            let made: Vec<_> = (0..rounds).map(|_| add(&held, &requests)).collect();
            show(&mut report, "a fourth node joins three", &made, Some(CHANGE_SECONDS_MAX));
        }
    }
    if is_meant("seal") {
        bare::compare(&mut report, rounds);
    }
    report.print(flag("--json"));
}

/// One change and what the client saw of it.
struct Made {
    sent: Vec<Sent>,
    before: Range<Instant>,
    during: Range<Instant>,
    after: Range<Instant>,
    /// From the command until it says that it is done.
    command: Duration,
}

/// Quiet, the change, until nothing lacks a copy, quiet again; with a client all the time.
fn change(cluster: &Cluster, requests: &Requests, asked: &[usize], make: impl FnOnce()) -> Made {
    let urls = cluster.urls();
    let urls: Vec<_> = asked.iter().map(|node| urls[*node].clone()).collect();
    let (sent, (before, during, after, command)) = requests.send_during(&urls, PER_SECOND, || {
        let begun = now() + Duration::from_secs(1);
        let commanded = begun + QUIET;
        sleep_until(commanded);
        make();
        let command = commanded.elapsed();
        until("nothing lacks a copy", || {
            at_rest_but_for_the_client(cluster).inspect_err(|_| sleep_until(now() + LOOK))
        });
        let whole = now();
        sleep_until(whole + QUIET);
        (begun..commanded, commanded..whole, whole..now(), command)
    });
    Made { sent, before, during, after, command }
}

/// Whether no record is known to lack a copy, and no hint waits. Where a client writes to every home all the time there is no
/// certainty beyond that; but the command ends only when each owner of each home has taken all that was there.
fn at_rest_but_for_the_client(cluster: &Cluster) -> Result<(), String> {
    let glance = cluster.glance(0)?;
    let rests = glance["hints_pending"] == 0 && glance["under_replicated"]["records"] == 0;
    if rests { Ok(()) } else { Err(glance.to_string()) }
}

fn grow(held: &[Signed], requests: &Requests) -> Made {
    let mut cluster = prepare(3);
    let settings = AMONG_OTHERS.map(|name| cluster.setting(0, name).to_owned());
    AMONG_OTHERS.iter().for_each(|name| cluster.unset(0, name));
    cluster.run(0);
    until("it is ready", || cluster.ready(0));
    Import::of(held, &cluster.urls()[0]).send(&cluster.urls()[0]);
    // The one restart: with a key it talks to others.
    cluster.kill(0);
    cluster.set(0, "STEMEDB_CLUSTER_KEY_FILE", settings[2].clone());
    cluster.run(0);
    until("it is ready again", || cluster.ready(0));
    let joining = [1, 2].map(|node| run_to_join(&mut cluster, node));
    let made = change(&cluster, requests, &[0], || {
        joining.iter().for_each(|name| done(&cluster, &["node", "join", name]));
    });
    cluster.stop();
    made
}

fn replace(held: &[Signed], requests: &Requests) -> Made {
    let mut cluster = prepare(3);
    (0..3).for_each(|node| cluster.run(node));
    until("three are one cluster", || whole(&cluster, 3));
    fill(&cluster, held);
    let old = name_of(&cluster, 2);
    cluster.kill(2);
    std::fs::remove_dir_all(cluster.data_dir(2)).unwrap();
    let new = run_to_join(&mut cluster, 2);
    let made = change(&cluster, requests, &[0, 1], || done(&cluster, &["node", "replace", &old, &new]));
    cluster.stop();
    made
}

fn add(held: &[Signed], requests: &Requests) -> Made {
    let mut cluster = prepare(4);
    for node in 0..3 {
        cluster.set(node, "STEMEDB_BOOTSTRAP_EXPECT", "3");
        cluster.run(node);
    }
    until("three are one cluster", || whole(&cluster, 3));
    fill(&cluster, held);
    let new = run_to_join(&mut cluster, 3);
    let made = change(&cluster, requests, &[0, 1, 2], || done(&cluster, &["node", "join", &new]));
    cluster.stop();
    made
}

/// Places for so many nodes, with the pace that was asked for.
fn prepare(nodes: usize) -> Cluster {
    let mut cluster = Cluster::prepare(nodes);
    if let Some(pace) = argument("--pace") {
        (0..nodes).for_each(|node| cluster.set(node, "STEMEDB_REPAIR_BYTES_PER_SECOND", pace.as_str()));
    }
    cluster
}

/// Whether so many nodes are ready and see each other.
fn whole(cluster: &Cluster, nodes: usize) -> Result<(), String> {
    for node in 0..nodes {
        cluster.ready(node)?;
        let glance = cluster.glance(node)?;
        if glance["nodes_up"] != nodes {
            return Err(glance.to_string());
        }
    }
    Ok(())
}

/// Imports by way of the first node, and waits until nothing lacks a copy.
fn fill(cluster: &Cluster, held: &[Signed]) {
    let url = &cluster.urls()[0];
    held.chunks(PART).for_each(|part| {
        Import::of(part, url).send(url);
    });
    until("the import has come to rest", || {
        let glance = cluster.glance(0)?;
        let shortfall = &glance["under_replicated"];
        let rests = glance["hints_pending"] == 0 && shortfall["records"] == 0 && shortfall["is_exact"] == true;
        if rests { Ok(()) } else { Err(glance.to_string()) }
    });
}

fn name_of(cluster: &Cluster, node: usize) -> String {
    let mut name = None;
    until("the node says who it is", || {
        let health = cluster.clients[node].get("/v1/health", &[]).map_err(|failure| failure.to_string())?;
        let health: Value = serde_json::from_slice(&health.body).map_err(|error| error.to_string())?;
        name = health["node_id"].as_str().map(ToOwned::to_owned);
        name.as_ref().map(drop).ok_or_else(|| "no name".to_owned())
    });
    name.unwrap()
}

/// Starts a node that only joins, and waits until the first node has heard of it; returns its name.
fn run_to_join(cluster: &mut Cluster, node: usize) -> String {
    cluster.unset(node, "STEMEDB_BOOTSTRAP_EXPECT");
    cluster.run(node);
    let name = name_of(cluster, node);
    until("it is seen to wait", || {
        let list = command(cluster, &["node", "list"]);
        if list.contains(&format!("stemedb node join {name}")) { Ok(()) } else { Err(list) }
    });
    name
}

fn done(cluster: &Cluster, arguments: &[&str]) {
    command(cluster, arguments);
}

/// What a command prints that an operator gives to the first node, and which succeeds.
fn command(cluster: &Cluster, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stemedb"));
    let output = command.args(arguments).env("STEMEDB_ADMIN_URL", cluster.admins[0].url()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn show(report: &mut Report, section: &'static str, made: &[Made], seconds_max: Option<f64>) {
    let mut add = |name: &str, unit, target: Option<Target>, value: &dyn Fn(&Made) -> f64| {
        let rounds: Vec<_> = made.iter().map(value).collect();
        match target {
            Some(target) => report.judge(section, name, &rounds, unit, target),
            None => report.add(section, name, &rounds, unit),
        }
    };
    let seconds = |during: &Range<Instant>| during.end.duration_since(during.start).as_secs_f64();
    let failed = |made: &Made| made.sent.iter().filter(|sent| sent.failure.is_some()).count() as f64;
    add("requests", "", None, &|made| made.sent.len() as f64);
    add("failed requests", "", Some(Target::AtMost(0.0)), &failed);
    add("the command says done", "s", None, &|made| made.command.as_secs_f64());
    add("nothing lacks a copy", "s", seconds_max.map(Target::AtMost), &|made| seconds(&made.during));
    for (what, kind) in [("reads and writes", None), ("reads", Some(Kind::Read)), ("writes", Some(Kind::Write))] {
        let ms = |made: &Made, within: &Range<Instant>, share| {
            latencies(&made.sent, within, kind).value_at_quantile(share) as f64 / 1e3
        };
        for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
            add(&format!("{what}, {name} before"), "ms", None, &|made| ms(made, &made.before, share));
            add(&format!("{what}, {name} meanwhile"), "ms", None, &|made| ms(made, &made.during, share));
            add(&format!("{what}, {name} after"), "ms", None, &|made| ms(made, &made.after, share));
        }
        let target = kind.is_none().then_some(Target::AtMost(SLOWER_MAX));
        let ratio = |made: &Made, quiet: &Range<Instant>| ms(made, &made.during, 0.99) / ms(made, quiet, 0.99);
        add(&format!("{what}, p99 meanwhile over before"), "times", target, &|made| ratio(made, &made.before));
        add(&format!("{what}, p99 meanwhile over after"), "times", target, &|made| ratio(made, &made.after));
    }
    let failed = made.iter().flat_map(|made| made.sent.iter().map(|sent| (sent, made.during.start)));
    let failed = failed.filter_map(|(sent, begun)| sent.failure.as_deref().map(|why| (sent.due, begun, why)));
    failed.take(5).for_each(|(due, begun, why)| {
        let since =
            due.saturating_duration_since(begun).as_secs_f64() - begun.saturating_duration_since(due).as_secs_f64();
        eprintln!("failed {since:.1} s after the command: {why}");
    });
}
