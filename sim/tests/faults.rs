//! Each fault does to a node what it says, seen from outside: a simulation that hurts nobody proves nothing.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use sim::client::{Request, Workload};
use sim::cluster::{Process, Shape, Site};
use sim::history::{Ending, Write};
use sim::invariants::{AWriteAnsweredWithTwoCopiesIsOnTwoDisks, Invariant, NoAcknowledgedWriteIsLost};
use sim::run::{Failure, Run};
use sim::trace::Now;
use sim::world::Timing;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);
const LIMIT: Duration = Duration::from_secs(10);

/// A ready node, and a client that writes about every 20 ms.
fn ready(seed: u64) -> Run {
    let workload = Workload { every: 20 * MS, ..Workload::default() };
    let shape = Shape { clients: 1, workload, ..Shape::default() };
    let invariants: Vec<Box<dyn Invariant>> =
        vec![Box::new(AWriteAnsweredWithTwoCopiesIsOnTwoDisks), Box::new(NoAcknowledgedWriteIsLost)];
    let mut run = Run::new(shape, invariants, seed, Now::default());
    run.start_all(LIMIT).unwrap();
    run
}

/// The writes of a stretch of time, and how many of them were acknowledged.
fn writes_during(run: &mut Run, time: Duration) -> (usize, usize) {
    let before = run.cluster.history().len();
    run.cluster.set_writing(true);
    run.pass(time).unwrap();
    run.cluster.set_writing(false);
    run.until("no write is under way", LIMIT, |run| run.cluster.history().pending() == 0).unwrap();
    let writes = run.cluster.history().snapshot().split_off(before);
    (writes.len(), writes.iter().filter(|write| write.acknowledgement().is_some()).count())
}

fn identity(run: &mut Run) -> String {
    run.ask(0, Request::get("/v1/health")).unwrap().unwrap().json()["node_id"].to_string()
}

#[test]
fn a_node_in_order_takes_every_write() {
    let mut run = ready(1);
    let (writes, taken) = writes_during(&mut run, 1000 * MS);
    assert!(writes > 30, "{writes}");
    assert_eq!(taken, writes);
    run.check().unwrap();
}

#[test]
fn a_killed_node_comes_back_with_everything_and_as_itself() {
    let mut run = ready(2);
    let name = identity(&mut run);
    writes_during(&mut run, 300 * MS);
    run.cluster.kill(0);
    assert_eq!(run.cluster.process(0), Process::Off);
    assert_eq!(writes_during(&mut run, 300 * MS).1, 0);
    run.start_all(LIMIT).unwrap();
    assert_eq!(identity(&mut run), name);
    run.check().unwrap();
}

#[test]
fn a_node_that_lost_its_disk_comes_back_as_another_and_with_nothing() {
    let mut run = ready(3);
    let name = identity(&mut run);
    writes_during(&mut run, 300 * MS);
    run.cluster.lose_disk(0);
    run.start_all(LIMIT).unwrap();
    assert_ne!(identity(&mut run), name);
    let lost = run.check().unwrap_err();
    assert!(matches!(lost, Failure::Violated { invariant: "no_acknowledged_write_is_lost", .. }), "{lost}");
    assert!(run.figures.lost > 0);
}

#[test]
fn power_fails_at_a_call_of_the_disk_and_costs_nothing_that_was_acknowledged() {
    let mut run = ready(4);
    run.cluster.power_loss_at(0, 30);
    let (writes, taken) = writes_during(&mut run, 1000 * MS);
    assert_eq!(run.cluster.process(0), Process::Off);
    assert!((1..writes).contains(&taken), "{taken} of {writes}");
    run.start_all(LIMIT).unwrap();
    run.check().unwrap();
}

#[test]
fn a_disk_that_lies_about_its_syncs_is_found_out_by_the_first_acknowledgement() {
    let mut run = ready(1);
    run.cluster.disk(0).lie();
    run.cluster.set_writing(true);
    let found = run.pass(300 * MS).unwrap_err();
    let expected = "a_write_answered_with_two_copies_is_on_two_disks";
    assert!(matches!(found, Failure::Violated { invariant, .. } if invariant == expected), "{found}");
    let lost = |seed| {
        let mut run = ready(seed);
        run.cluster.disk(0).lie();
        run.cluster.set_writing(true);
        run.pass(300 * MS).ok(); // the first acknowledgement is found out; more of them, and nothing of the disk is left
        run.cluster.set_writing(false);
        run.cluster.power_loss(0);
        run.start_all(LIMIT).is_err() || run.check().is_err()
    };
    assert!((0..20).any(lost));
}

#[test]
fn a_node_whose_sync_fails_stops_and_says_why() {
    let mut run = ready(5);
    run.cluster.fail_next_sync(0);
    let (_, taken) = writes_during(&mut run, 300 * MS);
    assert_eq!(taken, 0);
    assert!(matches!(run.cluster.process(0), Process::Ended(why) if why.contains("stop the node")));
    run.start_all(LIMIT).unwrap();
    run.check().unwrap();
}

#[test]
fn a_node_that_stalls_is_silent_and_then_goes_on() {
    let mut run = ready(6);
    run.cluster.set_writing(true);
    run.pass(300 * MS).unwrap();
    let begun = run.cluster.elapsed();
    run.cluster.stall(0, 2000 * MS);
    run.pass(4000 * MS).unwrap();
    let answered = |write: &Write| {
        let last = write.attempts.last().unwrap();
        matches!(last.ending, Ending::Acknowledged(_)).then_some(last.ended)
    };
    let answers: Vec<_> = run.cluster.history().snapshot().iter().filter_map(answered).collect();
    let (least, most) = (begun + 20 * MS, begun + 1995 * MS);
    assert!(!answers.iter().any(|at| (least..most).contains(at)), "{answers:?}");
    assert!(answers.iter().any(|at| *at > most));
    assert_eq!(run.cluster.process(0), Process::Up);
}

#[test]
fn a_slow_disk_makes_slow_answers() {
    let mut run = ready(7);
    let slowest = |run: &Run| {
        let writes = run.cluster.history().acknowledged(0);
        let attempt = |write: &Write| write.attempts.last().map(|last| last.ended - last.began);
        writes.iter().filter_map(attempt).max().unwrap()
    };
    writes_during(&mut run, 300 * MS);
    assert!(slowest(&run) < 20 * MS, "{:?}", slowest(&run));
    run.cluster.set_timing(0, Timing { sync_min: 100 * MS, sync_max: 100 * MS, ..Timing::ORDINARY });
    writes_during(&mut run, 300 * MS);
    assert!(slowest(&run) >= 100 * MS, "{:?}", slowest(&run));
}

#[test]
fn a_clock_that_jumps_makes_the_node_refuse_writes_until_it_is_right_again() {
    let mut run = ready(8);
    for skew_ms in [3_600_000, -3_600_000] {
        run.cluster.set_skew_ms(0, skew_ms);
        run.pass(500 * MS).unwrap();
        assert_eq!(writes_during(&mut run, 200 * MS).1, 0);
        let ready = run.ask(0, Request::get("/v1/ready")).unwrap().unwrap();
        assert!(ready.status == 503 && ready.text().contains("clock"), "{}", ready.text());
        run.cluster.set_skew_ms(0, 0);
        run.until_ready(LIMIT).unwrap();
    }
    let (writes, taken) = writes_during(&mut run, 200 * MS);
    assert_eq!(taken, writes);
}

#[test]
fn a_partition_cuts_what_it_names_one_way_or_both_until_it_is_healed() {
    let mut run = ready(9);
    let (node, client) = ([Site::Node(0)], [Site::Client(0)]);
    run.cluster.partition(&node, &client);
    assert_eq!(writes_during(&mut run, 300 * MS).1, 0);
    run.cluster.heal();
    let (writes, taken) = writes_during(&mut run, 300 * MS);
    assert_eq!(taken, writes);

    // What the client sends arrives; it never hears of it.
    run.cluster.partition_oneway(&node, &client);
    let stored =
        |run: &mut Run| run.ask_admin(0, Request::get("/v1/admin/status")).unwrap().unwrap().json()["records"].as_u64();
    let before = stored(&mut run).unwrap();
    assert_eq!(writes_during(&mut run, 300 * MS).1, 0);
    assert!(stored(&mut run).unwrap() > before);
}

#[test]
fn a_stop_in_order_is_one() {
    let mut run = ready(10);
    writes_during(&mut run, 300 * MS);
    run.cluster.stop(0);
    run.until("the node has stopped", LIMIT, |run| run.cluster.process(0) == Process::Stopped).unwrap();
    run.start_all(LIMIT).unwrap();
    run.check().unwrap();
}
