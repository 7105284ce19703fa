//! What the benchmarks of a node share: claims to send, clients that cost little, and what to read off a process.
//!
//! Nothing here knows a target or prints; a benchmark decides what to measure and what it means. Clients talk to the
//! built program over loopback, with bytes that were made before the clock starts.

#![allow(dead_code, reason = "each benchmark uses its part")]

pub mod claims;
pub mod disk;
pub mod import;
pub mod limit;
pub mod process;
pub mod queries;
pub mod report;
pub mod scrape;
pub mod steady;
pub mod wire;
pub mod writers;

use std::time::{Duration, Instant};

/// The moment of now.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
pub fn now() -> Instant {
    Instant::now()
}

/// Waits until `moment`; returns at once if it has passed.
#[expect(clippy::disallowed_methods, reason = "an open loop sends at set times, and probes leave pauses")]
pub fn sleep_until(moment: Instant) {
    std::thread::sleep(moment.saturating_duration_since(now()));
}

/// How many things per second.
pub fn rate(count: usize, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}

/// How many cores this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// `--name value` or `--name=value` among the arguments.
pub fn argument(name: &str) -> Option<String> {
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == name {
            return arguments.next();
        }
        if let Some(value) = argument.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')) {
            return Some(value.to_owned());
        }
    }
    None
}

/// Whether `--name` is among the arguments.
pub fn flag(name: &str) -> bool {
    std::env::args().skip(1).any(|argument| argument == name)
}
