//! What is due when: foca's timers, and greetings.
//!
//! It reads no clock. Time in which this node stood still does not count: everything pending moves by as much, so that a
//! node that wakes up first reads what it was sent meanwhile and does not take its own silence for that of the others.

use super::identity::Identity;
use crate::Millis;
use foca::{Incarnation, Timer, TimerToken};
use std::collections::BTreeMap;

/// Something that is due at some time.
#[derive(Clone, Debug)]
pub(super) enum Due {
    /// A timer of foca.
    Foca(Timer<Identity>),
    /// A suspected node has had its time.
    Verdict(Verdict),
    /// Speak to those who are not there.
    Announce,
}

/// A suspicion that turns into a verdict unless the node answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Who is suspected.
    pub(super) member: Identity,
    /// With which incarnation; an answer has a higher one.
    pub(super) incarnation: Incarnation,
    /// foca's own mark.
    pub(super) token: TimerToken,
    /// Since when, not counting what this node slept.
    pub(super) since: Millis,
}

impl Verdict {
    /// The timer that foca wants back.
    pub(super) fn timer(&self) -> Timer<Identity> {
        let Self { member: member_id, incarnation, token, .. } = *self;
        Timer::ChangeSuspectToDown { member_id, incarnation, token }
    }

    /// Whether it is about the same suspicion, whenever that was.
    fn repeats(&self, other: &Self) -> bool {
        (self.member, self.incarnation, self.token) == (other.member, other.incarnation, other.token)
    }
}

/// Pending timers, by time and then in the order they were set.
#[derive(Debug, Default)]
pub(super) struct Timers {
    pending: BTreeMap<(Millis, u64), Due>,
    set: u64,
}

impl Timers {
    /// Sets a timer. A second verdict on one suspicion is none: the first decides.
    pub(super) fn set(&mut self, at: Millis, due: Due) {
        if let Due::Verdict(verdict) = &due
            && self.verdicts().any(|pending| pending.repeats(verdict))
        {
            return;
        }
        self.set += 1;
        self.pending.insert((at, self.set), due);
    }

    /// When the next is due.
    pub(super) fn next(&self) -> Option<Millis> {
        self.pending.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes the next, if it is due.
    pub(super) fn take(&mut self, now: Millis) -> Option<Due> {
        self.next().filter(|at| *at <= now)?;
        self.pending.pop_first().map(|(_, due)| due)
    }

    /// Moves everything by the time that did not count.
    pub(super) fn shift(&mut self, by: Millis) {
        self.pending = std::mem::take(&mut self.pending)
            .into_iter()
            .map(|((at, set), mut due)| {
                if let Due::Verdict(verdict) = &mut due {
                    verdict.since = verdict.since + by;
                }
                ((at + by, set), due)
            })
            .collect();
    }

    /// Drops what foca set.
    pub(super) fn forget_gossip(&mut self) {
        self.pending.retain(|_, due| matches!(due, Due::Announce));
    }

    fn verdicts(&self) -> impl Iterator<Item = &Verdict> {
        self.pending.values().filter_map(|due| match due {
            Due::Verdict(verdict) => Some(verdict),
            Due::Foca(_) | Due::Announce => None,
        })
    }
}
