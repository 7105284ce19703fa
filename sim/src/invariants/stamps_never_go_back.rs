//! No stamp goes backwards on one node.
//!
//! A write that a node began to answer after it had answered another has the greater stamp, whatever happened to its clock
//! or its process in between; and no stamp that it told a client lies above the ceiling that its disk holds at the end. Told
//! are only stamps of records that were new to every node and were sent but once, in one attempt: of others the smallest known
//! is told, which may be of another node, by way of a hint that an attempt left which failed.
//!
//! Source: the design, 3.3 (stamps are given below a durable ceiling, and only rise).

use super::on_disk::frames_on;
use super::{Invariant, Verdict};
use crate::history::{Attempt, Write};
use crate::run::{Failure, Run};
use model::{RecordId, Stamp};
use std::collections::BTreeSet;
use std::time::Duration;
use storage::log::Frame;

/// See the module.
#[derive(Debug, Default)]
pub struct StampsNeverGoBack;

/// A stamp that a node told, and while what attempt.
#[derive(Clone, Copy)]
struct Told {
    began: Duration,
    ended: Duration,
    stamp: Stamp,
}

impl Invariant for StampsNeverGoBack {
    fn name(&self) -> &'static str {
        "stamps_never_go_back"
    }

    fn check(&mut self, run: &mut Run) -> Result<Verdict, Failure> {
        let history = run.cluster.history();
        let (writes, often) = (history.acknowledged(0), sent_often(&history.snapshot()));
        let mut verdict = Ok(());
        for node in run.staying() {
            let once = writes.iter().filter(|write| !often.contains(&write.record.id()) && write.attempts.len() == 1);
            let last = once.filter_map(|write| write.attempts.last().zip(write.acknowledgement()));
            let own = last.filter(|(attempt, told)| attempt.node == node && told.created);
            let told = own.map(|(Attempt { began, ended, .. }, told)| {
                let stamp = told.received_at.parse().ok().ok_or_else(|| format!("{} is no stamp", told.received_at));
                stamp.map(|stamp| Told { began: *began, ended: *ended, stamp })
            });
            let checked = told.collect::<Result<Vec<_>, String>>().and_then(|told| {
                rise(&told, run.cluster.doubt())?;
                lie_below_the_ceiling(run, node, &told)
            });
            verdict = verdict.and(checked.map_err(|what| format!("node {node}: {what}")));
        }
        Ok(verdict)
    }
}

/// The ids that more than one write was about.
fn sent_often(writes: &[Write]) -> BTreeSet<RecordId> {
    let (mut seen, mut often) = (BTreeSet::new(), BTreeSet::new());
    for write in writes {
        if !seen.insert(write.record.id()) {
            often.insert(write.record.id());
        }
    }
    often
}

/// Whether each stamp is above all that were told before its attempt began, and longer before than `doubt`.
fn rise(told: &[Told], doubt: Duration) -> Verdict {
    let (mut by_begin, mut by_end) = (told.to_vec(), told.to_vec());
    by_begin.sort_by_key(|told| told.began);
    by_end.sort_by_key(|told| told.ended);
    let (mut over, mut greatest) = (by_end.into_iter().peekable(), Stamp::ZERO);
    for told in by_begin {
        while let Some(before) = over.next_if(|before| before.ended + doubt < told.began) {
            greatest = greatest.max(before.stamp);
        }
        if told.stamp <= greatest {
            return Err(format!("at {:?} it gave {} after it had given {greatest}", told.began, told.stamp));
        }
    }
    Ok(())
}

fn lie_below_the_ceiling(run: &Run, node: usize, told: &[Told]) -> Verdict {
    let (mut ceiling, mut fell) = (Stamp::ZERO, None);
    let scanned = frames_on(run.cluster.disk(node), &mut |frame| {
        if let Frame::Ceiling { ceiling: next } = frame {
            fell = fell.or((next < ceiling).then_some((ceiling, next)));
            ceiling = ceiling.max(next);
        }
    });
    scanned.map_err(|error| error.to_string())?;
    if let Some((before, after)) = fell {
        return Err(format!("its ceiling fell from {before} to {after}"));
    }
    match told.iter().map(|told| told.stamp).max() {
        Some(stamp) if stamp > ceiling => Err(format!("it gave {stamp}, above its ceiling {ceiling}")),
        Some(_) | None => Ok(()),
    }
}
