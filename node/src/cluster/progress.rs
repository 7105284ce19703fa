//! How far the members are with what the leader waits for before it takes the next step: homes that have arrived, and nodes
//! that have nothing left to give away.
//!
//! It decides nothing; the steps are those of [`cluster::control::State::next`].

use super::Cluster;
use super::handovers::held;
use ::cluster::control::State;
use ::cluster::placement::Table;
use ::cluster::reconcile::parting::Parting;
use ::cluster::reconcile::strays;
use ::cluster::{Epoch, NodeId};
use model::Home;
use proto::{HomeHints, Report};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// What each member said last of how far it is.
#[derive(Debug, Default)]
pub(crate) struct Progress(Mutex<BTreeMap<NodeId, Said>>);

#[derive(Debug)]
struct Said {
    epoch: Epoch,
    taken: BTreeSet<Home>,
    can_leave: bool,
}

impl Progress {
    /// A member has reported.
    pub(crate) fn note(&self, node: NodeId, report: &Report) {
        let said = Said { epoch: Epoch(report.epoch), taken: report.taken.clone(), can_leave: report.can_leave };
        self.insert(node, said);
    }

    fn insert(&self, node: NodeId, said: Said) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(node, said);
    }

    /// The homes in transit that each of their owners has taken from everybody who holds them, under the table of `state`.
    pub(crate) fn taken(&self, state: &State) -> BTreeSet<Home> {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(table) = state.table() else { return BTreeSet::new() };
        let has = |home: &Home, node: &NodeId| {
            said.get(node).is_some_and(|said| said.epoch == table.epoch() && said.taken.contains(home))
        };
        let is_taken = |home: &&Home| table.owners(**home).iter().all(|owner| has(home, owner));
        table.moves().keys().filter(is_taken).copied().collect()
    }

    /// The members that go by the table of `state`.
    pub(crate) fn there(&self, state: &State) -> BTreeSet<NodeId> {
        self.of(state, |_| true)
    }

    /// Those of them that hold nothing of others, and take nothing for them any more.
    pub(crate) fn empty(&self, state: &State) -> BTreeSet<NodeId> {
        self.of(state, |said| said.can_leave)
    }

    fn of(&self, state: &State, holds: impl Fn(&Said) -> bool) -> BTreeSet<NodeId> {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let epoch = state.table().map(Table::epoch);
        let current = said.iter().filter(|(_, said)| Some(said.epoch) == epoch && holds(said));
        current.map(|(node, _)| *node).collect()
    }
}

fn has_none(hints: &[HomeHints]) -> bool {
    #[cfg(feature = "planted")]
    if planted::is(planted::Bug::DrainForgetsHints) {
        return true;
    }
    hints.iter().all(|hints| hints.hints == 0)
}

impl Cluster {
    /// How many homes this node holds records of that are not its own, or is still taking out of its index; all of them if
    /// that cannot be told now.
    pub(super) fn homes_stray(&self) -> u16 {
        let state = self.control_state();
        let Some(table) = state.table() else { return 0 };
        let reader = self.local.reader();
        let going = strays(table, self.me, reader.going());
        let held = held(reader, table, self.me).map(|held| held.into_keys().chain(going).collect::<BTreeSet<_>>());
        held.map_or(Home::COUNT, |held| u16::try_from(held.len()).unwrap_or(u16::MAX))
    }

    /// How far this node is itself, with the hints that it holds.
    pub(super) fn note_own_progress(&self, hints: &[HomeHints]) {
        let is_spare = self.control_state().is_spare(self.me);
        let parting = self.health.part(is_spare, is_spare && self.homes_stray() == 0 && has_none(hints));
        let said = Said { epoch: self.epoch(), taken: self.taken(), can_leave: parting == Parting::Ready };
        self.progress.insert(self.me, said);
    }
}
