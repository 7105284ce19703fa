//! The state that every node of a cluster shares, and the one way to change it.

use super::{Command, Member, Setting, Settings, ZONE_BYTES_MAX};
use crate::id::{ClusterId, Epoch, NodeId};
use crate::placement::{self, COPIES_MAX, NODES_MAX, PlanError, Table, homes, plan};
use crate::wire::{self, WireError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The first byte of an encoded state.
const VERSION: u8 = 1;

/// Members, placement and settings. Before the founding there is nothing in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    founded: Option<Founded>,
    history: History,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Founded {
    cluster: ClusterId,
    members: BTreeMap<NodeId, Member>,
    settings: Settings,
    table: Table,
}

/// How many commands were applied since the founding, itself included, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// Those that changed something.
    pub changed: u64,
    /// Those that asked for what was so already.
    pub unchanged: u64,
    /// Those that were refused.
    pub refused: u64,
}

/// What became of a command. The same on every node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The state is another.
    Changed,
    /// It was so already: asking again is harmless.
    Unchanged,
    /// Nothing changed, and nothing will if it is asked again as it is.
    Refused(Refusal),
}

/// Why a command changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// Found first.
    #[error("there is no cluster yet")]
    NotFounded,
    /// Other nodes founded a cluster here. Join it.
    #[error("cluster {0} exists already, with other founders")]
    OtherCluster(ClusterId),
    /// No members, or more than [`NODES_MAX`].
    #[error("a cluster has 1 to {NODES_MAX} members, not {0}")]
    Members(usize),
    /// Its key is another node's, its zone's name is too long, or its range of versions is empty. Correct its settings.
    #[error("node {0} has another node's key, a zone longer than {ZONE_BYTES_MAX} bytes, or versions from high to low")]
    Member(NodeId),
    /// It is no member.
    #[error("node {0} is not a member")]
    Stranger(NodeId),
    /// More copies than a table can hold.
    #[error("{0} copies, but a home has at most {COPIES_MAX}")]
    Copies(u8),
    /// The table was made from an older one. Plan again from the present one.
    #[error("the table has epoch {given}, the next is {next}", given = .0.0, next = .1.0)]
    Epoch(Epoch, Epoch),
}

impl Outcome {
    /// Its bytes, for whoever asked another node: a version, then postcard.
    pub fn encode(&self) -> Vec<u8> {
        wire::encode(VERSION, self)
    }

    /// The inverse of [`Outcome::encode`].
    ///
    /// # Errors
    ///
    /// [`WireError`] for bytes that `encode` of this release cannot have made.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        wire::decode(VERSION, bytes)
    }
}

impl State {
    /// The cluster; `None` before the founding.
    pub fn cluster(&self) -> Option<ClusterId> {
        self.founded.as_ref().map(|founded| founded.cluster)
    }

    /// Its members by id; `None` before the founding.
    pub fn members(&self) -> Option<&BTreeMap<NodeId, Member>> {
        self.founded.as_ref().map(|founded| &founded.members)
    }

    /// The placement table that counts; `None` before the founding.
    pub fn table(&self) -> Option<&Table> {
        self.founded.as_ref().map(|founded| &founded.table)
    }

    /// What holds for the whole cluster; `None` before the founding.
    pub fn settings(&self) -> Option<Settings> {
        self.founded.as_ref().map(|founded| founded.settings)
    }

    /// What has been applied so far.
    pub fn history(&self) -> History {
        self.history
    }

    /// The table that is to follow the present one: planned if a home has not as many owners as settings and members ask
    /// for; `None` if all have, or there is no cluster. Only who leads proposes it; whoever else does is refused by its epoch.
    ///
    /// # Errors
    ///
    /// [`PlanError`] if there is no plan.
    pub fn next_table(&self) -> Result<Option<Table>, PlanError> {
        let Some(Founded { members, settings, table, .. }) = &self.founded else { return Ok(None) };
        let copies = usize::from(settings.replication_factor.get()).min(members.len());
        if homes().all(|home| table.owners(home).len() == copies) {
            return Ok(None);
        }
        let zone = |(id, member): (&NodeId, &Member)| placement::Member { id: *id, zone: member.zone.clone() };
        let nodes: Vec<_> = members.iter().map(zone).collect();
        plan(Some(table), &nodes, settings.replication_factor).map(Some)
    }

    /// Applies one command. Deterministic, total, and independent of everything but its arguments.
    pub fn apply(&mut self, command: &Command) -> Outcome {
        let outcome = match self.changed(command) {
            Ok(next) if Some(&next) == self.founded.as_ref() => Outcome::Unchanged,
            Ok(next) => {
                self.founded = Some(next);
                Outcome::Changed
            }
            Err(refusal) => Outcome::Refused(refusal),
        };
        match outcome {
            Outcome::Changed => self.history.changed += 1,
            Outcome::Unchanged => self.history.unchanged += 1,
            Outcome::Refused(_) => self.history.refused += 1,
        }
        outcome
    }

    /// What the command makes of the cluster.
    fn changed(&self, command: &Command) -> Result<Founded, Refusal> {
        if let Command::Found { members, settings, table } = command {
            return self.founding(members, *settings, table);
        }
        let mut next = self.founded.clone().ok_or(Refusal::NotFounded)?;
        match command {
            Command::Found { .. } => {}
            Command::UpdateMember { node, member } => {
                check_member(*node, member)?;
                let known = next.members.get_mut(node).ok_or(Refusal::Stranger(*node))?;
                if known.key != member.key {
                    return Err(Refusal::Member(*node));
                }
                *known = member.clone();
            }
            Command::SetSetting(Setting::ReplicationFactor(copies)) => next.settings.replication_factor = *copies,
            Command::SetTable(table) => next.set_table(table)?,
        }
        check_settings(next.settings)?;
        Ok(next)
    }

    /// The cluster as the first of the founders proposed it; the same list again changes nothing.
    fn founding(
        &self,
        members: &BTreeMap<NodeId, Member>,
        settings: Settings,
        table: &Table,
    ) -> Result<Founded, Refusal> {
        let cluster = ClusterId::of(members.keys().copied());
        if let Some(founded) = &self.founded {
            return if founded.cluster == cluster {
                Ok(founded.clone())
            } else {
                Err(Refusal::OtherCluster(founded.cluster))
            };
        }
        if table.epoch() != Epoch(1) {
            return Err(Refusal::Epoch(table.epoch(), Epoch(1)));
        }
        let founded = Founded { cluster, members: members.clone(), settings, table: table.clone() };
        founded.check()?;
        Ok(founded)
    }

    /// Its bytes, for a snapshot: a version, then postcard. Of the order of 100 bytes a member and 3 a home.
    pub fn encode(&self) -> Vec<u8> {
        wire::encode(VERSION, self)
    }

    /// The inverse of [`State::encode`].
    ///
    /// # Errors
    ///
    /// [`WireError`] for bytes that `encode` of this release cannot have made.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let state: Self = wire::decode(VERSION, bytes)?;
        let sound = state.founded.as_ref().is_none_or(|founded| founded.check().is_ok());
        if sound { Ok(state) } else { Err(WireError::Bytes) }
    }
}

impl Founded {
    /// Takes the next table, or the present one once more.
    fn set_table(&mut self, table: &Table) -> Result<(), Refusal> {
        let next = Epoch(self.table.epoch().0 + 1);
        if *table == self.table {
            return Ok(());
        }
        if table.epoch() != next {
            return Err(Refusal::Epoch(table.epoch(), next));
        }
        self.check_owners(table)?;
        self.table = table.clone();
        Ok(())
    }

    fn check(&self) -> Result<(), Refusal> {
        if !(1..=NODES_MAX).contains(&self.members.len()) {
            return Err(Refusal::Members(self.members.len()));
        }
        self.members.iter().try_for_each(|(node, member)| check_member(*node, member))?;
        check_settings(self.settings)?;
        self.check_owners(&self.table)
    }

    fn check_owners(&self, table: &Table) -> Result<(), Refusal> {
        let stranger = table.nodes().into_iter().find(|node| !self.members.contains_key(node));
        stranger.map_or(Ok(()), |node| Err(Refusal::Stranger(node)))
    }
}

fn check_member(node: NodeId, member: &Member) -> Result<(), Refusal> {
    let sound =
        member.key.node() == node && member.zone.len() <= ZONE_BYTES_MAX && member.versions.min <= member.versions.max;
    if sound { Ok(()) } else { Err(Refusal::Member(node)) }
}

fn check_settings(settings: Settings) -> Result<(), Refusal> {
    let copies = settings.replication_factor.get();
    if copies <= COPIES_MAX { Ok(()) } else { Err(Refusal::Copies(copies)) }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
