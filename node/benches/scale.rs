//! A node as it grows: memory, disk and restart at 10K, 100K and 1M records, with both engines.
//!
//! `cargo bench -p node --bench scale -- [--records 1000000] [--engine fjall] [--json]`. Claims are signed a part at
//! a time, beside the node, so rates here include nothing but sending, but the machine is warmer than in the other
//! benchmark; only memory, disk and restarts are judged.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]
#![allow(unreachable_pub, reason = "modules that several targets include are public in all of them")]

mod load;
#[path = "../tests/support/mod.rs"]
mod support;

use load::import::{Import, wait_until_ready};
use load::report::{Report, Target};
use load::{argument, claims, disk, flag, now, process, rate};
use std::path::Path;
use std::time::Duration;
use support::Server;

/// The largest size unless `--records` says otherwise.
const RECORDS_MAX: u64 = 1_000_000;
/// The sizes at which is looked.
const SIZES: [u64; 3] = [10_000, 100_000, 1_000_000];
/// Claims that are signed and sent at a time.
const PART: u64 = 25_000;
/// Claims that are sent right before SIGKILL, and the number of the first, beyond all others.
const LATE_RECORDS: u64 = 5_000;
const LATE: u64 = 1 << 40;
/// The engines.
const ENGINES: [&str; 2] = ["sled", "fjall"];

fn main() {
    let most = argument("--records").map_or(RECORDS_MAX, |count| count.parse().unwrap());
    let only = argument("--engine");
    let mut report = Report::default();
    report.note("VmRSS and VmHWM of the node; disk against the canonical bytes of what it holds");
    for engine in ENGINES.into_iter().filter(|engine| only.as_deref().is_none_or(|only| only == *engine)) {
        grow(&mut report, engine, most);
    }
    report.print(flag("--json"));
}

/// Fills one node up to `most` records and looks at it at each size.
fn grow(report: &mut Report, engine: &'static str, most: u64) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut node = start(&data, engine).0;
    let (mut records, mut canonical) = (0, 0);
    let sizes = SIZES.into_iter().filter(|size| *size < most).chain([most]);
    for size in sizes {
        let (mut sent, mut sending) = (0, Duration::ZERO);
        while records < size {
            let claims = claims::made(records..(records + PART).min(size));
            canonical += u64::try_from(claims::canonical_length(&claims)).unwrap();
            sending += Import::of(&claims, &node.url).send(&node.url);
            sent += claims.len();
            records += u64::try_from(claims.len()).unwrap();
        }
        let own = Look { engine, size, canonical, import: rate(sent, sending), largest: size == most };
        node = own.look(report, node, &data);
    }
    drop(node);
}

/// A node of one engine at one size.
struct Look {
    engine: &'static str,
    size: u64,
    canonical: u64,
    import: f64,
    /// Whether disk use is judged: preallocated segments are most of a small node.
    largest: bool,
}

impl Look {
    /// Reports on the running `node`, then on a restart after a clean stop and one after SIGKILL.
    fn look(&self, report: &mut Report, node: Server, data: &Path) -> Server {
        let name = |what: &str| format!("{}, {} records: {what}", self.engine, self.size);
        let section = if self.engine == "sled" { "sled" } else { "fjall" };
        let memory = process::memory(Some(node.pid()));
        let mut add = |what: &str, value: f64, unit| report.add(section, name(what), &[value], unit);
        add("import of the last part", self.import, "records/s");
        add("resident memory", mib(memory.now), "MiB");
        add("resident memory, most", mib(memory.most), "MiB");
        let part = |part: &str| disk::folder_bytes(&data.join(part));
        let (log, index) = (part("wal"), part("db"));
        add("canonical bytes", mib(self.canonical), "MiB");
        add("log", mib(log), "MiB");
        add("index while running", mib(index), "MiB");
        assert!(node.terminate().success());
        let (log, index) = (part("wal"), part("db"));
        let ratio = (log + index) as f64 / self.canonical as f64;
        add("index after a clean stop", mib(index), "MiB");
        match self.largest {
            true => report.judge(section, name("disk over canonical bytes"), &[ratio], "times", Target::AtMost(3.0)),
            false => report.add(section, name("disk over canonical bytes"), &[ratio], "times"),
        }
        let (node, clean) = start(data, self.engine);
        report.judge(section, name("restart after a clean stop"), &[clean.as_secs_f64()], "s", Target::AtMost(5.0));
        let memory = process::memory(Some(node.pid()));
        report.add(section, name("resident memory after the restart"), &[mib(memory.now)], "MiB");
        let late = LATE + self.size;
        Import::of(&claims::made(late..late + LATE_RECORDS), &node.url).send(&node.url);
        node.kill();
        let (node, killed) = start(data, self.engine);
        report.judge(section, name("restart after SIGKILL"), &[killed.as_secs_f64()], "s", Target::AtMost(5.0));
        node
    }
}

/// Starts a node, and how long it took until it was ready.
fn start(data: &Path, engine: &str) -> (Server, Duration) {
    let begun = now();
    let node = Server::start(data, &["--index-engine", engine]);
    wait_until_ready(&node.url);
    (node, begun.elapsed())
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
