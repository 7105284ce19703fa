//! Queries in an open loop: each is due at a set time, whether or not those before it were answered.
//!
//! Latency counts from when a query was due, so that a node that stalls is charged for everyone who would have waited
//! (Tene, "How NOT to Measure Latency", 2013).

use super::claims::Question;
use super::wire::{Connection, get, percent};
use super::{now, sleep_until};
use hdrhistogram::Histogram;
use std::time::Duration;

/// How many connections the queries are dealt out to.
const CONNECTIONS: u32 = 32;

/// Asks `per_second` queries for `time`, about `questions` in a scrambled order; latencies in microseconds.
///
/// `path` is the call, such as `/v1/query?lens=authority`. Panics at an answer other than 200.
pub fn ask(questions: &[Question], path: &str, per_second: u32, time: Duration, url: &str) -> Histogram<u64> {
    let requests: Vec<_> = scrambled(questions)
        .map(|Question { subject, predicate }| {
            let join = if path.contains('?') { '&' } else { '?' };
            get(url, &format!("{path}{join}subject={}&predicate={}", percent(subject), percent(predicate)))
        })
        .take(usize::try_from(per_second).unwrap() * usize::try_from(time.as_secs()).unwrap())
        .collect();
    let interval = Duration::from_secs(1) / per_second;
    let start = now() + Duration::from_millis(50);
    let mut all = Histogram::new(3).unwrap();
    let parts: Vec<Histogram<u64>> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|client| {
                let own = requests.iter().zip(0u32..).filter(move |(_, number)| number % CONNECTIONS == client);
                scope.spawn(move || {
                    let mut latency_us = Histogram::new(3).unwrap();
                    let mut connection = Connection::to(url);
                    for (request, number) in own {
                        let due = start + interval * number;
                        sleep_until(due);
                        let (status, answer) = connection.ask(request);
                        assert_eq!(status, 200, "{}", String::from_utf8_lossy(answer));
                        latency_us.record(u64::try_from(due.elapsed().as_micros()).unwrap()).unwrap();
                    }
                    latency_us
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    parts.into_iter().for_each(|part| all.add(part).unwrap());
    all
}

/// All questions over and over, in steps that are coprime to their number, so that neighbours are far apart.
fn scrambled(questions: &[Question]) -> impl Iterator<Item = &Question> {
    let count = questions.len();
    let step = [7919, 6101, 4001, 1].into_iter().find(|step| !count.is_multiple_of(*step)).unwrap();
    (0..).filter_map(move |number| questions.get(number * step % count))
}
