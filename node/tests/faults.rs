//! Faults of disk and clock, seen through the HTTP interface of a node in this process.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use api::json::envelope_json;
use node::clock::Clock;
use node::serve::Daemon;
use node::settings::Settings;
use node::world::World;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use storage::disk::{Crash, Fault, MemoryDisk};
use support::{claim, client, get, key, post};

const SEGMENT_BYTES: u64 = 1 << 20;
/// 2026-07-25, a moment like any other.
const START_MS: u64 = 1_785_000_000_000;

/// A clock that a test moves: the monotonic part runs with the wall unless the wall is made to jump.
#[derive(Debug)]
struct PlayedClock {
    elapsed_ms: AtomicU64,
    jump_ms: AtomicI64,
}

impl PlayedClock {
    fn new() -> Arc<Self> {
        Arc::new(Self { elapsed_ms: AtomicU64::new(1), jump_ms: AtomicI64::new(0) })
    }

    fn jump(&self, ms: i64) {
        self.jump_ms.store(ms, Ordering::SeqCst);
    }
}

impl Clock for PlayedClock {
    fn wall_ms(&self) -> u64 {
        let elapsed = self.elapsed_ms.fetch_add(1, Ordering::SeqCst);
        (START_MS + elapsed).saturating_add_signed(self.jump_ms.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.elapsed_ms.load(Ordering::SeqCst))
    }
}

fn settings(folder: &Path) -> Settings {
    Settings {
        data_dir: folder.to_owned(),
        wal_dir: Some("/wal".into()),
        bind_addr: ([127, 0, 0, 1], 0).into(),
        admin_addr: ([127, 0, 0, 1], 0).into(),
        log_segment_bytes_max: SEGMENT_BYTES,
        scrub_bytes_per_second: 0,
        disk_free_bytes_min: 0, // a full disk is to be met, not foreseen
        ..Settings::default()
    }
}

/// This machine, but for its disk and its clock.
fn world(disk: &MemoryDisk, clock: Arc<PlayedClock>) -> World {
    World { disk: Arc::new(disk.clone()), clock, ..World::machine() }
}

/// A node with log and identity on a disk in memory.
struct Played {
    node: Daemon,
    disk: MemoryDisk,
    clock: Arc<PlayedClock>,
    url: String,
    http: ureq::Agent,
    sent: u64,
}

impl Played {
    fn start(folder: &Path) -> Self {
        let (disk, clock) = (MemoryDisk::new(), PlayedClock::new());
        let node = Daemon::start_in(&settings(folder), world(&disk, clock.clone())).unwrap();
        let url = format!("http://{}", node.client_addr());
        Self { node, disk, clock, url, http: client(), sent: 0 }
    }

    /// Sends a claim that was never sent before: its id, the status and the body of the answer.
    fn assert_one(&mut self, bytes: usize) -> (String, u16, String) {
        self.sent += 1;
        let record = claim(&key(1), "fault://x", "says", &"x".repeat(bytes), self.sent);
        let (status, body) =
            post(&self.http, &format!("{}/v1/assert", self.url), &envelope_json(record.envelope())).unwrap();
        (record.id().to_string(), status, body)
    }

    fn read(&self, id: &str) -> u16 {
        get(&self.http, &format!("{}/v1/records/{id}", self.url)).0
    }

    fn ready(&self) -> (u16, String) {
        get(&self.http, &format!("{}/v1/ready", self.url))
    }
}

#[test]
fn a_full_disk_refuses_writes_with_507_while_reads_go_on_and_recovers_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let mut played = Played::start(folder.path());
    let (first, status, body) = played.assert_one(10);
    assert_eq!(status, 201, "{body}");

    played.disk.set_capacity(Some(played.disk.used()));
    let mut acknowledged = vec![first];
    let refused = loop {
        match played.assert_one(60_000) {
            (id, 201, _) => acknowledged.push(id),
            other => break other,
        }
        assert!(acknowledged.len() < 40, "two segments of 1 MiB are full by now");
    };
    assert_eq!(refused.1, 507, "{}", refused.2);
    assert!(refused.2.contains("disk_full"), "{}", refused.2);
    for id in &acknowledged {
        assert_eq!(played.read(id), 200);
    }
    assert_eq!(played.read(&refused.0), 404);

    played.disk.set_capacity(None);
    let (id, status, body) = played.assert_one(60_000);
    assert_eq!(status, 201, "{body}");
    acknowledged.push(id);
    assert!(acknowledged.iter().all(|id| played.read(id) == 200));
    assert_eq!(played.node.stop(), None);
}

#[test]
fn a_failed_sync_acknowledges_nothing_and_stops_the_node() {
    let folder = tempfile::tempdir().unwrap();
    let mut played = Played::start(folder.path());
    let (kept, status, _) = played.assert_one(10);
    assert_eq!(status, 201);
    played.disk.fail_at(2, Fault::ForEver); // after the write of the batch comes its sync
    let (refused, status, body) = played.assert_one(10);
    assert!(status >= 500, "{status} {body}");
    assert!(played.assert_one(10).1 >= 500);
    assert_eq!(played.ready().0, 503);
    let why = played.node.stop();
    assert!(why.is_some_and(|why| why.contains("stop the node")));

    // The power fails, the disk is exchanged for a sound one: what was acknowledged is there.
    played.disk.heal();
    played.disk.crash(Crash::DropUnsynced);
    let node = Daemon::start_in(&settings(folder.path()), world(&played.disk, PlayedClock::new())).unwrap();
    let url = format!("http://{}", node.client_addr());
    assert_eq!(get(&played.http, &format!("{url}/v1/records/{kept}")).0, 200);
    assert_eq!(get(&played.http, &format!("{url}/v1/records/{refused}")).0, 404);
    assert_eq!(node.stop(), None);
}

#[test]
fn a_clock_that_jumps_makes_the_node_refuse_writes_and_name_the_clock() {
    let folder = tempfile::tempdir().unwrap();
    let mut played = Played::start(folder.path());
    assert_eq!(played.assert_one(10).1, 201);
    for jump_ms in [60_000, -60_000] {
        played.clock.jump(jump_ms);
        let (id, status, body) = played.assert_one(10);
        assert_eq!(status, 503, "{body}");
        assert!(body.contains("clock"), "{body}");
        assert_eq!(played.read(&id), 404);
        let (status, body) = played.ready();
        assert_eq!(status, 503);
        assert!(body.contains("clock"), "{body}");
        played.clock.jump(0);
        assert_eq!(played.assert_one(10).1, 201);
        assert_eq!(played.ready().0, 200);
    }
    assert_eq!(played.node.stop(), None);
}
