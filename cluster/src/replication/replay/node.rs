//! One owner as a replay sees it: what it is being asked, how much it takes, and when it may be asked again.

use super::{Place, Settings};
use crate::id::Millis;
use std::collections::BTreeSet;

/// What a call is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Confirm,
    Store,
}

/// A call under way.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) number: u64,
    pub(super) places: BTreeSet<Place>,
    /// When it counts as failed.
    pub(super) until: Millis,
}

/// An owner.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    call: Option<Call>,
    /// What it said that it takes; nothing yet before the first store.
    takes: Option<usize>,
    /// When it may be called again.
    not_before: Millis,
    /// How many calls in a row have failed.
    failures: u32,
}

impl Node {
    pub(super) fn call(&mut self, call: Call) {
        self.call = Some(call);
    }

    pub(super) fn take_call(&mut self, number: u64) -> Option<Call> {
        self.call.take_if(|call| call.number == number)
    }

    pub(super) fn forget_call(&mut self) {
        self.call = None;
    }

    pub(super) fn is_late(&self, now: Millis) -> bool {
        self.call.as_ref().is_some_and(|call| now >= call.until)
    }

    pub(super) fn may_be_called(&self, now: Millis) -> bool {
        self.call.is_none() && now >= self.not_before
    }

    /// Whether it has failed and is not worth waiting for.
    pub(super) fn is_away(&self, now: Millis) -> bool {
        self.is_failing() && self.call.is_none() && now < self.not_before
    }

    pub(super) fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// How many records it takes now. Whoever said nothing yet, or none, is tried with one.
    pub(super) fn takes_now(&self) -> usize {
        self.takes.unwrap_or(1).max(1)
    }

    pub(super) fn takes(&mut self, next: usize, now: Millis, settings: &Settings) {
        self.takes = Some(next);
        if next == 0 {
            self.not_before = self.not_before.max(now + settings.pause_min);
        }
    }

    pub(super) fn failed(&mut self, now: Millis, settings: &Settings) {
        let pause = settings.pause_min.0.saturating_mul(1 << self.failures.min(32));
        self.failures = self.failures.saturating_add(1);
        self.not_before = now + Millis(pause).min(settings.pause_max);
    }

    pub(super) fn is_back(&mut self) {
        self.failures = 0;
        self.not_before = Millis(0);
    }

    /// When something is due after `now`: the end of a call, or of a pause.
    pub(super) fn wake_at(&self, now: Millis) -> Option<Millis> {
        self.call.as_ref().map(|call| call.until).or_else(|| (self.not_before > now).then_some(self.not_before))
    }
}
