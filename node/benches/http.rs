//! A real node over HTTP on loopback: bulk import beside the limit of verification, group commit, and lens queries.
//!
//! `cargo bench -p node --bench http -- [--json] [--rounds 3] [--records 100000] [--claims FILE]`. It prints ratios
//! measured in one run: the rounds of all measurements take turns, and medians are given with their spread. The queries
//! are about the claims of FILE (NDJSON, plain or `.gz`); without it about made ones in the shape of the advisories.
//!
//! Node and clients share the cores, so the clients' part of the time is measured and printed too. Nodes run on folders
//! and ports of their own and end with the benchmark.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]
#![allow(unreachable_pub, reason = "modules that several targets include are public in all of them")]

mod load;
#[path = "../tests/support/mod.rs"]
mod support;

use hdrhistogram::Histogram;
use load::claims::{self, Question, Signed};
use load::import::{Import, wait_until_ready};
use load::limit::{self, Verifier};
use load::report::{Report, Target};
use load::{argument, cores, disk, flag, process, queries, rate, scrape, writers};
use std::path::Path;
use std::time::Duration;
use support::Server;

/// How often everything is measured unless `--rounds` says otherwise.
const ROUNDS: usize = 3;
/// Records in one bulk import unless `--records` says otherwise.
const IMPORTED: u64 = 100_000;
/// Single-record writes a round, into the node that the import filled.
const WRITTEN: u64 = 40_000;
/// Clients that write single records.
const CLIENTS: usize = 64;
/// How long the limit is measured in each round.
const LIMIT_TIME: Duration = Duration::from_secs(2);
/// Syncs of the disk in each round beside an idle node.
const SYNCS: u64 = 300;
/// Queries per second, and for how long a lens is asked.
const QUERIES_PER_SECOND: u32 = 1000;
const QUERY_TIME: Duration = Duration::from_secs(8);
/// Made claims for the queries: as many as the advisories hold.
const ASKED_ABOUT: u64 = 38_500;
/// The calls that are measured.
const CALLS: [(&str, &str); 3] =
    [("authority", "/v1/query?lens=authority"), ("skeptic", "/v1/skeptic"), ("layered", "/v1/layered")];
/// The index engines.
const ENGINES: [&str; 2] = ["sled", "fjall"];

fn main() {
    let mut report = Report::default();
    report.note(format!("{} cores, shared by the node and its clients; medians (least to most)", cores()));
    writing(&mut report);
    reading(&mut report);
    report.print(flag("--json"));
}

/// What the rounds of one engine gave.
#[derive(Default)]
struct Rounds {
    import: Vec<f64>,
    import_share: Vec<f64>,
    core_share: Vec<f64>,
    node_us: Vec<f64>,
    client_us: Vec<f64>,
    writes: Vec<f64>,
    p50_ms: Vec<f64>,
    p99_ms: Vec<f64>,
    write_node_us: Vec<f64>,
    write_client_us: Vec<f64>,
    per_sync: Vec<f64>,
    sync_ms: Vec<f64>,
    sync_p99_ms: Vec<f64>,
    probe_idle_ms: Vec<f64>,
    probe_load_ms: Vec<f64>,
    probe_load_p99_ms: Vec<f64>,
    p99_syncs: Vec<f64>,
    p99_idle_syncs: Vec<f64>,
}

/// Claims for the import and for single writes, and the fastest verifier of them.
struct Input {
    imported: Vec<Signed>,
    written: Vec<Signed>,
    verifier: Verifier,
}

fn writing(report: &mut Report) {
    let imported = argument("--records").map_or(IMPORTED, |count| count.parse().unwrap());
    let rounds = argument("--rounds").map_or(ROUNDS, |count| count.parse().unwrap());
    let imported_claims = claims::made(0..imported);
    let written = claims::made(imported..imported + WRITTEN);
    let (verifier, best) = limit::fastest(&imported_claims);
    for (tried, per_second) in best {
        report.add("verification", format!("{}, batches of {}", tried.name, tried.batch), &[per_second], "per second");
    }
    let input = Input { imported: imported_claims, written, verifier };
    let (mut limits, mut limit_us) = (Vec::new(), Vec::new());
    let mut measure = || {
        let before = process::core_time(None);
        let per_second = limit::measure(input.verifier, &input.imported, LIMIT_TIME);
        limits.push(per_second);
        let spent = process::core_time(None) - before;
        limit_us.push(spent.as_secs_f64() * 1e6 / (per_second * LIMIT_TIME.as_secs_f64()));
        (per_second, limit_us.iter().copied().fold(f64::INFINITY, f64::min))
    };
    let mut engines = ENGINES.map(|engine| (engine, Rounds::default()));
    for _ in 0..rounds {
        // Before and after each pair of imports, so that a drift of the machine shows and cancels out.
        let (before, _) = measure();
        engines.iter_mut().for_each(|(engine, own)| write_round(engine, &input, own));
        let (after, least_us) = measure();
        for (_, own) in &mut engines {
            own.import_share.push(200.0 * own.import.last().unwrap() / (before + after));
            own.core_share.push(100.0 * least_us / (own.node_us.last().unwrap() + own.client_us.last().unwrap()));
        }
    }
    report.add(
        "verification",
        format!("the limit: {}, batches of {}", verifier.name, verifier.batch),
        &limits,
        "per second",
    );
    report.add("verification", "core time of the limit", &limit_us, "us/signature");
    let bytes = claims::canonical_length(&input.imported) / input.imported.len();
    report.note(format!("bulk import: {imported} made claims of {bytes} canonical bytes in the mean, {rounds} rounds"));
    for (engine, own) in &engines {
        show(report, engine, own);
    }
}

fn write_round(engine: &str, input: &Input, own: &mut Rounds) {
    let folder = tempfile::tempdir().unwrap();
    let node = start(folder.path(), engine);
    let pid = Some(node.pid());
    let import = Import::of(&input.imported, &node.url);
    let spent = || (process::core_time(pid), process::core_time(None));
    let per_record = |then: Duration, now: Duration, count: usize| (now - then).as_secs_f64() * 1e6 / count as f64;

    let before = spent();
    own.import.push(rate(input.imported.len(), import.send(&node.url)));
    let after = spent();
    own.node_us.push(per_record(before.0, after.0, input.imported.len()));
    own.client_us.push(per_record(before.1, after.1, input.imported.len()));
    drop(import);

    let idle = disk::syncs(folder.path(), SYNCS);
    let counts =
        || ["stemedb_commit_records", "stemedb_wal_fsync_latency_seconds"].map(|it| scrape::histogram(&node.url, it));
    let [commits, syncs] = counts();
    let before = spent();
    let (probe, writes) = disk::syncs_beside(folder.path(), || writers::write(&input.written, CLIENTS, &node.url));
    let after = spent();
    let [commits_after, syncs_after] = counts();
    let (commits, syncs) = (commits_after.since(&commits), syncs_after.since(&syncs));
    own.writes.push(writes.per_second);
    own.write_node_us.push(per_record(before.0, after.0, input.written.len()));
    own.write_client_us.push(per_record(before.1, after.1, input.written.len()));
    own.p50_ms.push(ms(&writes.latency_us, 0.50));
    own.p99_ms.push(ms(&writes.latency_us, 0.99));
    own.per_sync.push(commits.mean());
    own.sync_ms.push(syncs.mean() * 1e3);
    own.sync_p99_ms.push(syncs.at_most(0.99) * 1e3);
    own.probe_idle_ms.push(idle.mean() / 1e3);
    own.probe_load_ms.push(probe.mean() / 1e3);
    own.probe_load_p99_ms.push(ms(&probe, 0.99));
    own.p99_syncs.push(ms(&writes.latency_us, 0.99) / (syncs.mean() * 1e3));
    own.p99_idle_syncs.push(ms(&writes.latency_us, 0.99) / (idle.mean() / 1e3));
    assert!(node.terminate().success());
}

fn show(report: &mut Report, engine: &'static str, own: &Rounds) {
    let section = if engine == "sled" { "writing, sled" } else { "writing, fjall" };
    report.add(section, "bulk import, POST /v1/records", &own.import, "records/s");
    report.judge(section, "share of the limit", &own.import_share, "%", Target::AtLeast(70.0));
    report.add(section, "share of the limit, by core time", &own.core_share, "%");
    report.add(section, "core time of the node", &own.node_us, "us/record");
    report.add(section, "core time of the clients", &own.client_us, "us/record");
    report.add(section, "64 clients, POST /v1/assert", &own.writes, "writes/s");
    report.add(section, "latency, median", &own.p50_ms, "ms");
    report.add(section, "latency, p99", &own.p99_ms, "ms");
    report.judge(section, "records per fsync", &own.per_sync, "", Target::AtLeast(20.0));
    report.judge(section, "p99 over the node's mean fsync", &own.p99_syncs, "fsyncs", Target::AtMost(10.0));
    report.add(section, "p99 over the mean fsync of an idle disk", &own.p99_idle_syncs, "fsyncs");
    report.add(section, "fsync of the node, mean", &own.sync_ms, "ms");
    report.add(section, "fsync of the node, p99 at most", &own.sync_p99_ms, "ms");
    report.add(section, "fsync beside the idle node, mean", &own.probe_idle_ms, "ms");
    report.add(section, "fsync beside the loaded node, mean", &own.probe_load_ms, "ms");
    report.add(section, "fsync beside the loaded node, p99", &own.probe_load_p99_ms, "ms");
    report.add(section, "core time of the node", &own.write_node_us, "us/write");
    report.add(section, "core time of the clients", &own.write_client_us, "us/write");
}

fn reading(report: &mut Report) {
    let (claims, questions) = match argument("--claims") {
        Some(path) => {
            report.note("queries: about the claims of a file");
            claims::of_file(Path::new(&path))
        }
        None => {
            report.note("queries: about made claims in the shape of the advisories");
            (claims::made(0..ASKED_ABOUT), claims::distinct((0..ASKED_ABOUT).map(claims::made_question)))
        }
    };
    report.note(format!(
        "queries: {} claims, {} questions, open loop, latency from the time due",
        claims.len(),
        questions.len()
    ));
    for engine in ENGINES {
        read(report, engine, &claims, &questions);
    }
}

fn read(report: &mut Report, engine: &'static str, claims: &[Signed], questions: &[Question]) {
    let section = if engine == "sled" { "1,000 queries a second, sled" } else { "1,000 queries a second, fjall" };
    let folder = tempfile::tempdir().unwrap();
    let node = start(folder.path(), engine);
    Import::of(claims, &node.url).send(&node.url);
    for (name, path) in CALLS {
        let latency = queries::ask(questions, path, QUERIES_PER_SECOND, QUERY_TIME, &node.url);
        report.add(section, format!("{name}, median"), &[ms(&latency, 0.50)], "ms");
        report.judge(section, format!("{name}, p99"), &[ms(&latency, 0.99)], "ms", Target::AtMost(10.0));
        report.add(section, format!("{name}, p99.9"), &[ms(&latency, 0.999)], "ms");
    }
    assert!(node.terminate().success());
}

fn start(folder: &Path, engine: &str) -> Server {
    let node = Server::start(&folder.join("data"), &["--index-engine", engine]);
    wait_until_ready(&node.url);
    node
}

fn ms(latency_us: &Histogram<u64>, share: f64) -> f64 {
    latency_us.value_at_quantile(share) as f64 / 1e3
}
