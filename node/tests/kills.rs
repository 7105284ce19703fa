//! Kill the nodes of a real cluster with SIGKILL while clients write, again and again, and look for anything that was
//! acknowledged and is missing.
//!
//! One writer a node writes claim after claim and goes on by the rules of [`node::cli::demo::Persistence`]. A random node
//! is killed, stays dead for a while, and is started again; the next one follows when all are back. At the end every
//! claim that was acknowledged is read from every node, and is looked for on the disks of both its owners. How long
//! writers saw errors after each kill is printed. `CLUSTER_KILLS` sets the number of kills, `CLUSTER_SEED` replays a
//! run's choices (not the moments of the kills, which are the scheduler's).

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use node::cli::demo::{Acknowledged, History, read_back, write_while};
use node::cli::stop::Stop;
use node::clock::{Clock as _, SystemClock};
use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;
use support::cluster::{Cluster, until};
use support::{Chance, number};

const NODES: usize = 3;
/// As many as are over in some 20 seconds.
const KILLS: u64 = 4;
/// A node stays dead for less than this,
const DEAD_MS_MAX: usize = 1_000;
/// and all are up for less than this before the next kill.
const WELL_MS_MAX: usize = 500;
/// How many reasons for failed attempts are printed.
const REASONS_SHOWN: usize = 8;

#[test]
fn nothing_acknowledged_is_lost_while_nodes_are_killed_again_and_again() {
    let kills = number("CLUSTER_KILLS").unwrap_or(KILLS);
    let mut chance = Chance(number("CLUSTER_SEED").unwrap_or(1));
    let mut cluster = Cluster::start(NODES);
    let (clock, rest) = (SystemClock::start(), Stop::default());
    let (mut killed, mut back) = (Vec::new(), Vec::new());
    let (history, ()) = write_while(&cluster.urls(), &clock, || {
        for _ in 0..kills {
            rest.wait(chance.millis(WELL_MS_MAX));
            let victim = chance.below(NODES);
            killed.push(clock.monotonic());
            cluster.kill(victim);
            rest.wait(chance.millis(DEAD_MS_MAX));
            let started = clock.monotonic();
            cluster.run(victim);
            until("the node that was killed is back", || cluster.whole());
            back.push(clock.monotonic() - started);
        }
        Ok(())
    })
    .unwrap();
    until("nothing lacks a copy", || cluster.rested());

    println!("{kills} kills, {} records acknowledged", history.acknowledged.len());
    println!("attempts: {}, failed: {}", history.attempts, history.failed_attempts.len());
    println!("writes that failed after three more attempts: {}", history.failed_writes);
    println!("errors were seen after a kill for {}", spread(windows(&history, &killed)));
    println!("a node was back {} after its start", spread(back));
    reasons(&history).iter().for_each(|(why, times)| println!("  {times} times: {why}"));
    assert!(history.acknowledged.len() as u64 > kills && history.failed_attempts.len() as u64 >= kills);
    assert_eq!(history.copies_min, Some(2), "every acknowledgement stood for two disks");
    all_is_read_at_every_node(&cluster, &history.acknowledged);
    all_is_on_two_disks(&cluster, &history.acknowledged);
    cluster.stop();
}

/// For each kill, how long after it the last attempt failed before the next one.
fn windows(history: &History, killed: &[Duration]) -> Vec<Duration> {
    let until = killed.iter().skip(1).copied().chain([Duration::MAX]);
    let window = |(kill, next): (&Duration, Duration)| {
        let failed = history.failed_attempts.iter().map(|attempt| attempt.at).filter(|at| (*kill..next).contains(at));
        failed.max().map_or(Duration::ZERO, |at| at - *kill)
    };
    killed.iter().zip(until).map(window).collect()
}

/// The median, the 99th of a hundred, and the longest.
fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() * percent).div_ceil(100).max(1) - 1].as_millis();
    format!("{} ms (p50), {} ms (p99), {} ms (max)", at(50), at(99), at(100))
}

/// What the writers heard, most often first.
fn reasons(history: &History) -> Vec<(&str, usize)> {
    let mut reasons = BTreeMap::<&str, usize>::new();
    history.failed_attempts.iter().for_each(|attempt| *reasons.entry(&attempt.why).or_default() += 1);
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
    reasons.truncate(REASONS_SHOWN);
    reasons
}

fn all_is_read_at_every_node(cluster: &Cluster, acknowledged: &[Acknowledged]) {
    thread::scope(|scope| {
        for client in cluster.clients.chunks(1) {
            scope.spawn(move || {
                let checked = read_back(acknowledged, client, &Stop::default(), |_| {});
                assert_eq!((checked.lost, checked.unanswered), (vec![], vec![]), "at {}", client[0].url());
                assert_eq!(checked.found, acknowledged.len());
            });
        }
    });
}

fn all_is_on_two_disks(cluster: &Cluster, acknowledged: &[Acknowledged]) {
    let held: Vec<_> = (0..NODES).map(|node| cluster.own_records(node)).collect();
    for record in acknowledged {
        let id = record.id.to_string();
        assert_eq!(held.iter().filter(|held| held.contains(&id)).count(), 2, "{id} is on both its owners' disks");
    }
}
