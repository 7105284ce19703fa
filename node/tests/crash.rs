//! Kill a real node with SIGKILL while clients write, erase and compact, again and again, and look for anything that was
//! acknowledged and is missing.
//!
//! Each round starts the node on the same folder, checks what earlier rounds acknowledged, writes from several
//! connections until enough was acknowledged, and kills it in the middle. The index engine changes every few rounds, so
//! that rebuilding is killed too. `CRASH_KILLS` sets the number of kills, `CRASH_SEED` replays a run's
//! choices (not the moments of the kills, which are the scheduler's).

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use api::json::envelope_json;
use model::RecordId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;
use support::{Chance, Server, claim, client, get, key, number, post};

const KILLS: u64 = 200;
const WRITERS: u8 = 4;
/// Every so many rounds the engine of the index changes.
const ROUNDS_PER_ENGINE: u64 = 10;
/// A round ends after at most so many acknowledged records. Every start compares the index with the whole log, so more
/// of them make the run slower by their square.
const RECORDS_A_ROUND: usize = 120;
/// A round in which so long nothing is acknowledged has failed.
const STALL_MAX: Duration = Duration::from_secs(60);
/// How many older records each round looks at, besides all of the round before; the last round looks at every one.
const OLDER_SAMPLE: usize = 100;

/// What the node has acknowledged.
#[derive(Default)]
struct Acknowledged {
    /// By the round that wrote them.
    records: BTreeMap<u64, Vec<RecordId>>,
    erased: BTreeSet<RecordId>,
    this_round: usize,
}

/// What the writers of one round share.
struct Round<'a> {
    number: u64,
    server: &'a Server,
    acknowledged: &'a Mutex<Acknowledged>,
    progress: &'a Condvar,
    over: &'a AtomicBool,
}

#[test]
fn nothing_acknowledged_is_lost_by_kill_9_under_load() {
    let kills = number("CRASH_KILLS").unwrap_or(KILLS);
    let mut chance = Chance(number("CRASH_SEED").unwrap_or(1));
    let folder = tempfile::tempdir().unwrap();
    let acknowledged = Mutex::new(Acknowledged::default());
    for round in 0..kills {
        let engine = if (round / ROUNDS_PER_ENGINE).is_multiple_of(2) { "sled" } else { "fjall" };
        let server = start(folder.path(), engine);
        check(&server, &acknowledged.lock().unwrap(), Some((round, &mut chance)));
        acknowledged.lock().unwrap().this_round = 0;
        write_until(round, &server, &acknowledged, 1 + chance.below(RECORDS_A_ROUND));
        server.kill();
    }
    let server = start(folder.path(), "sled");
    let acknowledged = acknowledged.into_inner().unwrap();
    check(&server, &acknowledged, None);
    assert!(server.terminate().success());
    let records: usize = acknowledged.records.values().map(Vec::len).sum();
    println!(
        "{kills} kills, {records} records acknowledged, {} of them erased, none missing",
        acknowledged.erased.len()
    );
}

/// Starts the node and asks until it is ready: a long rebuild goes on after it listens.
fn start(folder: &std::path::Path, engine: &str) -> Server {
    let server = Server::start(folder, &["--index-engine", engine, "--log-segment-bytes-max", "1MiB"]);
    let client = client();
    while get(&client, &format!("{}/v1/ready", server.url)).0 != 200 {}
    server
}

/// Writes from several threads until `enough` is acknowledged; they are still writing when this returns control to the
/// killer, which they notice by their broken connections.
fn write_until(number: u64, server: &Server, acknowledged: &Mutex<Acknowledged>, enough: usize) {
    let (progress, over) = (Condvar::new(), AtomicBool::new(false));
    let round = Round { number, server, acknowledged, progress: &progress, over: &over };
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            scope.spawn({
                let round = &round;
                move || write(round, writer)
            });
        }
        scope.spawn(|| erase_and_compact(&round));
        let mut state = acknowledged.lock().unwrap();
        let mut stalled = false;
        while state.this_round < enough && !stalled {
            let (next, waited) = progress.wait_timeout(state, STALL_MAX).unwrap();
            (state, stalled) = (next, waited.timed_out());
        }
        drop(state);
        over.store(true, Ordering::Relaxed);
        server.signal("KILL");
        assert!(!stalled, "nothing was acknowledged for {STALL_MAX:?}");
    });
}

/// Posts single assertions and batches in turn, and notes what was acknowledged.
fn write(round: &Round<'_>, writer: u8) {
    let (client, signer) = (client(), key(writer + 1));
    for count in 0.. {
        let batch = if count % 8 == 7 { 40 } else { 1 };
        let records: Vec<_> = (0..batch)
            .map(|part| {
                let subject = format!("crash://{}/{writer}/{count}", round.number);
                claim(&signer, &subject, "part", &format!("{part}"), round.number * 1_000_000 + count)
            })
            .collect();
        let (path, body) = match records.as_slice() {
            [one] => ("/v1/assert", envelope_json(one.envelope())),
            many => (
                "/v1/records",
                many.iter().flat_map(|one| [envelope_json(one.envelope()), b"\n".to_vec()].concat()).collect(),
            ),
        };
        let Ok((status, answer)) = post(&client, &format!("{}{path}", round.server.url), &body) else { return };
        if round.over.load(Ordering::Relaxed) && !(200..300).contains(&status) {
            return;
        }
        let taken = answer.lines().filter(|line| line.contains("\"created\"") || line.contains("\"exists\""));
        assert!(matches!(status, 200 | 201), "{status} {answer}");
        let taken: Vec<_> = records
            .iter()
            .zip(taken)
            .map(|(record, line)| {
                assert!(line.contains(&record.id().to_string()), "answers stand in the order of the lines");
                record.id()
            })
            .collect();
        let mut state = round.acknowledged.lock().unwrap();
        state.this_round += taken.len();
        state.records.entry(round.number).or_default().extend(taken);
        round.progress.notify_one();
    }
}

/// Erases one record of the round before and compacts, over and over, until the node is gone.
fn erase_and_compact(round: &Round<'_>) {
    let client = client();
    let victim = round.number.checked_sub(1).and_then(|before| {
        round.acknowledged.lock().unwrap().records.get(&before).and_then(|records| records.first().copied())
    });
    if let Some(victim) = victim {
        let body = format!("{{\"id\":\"{victim}\"}}");
        match post(&client, &format!("{}/v1/admin/erase", round.server.admin_url), body.as_bytes()) {
            Ok((200, _)) => {
                round.acknowledged.lock().unwrap().erased.insert(victim);
            }
            Ok((status, answer)) => assert!(round.over.load(Ordering::Relaxed), "{status} {answer}"),
            Err(_) => return,
        }
    }
    while !round.over.load(Ordering::Relaxed) {
        if post(&client, &format!("{}/v1/admin/compact", round.server.admin_url), b"{}").is_err() {
            return;
        }
    }
}

/// Reads acknowledged records back: every one if `sample` is `None`, else those of the last round and some older ones.
fn check(server: &Server, acknowledged: &Acknowledged, sample: Option<(u64, &mut Chance)>) {
    let client = client();
    let all = acknowledged.records.iter().flat_map(|(round, records)| records.iter().map(move |id| (*round, *id)));
    let chosen: Vec<_> = match sample {
        None => all.map(|(_, id)| id).collect(),
        Some((round, chance)) => {
            let share = all.clone().count() / OLDER_SAMPLE + 1;
            all.filter(|(written, _)| written + 1 == round || chance.below(share) == 1).map(|(_, id)| id).collect()
        }
    };
    for id in chosen {
        let (status, body) = get(&client, &format!("{}/v1/records/{id}", server.url));
        match (status, acknowledged.erased.contains(&id)) {
            (200, false) => assert!(body.contains("\"signatures\""), "{id}: {body}"),
            (410, true) => {}
            // An erasure whose answer the kill swallowed may have happened all the same.
            (410, false) => assert_eq!(
                acknowledged.records.values().filter_map(|round| round.first()).find(|first| **first == id),
                Some(&id)
            ),
            _ => panic!("{id} was acknowledged and is now {status}: {body}"),
        }
    }
}
