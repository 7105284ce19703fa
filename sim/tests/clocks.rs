//! A node whose clock is off by a minute before it starts: it says so, takes no write, and serves once the clock is right.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use api::json::envelope_json;
use sim::client::{Author, Request};
use sim::cluster::{Process, Shape};
use sim::run::Run;
use sim::trace::Now;
use sim::world::EPOCH_MS;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);
const OFF_MS: i64 = 60_000;

/// What a node answers to `/v1/ready`, and to a claim that nobody made before.
fn asked(run: &mut Run, node: usize, number: u64) -> (u16, String, u16, String) {
    let ready = run.ask(node, Request::get("/v1/ready")).unwrap().unwrap();
    let claim = Author::numbered(1).claim("test://clock", "says", &number.to_string(), EPOCH_MS + number);
    let body = envelope_json(claim.envelope());
    let taken = run.ask(node, Request::post("/v1/assert", body)).unwrap().unwrap();
    (ready.status, ready.text(), taken.status, taken.text())
}

#[test]
fn a_clock_a_minute_off_is_named_and_stamps_nothing_until_it_is_right() {
    for (seed, skew_ms) in [(1, OFF_MS), (2, -OFF_MS)] {
        let mut run = Run::new(Shape { nodes: 3, ..Shape::default() }, Vec::new(), seed, Now::default());
        run.start_all(LIMIT).unwrap();
        run.cluster.kill(0);
        run.cluster.set_skew_ms(0, skew_ms);
        run.cluster.start(0);
        run.until("it listens", LIMIT, |run| run.cluster.process(0) == Process::Up).unwrap();
        for number in 0..20 {
            let (ready, why, taken, refusal) = asked(&mut run, 0, number);
            assert_eq!((ready, taken), (503, 503), "{why} {refusal}");
            run.pass(Duration::from_millis(100)).unwrap();
        }
        let (_, why, _, refusal) = asked(&mut run, 0, 20);
        let advice = if skew_ms > 0 { "set this machine's clock" } else { "set it right" };
        assert!(why.contains("clock: ") && why.contains(advice), "{why}");
        assert!(refusal.contains("clock: "), "{refusal}");
        assert_eq!(asked(&mut run, 1, 21).2, 201, "the others go on");
        run.cluster.set_skew_ms(0, 0);
        run.until_ready(LIMIT).unwrap();
        assert_eq!(asked(&mut run, 0, 22).2, 201);
    }
}
