//! Membership among simulated machines: who crashes is found, who does not is left alone.
//!
//! A bounded part of what `cargo run --release -p cluster --example membership` measures in full.

#[expect(dead_code, clippy::indexing_slicing, reason = "other targets use the rest; a machine is an index")]
mod simulation;

use simulation::{MS, SECOND, Shape, Simulation, node, percentile};

/// A simulation in which everybody has met everybody.
fn whole(shape: Shape) -> Simulation {
    let mut simulation = Simulation::start(shape);
    simulation.run_until(10 * SECOND, Simulation::is_whole).expect("all machines meet");
    simulation
}

#[test]
fn nobody_is_accused_at_five_percent_loss() {
    let mut simulation = whole(Shape::three(1));
    simulation.run_for(1_200 * SECOND);
    assert!(simulation.measures.node_hours() > 0.99);
    assert!(simulation.measures.verdicts.is_empty(), "{:?}", simulation.measures.verdicts);
    assert_eq!(simulation.measures.renewals, 0);
}

#[test]
fn a_crash_is_known_to_all_survivors_within_three_seconds_and_a_restart_at_once() {
    let mut simulation = whole(Shape::three(2));
    let mut found = Vec::new();
    for round in 0..100 {
        let pause = simulation.chance().between(0, 2 * SECOND);
        simulation.run_for(pause);
        let victim = round % 3;
        simulation.crash(victim);
        found.push(simulation.run_until(10 * SECOND, Simulation::is_whole).expect("the crash is noticed"));
        simulation.boot(victim);
        let back = simulation.run_until(10 * SECOND, Simulation::is_whole).expect("the restart is noticed");
        assert!(back <= 4 * SECOND, "back after {back} us");
    }
    assert!(simulation.measures.verdicts.iter().all(|verdict| !verdict.running));
    let (p99, max) = (percentile(&mut found, 990), percentile(&mut found, 1000));
    assert!(p99 <= 3 * SECOND, "p99 {p99} us");
    assert!(max <= 4 * SECOND, "max {max} us");
}

#[test]
fn a_machine_that_stood_still_accuses_nobody_and_is_back_at_once() {
    let mut simulation = whole(Shape::three(3));
    for round in 0..40 {
        let still = simulation.chance().between(SECOND, 5 * SECOND);
        simulation.measures.verdicts.clear();
        simulation.stall(round % 3, still);
        simulation.run_for(still);
        let back = simulation.run_until(10 * SECOND, Simulation::is_whole).expect("it comes back");
        assert!(back <= SECOND, "round {round}: back after {back} us");
        simulation.run_for(5 * SECOND);
        let accused: Vec<_> =
            simulation.measures.verdicts.iter().filter(|verdict| verdict.about != round % 3).collect();
        assert!(accused.is_empty(), "round {round}: {accused:?}");
    }
}

#[test]
fn a_short_stall_goes_unnoticed() {
    let mut simulation = whole(Shape::three(4));
    for round in 0..40 {
        simulation.stall(round % 3, 800 * MS);
        simulation.run_for(3 * SECOND);
    }
    assert!(simulation.measures.verdicts.is_empty(), "{:?}", simulation.measures.verdicts);
}

#[test]
fn a_deaf_machine_accuses_nobody_to_the_others() {
    let mut simulation = whole(Shape::three(5));
    simulation.set_deaf(2, true);
    simulation.run_for(60 * SECOND);
    let accused = |verdict: &&simulation::measure::Verdict| verdict.by != 2 && verdict.about != 2;
    let wrong: Vec<_> = simulation.measures.verdicts.iter().filter(accused).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(simulation.view(0).is_alive(node(1)) && simulation.view(1).is_alive(node(0)));
    assert!(!simulation.view(2).sees_quorum((0..3).map(node)));
    simulation.set_deaf(2, false);
    simulation.run_until(5 * SECOND, Simulation::is_whole).expect("all meet again");
}

#[test]
fn a_cut_is_noticed_on_both_sides_and_heals() {
    let mut simulation = whole(Shape::three(6));
    for _ in 0..20 {
        simulation.set_side(2, 1);
        let all = || (0..3).map(node);
        let alone = |simulation: &Simulation| {
            !simulation.view(2).sees_quorum(all())
                && !simulation.view(0).is_alive(node(2))
                && !simulation.view(1).is_alive(node(2))
        };
        simulation.run_until(6 * SECOND, alone).expect("the cut is noticed");
        assert!(simulation.view(0).sees_quorum(all()) && simulation.view(1).sees_quorum(all()));
        simulation.set_side(2, 0);
        simulation.run_until(6 * SECOND, Simulation::is_whole).expect("all meet again");
    }
}

#[test]
fn machines_that_were_all_cut_off_from_each_other_meet_again() {
    let mut simulation = whole(Shape::three(7));
    (0..3).for_each(|machine| simulation.set_side(machine, machine as u64));
    simulation.run_for(30 * SECOND);
    assert!((0..3).all(|machine| simulation.view(machine).alive().count() == 0));
    (0..3).for_each(|machine| simulation.set_side(machine, 0));
    simulation.run_until(6 * SECOND, Simulation::is_whole).expect("all meet again");
}

#[test]
fn twelve_machines_find_a_crash_as_fast() {
    let mut simulation = whole(Shape { machines: 12, ..Shape::three(8) });
    let mut found = Vec::new();
    for victim in 0..12 {
        simulation.crash(victim);
        found.push(simulation.run_until(10 * SECOND, Simulation::is_whole).expect("the crash is noticed"));
        simulation.boot(victim);
        simulation.run_until(10 * SECOND, Simulation::is_whole).expect("the restart is noticed");
    }
    assert!(simulation.measures.verdicts.iter().all(|verdict| !verdict.running));
    assert!(percentile(&mut found, 1000) <= 3 * SECOND, "{found:?}");
}

#[test]
fn a_seed_gives_the_same_run_again() {
    let run = |seed| {
        let mut simulation = whole(Shape::three(seed));
        simulation.crash(1);
        simulation.run_for(10 * SECOND);
        let Some(verdict) = simulation.measures.verdicts.first() else { panic!("no verdict") };
        (simulation.measures.packets, simulation.measures.bytes, verdict.at)
    };
    assert_eq!(run(9), run(9));
    assert_ne!(run(9), run(10));
}
