//! What is held here for others, on its way to them: hints.
//!
//! [`Replay`] decides and does nothing else: it never reads a record, sends or forgets one itself. It goes over what is held,
//! a window at a time and over and over: asks every owner which ids it has synced, sends it the others, and discharges
//! what all have. This node may be an owner itself, and is then asked like any other. Homes that moved away are handed over
//! whole, by [`crate::reconcile::handover`].
//!
//! Invariants: an id is discharged only once every owner in the newest table has confirmed it under that table; nobody is
//! sent what it has confirmed, nor more than it said it would take; one call to a node is under way at a time; memory is
//! bounded by [`Settings::window`]; nothing expires.

mod node;
#[cfg(test)]
mod tests;

use crate::id::{Epoch, Millis, NodeId};
use crate::placement::Table;
use model::{Home, RecordId};
use node::{Call, Kind, Node};
use std::collections::{BTreeMap, BTreeSet};

/// What is held, by home and id.
pub type Place = (Home, RecordId);

/// What a replay may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The most ids in hand at a time, and so the most of one [`Output::Confirm`]; at least 1.
    pub window: usize,
    /// The most records of one [`Output::Store`], at least 1, even if the receiver takes more.
    pub store_records: usize,
    /// How long an answer may take.
    pub patience: Millis,
    /// The pause after a failed call, and until a receiver is asked again that takes nothing. It doubles with each failure.
    pub pause_min: Millis,
    /// The longest pause after a failed call.
    pub pause_max: Millis,
    /// The pause after everything that is held was gone over.
    pub rest: Millis,
    /// How soon a home is gone over again of which some owner was away, unless that owner is back before.
    pub revisit: Millis,
}

/// What has happened to a replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// What is held after the place that was asked for, ascending.
    Held {
        /// Not more than asked for.
        places: Vec<Place>,
        /// Whether there is no more. Also what to say if it cannot be read now.
        last: bool,
    },
    /// A node says which of the ids it was asked about it has synced as an owner, or knows to be erased.
    Confirmed {
        /// The number of the call.
        call: u64,
        /// Who.
        by: NodeId,
        /// Which.
        synced: BTreeSet<RecordId>,
    },
    /// A node says which of the records it was sent it has synced, or knows to be erased.
    Stored {
        /// The number of the call.
        call: u64,
        /// Who.
        by: NodeId,
        /// Which.
        synced: BTreeSet<RecordId>,
        /// How many records it takes next; 0: none for a while. Heeded whichever call it answers.
        takes_next: usize,
    },
    /// A call broke, or was refused as a whole.
    Failed {
        /// The number of the call.
        call: u64,
        /// Whose answer it was to be.
        by: NodeId,
    },
    /// This node is thought to be back: worth a call at once.
    Up(NodeId),
    /// Time has passed.
    Tick,
}

/// What a replay asks the outside world to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Read what is held, in the order of home and id.
    Read {
        /// The place to go on from; from the beginning if there is none.
        after: Option<Place>,
        /// The most places.
        limit: usize,
    },
    /// Ask an owner which of these it has synced.
    Confirm {
        /// The number of the call.
        call: u64,
        /// The owner; it may be this node.
        to: NodeId,
        /// Which.
        places: BTreeSet<Place>,
    },
    /// Have an owner store these.
    Store {
        /// The number of the call.
        call: u64,
        /// The owner; it may be this node.
        to: NodeId,
        /// Which.
        places: BTreeSet<Place>,
    },
    /// Every owner has these: they need not be held here for others any more.
    Discharge(BTreeSet<Place>),
}

/// What an owner has of one record, as far as this pass knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Has {
    Unknown,
    Not,
    Synced,
    /// It would not take it.
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Resting(Millis),
    Reading,
    Working,
}

/// The machine of a replay. See the module.
#[derive(Clone, Debug)]
pub struct Replay {
    settings: Settings,
    table: Table,
    phase: Phase,
    /// Up to where this pass has come, and whether nothing comes after that.
    cursor: Option<Place>,
    ended: bool,
    window: BTreeMap<Place, BTreeMap<NodeId, Has>>,
    nodes: BTreeMap<NodeId, Node>,
    /// Homes not to be gone over before a time, because an owner was away.
    postponed: BTreeMap<Home, Millis>,
    calls: u64,
    /// The time of the last step.
    now: Millis,
}

impl Replay {
    /// A replay under `table` that begins at once.
    pub fn start(settings: Settings, table: Table, now: Millis, out: &mut Vec<Output>) -> Self {
        let mut replay = Self {
            settings,
            table,
            phase: Phase::Resting(now),
            cursor: None,
            ended: true,
            window: BTreeMap::new(),
            nodes: BTreeMap::new(),
            postponed: BTreeMap::new(),
            calls: 0,
            now,
        };
        replay.go_on(now, out);
        replay
    }

    /// Another table counts: what was confirmed under the old one counts no more. Older tables are ignored.
    pub fn retable(&mut self, table: Table, now: Millis, out: &mut Vec<Output>) {
        if table.epoch() <= self.epoch() {
            return;
        }
        self.table = table;
        let owners = self.table.nodes();
        self.nodes.retain(|node, _| owners.contains(node));
        self.nodes.values_mut().for_each(Node::forget_call);
        self.postponed.clear();
        let places: Vec<_> = std::mem::take(&mut self.window).into_keys().collect();
        self.fill(places);
        self.go_on(now, out);
    }

    /// The epoch of the table that it goes by.
    pub fn epoch(&self) -> Epoch {
        self.table.epoch()
    }

    /// Takes one step. `now` never goes back.
    pub fn handle(&mut self, input: Input, now: Millis, out: &mut Vec<Output>) {
        match input {
            Input::Held { places, last } => self.held(places, last),
            Input::Confirmed { call, by, synced } => {
                if let Some(done) = self.answered(by, call) {
                    self.note(by, &done.places, &synced, Has::Not);
                }
            }
            Input::Stored { call, by, synced, takes_next } => {
                if let Some(done) = self.answered(by, call) {
                    self.note(by, &done.places, &synced, Has::Refused);
                }
                if let Some(node) = self.nodes.get_mut(&by) {
                    node.takes(takes_next, now, &self.settings);
                }
            }
            Input::Failed { call, by } => {
                if self.nodes.get_mut(&by).and_then(|node| node.take_call(call)).is_some() {
                    self.failed(by, now);
                }
            }
            Input::Up(node) => self.is_back(node),
            Input::Tick => {}
        }
        self.go_on(now, out);
    }

    /// When the next [`Input::Tick`] is due at the latest; `None` if nothing is before an answer.
    pub fn wake_at(&self) -> Option<Millis> {
        match self.phase {
            Phase::Resting(until) => Some(until),
            Phase::Reading => None,
            Phase::Working => self.nodes.values().filter_map(|node| node.wake_at(self.now)).min(),
        }
    }

    /// The call that is answered, if it is the one that is under way: others are of an older table, or too late.
    fn answered(&mut self, by: NodeId, call: u64) -> Option<Call> {
        let node = self.nodes.get_mut(&by)?;
        let done = node.take_call(call)?;
        if node.is_failing() {
            self.is_back(by);
        }
        Some(done)
    }

    /// Homes that waited for this node wait no longer.
    fn is_back(&mut self, node: NodeId) {
        self.nodes.entry(node).or_default().is_back();
        self.postponed.retain(|home, _| !self.table.owns(node, *home));
    }

    fn failed(&mut self, node: NodeId, now: Millis) {
        self.nodes.entry(node).or_default().failed(now, &self.settings);
    }

    fn note(&mut self, by: NodeId, places: &BTreeSet<Place>, synced: &BTreeSet<RecordId>, otherwise: Has) {
        for place in places {
            if let Some(has) = self.window.get_mut(place).and_then(|owners| owners.get_mut(&by)) {
                *has = if synced.contains(&place.1) { Has::Synced } else { otherwise };
            }
        }
    }

    fn held(&mut self, places: Vec<Place>, last: bool) {
        if self.phase != Phase::Reading {
            return;
        }
        self.cursor = places.last().copied().or(self.cursor);
        self.ended = last;
        self.phase = Phase::Working;
        self.fill(places);
    }

    /// Takes places into the window, but for homes that were postponed; those are passed over whole.
    fn fill(&mut self, places: Vec<Place>) {
        self.pass_over_postponed();
        for (home, id) in places.into_iter().filter(|(home, _)| !self.postponed.contains_key(home)) {
            let owners = self.table.owners(home).iter().map(|owner| (*owner, Has::Unknown)).collect();
            self.window.insert((home, id), owners);
        }
    }

    fn go_on(&mut self, now: Millis, out: &mut Vec<Output>) {
        self.now = now;
        if self.phase == Phase::Working {
            self.give_up_calls(now);
            self.discharge(out);
            self.call(now, out);
            self.leave_window(now);
        }
        let rested = matches!(self.phase, Phase::Resting(until) if now >= until);
        if rested || (self.phase == Phase::Working && self.window.is_empty() && !self.ended) {
            self.read(rested, now, out);
        } else if self.phase == Phase::Working && self.window.is_empty() {
            self.phase = Phase::Resting(now + self.settings.rest);
        }
    }

    fn read(&mut self, from_the_beginning: bool, now: Millis, out: &mut Vec<Output>) {
        if from_the_beginning {
            self.cursor = None;
            self.postponed.retain(|_, until| now < *until);
        }
        self.phase = Phase::Reading;
        out.push(Output::Read { after: self.cursor, limit: self.settings.window.max(1) });
    }

    fn give_up_calls(&mut self, now: Millis) {
        let late: Vec<_> = self.nodes.iter().filter(|(_, node)| node.is_late(now)).map(|(id, _)| *id).collect();
        for id in late {
            self.nodes.entry(id).or_default().forget_call();
            self.failed(id, now);
        }
    }

    fn discharge(&mut self, out: &mut Vec<Output>) {
        let all = |owners: &BTreeMap<NodeId, Has>| owners.values().all(|has| *has == Has::Synced);
        #[cfg(feature = "planted")]
        let all = |owners: &BTreeMap<NodeId, Has>| {
            let by_one = planted::is(planted::Bug::HintDischargedByOneOwner);
            all(owners) || (by_one && owners.values().any(|has| *has == Has::Synced))
        };
        let done: BTreeSet<_> = self.window.iter().filter(|(_, o)| all(o)).map(|(place, _)| *place).collect();
        self.window.retain(|place, _| !done.contains(place));
        out.extend((!done.is_empty()).then_some(Output::Discharge(done)));
    }

    /// Makes the next call to every owner that has none under way: what it lacks first, then what is not known.
    fn call(&mut self, now: Millis, out: &mut Vec<Output>) {
        let owners: BTreeSet<_> = self.window.values().flat_map(|owners| owners.keys().copied()).collect();
        for to in owners {
            let node = self.nodes.entry(to).or_default();
            if !node.may_be_called(now) {
                continue;
            }
            let most = node.takes_now().min(self.settings.store_records.max(1));
            let wanted = |wanted: Has| {
                let of_node = self.window.iter().filter(move |(_, owners)| owners.get(&to) == Some(&wanted));
                of_node.map(|(place, _)| *place)
            };
            let lacking: BTreeSet<_> = wanted(Has::Not).take(most).collect();
            let unknown: BTreeSet<_> = wanted(Has::Unknown).collect();
            let (kind, places) = if lacking.is_empty() { (Kind::Confirm, unknown) } else { (Kind::Store, lacking) };
            if places.is_empty() {
                continue;
            }
            self.calls += 1;
            let call = self.calls;
            node.call(Call { number: call, places: places.clone(), until: now + self.settings.patience });
            out.push(match kind {
                Kind::Confirm => Output::Confirm { call, to, places },
                Kind::Store => Output::Store { call, to, places },
            });
        }
    }

    /// Drops what waits only for owners that are away, and postpones its homes.
    fn leave_window(&mut self, now: Millis) {
        let nodes = &self.nodes;
        let is_open = |(owner, has): (&NodeId, &Has)| match has {
            Has::Unknown | Has::Not => !nodes.get(owner).is_some_and(|node| node.is_away(now)),
            Has::Synced | Has::Refused => false,
        };
        if self.window.values().any(|owners| owners.iter().any(is_open)) {
            return;
        }
        let left: BTreeSet<_> = std::mem::take(&mut self.window).into_keys().map(|(home, _)| home).collect();
        self.postponed.extend(left.into_iter().map(|home| (home, now + self.settings.revisit)));
        self.pass_over_postponed();
    }

    /// If the pass stands in a home that is postponed, it goes on behind it.
    fn pass_over_postponed(&mut self) {
        if let Some((home, _)) = self.cursor.filter(|(home, _)| self.postponed.contains_key(home)) {
            self.cursor = Some((home, RecordId([u8::MAX; 32])));
        }
    }
}
