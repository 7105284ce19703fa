//! A client that goes on at a steady pace whatever becomes of its requests: an open loop of reads and writes, each sent
//! once and never again.
//!
//! Latency counts from when a request was due, as in [`super::queries`]. A connection that breaks costs the request that
//! was on it, which counts as failed, and is opened anew for the next one.

use super::claims::{Question, Signed};
use super::wire::{Connection, get, percent, post};
use super::{now, sleep_until};
use hdrhistogram::Histogram;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How many connections the requests are dealt out to.
const CONNECTIONS: u32 = 40;
/// Beyond this much of an answer, what went wrong is not told.
const REASON_BYTES_MAX: usize = 400;

/// What a request was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `GET /v1/query?lens=authority` of one question.
    Read,
    /// `POST /v1/assert` of a new claim.
    Write,
}

/// What became of one request.
#[derive(Debug)]
pub struct Sent {
    /// What it was.
    pub kind: Kind,
    /// When it was to be sent.
    pub due: Instant,
    /// From then to its answer, in microseconds.
    pub latency_us: u64,
    /// Why it failed, if it did.
    pub failure: Option<String>,
}

/// What is sent: reads and new claims in turn.
#[derive(Debug)]
pub struct Requests {
    kinds: Vec<(Kind, Vec<u8>)>,
}

impl Requests {
    /// As many reads about `questions`, each a far step from the one before, as there are `claims` to write.
    pub fn of(questions: &[Question], claims: &[Signed]) -> Self {
        let host = "http://node";
        let reads = questions.iter().cycle().step_by(7_919).map(|Question { subject, predicate }| {
            let terms = format!("subject={}&predicate={}", percent(subject), percent(predicate));
            (Kind::Read, get(host, &format!("/v1/query?lens=authority&{terms}")))
        });
        let writes = claims.iter().map(|claim| (Kind::Write, post(host, "/v1/assert", &claim.line)));
        Self { kinds: writes.zip(reads).flat_map(|(write, read)| [write, read]).collect() }
    }

    /// Sends `per_second` of them, dealt out to the nodes at `urls`, until `work` is done; returns what became of each, in
    /// the order in which they were due, and what the work came to. Panics if they do not last.
    pub fn send_during<T>(&self, urls: &[String], per_second: u32, work: impl FnOnce() -> T) -> (Vec<Sent>, T) {
        let (start, interval) = (now() + Duration::from_millis(50), Duration::from_secs(1) / per_second);
        let is_done = &AtomicBool::new(false);
        std::thread::scope(|scope| {
            let spread = |client: u32| urls.get(usize::try_from(client).unwrap() % urls.len()).unwrap();
            let clients = (0..CONNECTIONS).map(|client| {
                let (url, own) = (spread(client), (client..).step_by(usize::try_from(CONNECTIONS).unwrap()));
                scope.spawn(move || {
                    let (mut connection, mut sent) = (None, Vec::new());
                    for number in own {
                        let due = start + interval * number;
                        sleep_until(due);
                        if is_done.load(Ordering::SeqCst) {
                            break;
                        }
                        let (kind, request) = self.kinds.get(usize::try_from(number).unwrap()).expect("they last");
                        let failure = once(&mut connection, url, *kind, request).err().map(|why| why.to_string());
                        let latency_us = u64::try_from(due.elapsed().as_micros()).unwrap();
                        sent.push(Sent { kind: *kind, due, latency_us, failure });
                    }
                    sent
                })
            });
            let clients: Vec<_> = clients.collect();
            let done = work();
            is_done.store(true, Ordering::SeqCst);
            let mut sent: Vec<_> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
            sent.sort_by_key(|sent| sent.due);
            (sent, done)
        })
    }
}

/// One request and no second attempt; whatever is not taken is an error.
fn once(connection: &mut Option<Connection>, url: &str, kind: Kind, request: &[u8]) -> io::Result<()> {
    let mut open = match connection.take() {
        Some(open) => open,
        None => Connection::try_to(url)?,
    };
    let (status, answer) = open.try_ask(request)?;
    // A write that the node itself had to try again, by a newer table, may find that it is there.
    let is_done = status == 200 || (kind == Kind::Write && status == 201);
    if !is_done {
        let told = answer.get(..answer.len().min(REASON_BYTES_MAX)).unwrap_or_default();
        return Err(io::Error::other(String::from_utf8_lossy(told).into_owned()));
    }
    *connection = Some(open);
    Ok(())
}

/// The latencies, in microseconds, of what was due within a stretch of time and succeeded.
pub fn latencies(sent: &[Sent], within: &Range<Instant>, kind: Option<Kind>) -> Histogram<u64> {
    let mut all = Histogram::new(3).unwrap();
    let is_meant = |sent: &&Sent| within.contains(&sent.due) && kind.is_none_or(|kind| kind == sent.kind);
    for sent in sent.iter().filter(is_meant).filter(|sent| sent.failure.is_none()) {
        all.record(sent.latency_us).unwrap();
    }
    all
}
