//! One answer from one owner.

use super::{Candidate, Input};
use crate::id::{Epoch, Millis, NodeId};
use std::collections::{BTreeMap, VecDeque};

/// What a read may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Settings {
    /// How long a node may be silent before the next fit one is asked as well.
    pub hedge_after: Millis,
    /// How long the fit may be silent before one that is not fit is asked, and everybody asked before an answer counts
    /// whose owner has met nobody.
    pub owner_deadline: Millis,
    /// How long the client waits at most.
    pub read_deadline: Millis,
}

/// What a read asks the outside world to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Ask this owner.
    Ask(NodeId),
    /// Get the table of this epoch or a later one, then call [`Read::reroute`].
    Refetch(Epoch),
    /// The last output: whose answer counts, or that there is none. Other calls under way are of no use any more.
    Reply(Outcome),
}

/// What became of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// This node's answer counts.
    From(Candidate),
    /// Only owners that have met no other since they started answered: what they know together counts, and nobody knows
    /// how old it is.
    FromUnmet,
    /// Nobody answered in time.
    Unavailable,
}

/// The machine of one read of one home.
///
/// Invariants: it replies exactly once; nobody is asked twice under one table; who is not fit is asked only once every fit
/// one has failed, has met nobody, or has been silent for [`Settings::owner_deadline`]; an answer of an owner that has met
/// nobody counts only once everybody else has failed, has met nobody either, or has been silent for as long.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Read {
    settings: Settings,
    reply_by: Millis,
    /// Who can still be asked, the best first.
    candidates: VecDeque<Candidate>,
    waiting: BTreeMap<NodeId, Candidate>,
    /// Whether an owner has answered that has met nobody.
    is_unmet_heard: bool,
    /// When somebody was last asked.
    asked_at: Millis,
    ahead: Epoch,
    done: bool,
}

impl Read {
    /// Starts a read: asks the best of `owners`, the fit before the others and then the quick before the slow.
    pub fn start(settings: Settings, epoch: Epoch, owners: &[Candidate], now: Millis, out: &mut Vec<Output>) -> Self {
        let mut read = Self {
            settings,
            reply_by: now + settings.read_deadline,
            candidates: VecDeque::new(),
            waiting: BTreeMap::new(),
            is_unmet_heard: false,
            asked_at: now,
            ahead: epoch,
            done: false,
        };
        read.reroute(epoch, owners, now, out);
        read
    }

    /// Asks the owners under another table, unless it is not as new as what was asked for. The deadline stays as it is.
    pub fn reroute(&mut self, epoch: Epoch, owners: &[Candidate], now: Millis, out: &mut Vec<Output>) {
        if self.done || epoch < self.ahead {
            return;
        }
        let mut candidates = owners.to_vec();
        candidates.sort_by_key(|candidate| (!candidate.fit, candidate.latency_us, candidate.node));
        self.ahead = epoch;
        self.candidates = candidates.into();
        self.waiting.clear();
        self.is_unmet_heard = false;
        self.ask_next(now, out);
        self.give_up(now, out);
    }

    /// Takes one step. `now` never goes back.
    pub fn handle(&mut self, input: Input, now: Millis, out: &mut Vec<Output>) {
        if self.done {
            return;
        }
        match input {
            Input::Answered(node) => {
                if let Some(candidate) = self.waiting.get(&node) {
                    return self.reply(Outcome::From(*candidate), out);
                }
            }
            Input::Unmet(node) => {
                if self.waiting.remove(&node).is_some() {
                    self.is_unmet_heard = true;
                    self.ask_next(now, out);
                }
            }
            Input::Failed(node) => {
                if self.waiting.remove(&node).is_some() {
                    self.ask_next(now, out);
                }
            }
            Input::StaleEpoch(epoch) => {
                if epoch > self.ahead {
                    self.ahead = epoch;
                    out.push(Output::Refetch(epoch));
                }
            }
            Input::Tick => {
                if self.next_at().is_some_and(|due| now >= due) {
                    self.ask_next(now, out);
                }
            }
        }
        self.give_up(now, out);
    }

    /// When the next [`Input::Tick`] is due at the latest; `None` once it has replied.
    pub fn wake_at(&self) -> Option<Millis> {
        let due = self.next_at().map_or(self.reply_by, |due| due.min(self.reply_by));
        (!self.done).then_some(due)
    }

    /// When the next candidate is asked, or nobody is waited for any more, if nothing happens before.
    fn next_at(&self) -> Option<Millis> {
        let fit_is_asked = self.waiting.values().any(|candidate| candidate.fit);
        let Settings { hedge_after, owner_deadline, .. } = self.settings;
        match self.candidates.front() {
            Some(next) if next.fit || !fit_is_asked => Some(self.asked_at + hedge_after),
            Some(_) => Some(self.asked_at + owner_deadline),
            None => self.is_unmet_heard.then_some(self.asked_at + owner_deadline),
        }
    }

    /// Asks the next one. One that is not fit has to wait while a fit one may still answer.
    fn ask_next(&mut self, now: Millis, out: &mut Vec<Output>) {
        let fit_is_asked = self.waiting.values().any(|candidate| candidate.fit);
        let Some(next) = self.candidates.front().copied() else { return };
        if !next.fit && fit_is_asked && now < self.asked_at + self.settings.owner_deadline {
            return;
        }
        self.candidates.pop_front();
        self.waiting.insert(next.node, next);
        self.asked_at = now;
        out.push(Output::Ask(next.node));
    }

    fn give_up(&mut self, now: Millis, out: &mut Vec<Output>) {
        let patience = if self.is_unmet_heard { self.asked_at + self.settings.owner_deadline } else { self.reply_by };
        let all_asked = self.candidates.is_empty();
        if now >= self.reply_by || (all_asked && (self.waiting.is_empty() || now >= patience)) {
            let outcome = if self.is_unmet_heard { Outcome::FromUnmet } else { Outcome::Unavailable };
            self.reply(outcome, out);
        }
    }

    fn reply(&mut self, outcome: Outcome, out: &mut Vec<Output>) {
        self.done = true;
        out.push(Output::Reply(outcome));
    }
}

#[cfg(test)]
mod tests {
    use super::Output::{Ask, Refetch, Reply};
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const SETTINGS: Settings =
        Settings { hedge_after: Millis(20), owner_deadline: Millis(150), read_deadline: Millis(1_000) };

    fn fit(node: u64, latency_us: u64) -> Candidate {
        Candidate { node: NodeId(node), fit: true, latency_us }
    }

    fn unfit(node: u64) -> Candidate {
        Candidate { fit: false, ..fit(node, 0) }
    }

    fn story(owners: &[Candidate], steps: &[(u64, Input)]) -> Vec<Output> {
        let mut out = Vec::new();
        let mut read = Read::start(SETTINGS, Epoch(1), owners, Millis(0), &mut out);
        steps.iter().for_each(|(at, input)| read.handle(*input, Millis(*at), &mut out));
        out
    }

    #[test]
    fn the_coordinator_is_asked_before_the_quick_and_the_quick_before_the_slow() {
        let out = story(
            &[fit(1, 900), fit(2, 0), fit(3, 400)],
            &[(1, Input::Failed(NodeId(2))), (2, Input::Failed(NodeId(3))), (3, Input::Answered(NodeId(1)))],
        );
        let asked = [2, 3, 1].map(|node| Ask(NodeId(node)));
        assert_eq!(out, [&asked[..], &[Reply(Outcome::From(fit(1, 900)))]].concat());
    }

    #[test]
    fn a_silent_owner_is_hedged_and_the_first_answer_counts() {
        let steps = [(19, Input::Tick), (20, Input::Tick), (25, Input::Answered(NodeId(1)))];
        let late = (26, Input::Answered(NodeId(2)));
        let out = story(&[fit(1, 1), fit(2, 2)], &[&steps[..], &[late]].concat());
        assert_eq!(out, [Ask(NodeId(1)), Ask(NodeId(2)), Reply(Outcome::From(fit(1, 1)))]);
    }

    #[test]
    fn one_that_is_not_fit_is_asked_only_when_no_fit_one_answers() {
        let silent = story(&[unfit(1), fit(2, 9)], &[(20, Input::Tick), (149, Input::Tick)]);
        assert_eq!(silent, [Ask(NodeId(2))]);
        let late = story(&[unfit(1), fit(2, 9)], &[(150, Input::Tick), (151, Input::Answered(NodeId(1)))]);
        assert_eq!(late, [Ask(NodeId(2)), Ask(NodeId(1)), Reply(Outcome::From(unfit(1)))]);
        let failed = story(&[unfit(1), fit(2, 9)], &[(5, Input::Failed(NodeId(2)))]);
        assert_eq!(failed, [Ask(NodeId(2)), Ask(NodeId(1))]);
    }

    #[test]
    fn an_owner_that_has_met_nobody_counts_only_if_nobody_else_answers() {
        let owners = [fit(1, 1), fit(2, 2)];
        let (unmet, other) = (Input::Unmet(NodeId(1)), Input::Answered(NodeId(2)));
        let asked = [Ask(NodeId(1)), Ask(NodeId(2))];
        let then = |reply| [&asked[..], &[Reply(reply)]].concat();
        assert_eq!(story(&owners, &[(5, unmet), (9, other)]), then(Outcome::From(fit(2, 2))));
        assert_eq!(story(&owners, &[(5, unmet), (154, Input::Tick)]), asked);
        assert_eq!(story(&owners, &[(5, unmet), (155, Input::Tick)]), then(Outcome::FromUnmet));
        assert_eq!(story(&owners, &[(5, unmet), (6, Input::Failed(NodeId(2)))]), then(Outcome::FromUnmet));
        assert_eq!(story(&owners, &[(5, unmet), (6, Input::Unmet(NodeId(2)))]), then(Outcome::FromUnmet));
        assert_eq!(story(&[fit(1, 1)], &[(5, unmet)]), [Ask(NodeId(1)), Reply(Outcome::FromUnmet)]);
        assert_eq!(story(&[fit(1, 1), unfit(2)], &[(5, unmet), (9, other)]), then(Outcome::From(unfit(2))));
    }

    #[test]
    fn nobody_left_is_told_at_once_and_silence_at_the_deadline() {
        let failed = story(&[fit(1, 0)], &[(5, Input::Failed(NodeId(1)))]);
        assert_eq!(failed, [Ask(NodeId(1)), Reply(Outcome::Unavailable)]);
        let silent = story(&[fit(1, 0)], &[(999, Input::Tick), (1_000, Input::Tick)]);
        assert_eq!(silent, [Ask(NodeId(1)), Reply(Outcome::Unavailable)]);
        assert_eq!(story(&[], &[]), [Reply(Outcome::Unavailable)]);
    }

    #[test]
    fn a_newer_table_is_fetched_once_and_its_owners_are_asked() {
        let mut out = Vec::new();
        let mut read = Read::start(SETTINGS, Epoch(1), &[fit(1, 0), fit(2, 0)], Millis(0), &mut out);
        read.handle(Input::StaleEpoch(Epoch(2)), Millis(1), &mut out);
        read.handle(Input::StaleEpoch(Epoch(2)), Millis(2), &mut out);
        read.reroute(Epoch(1), &[fit(2, 0)], Millis(3), &mut out);
        read.reroute(Epoch(2), &[fit(3, 0)], Millis(4), &mut out);
        read.handle(Input::Answered(NodeId(1)), Millis(5), &mut out);
        assert_eq!(out, [Ask(NodeId(1)), Refetch(Epoch(2)), Ask(NodeId(3))]);
    }

    proptest! {
        #[test]
        fn any_history_ends_in_one_reply_by_the_deadline(
            owners in prop::collection::btree_map(0..5_u64, (any::<bool>(), 0..9_u64), 0..5),
            events in prop::collection::vec((0..7_u64, 0..3_u8), 0..30),
        ) {
            let owners: Vec<_> = owners.into_iter()
                .map(|(node, (fit, latency_us))| Candidate { node: NodeId(node), fit, latency_us }).collect();
            let (mut out, mut now) = (Vec::new(), Millis(0));
            let mut read = Read::start(SETTINGS, Epoch(1), &owners, now, &mut out);
            let mut events = events.into_iter();
            while let Some(due) = read.wake_at() {
                prop_assert!(due > now, "a deadline that has passed");
                let asked: Vec<_> = read.waiting.keys().copied().collect();
                let input = events.next().and_then(|(pick, what)| {
                    let node = *asked.get(usize::try_from(pick).ok()?)?;
                    Some([Input::Answered(node), Input::Unmet(node), Input::Failed(node)][usize::from(what)])
                });
                now = if input.is_none() { due } else { now };
                read.handle(input.unwrap_or(Input::Tick), now, &mut out);
            }
            let asks: Vec<_> = out.iter().filter(|output| matches!(output, Ask(_))).map(|o| format!("{o:?}")).collect();
            prop_assert_eq!(asks.iter().collect::<BTreeSet<_>>().len(), asks.len());
            prop_assert_eq!(out.iter().filter(|output| matches!(output, Reply(_))).count(), 1);
            prop_assert!(now <= SETTINGS.read_deadline);
        }
    }
}
