//! Measures a cluster of many machines that come and go: false verdicts, how fast a crash is found, what it costs, and how
//! much moves; and how large the control state is. The figures are in `docs/scaling.md`.
//!
//! ```text
//! cargo run --release -p cluster --example churn -- --machines 50 --rounds 10
//! ```

#![expect(clippy::print_stdout, reason = "this program is for people to read")]

#[expect(dead_code, clippy::indexing_slicing, reason = "the tests use the rest; a machine is an index")]
#[path = "../tests/simulation/mod.rs"]
mod simulation;

use cluster::control::{Command, Settings, State};
use simulation::churn::{Change, Churn, member};
use simulation::{Measures, SECOND, Shape, node, percentile};
use std::num::NonZeroU8;

/// How long nobody comes or goes, to see what that costs.
const QUIET: u64 = 600 * SECOND;

fn main() {
    let [machines, rounds, seed] = [("--machines", 50), ("--rounds", 10), ("--seed", 1)].map(|(name, default)| {
        let mut arguments = std::env::args().skip_while(|argument| argument != name).skip(1);
        arguments.next().map_or(default, |value| value.parse().expect("a number"))
    });
    let mut churn = Churn::start(Shape { machines, ..Shape::three(seed as u64) });
    println!("{machines} machines, 5 % loss, seed {seed}");
    churn.simulation.measures = Measures::default();
    churn.simulation.run_for(QUIET);
    cost("nobody comes or goes", &churn);
    churn.judge();
    churn.simulation.measures = Measures::default();
    let (mut replaced, mut added, mut drained) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let returns = churn.anyone();
        churn.kill(returns);
        churn.boot(returns);
        let lost = churn.anyone();
        churn.kill(lost);
        replaced.push(churn.replace(lost));
        added.push(churn.add());
        let leaves = churn.anyone();
        drained.push(churn.drain(leaves));
    }
    cost("machines come and go", &churn);
    churn.judge();
    println!("false verdicts   {:>8}", churn.false_verdicts);
    times("found, each survivor", &mut churn.found);
    times("found by all", &mut churn.found_by_all);
    changes("replaced", &replaced);
    changes("added", &added);
    changes("drained", &drained);
    sizes();
}

fn cost(what: &str, churn: &Churn) {
    let measures = &churn.simulation.measures;
    let seconds = measures.machine_us as f64 / 1e6;
    println!("{what}: {:.1} node-hours", measures.node_hours());
    println!("  packets        {:>8.1} per node-second", measures.packets as f64 / seconds);
    println!("  bytes          {:>8.0} per node-second", measures.bytes as f64 / seconds);
}

fn times(what: &str, times: &mut [u64]) {
    let [p50, p99, most] = [500, 990, 1000].map(|per_mille| percentile(times, per_mille) as f64 / 1e6);
    println!("{what}: {} times, p50 {p50:.2} s, p99 {p99:.2} s, most {most:.2} s", times.len());
}

fn changes(what: &str, made: &[Change]) {
    let (moved, least) = made.iter().fold((0, 0), |sums, change| (sums.0 + change.moved, sums.1 + change.least));
    let tables = made.iter().map(|change| change.tables).max().unwrap_or(0);
    let in_transit = made.iter().map(|change| change.in_transit_max).max().unwrap_or(0);
    let took = made.iter().map(|change| change.took).max().unwrap_or(0) as f64 / 1e6;
    println!(
        "{what}: {} times, {moved} copies moved ({least} at least), at most {tables} tables, {in_transit} homes in transit, {took:.1} s",
        made.len()
    );
}

/// The control state and the commands that carry a table, in bytes.
fn sizes() {
    for machines in [3, 50, 100, 1_000] {
        let members = (0..machines).map(|machine| (node(machine), member(machine))).collect();
        let settings = Settings { replication_factor: NonZeroU8::new(2).expect("two") };
        let mut state = State::default();
        state.apply(&Command::found(members, settings).expect("a plan"));
        let table = state.table().expect("founded");
        let loads: Vec<_> = (0..machines).map(|machine| table.homes_of(node(machine)).count()).collect();
        let (least, most) = (loads.iter().min().unwrap_or(&0), loads.iter().max().unwrap_or(&0));
        println!(
            "{machines} members: state {} bytes, command with a table {} bytes, {least} to {most} homes a node",
            state.encode().len(),
            Command::SetTable(table.clone()).encode().len(),
        );
    }
}
