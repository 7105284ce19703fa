//! The index engines side by side, on the entries that claims really have.
//!
//! `cargo bench -p storage --bench engines -- [--records 100000,1000000] [--engine sled,fjall]`. For each engine and
//! size: inserting, reading by id, a scan of 20 claims, memory, disk, opening again, and rebuilding from a log. It ends
//! with a table. Each measurement runs in a process of its own, so that resident memory is that of one engine alone.
//!
//! Claims have about 600 canonical bytes in the shape of the advisories: two a question in the mean, up to 32. Their
//! signatures are dummies, since neither the index nor a rebuild looks at them.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]
#![expect(clippy::print_stdout, reason = "a benchmark reports to a person, and to the process that started it")]

use criterion::measurement::{Measurement, WallTime};
use model::canonical::{canonical_bytes, id_of};
use model::record::{
    Assertion, Authors, Confidence, Lifecycle, Meta, Object, Predicate, SourceClass, Subject, Text, Validity, Vector,
};
use model::{AgentId, Body, Envelope, Home, RecordId, Signature, Stamp, Timestamp};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use storage::disk::StdDisk;
use storage::index::entry::{IdEntry, Posting, Question, Table, agent_key, claims_on, predicate_key};
use storage::index::{Batch, Engine, Index};
use storage::log::{Frame, Log, Position, RecordKind, StoredRecord};
use storage::store::{Setup, Store};

/// Records that are inserted together, as the node does.
const BATCH: u64 = 512;
/// How many reads by id are timed, and how many scans.
const LOOKUPS: u64 = 100_000;
const SCANS: u64 = 20_000;
/// How many claims a scan visits.
const SCANNED: usize = 20;
/// The node's default for `index.cache_bytes`.
const CACHE_BYTES: u64 = 64 << 20;
/// A step that is coprime to every size used here, to visit records out of order.
const STEP: u64 = 7_368_787;
/// Agents that sign.
const AGENTS: u64 = 64;
/// The length of a value in bytes.
const VALUE_BYTES: usize = 250;
/// A time in milliseconds, for stamps and claims.
const NOW_MS: u64 = 1_780_000_000_000;
/// What begins a line with a figure on a child's output.
const MARK: &str = "figure\t";

fn main() {
    match argument("--child").as_deref() {
        None => parent(),
        Some(phase) => child(phase),
    }
}

fn argument(name: &str) -> Option<String> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.next().and_then(|_| arguments.next())
}

/// Runs the phases as processes of their own, one after the other, and prints what they found as a table.
fn parent() {
    let sizes = argument("--records").unwrap_or_else(|| "100000,1000000".to_owned());
    let engines = argument("--engine").unwrap_or_else(|| "sled,fjall".to_owned());
    let mut columns = Vec::new();
    for size in sizes.split(',') {
        let folder = tempfile::tempdir().unwrap();
        run("log", size, "memory", folder.path());
        for engine in engines.split(',') {
            let phases = ["fill", "open", "rebuild", "restart"];
            let figures = phases.into_iter().flat_map(|phase| run(phase, size, engine, folder.path()));
            columns.push((format!("{engine}, {size}"), figures.collect::<Vec<_>>()));
        }
    }
    let Some((_, first)) = columns.first() else { return };
    let heads: Vec<_> = columns.iter().map(|(head, _)| format!("{head:>16}")).collect();
    println!("{:<44}{}", "", heads.concat());
    for (row, (name, _)) in first.iter().enumerate() {
        let values = columns.iter().filter_map(|(_, figures)| figures.get(row));
        let values: Vec<_> = values.map(|(_, value)| format!("{value:>16.2}")).collect();
        println!("{name:<44}{}", values.concat());
    }
}

fn run(phase: &str, size: &str, engine: &str, folder: &Path) -> Vec<(String, f64)> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--child", phase, "--records", size, "--engine", engine, "--folder"]).arg(folder);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{phase}: {}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let figures = lines.lines().filter_map(|line| line.strip_prefix(MARK)?.split_once('\t'));
    figures.map(|(name, value)| (name.to_owned(), value.parse().unwrap())).collect()
}

fn figure(name: &str, value: f64) {
    println!("{MARK}{name}\t{value}");
}

/// One measurement, in a process of its own.
struct Phase {
    records: u64,
    engine: Engine,
    folder: PathBuf,
}

fn child(phase: &str) {
    let engine = argument("--engine").unwrap().parse().unwrap();
    let folder = PathBuf::from(argument("--folder").unwrap());
    let own = Phase { records: argument("--records").unwrap().parse().unwrap(), engine, folder };
    match phase {
        "log" => own.write_log(),
        "fill" => own.fill(),
        "open" => own.open(),
        "rebuild" => own.rebuild(),
        "restart" => own.restart(),
        other => panic!("no phase {other}"),
    }
}

impl Phase {
    fn index(&self) -> Box<dyn Index> {
        self.engine.open(&self.index_folder(), &index_settings()).unwrap()
    }

    /// Where the index that is filled directly is.
    fn index_folder(&self) -> PathBuf {
        self.folder.join(format!("index-{}", self.engine))
    }

    /// Where the index that the store builds is.
    fn db_dir(&self) -> PathBuf {
        self.folder.join(format!("db-{}", self.engine))
    }

    fn wal_dir(&self) -> PathBuf {
        self.folder.join("wal")
    }

    /// Writes the log that the rebuilds read.
    fn write_log(&self) {
        let settings = storage::log::Settings::default();
        let (mut log, _) = Log::open(Arc::new(StdDisk), &self.wal_dir(), settings, [7; 16]).unwrap();
        for first in (0..self.records).step_by(usize::try_from(BATCH).unwrap()) {
            let numbers = first..(first + BATCH).min(self.records);
            let made: Vec<_> = numbers.map(|number| (number, claim(number))).collect();
            let made: Vec<_> = made
                .into_iter()
                .map(|(number, Claim { id, envelope, .. })| {
                    let (kind, archive) = storage::stored::encode(&envelope).unwrap();
                    (stamp(number), envelope.body().home(), kind, id, archive)
                })
                .collect();
            let frames: Vec<_> = made
                .iter()
                .map(|(stamp, home, kind, id, archive)| {
                    Frame::Record(StoredRecord { home: *home, stamp: *stamp, kind: *kind, id: *id, archive })
                })
                .collect();
            log.append(&frames).unwrap();
        }
        log.seal(stamp(self.records)).unwrap();
    }

    /// Inserts every entry, reads and scans; only the engine's own time counts.
    fn fill(&self) {
        let index = self.index();
        let (mut entries, mut applying, mut worst) = (0, Duration::ZERO, Duration::ZERO);
        let mut second_half = Duration::ZERO;
        for first in (0..self.records).step_by(usize::try_from(BATCH).unwrap()) {
            let mut batch = Batch::default();
            (first..(first + BATCH).min(self.records)).for_each(|number| entries_of(number, &mut batch));
            entries += batch.len();
            let (took, ()) = timed(|| index.apply(batch).unwrap());
            applying += took;
            worst = worst.max(took);
            if first >= self.records / 2 {
                second_half += took;
            }
        }
        let seconds = |time: Duration| time.as_secs_f64();
        figure("entries a record", entries as f64 / self.records as f64);
        figure("insert, thousand records/s", self.records as f64 / 1e3 / seconds(applying));
        figure("insert, thousand entries/s", entries as f64 / 1e3 / seconds(applying));
        figure("insert, second half over first", seconds(second_half) / seconds(applying - second_half));
        figure("insert, longest batch of 512, ms", seconds(worst) * 1e3);
        self.read(index.as_ref(), "");
        let (now, most) = resident();
        figure("resident memory, MiB", now);
        figure("resident memory, most, MiB", most);
        let (flushing, ()) = timed(|| index.flush().unwrap());
        figure("flush, s", seconds(flushing));
        drop(index);
        figure("disk, MiB", folder_mib(&self.index_folder()));
    }

    /// Opens the index that [`Phase::fill`] left.
    fn open(&self) {
        let (took, index) = timed(|| self.index());
        figure("reopen the engine, s", took.as_secs_f64());
        self.read(index.as_ref(), " after reopening");
        figure("resident memory after reopening, MiB", resident().0);
        drop(index);
        std::fs::remove_dir_all(self.index_folder()).unwrap();
    }

    fn read(&self, index: &dyn Index, when: &str) {
        let keys: Vec<_> = self.numbers(LOOKUPS).map(|number| IdEntry::key(&id(number))).collect();
        let (took, found) = timed(|| keys.iter().filter(|key| index.get(key).unwrap().is_some()).count());
        assert_eq!(found, keys.len());
        figure(&format!("read by id{when}, us"), took.as_secs_f64() * 1e6 / found as f64);
        let starts: Vec<_> = self.numbers(SCANS).map(|number| claims_on(&question(number))).collect();
        let (took, ()) = timed(|| starts.iter().for_each(|start| scan(index, start)));
        figure(&format!("scan of {SCANNED}{when}, us"), took.as_secs_f64() * 1e6 / starts.len() as f64);
    }

    /// `count` records, far from their neighbours.
    fn numbers(&self, count: u64) -> impl Iterator<Item = u64> {
        let records = self.records;
        (0..count).map(move |turn| turn * STEP % records)
    }

    fn setup(&self) -> Setup {
        let mut settings = storage::store::Settings::with_log(storage::log::Settings::default());
        settings.index = index_settings();
        settings.open_frames_max = u64::MAX;
        Setup {
            disk: Arc::new(StdDisk),
            wal_dir: self.wal_dir(),
            db_dir: self.db_dir(),
            engine: self.engine,
            settings,
            store_id_seed: [7; 16],
            set_key: model::set::SetKey::new([7; 32]),
            wall_ms: NOW_MS * 2,
        }
    }

    /// Builds an index from the log, and stops in order.
    fn rebuild(&self) {
        let (took, (appender, reader, _)) = timed(|| Store::open(self.setup()).unwrap());
        assert_eq!(reader.counts().assertions, self.records);
        figure("rebuild from the log, s", took.as_secs_f64());
        figure("resident memory after a rebuild, MiB", resident().0);
        let (took, ()) = timed(|| appender.seal().unwrap());
        figure("clean stop of the store, s", took.as_secs_f64());
        figure("disk after a rebuild, MiB", folder_mib(&self.db_dir()));
    }

    /// Opens the store that [`Phase::rebuild`] left.
    fn restart(&self) {
        let (took, (appender, reader, opened)) = timed(|| Store::open(self.setup()).unwrap());
        assert!(opened.rebuilt.is_none(), "{:?}", opened.rebuilt);
        assert_eq!(reader.counts().assertions, self.records);
        figure("start of the store after a clean stop, s", took.as_secs_f64());
        drop((appender, reader));
        std::fs::remove_dir_all(self.db_dir()).unwrap();
    }
}

fn index_settings() -> storage::index::Settings {
    storage::index::Settings { cache_bytes: CACHE_BYTES, ..storage::index::Settings::default() }
}

/// A claim that nobody signed.
struct Claim {
    id: RecordId,
    envelope: Envelope,
}

/// About two claims a question; every 16th block of 32 is one question.
fn question(number: u64) -> Question {
    let (subject, predicate) = if (number / 32).is_multiple_of(16) {
        (format!("cve://CVE-{}-CROWD", number / 32), "affects")
    } else {
        let predicates = ["summary", "alias", "reference", "reference", "reference", "reference", "affects", "affects"];
        let place = usize::try_from(number % 8).unwrap();
        (format!("cve://CVE-2026-{:07}", number / 8), *predicates.iter().cycle().nth(place).unwrap())
    };
    Question { subject: Subject::new(subject).unwrap(), predicate: Predicate::new(predicate).unwrap() }
}

fn agent(number: u64) -> AgentId {
    AgentId(*blake3::hash(&(number / 4 % AGENTS).to_le_bytes()).as_bytes())
}

/// An id as good as any other, for entries that no log stands behind.
fn id(number: u64) -> RecordId {
    RecordId(*blake3::hash(&number.to_le_bytes()).as_bytes())
}

fn stamp(number: u64) -> Stamp {
    Stamp::new(NOW_MS + number, 0).unwrap()
}

fn claim(number: u64) -> Claim {
    let Question { subject, predicate } = question(number);
    let noise = blake3::hash(&number.to_be_bytes()).to_hex();
    let value: String = noise.chars().cycle().take(VALUE_BYTES).collect();
    let assertion = Assertion {
        authors: Authors::new(vec![agent(number)]).unwrap(),
        timestamp: Timestamp::from_ms(NOW_MS).unwrap(),
        subject,
        predicate,
        object: Object::Text(Text::new(value).unwrap()),
        confidence: Confidence::new(0.9).unwrap(),
        source_class: SourceClass::Expert,
        lifecycle: Lifecycle::Proposed,
        source_hash: None,
        parent_hash: None,
        epoch: None,
        visual_hash: None,
        vector: Vector::default(),
        validity: Validity::default(),
        meta: Meta::default(),
    };
    let body = Body::Assertion(Box::new(assertion));
    let id = id_of(&canonical_bytes(&body));
    Claim { id, envelope: Envelope::new(body, vec![Signature([1; 64])]).unwrap() }
}

/// The entries of one claim, as the store files it.
fn entries_of(number: u64, batch: &mut Batch) {
    let question = question(number);
    let position = Position { segment: 1, at: u32::try_from(number * 640 % (1 << 32)).unwrap() };
    let (length, stamp) = (640, stamp(number));
    let entry = IdEntry {
        position,
        length,
        home: Home::of(&question.subject),
        stamp,
        kind: RecordKind::Assertion,
        erased: false,
    };
    batch.put(IdEntry::key(&id(number)), entry.encode());
    batch.put(Posting::claim_key(&question, position), Posting { position, length, stamp }.value());
    batch.put(predicate_key(&question), Vec::new());
    batch.put(agent_key(&agent(number), &question), Vec::new());
}

fn scan(index: &dyn Index, start: &[u8]) {
    let mut seen = 0;
    let mut visit = |_: &[u8], _: &[u8]| {
        seen += 1;
        if seen == SCANNED { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    index.scan(&Table::Question.prefix(), start, &mut visit).unwrap();
}

fn timed<T>(call: impl FnOnce() -> T) -> (Duration, T) {
    let start = WallTime.start();
    let value = call();
    (WallTime.end(start), value)
}

/// The resident memory of this process now and at most, in MiB.
fn resident() -> (f64, f64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let fields: BTreeMap<_, _> = status.lines().filter_map(|line| line.split_once(':')).collect();
    let mib = |name: &str| fields.get(name).unwrap().trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0;
    (mib("VmRSS"), mib("VmHWM"))
}

/// The files in a folder and below it, in MiB.
fn folder_mib(folder: &Path) -> f64 {
    let parts = std::fs::read_dir(folder).unwrap().flatten().map(|entry| match entry.metadata().unwrap() {
        found if found.is_dir() => folder_mib(&entry.path()),
        found => found.len() as f64 / f64::from(1 << 20),
    });
    parts.sum()
}
