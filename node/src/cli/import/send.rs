//! Sending a batch of an import until every line of it has an outcome.
//!
//! What a node could not take now is sent again, waiting longer each time; that is always safe, since the same claim is
//! the same record. Nothing is sent again for ever: after [`ATTEMPTS_MAX`] fruitless attempts the import fails.

use super::report::{Refused, Report};
use crate::cli::client::{Client, Reply, describe};
use crate::cli::failure::Failure;
use crate::cli::keys::NamedKey;
use crate::cli::signing::signed_line;
use crate::cli::stop::Stop;
use model::{Assertion, Body, Refusal};
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How many times in a row a batch may get nowhere.
const ATTEMPTS_MAX: u32 = 8;
const WAIT_MIN: Duration = Duration::from_millis(200);
const WAIT_MAX: Duration = Duration::from_secs(15);
/// The codes of what is no fault of the line: the rest of the request did not arrive.
const BROKEN_OFF: &[&str] = &["broken_body", "request_timeout"];

/// A line on its way.
#[derive(Debug)]
pub(super) struct Item {
    /// Its number, from 1.
    pub line: u64,
    /// What to send for it.
    pub payload: Payload,
}

/// What is sent for a line.
#[derive(Debug)]
pub(super) enum Payload {
    /// The line itself: an envelope.
    Envelope(Vec<u8>),
    /// A claim that is signed first.
    Claim(Box<Assertion>, Arc<NamedKey>),
}

/// Sends batches; shared by the threads of an import.
#[derive(Debug)]
pub(super) struct Sender<'a> {
    /// The node.
    pub client: &'a Client,
    /// Whether the node is to store nothing.
    pub dry_run: bool,
    /// Where outcomes go.
    pub report: &'a Mutex<Report>,
    /// Ends waiting.
    pub stop: &'a Stop,
}

struct Signed {
    line: u64,
    bytes: Vec<u8>,
}

/// What an answer says of one line.
enum Outcome {
    Created,
    Exists,
    Refused { code: String, field: String, expected: String },
    Again(String),
}

impl Sender<'_> {
    /// Signs and sends `batch`; returns when every line has an outcome, or early when asked to stop.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the node cannot be reached, keeps failing, or refuses the request as a whole.
    pub(super) fn deliver(&self, batch: Vec<Item>) -> Result<(), Failure> {
        let mut pending: Vec<Signed> = batch.into_iter().filter_map(|item| self.sign(item)).collect();
        let mut fruitless = 0;
        while !pending.is_empty() {
            let before = pending.len();
            let (why, wait) = match self.post(&pending) {
                Ok(reply) if reply.is_success() => (self.sort_out(&reply, &mut pending), reply.retry_after),
                Ok(reply) if reply.is_worth_retrying() => (reply.refusal(), reply.retry_after),
                Ok(reply) => return Err(reply.refusal()),
                Err(failure) => (failure, None),
            };
            if pending.is_empty() {
                break;
            }
            fruitless = if pending.len() < before { 1 } else { fruitless + 1 };
            if fruitless >= ATTEMPTS_MAX {
                return Err(why);
            }
            let backoff = WAIT_MIN * 2u32.saturating_pow(fruitless - 1);
            if !self.stop.wait(wait.unwrap_or(backoff).clamp(WAIT_MIN, WAIT_MAX)) {
                break;
            }
        }
        Ok(())
    }

    fn sign(&self, item: Item) -> Option<Signed> {
        match item.payload {
            Payload::Envelope(bytes) => Some(Signed { line: item.line, bytes }),
            Payload::Claim(assertion, key) => match signed_line(Body::Assertion(assertion), &key) {
                Ok((_, bytes)) => Some(Signed { line: item.line, bytes }),
                Err(refusal) => {
                    self.count(|report| report.refuse(refused(item.line, &refusal)));
                    None
                }
            },
        }
    }

    fn post(&self, pending: &[Signed]) -> Result<Reply, Failure> {
        let mut body = Vec::with_capacity(pending.iter().map(|signed| signed.bytes.len() + 1).sum());
        for signed in pending {
            body.extend_from_slice(&signed.bytes);
            body.push(b'\n');
        }
        let parameters: &[_] = if self.dry_run { &[("dry_run", "true".to_owned())] } else { &[] };
        self.client.post("/v1/records", parameters, "application/x-ndjson", &body)
    }

    /// Counts the lines that have an outcome and leaves the others in `pending`; why they were left.
    fn sort_out(&self, reply: &Reply, pending: &mut Vec<Signed>) -> Failure {
        let mut why = "the node stopped in the middle of its answer".to_owned();
        let mut answers = reply.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        self.count(|report| {
            pending.retain(|signed| match answers.next().map(read_outcome) {
                Some(Outcome::Created) => {
                    report.summary.created += 1;
                    false
                }
                Some(Outcome::Exists) => {
                    report.summary.existing += 1;
                    false
                }
                Some(Outcome::Refused { code, field, expected }) => {
                    report.refuse(Refused { line: signed.line, code, field, expected });
                    false
                }
                Some(Outcome::Again(reason)) => {
                    why = reason;
                    true
                }
                None => true,
            });
        });
        Failure::Failed(why)
    }

    fn count(&self, change: impl FnOnce(&mut Report)) {
        change(&mut self.report.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// A refusal as a report keeps it.
pub(super) fn refused(line: u64, refusal: &Refusal) -> Refused {
    Refused {
        line,
        code: refusal.code.to_string(),
        field: refusal.field.to_string(),
        expected: refusal.expected.to_string(),
    }
}

/// A line of the node's answer: a receipt, or a problem that is final (`refused`) or passes (`failed`).
fn read_outcome(line: &[u8]) -> Outcome {
    let answer: Value = serde_json::from_slice(line).unwrap_or_default();
    let member = |name| answer.get(name).and_then(Value::as_str);
    let code = member("code").unwrap_or_default();
    match member("status") {
        Some("created" | "would_create") => Outcome::Created,
        Some("exists") => Outcome::Exists,
        Some("refused") if !BROKEN_OFF.contains(&code) => Outcome::Refused {
            code: code.to_owned(),
            field: member("field").unwrap_or("body").to_owned(),
            expected: member("expected").or(member("detail")).unwrap_or("another line").to_owned(),
        },
        _ => Outcome::Again(describe(&answer).unwrap_or_else(|| "the node's answer is not understood".to_owned())),
    }
}

#[test]
fn an_answer_is_told_apart() {
    let told = |line: &str| match read_outcome(line.as_bytes()) {
        Outcome::Created => "created".to_owned(),
        Outcome::Exists => "exists".to_owned(),
        Outcome::Refused { code, field, expected } => format!("{field} {expected} {code}"),
        Outcome::Again(why) => format!("again: {why}"),
    };
    for (line, expected) in [
        (r#"{"id":"00","status":"created","copies":1,"received_at":"1.0"}"#, "created"),
        (r#"{"id":"00","status":"exists","copies":1,"received_at":"1.0"}"#, "exists"),
        (r#"{"id":"00","status":"would_create"}"#, "created"),
        (r#"{"status":"refused","code":"bad_hex","field":"epoch","expected":"64 digits"}"#, "epoch 64 digits bad_hex"),
        (r#"{"status":"refused","code":"erased","detail":"never comes back"}"#, "body never comes back erased"),
        (r#"{"status":"failed","code":"overloaded","detail":"later"}"#, "again: later (overloaded)"),
        (r#"{"status":"refused","code":"broken_body","detail":"it broke"}"#, "again: it broke (broken_body)"),
        ("half a li", "again: the node's answer is not understood"),
    ] {
        assert_eq!(told(line), expected, "{line}");
    }
}
