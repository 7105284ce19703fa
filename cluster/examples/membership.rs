//! Measures membership: false verdicts, how fast a crash is found, and what it costs.
//!
//! Three machines at 5 % loss and 0.2 to 1 ms, killed one after the other, and stood still from time to time, with the
//! membership code that ships. The figures of the defaults are in `docs/benchmarks.md`.
//!
//! ```text
//! cargo run --release -p cluster --example membership -- --node-hours 1000
//! ```

#![expect(clippy::print_stdout, reason = "this program is for people to read")]

#[expect(dead_code, clippy::indexing_slicing, reason = "the tests use the rest; a machine is an index")]
#[path = "../tests/simulation/mod.rs"]
mod simulation;

use simulation::{SECOND, Shape, Simulation, percentile};

/// What the run is to be.
struct Plan {
    node_hours: f64,
    machines: usize,
    kills: usize,
    stalls: usize,
    seed: u64,
}

fn main() {
    let plan = match read_plan(std::env::args().skip(1)) {
        Ok(plan) => plan,
        Err(problem) => return println!("{problem}"),
    };
    let mut simulation = Simulation::start(Shape { machines: plan.machines, ..Shape::three(plan.seed) });
    simulation.run_until(30 * SECOND, Simulation::is_whole).expect("all machines meet");
    println!("{} machines, 5 % loss, seed {}", plan.machines, plan.seed);
    undisturbed(&mut simulation, &plan);
    kills(&mut simulation, &plan);
    stalls(&mut simulation, &plan);
}

fn read_plan(mut arguments: impl Iterator<Item = String>) -> Result<Plan, String> {
    let mut plan = Plan { node_hours: 1000.0, machines: 3, kills: 1000, stalls: 300, seed: 1 };
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--node-hours" => plan.node_hours = number(&name, &value)?,
            "--machines" => plan.machines = number(&name, &value)?,
            "--kills" => plan.kills = number(&name, &value)?,
            "--stalls" => plan.stalls = number(&name, &value)?,
            "--seed" => plan.seed = number(&name, &value)?,
            _ => return Err("known are --node-hours --machines --kills --stalls --seed".to_owned()),
        }
    }
    Ok(plan)
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_wrong| format!("{name} takes a number"))
}

/// Nobody crashes: whoever is called down is called so falsely.
fn undisturbed(simulation: &mut Simulation, plan: &Plan) {
    simulation.measures = simulation::Measures::default();
    while simulation.measures.node_hours() < plan.node_hours {
        simulation.run_for(60 * SECOND);
    }
    let measures = std::mem::take(&mut simulation.measures);
    let seconds = measures.machine_us as f64 / 1e6;
    println!("undisturbed      {:>8.0} node-hours", measures.node_hours());
    println!("false verdicts   {:>8}", measures.verdicts.len());
    println!("packets          {:>8.1} per node-second", measures.packets as f64 / seconds);
    println!("bytes            {:>8.0} per node-second", measures.bytes as f64 / seconds);
}

/// One after the other is killed and started again. A kill is found once every survivor has told it.
fn kills(simulation: &mut Simulation, plan: &Plan) {
    let (mut found, mut wrong) = (Vec::new(), 0);
    for round in 0..plan.kills {
        let pause = simulation.chance().between(SECOND, 5 * SECOND);
        simulation.run_for(pause);
        let victim = round % plan.machines;
        simulation.crash(victim);
        found.push(simulation.run_until(60 * SECOND, Simulation::is_whole).expect("the crash is noticed"));
        simulation.boot(victim);
        simulation.run_until(60 * SECOND, Simulation::is_whole).expect("the restart is noticed");
        wrong += simulation.measures.verdicts.drain(..).filter(|verdict| verdict.running).count();
    }
    println!("kills            {:>8}", found.len());
    println!("false verdicts   {wrong:>8}");
    print_times("found by all", &mut found);
}

/// One after the other stands still for 1 to 5 s, and must not accuse the others.
fn stalls(simulation: &mut Simulation, plan: &Plan) {
    let (mut back, mut accused, mut given_up) = (Vec::new(), 0, 0);
    for round in 0..plan.stalls {
        let stalled = round % plan.machines;
        let still = simulation.chance().between(SECOND, 5 * SECOND);
        simulation.stall(stalled, still);
        simulation.run_for(still);
        given_up += usize::from(!simulation.is_whole());
        back.push(simulation.run_until(60 * SECOND, Simulation::is_whole).expect("it comes back"));
        let pause = simulation.chance().between(5 * SECOND, 10 * SECOND);
        simulation.run_for(pause);
        accused += simulation.measures.verdicts.drain(..).filter(|verdict| verdict.about != stalled).count();
    }
    println!("stalls of 1-5 s  {:>8}", back.len());
    println!("of these given up{given_up:>8}");
    println!("others accused   {accused:>8}");
    print_times("whole again", &mut back);
}

fn print_times(what: &str, times: &mut [u64]) {
    let [p50, p99, max] = [500, 990, 1000].map(|per_mille| percentile(times, per_mille) as f64 / 1e6);
    println!("{what:<17}p50 {p50:.2} s, p99 {p99:.2} s, max {max:.2} s");
}
