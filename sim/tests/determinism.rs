//! One seed, one history: the same seed in two processes writes the same log, byte for byte.
//!
//! Of one node and of several; `sim --twice` does the same for every scenario.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

fn twice(scenario: &str, seeds: &str) {
    let arguments = ["--twice", "--scenario", scenario, "--seeds", seeds];
    let compared = Command::new(env!("CARGO_BIN_EXE_sim")).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&compared.stderr);
    assert!(compared.status.success(), "{said}");
    assert!(said.contains("twice the same"), "{said}");
}

#[test]
fn a_lone_node_that_falls_again_and_again_has_one_history_a_seed() {
    twice("one_node_power_loss", "0..2");
}

#[test]
fn a_cluster_has_one_history_a_seed() {
    twice("three_nodes_at_peace", "0");
}
