//! Programs that write claims while something happens, and note what they see.
//!
//! One for each node, which it begins with; each writes one claim after the other, on a subject of its own, and goes on
//! by the rules of [`Persistence`]. They never look at the nodes but through the answers they get.

use super::history::{Acknowledged, FailedAttempt, History};
use super::persistence::{ATTEMPT_MAX, Persistence};
use crate::cli::client::{Client, Reply};
use crate::cli::failure::Failure;
use crate::cli::keys::NamedKey;
use crate::cli::signing::{refused, signed_line, sole_author};
use crate::cli::stop::Stop;
use crate::clock::Clock;
use model::record::{Confidence, Lifecycle, Meta, Object, Predicate, SourceClass, Subject, Text, Validity, Vector};
use model::{Assertion, Body, Code, RecordId, Refusal, Timestamp};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

/// How long a writer rests between two claims, so that it is the cluster that is shown and not the machine's limits.
const PACE: Duration = Duration::from_millis(5);
/// The most claims that one writer writes.
const CLAIMS_MAX: u64 = 100_000;

/// Writes to the nodes at `urls`, one writer a node, while `act` runs; returns what they saw and what it returns.
///
/// # Errors
///
/// What `act` returns, and [`Failure`] if a URL is none or the system gives no randomness for a key.
///
/// # Panics
///
/// If a writer does.
pub fn write_while<T>(
    urls: &[String],
    clock: &dyn Clock,
    act: impl FnOnce() -> Result<T, Failure>,
) -> Result<(History, T), Failure> {
    let enough = Stop::default();
    thread::scope(|scope| {
        let writer = |number| Writer::new(number, urls, clock, &enough);
        let writers: Vec<_> = (0..urls.len()).map(writer).collect::<Result<_, _>>()?;
        let running: Vec<_> = writers.into_iter().map(|mut writer| scope.spawn(move || writer.run())).collect();
        let acted = act();
        enough.ask();
        let seen: Result<Vec<_>, _> = running.into_iter().map(ended).collect();
        let mut history = History::default();
        seen?.into_iter().for_each(|own| history.add(own));
        Ok((history, acted?))
    })
}

/// What a writer saw.
fn ended(writer: ScopedJoinHandle<'_, Result<History, Failure>>) -> Result<History, Failure> {
    writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

struct Writer<'a> {
    number: usize,
    clients: Vec<Client>,
    key: NamedKey,
    client: Persistence,
    clock: &'a dyn Clock,
    enough: &'a Stop,
    /// Waited on, never asked: a claim that was begun is brought to its end.
    rest: Stop,
    seen: History,
}

impl<'a> Writer<'a> {
    fn new(number: usize, urls: &[String], clock: &'a dyn Clock, enough: &'a Stop) -> Result<Self, Failure> {
        let clients = urls.iter().map(|url| Client::with_deadline(url, ATTEMPT_MAX)).collect::<Result<_, _>>()?;
        let key = NamedKey::generate("demo")?;
        let client = Persistence::new(number, urls.len());
        Ok(Self { number, clients, key, client, clock, enough, rest: Stop::default(), seen: History::default() })
    }

    fn run(&mut self) -> Result<History, Failure> {
        for n in 0..CLAIMS_MAX {
            if !self.enough.wait(PACE) {
                break;
            }
            self.write(n)?;
        }
        Ok(std::mem::take(&mut self.seen))
    }

    /// Brings one claim to its end.
    fn write(&mut self, n: u64) -> Result<(), Failure> {
        let subject = format!("demo://writer/{}/{n}", self.number + 1);
        let (id, line) = self.claim(&subject, n).map_err(|refusal| refused(&refusal))?;
        let Self { client, clients, clock, seen, rest, .. } = self;
        let begun = clock.monotonic();
        let attempt = |node: usize| {
            seen.attempts += 1;
            let answer = clients.get(node).map(|client| acknowledged(client, &line));
            match answer.unwrap_or_else(|| Err("there is no such node".to_owned())) {
                Ok(copies) => Some(copies),
                Err(why) => {
                    seen.failed_attempts.push(FailedAttempt { at: clock.monotonic(), why });
                    None
                }
            }
        };
        match client.write(attempt, |time| rest.wait(time)) {
            Some(copies) => {
                self.seen.copies_min = self.seen.copies_min.into_iter().chain([copies]).min();
                let at = self.clock.monotonic();
                self.seen.acknowledged.push(Acknowledged { id, subject, at, took: at.saturating_sub(begun) });
            }
            None => self.seen.failed_writes += 1,
        }
        Ok(())
    }

    /// A claim that nobody made before, signed.
    fn claim(&self, subject: &str, n: u64) -> Result<(RecordId, Vec<u8>), Refusal> {
        let number = Text::new(n.to_string())?;
        let now = Timestamp::from_ms(self.clock.wall_ms());
        let assertion = Assertion {
            authors: sole_author(self.key.agent_id())?,
            timestamp: now
                .ok_or_else(|| Refusal::new(Code::OutOfRange, "timestamp", "a clock before the year 280,000"))?,
            subject: Subject::new(subject)?,
            predicate: Predicate::new("number")?,
            object: Object::Text(number),
            confidence: Confidence::new(1.0)?,
            source_class: SourceClass::Anecdotal,
            lifecycle: Lifecycle::Proposed,
            source_hash: None,
            parent_hash: None,
            epoch: None,
            visual_hash: None,
            vector: Vector::default(),
            validity: Validity::default(),
            meta: Meta::default(),
        };
        signed_line(Body::Assertion(Box::new(assertion)), &self.key)
    }
}

/// One attempt: on how many nodes the claim is, or why it was not acknowledged.
fn acknowledged(client: &Client, line: &[u8]) -> Result<u64, String> {
    let answered: Reply =
        client.post("/v1/assert", &[], "application/json", line).map_err(|failure| failure.to_string())?;
    let receipt = answered.taken().map_err(|failure| failure.to_string())?;
    receipt.get("copies").and_then(serde_json::Value::as_u64).ok_or_else(|| "a receipt without copies".to_owned())
}
