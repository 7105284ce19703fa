//! One seed, one history: the same seed in two processes writes the same log, byte for byte.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

#[test]
fn the_same_seed_gives_the_same_log_in_two_processes() {
    let compared = Command::new(env!("CARGO_BIN_EXE_sim")).args(["--twice", "--seeds", "0..2"]).output().unwrap();
    let said = String::from_utf8_lossy(&compared.stderr);
    assert!(compared.status.success(), "{said}");
    assert!(said.contains("twice the same"), "{said}");
}
