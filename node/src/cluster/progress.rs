//! How far the members are with what the leader waits for before it takes the next step: homes that have arrived, and nodes
//! that have nothing left to give away.
//!
//! It decides nothing; the steps are those of [`cluster::control::State::next`].

use super::Cluster;
use ::cluster::control::State;
use ::cluster::placement::Table;
use ::cluster::{Epoch, NodeId};
use model::Home;
use proto::Report;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// What each member said last of how far it is.
#[derive(Debug, Default)]
pub(crate) struct Progress(Mutex<BTreeMap<NodeId, Said>>);

#[derive(Debug)]
struct Said {
    epoch: Epoch,
    taken: BTreeSet<Home>,
    is_empty: bool,
}

impl Progress {
    /// A member has reported.
    pub(crate) fn note(&self, node: NodeId, report: &Report) {
        let said = Said {
            epoch: Epoch(report.epoch),
            taken: report.taken.clone(),
            is_empty: report.homes_stray == 0 && report.hints.iter().all(|hints| hints.hints == 0),
        };
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

    /// Those of them that hold nothing but what is theirs.
    pub(crate) fn empty(&self, state: &State) -> BTreeSet<NodeId> {
        self.of(state, |said| said.is_empty)
    }

    fn of(&self, state: &State, holds: impl Fn(&Said) -> bool) -> BTreeSet<NodeId> {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let epoch = state.table().map(Table::epoch);
        let current = said.iter().filter(|(_, said)| Some(said.epoch) == epoch && holds(said));
        current.map(|(node, _)| *node).collect()
    }
}

impl Cluster {
    /// How many homes this node holds records of that are not its own.
    pub(super) fn homes_stray(&self) -> u16 {
        let state = self.control_state();
        let Some(table) = state.table() else { return 0 };
        let reader = self.local.reader();
        let held = reader.homes().unwrap_or_default().into_iter().map(|(home, _)| home);
        let astray = ::cluster::reconcile::strays(table, self.me, held).into_iter();
        let with_records = astray.filter(|home| reader.holds_records(*home).unwrap_or(true));
        u16::try_from(with_records.count()).unwrap_or(u16::MAX)
    }
}
