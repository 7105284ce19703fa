//! One comparison with one peer, from the roots of all homes they share to the last record that was missing.
//!
//! It sends nothing that the peer has, and never touches what is stamped after its fence, which may still be under way.
//!
//! Invariants: it finishes exactly once, after at most [`Settings::patience`] without an answer; a home is met only if its
//! roots were equal at the fence, or if everything that the peer had and this node had not is stored here; memory is bounded
//! by a page of each list, a piece of one difference, and [`super::Missing::IDS_MAX`] ids a home.

mod home;
#[cfg(test)]
mod tests;

use super::merge::{Disorder, Of, Place};
use super::{Difference, Element};
use crate::frontier::Same;
use crate::id::{Millis, NodeId};
use home::{Current, Step};
use model::set::SetSum;
use model::{Home, RecordId, Stamp};
use std::collections::{BTreeMap, BTreeSet};

/// What a session may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The most elements of a page, at least 1.
    pub page_elements: usize,
    /// The most differences taken in one piece, and so the most ids of one pull or push; at least 1.
    pub piece_elements: usize,
    /// How long an answer may take.
    pub patience: Millis,
}

/// Which way records go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// This node takes what it lacks. Where the peer holds sessions of its own, that is enough, and nothing travels twice.
    Pull,
    /// The peer is sent what it lacks: what a node that is no owner does with those who are. It never meets anybody so.
    Push,
    /// Both ways.
    PullAndPush,
}

/// The sums of a node's homes at a fence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roots {
    /// By home.
    pub sums: BTreeMap<Home, SetSum>,
    /// Up to when the node had closed its homes before it summed them.
    pub closed: Stamp,
    /// Up to when the node knows a home to be stable.
    pub stable: BTreeMap<Home, Stamp>,
    /// Of the peer, where it holds all of a home: up to when whoever joins that is to have exactly what the peer has.
    pub settled: BTreeMap<Home, Stamp>,
}

/// What has happened to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The roots of this node's homes at the fence; a home that cannot be summed now is left out.
    OwnRoots(Roots),
    /// The same of the peer.
    PeerRoots(Roots),
    /// A page of this node's list.
    OwnPage {
        /// The elements after the place that was asked for, ascending.
        elements: Vec<Element>,
        /// Whether there are no more.
        last: bool,
    },
    /// A page of the peer's list.
    PeerPage {
        /// The elements after the place that was asked for, ascending.
        elements: Vec<Element>,
        /// Whether there are no more.
        last: bool,
    },
    /// A pull is over: these are stored here now, synced, or are known to be erased.
    Pulled(BTreeSet<RecordId>),
    /// A push is over: these are stored there now.
    Pushed(BTreeSet<RecordId>),
    /// The peer cannot be reached, refused, or said what makes no sense; or something here failed.
    Failed,
    /// Time has passed.
    Tick,
}

/// What a session asks the outside world to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Sum this node's homes up to the fence.
    ReadRoots {
        /// The last stamp that counts.
        fence: Stamp,
        /// Which.
        homes: BTreeSet<Home>,
    },
    /// Have the peer do the same.
    AskRoots {
        /// The last stamp that counts.
        fence: Stamp,
        /// Which.
        homes: BTreeSet<Home>,
    },
    /// List this node's elements of a home, up to the fence.
    ReadList {
        /// The last stamp that counts.
        fence: Stamp,
        /// The home.
        home: Home,
        /// The place to go on from; from the beginning if there is none.
        after: Option<(Stamp, RecordId)>,
        /// The most elements.
        limit: usize,
    },
    /// Have the peer do the same.
    AskList {
        /// The last stamp that counts.
        fence: Stamp,
        /// The home.
        home: Home,
        /// The place to go on from; from the beginning if there is none.
        after: Option<(Stamp, RecordId)>,
        /// The most elements.
        limit: usize,
    },
    /// Get these records from the peer and store them, merging.
    Pull {
        /// Their home.
        home: Home,
        /// Which; at least one.
        ids: BTreeSet<RecordId>,
    },
    /// Have the peer store these.
    Push {
        /// Their home.
        home: Home,
        /// Which; at least one.
        ids: BTreeSet<RecordId>,
    },
    /// The sums of these homes were equal at the fence.
    Same {
        /// By home, what was the same.
        homes: BTreeMap<Home, Same>,
        /// Up to where.
        fence: Stamp,
        /// Up to when both had closed their homes before they summed them.
        closed: Stamp,
    },
    /// This node has all that the peer has of these homes, up to the fence.
    Met {
        /// Which.
        homes: BTreeSet<Home>,
        /// Up to where.
        fence: Stamp,
    },
    /// The last output.
    Finished(Summary),
}

/// What a session came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// With whom.
    pub peer: NodeId,
    /// Up to where was compared.
    pub fence: Stamp,
    /// Whether it went through to the end. If not, the homes that it got to are in `homes` all the same.
    pub complete: bool,
    /// The homes that were compared. A home in which nothing is missing on either side has the default.
    pub homes: BTreeMap<Home, Difference>,
}

/// The machine of one session. See the module.
#[derive(Clone, Debug)]
pub struct Session {
    settings: Settings,
    direction: Direction,
    own: Option<Roots>,
    theirs: Option<Roots>,
    /// The homes that differ and are not compared yet.
    differing: BTreeSet<Home>,
    current: Option<Current>,
    summary: Summary,
    /// When the session is given up unless something is heard before.
    give_up_at: Millis,
    done: bool,
}

impl Session {
    /// Starts to compare `homes` with `peer` up to `fence`, which lies a little back, so that no write is under way to it.
    pub fn start(
        settings: Settings,
        direction: Direction,
        peer: NodeId,
        homes: BTreeSet<Home>,
        fence: Stamp,
        now: Millis,
        out: &mut Vec<Output>,
    ) -> Self {
        out.push(Output::ReadRoots { fence, homes: homes.clone() });
        out.push(Output::AskRoots { fence, homes });
        Self {
            settings,
            direction,
            own: None,
            theirs: None,
            differing: BTreeSet::new(),
            current: None,
            summary: Summary { peer, fence, complete: false, homes: BTreeMap::new() },
            give_up_at: now + settings.patience,
            done: false,
        }
    }

    /// Takes one step. `now` never goes back.
    pub fn handle(&mut self, input: Input, now: Millis, out: &mut Vec<Output>) {
        if self.done {
            return;
        }
        if input == Input::Tick {
            if now >= self.give_up_at {
                self.finish(false, out);
            }
            return;
        }
        self.give_up_at = now + self.settings.patience;
        if self.take(input, out).is_err() {
            self.finish(false, out);
        }
    }

    /// When the next [`Input::Tick`] is due; `None` once it has finished.
    pub fn wake_at(&self) -> Option<Millis> {
        (!self.done).then_some(self.give_up_at)
    }

    fn take(&mut self, input: Input, out: &mut Vec<Output>) -> Result<(), Disorder> {
        match input {
            Input::OwnRoots(roots) => self.own = Some(roots),
            Input::PeerRoots(roots) => self.theirs = Some(roots),
            Input::OwnPage { elements, last } => self.current_mut()?.merge.add(Of::Own, &elements, last)?,
            Input::PeerPage { elements, last } => self.current_mut()?.merge.add(Of::Peer, &elements, last)?,
            Input::Pulled(ids) => self.current_mut()?.pulled(&ids)?,
            Input::Pushed(ids) => self.current_mut()?.pushed(&ids)?,
            Input::Failed => return Err(Disorder),
            Input::Tick => {}
        }
        self.compare_roots(out);
        self.go_on(out);
        Ok(())
    }

    fn current_mut(&mut self) -> Result<&mut Current, Disorder> {
        self.current.as_mut().ok_or(Disorder)
    }

    /// Once both roots are here: who has equal ones has met, the others are listed.
    fn compare_roots(&mut self, out: &mut Vec<Output>) {
        if self.own.is_none() || self.theirs.is_none() {
            return;
        }
        let (own, theirs) = (self.own.take().unwrap_or_default(), self.theirs.take().unwrap_or_default());
        let closed = own.closed.min(theirs.closed);
        let both = own.sums.into_iter().filter_map(|(home, sum)| {
            let theirs = theirs.sums.get(&home)?;
            Some((home, (sum == *theirs).then_some(sum)))
        });
        let (equal, differing): (Vec<_>, Vec<_>) = both.partition(|(_, equal)| equal.is_some());
        let stable = |home: &Home| theirs.stable.get(home).copied();
        let same = |(home, sum): (Home, Option<SetSum>)| Some((home, Same { sum: sum?, stable: stable(&home) }));
        let same: BTreeMap<_, _> = equal.into_iter().filter_map(same).collect();
        let homes: BTreeSet<_> = same.keys().copied().collect();
        self.summary.homes.extend(homes.iter().map(|home| (*home, Difference::default())));
        self.differing = differing.into_iter().map(|(home, _)| home).collect();
        if !homes.is_empty() {
            let fence = self.summary.fence;
            out.push(Output::Same { homes: same, fence, closed });
            out.push(Output::Met { homes, fence });
        }
        self.next_home(out);
    }

    fn next_home(&mut self, out: &mut Vec<Output>) {
        match self.differing.pop_first() {
            Some(home) => self.current = Some(Current::new(home, self.summary.fence, self.settings.piece_elements)),
            None => self.finish(true, out),
        }
    }

    /// Works on the present home, and on the next ones, until something is needed from outside.
    fn go_on(&mut self, out: &mut Vec<Output>) {
        while let Some(current) = &mut self.current {
            if current.is_waiting() {
                return;
            }
            match current.go_on() {
                Step::Needs(needs) => return self.ask(&needs, out),
                Step::Piece => self.repair(out),
                Step::Done => self.leave_home(out),
            }
        }
    }

    fn ask(&self, needs: &[(Of, Option<Place>)], out: &mut Vec<Output>) {
        let Some(Current { home, .. }) = self.current else { return };
        let (fence, limit) = (self.summary.fence, self.settings.page_elements.max(1));
        out.extend(needs.iter().map(|(of, after)| match of {
            Of::Own => Output::ReadList { fence, home, after: *after, limit },
            Of::Peer => Output::AskList { fence, home, after: *after, limit },
        }));
    }

    fn repair(&mut self, out: &mut Vec<Output>) {
        let Some(current) = &mut self.current else { return };
        let (home, [pull, push]) = (current.home, current.take_piece(self.direction));
        out.extend((!pull.is_empty()).then_some(Output::Pull { home, ids: pull }));
        out.extend((!push.is_empty()).then_some(Output::Push { home, ids: push }));
    }

    fn leave_home(&mut self, out: &mut Vec<Output>) {
        let Some(current) = self.current.take() else { return };
        if current.met {
            out.push(Output::Met { homes: [current.home].into(), fence: self.summary.fence });
        }
        self.summary.homes.insert(current.home, current.difference);
        self.next_home(out);
    }

    fn finish(&mut self, complete: bool, out: &mut Vec<Output>) {
        self.done = true;
        self.current = None;
        let homes = std::mem::take(&mut self.summary.homes);
        out.push(Output::Finished(Summary { complete, homes, ..self.summary.clone() }));
    }
}
