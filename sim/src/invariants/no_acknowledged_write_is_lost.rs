//! No acknowledged record is lost.
//!
//! Every record for which a client got 200 or 201 is returned by `GET /v1/records/{id}`, byte for byte what a client
//! sent, by every node that is there at the end; and it is on the disk of at least one of them. What was not acknowledged
//! may be there or not. Of a body that was signed twice either envelope will do here: which one stays is for the owners.
//!
//! Source: the design, 4.1 ("an acknowledgement always comes after `fdatasync`") and 7 (RPO: 0 acknowledged records).

use super::{Invariant, OnDisk, Unreadable, Verdict};
use crate::client::{Answer, Lost, Request};
use crate::history::Write;
use crate::run::{Failure, Run};
use api::json::envelope_json;
use model::RecordId;
use std::collections::{BTreeMap, BTreeSet};
use storage::store::Lookup;

/// How many records are asked for at once.
const QUESTIONS_AT_ONCE: usize = 256;
/// How many losses are named.
const NAMED_MAX: usize = 3;

/// See the module.
#[derive(Debug, Default)]
pub struct NoAcknowledgedWriteIsLost;

impl Invariant for NoAcknowledgedWriteIsLost {
    fn name(&self) -> &'static str {
        "no_acknowledged_write_is_lost"
    }

    fn check(&mut self, run: &mut Run) -> Result<Verdict, Failure> {
        let writes = run.cluster.history().acknowledged(0);
        let sent = sent(&run.cluster.history().snapshot());
        let mut lost = BTreeMap::new();
        for node in run.staying() {
            for (chunk, some) in writes.chunks(QUESTIONS_AT_ONCE).enumerate() {
                let ask = |write: &Write| (node, Request::get(format!("/v1/records/{}", write.record.id())));
                let answers = run.ask_all(some.iter().map(ask).collect())?;
                for (number, (write, answer)) in some.iter().zip(answers).enumerate() {
                    if let Err(found) = returns(write, &sent, answer) {
                        let told = format!("node {node} was asked for {}: {found}", write.record.id());
                        lost.insert(chunk * QUESTIONS_AT_ONCE + number, told);
                    }
                }
            }
        }
        run.figures.lost += u64::try_from(lost.len()).unwrap_or(u64::MAX);
        match missing_on_disks(run, &writes) {
            Ok(missing) => missing.into_iter().for_each(|(number, told)| {
                lost.entry(number).or_insert(told);
            }),
            Err(unreadable) => return Ok(Err(unreadable.to_string())),
        }
        let named: Vec<_> = lost.values().take(NAMED_MAX).map(String::as_str).collect();
        Ok(if lost.is_empty() {
            Ok(())
        } else {
            Err(format!("{} of {} are lost: {}", lost.len(), writes.len(), named.join("; ")))
        })
    }
}

/// The envelopes that clients sent, as JSON, by the ids of their records.
fn sent(writes: &[Write]) -> BTreeMap<RecordId, BTreeSet<Vec<u8>>> {
    let mut sent = BTreeMap::<_, BTreeSet<_>>::new();
    for write in writes {
        sent.entry(write.record.id()).or_default().insert(envelope_json(write.record.envelope()));
    }
    sent
}

/// Whether the answer is the record that was written; if not, what it is.
fn returns(
    write: &Write,
    sent: &BTreeMap<RecordId, BTreeSet<Vec<u8>>>,
    answer: Result<Answer, Lost>,
) -> Result<(), String> {
    let answer = answer.map_err(|lost| lost.to_string())?;
    match answer.status {
        200 if sent.get(&write.record.id()).is_some_and(|sent| sent.contains(&answer.body)) => Ok(()),
        200 => Err(format!("another record: {}", answer.text())),
        status => Err(format!("{status} {}", answer.json().get("code").unwrap_or_default())),
    }
}

/// The writes that no disk of those that stay holds, by their numbers, and what was found.
fn missing_on_disks(run: &Run, writes: &[Write]) -> Result<BTreeMap<usize, String>, Unreadable> {
    let disks = run.staying().into_iter().map(|node| OnDisk::read(run.cluster.disk(node)));
    let disks = disks.collect::<Result<Vec<_>, _>>()?;
    let mut missing = BTreeMap::new();
    for (number, write) in writes.iter().enumerate() {
        let id = write.record.id();
        let mut found = Vec::new();
        for disk in &disks {
            found.push(match disk.get(&id)? {
                Lookup::Found(_) => "found",
                Lookup::Absent => "absent",
                Lookup::Damaged(_) => "damaged",
                Lookup::Erased(_) => "erased",
            });
        }
        if !found.contains(&"found") {
            missing.insert(number, format!("on the disks {id} is {}", found.join(", ")));
        }
    }
    Ok(missing)
}
