//! The state that every node of a cluster shares, and the one way to change it.

use super::{Command, Member, Setting, Settings, Version, ZONE_BYTES_MAX, steps};
use crate::id::{ClusterId, Epoch, NodeId};
use crate::placement::{self, COPIES_MAX, NODES_MAX, PlanError, Table, homes, plan};
use crate::wire::{self, WireError};
use model::Home;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU8;

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
    goal: Table,
    /// What the goal was planned for.
    planned_for: Basis,
    /// Members that give away what they own.
    draining: BTreeSet<NodeId>,
    /// Who was a member once and is never one again.
    removed: BTreeSet<NodeId>,
    paused: bool,
    /// What may be written and sent.
    active: Version,
}

/// What a plan depends on, besides the plan before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Basis {
    /// Who may own homes, and in which zone it is.
    zones: BTreeMap<NodeId, String>,
    copies: NonZeroU8,
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
    /// An id is used once. Start the node with an empty data folder: it gets a new one.
    #[error("node {0} was removed from this cluster, and an id never comes back")]
    Removed(NodeId),
    /// Somebody has to keep what there is. Admit another node first.
    #[error("node {0} is the last that may own anything")]
    Last(NodeId),
    /// Bring the node back, or restore what it had from a backup.
    #[error("nobody but node {0} has all of one of its homes")]
    OnlyCopy(NodeId),
    /// Plan again: members were drained or removed meanwhile, or it is in transit.
    #[error("the goal gives homes to nodes that may not own any")]
    Goal,
    /// Run a release on it that speaks the active version, or found with builds that have one in common.
    #[error("node {0} does not speak version {1}")]
    Mute(NodeId, Version),
    /// Versions are activated one after the other, and there is no way back. Ask for the next one.
    #[error("version {active} is active; the next is {next}, and there is no way back", active = .0, next = .1)]
    Order(Version, Version),
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

    /// Where the table is to get; `None` before the founding. Its epoch counts the goals.
    pub fn goal(&self) -> Option<&Table> {
        self.founded.as_ref().map(|founded| &founded.goal)
    }

    /// What may be written and sent; `None` before the founding.
    pub fn active_version(&self) -> Option<Version> {
        self.founded.as_ref().map(|founded| founded.active)
    }

    /// The members that give away what they own.
    pub fn draining(&self) -> impl Iterator<Item = NodeId> {
        self.founded.iter().flat_map(|founded| &founded.draining).copied()
    }

    /// Whether this member is to leave, has no home, and is to get none.
    pub fn is_spare(&self, node: NodeId) -> bool {
        self.founded.as_ref().is_some_and(|founded| founded.draining.contains(&node) && !founded.is_needed(node))
    }

    /// Who was a member once and is never one again.
    pub fn removed(&self) -> impl Iterator<Item = NodeId> {
        self.founded.iter().flat_map(|founded| &founded.removed).copied()
    }

    /// Whether this was a member once and is never one again.
    pub fn was_removed(&self, node: NodeId) -> bool {
        self.founded.as_ref().is_some_and(|founded| founded.removed.contains(&node))
    }

    /// Whether no further home sets out.
    pub fn is_paused(&self) -> bool {
        self.founded.as_ref().is_some_and(|founded| founded.paused)
    }

    /// The command that is next on the way to what settings and members ask for; `None` if nothing is to be done now. Only
    /// who leads proposes it; whoever else does is refused by its epoch.
    ///
    /// What members have reported, going by the present table: `taken` are the homes in transit of which every owner has taken
    /// all that each reader holds, `there` the members that go by it, and `empty` those of them that hold no record of a home
    /// that is not theirs, and no hint. Cost: that of a plan if members or settings have changed.
    ///
    /// # Errors
    ///
    /// [`PlanError`] if there is no plan.
    pub fn next(
        &self,
        taken: &BTreeSet<Home>,
        there: &BTreeSet<NodeId>,
        empty: &BTreeSet<NodeId>,
    ) -> Result<Option<Command>, PlanError> {
        let Some(founded) = &self.founded else { return Ok(None) };
        let basis = founded.basis();
        if basis != founded.planned_for && !basis.zones.is_empty() {
            let zone = |(id, zone): (&NodeId, &String)| placement::Member { id: *id, zone: zone.clone() };
            let nodes: Vec<_> = basis.zones.iter().map(zone).collect();
            return Ok(Some(Command::SetGoal(plan(Some(&founded.goal), &nodes, basis.copies)?)));
        }
        if let Ok(Some(table)) = steps::next(&founded.table, &founded.goal, taken, there, founded.paused) {
            return Ok(Some(Command::SetTable(table)));
        }
        let mut gone = founded.draining.iter().filter(|node| empty.contains(node) && !founded.is_needed(**node));
        Ok(gone.next().map(|node| Command::Remove { node: *node }))
    }

    /// The state after a command, and the goal that is planned then: what an operator is shown before it is done.
    ///
    /// # Errors
    ///
    /// The [`Refusal`] that the command would meet now.
    pub fn what_if(&self, command: &Command) -> Result<Self, Refusal> {
        let mut then = self.clone();
        if let Outcome::Refused(refusal) = then.apply(command) {
            return Err(refusal);
        }
        then.set_out();
        Ok(then)
    }

    /// How many homes are still to move, by the goal that members and settings ask for, planned already or not.
    pub fn homes_to_move(&self) -> usize {
        let Some(founded) = &self.founded else { return 0 };
        if founded.basis() == founded.planned_for {
            return steps::left(&founded.table, &founded.goal);
        }
        let mut then = self.clone();
        then.set_out();
        then.table().zip(then.goal()).map_or(0, |(table, goal)| steps::left(table, goal))
    }

    /// Whether a command has been carried out: asked for again, it changes nothing.
    pub fn has_done(&self, command: &Command) -> bool {
        self.changed(command).is_ok_and(|next| Some(&next) == self.founded.as_ref())
    }

    /// Plans the goal, if it is not planned.
    fn set_out(&mut self) {
        let nobody = BTreeSet::new();
        if let Ok(Some(goal @ Command::SetGoal(_))) = self.next(&BTreeSet::new(), &nobody, &nobody) {
            self.apply(&goal);
        }
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
                next.must_speak(*node, member)?;
            }
            Command::SetSetting(Setting::ReplicationFactor(copies)) => next.settings.replication_factor = *copies,
            Command::SetTable(table) => next.set_table(table)?,
            Command::SetGoal(goal) => next.set_goal(goal)?,
            Command::Admit { node, member } => next.admit(*node, member)?,
            Command::Drain { node, leaves } => next.drain(*node, *leaves)?,
            Command::Remove { node } => next.remove(*node)?,
            Command::Replace { old, node, member } => {
                next.admit(*node, member)?;
                next.remove(*old)?;
            }
            Command::Pause(paused) => next.paused = *paused,
            Command::Activate(version) => next.activate(*version)?,
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
        let mut founded = Founded {
            cluster,
            members: members.clone(),
            settings,
            table: table.clone(),
            goal: table.clone(),
            planned_for: Basis { zones: BTreeMap::new(), copies: settings.replication_factor },
            draining: BTreeSet::new(),
            removed: BTreeSet::new(),
            paused: false,
            // The oldest that all of them speak: who founds with later builds can still go back to the ones before.
            active: members.values().map(|member| member.versions.min).max().unwrap_or(Version(1)),
        };
        founded.planned_for = founded.basis();
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
    fn basis(&self) -> Basis {
        let stay = self.members.iter().filter(|(node, _)| !self.draining.contains(node));
        let zones = stay.map(|(node, member)| (*node, member.zone.clone())).collect();
        Basis { zones, copies: self.settings.replication_factor }
    }

    /// Whether a node is to have records of some home, now or at the goal.
    fn is_needed(&self, node: NodeId) -> bool {
        homes().any(|home| self.table.holds(node, home) || self.goal.owns(node, home))
    }

    fn set_goal(&mut self, goal: &Table) -> Result<(), Refusal> {
        let (next, basis) = (Epoch(self.goal.epoch().0 + 1), self.basis());
        if *goal == self.goal && basis == self.planned_for {
            return Ok(());
        }
        if goal.epoch() != next {
            return Err(Refusal::Epoch(goal.epoch(), next));
        }
        if !goal.moves().is_empty() || goal.nodes().iter().any(|node| !basis.zones.contains_key(node)) {
            return Err(Refusal::Goal);
        }
        (self.goal, self.planned_for) = (goal.clone(), basis);
        Ok(())
    }

    fn admit(&mut self, node: NodeId, member: &Member) -> Result<(), Refusal> {
        check_member(node, member)?;
        self.must_speak(node, member)?;
        if self.removed.contains(&node) {
            return Err(Refusal::Removed(node));
        }
        self.members.entry(node).or_insert_with(|| member.clone());
        if self.members.len() <= NODES_MAX { Ok(()) } else { Err(Refusal::Members(self.members.len())) }
    }

    fn drain(&mut self, node: NodeId, leaves: bool) -> Result<(), Refusal> {
        self.must_be_member(node)?;
        if leaves {
            self.draining.insert(node);
        } else {
            self.draining.remove(&node);
        }
        if self.draining.len() < self.members.len() { Ok(()) } else { Err(Refusal::Last(node)) }
    }

    fn remove(&mut self, node: NodeId) -> Result<(), Refusal> {
        if self.removed.contains(&node) {
            return Ok(());
        }
        self.must_be_member(node)?;
        self.table = if self.table.nodes().contains(&node) {
            steps::without(&self.table, node).ok_or(Refusal::OnlyCopy(node))?
        } else {
            self.table.clone()
        };
        self.members.remove(&node);
        self.draining.remove(&node);
        self.remember_removed(node);
        let stay = |home: Home| self.goal.owners(home).iter().copied().filter(|owner| *owner != node);
        let owners = homes().map(|home| Some(stay(home).collect()).filter(|list: &Vec<_>| !list.is_empty()));
        let owners = homes().zip(owners).map(|(home, list)| list.unwrap_or_else(|| self.table.owners(home).to_vec()));
        self.goal = Table::new(Epoch(self.goal.epoch().0 + 1), owners.collect()).or(Err(Refusal::Goal))?;
        if self.draining.len() < self.members.len() { Ok(()) } else { Err(Refusal::Last(node)) }
    }

    fn remember_removed(&mut self, node: NodeId) {
        #[cfg(feature = "planted")]
        if planted::is(planted::Bug::RejoinWithOldId) {
            return;
        }
        self.removed.insert(node);
    }

    fn activate(&mut self, version: Version) -> Result<(), Refusal> {
        let next = Version(self.active.0.saturating_add(1));
        if version == self.active {
            return Ok(());
        }
        if version != next {
            return Err(Refusal::Order(self.active, next));
        }
        self.active = version;
        self.members.iter().try_for_each(|(node, member)| self.must_speak(*node, member))
    }

    fn must_speak(&self, node: NodeId, member: &Member) -> Result<(), Refusal> {
        if member.versions.speak(self.active) { Ok(()) } else { Err(Refusal::Mute(node, self.active)) }
    }

    fn must_be_member(&self, node: NodeId) -> Result<(), Refusal> {
        if self.members.contains_key(&node) { Ok(()) } else { Err(Refusal::Stranger(node)) }
    }

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
        self.members.iter().try_for_each(|(node, member)| {
            check_member(*node, member)?;
            self.must_speak(*node, member)
        })?;
        check_settings(self.settings)?;
        self.check_owners(&self.goal)?;
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
