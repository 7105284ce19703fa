//! Changes of the cluster that operators ask for: what they would come to, and having them carried out.
//!
//! What a change means is decided by [`cluster::control`]; what follows from it is done by the leader, step by step.

use super::Cluster;
use super::plane::member;
use ::cluster::NodeId;
use ::cluster::control::{Command, Member, Outcome, Refusal, State, Version};
use ::cluster::placement::Table;
use api::database::{Addresses, Candidate, Change, ChangeError, Changed, Moves, NodeName, ReadError, Share, Speaks};
use proto::Greeting;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long this node may take to know of a change that was decided.
const KNOWN_DEADLINE: Duration = Duration::from_secs(2);
/// How long this node may take to hear of one that waits: a round of greetings and the answers. Another member may have heard
/// of it already, and told the operator.
const HEARD_DEADLINE: Duration = Duration::from_secs(6);
/// How often it looks meanwhile.
const HEARD_EVERY: Duration = Duration::from_millis(100);

impl Cluster {
    /// Makes a change, or says what it would come to.
    ///
    /// # Errors
    ///
    /// [`ChangeError`]. If nobody leads, it may still be made; asking again is harmless.
    pub(crate) async fn change(&self, change: Change, plan_only: bool) -> Result<Changed, ChangeError> {
        let command = self.command(change).await?;
        let state = self.control_state();
        let not_ready = |what| ChangeError::Read(ReadError::NotReady { what: format!("the control plane: {what}") });
        if self.control.get().is_none() {
            if !self.is_alone() {
                return Err(not_ready("it does not run yet".to_owned()));
            }
            let what = "this node is alone: give it a cluster key (`stemedb keygen --cluster`, cluster_key_file) and start \
                        it again before others join";
            return Err(ChangeError::Refused(what.to_owned()));
        }
        let told = |refusal: Refusal| match (refusal, &command) {
            (Refusal::Mute(..), Command::Activate(version)) => self.mute(*version, &BTreeMap::new()),
            _ => None,
        };
        let refuse = |refusal: Refusal| ChangeError::Refused(told(refusal).unwrap_or_else(|| refusal.to_string()));
        let then = state.what_if(&command).map_err(refuse)?;
        if let Command::Activate(version) = &command
            && state.active_version() < Some(*version)
        {
            let said = self.hear_members().await;
            self.mute(*version, &said).map_or(Ok(()), |mute| Err(ChangeError::Refused(mute)))?;
        }
        let changed = changed(&state, &then, !plan_only);
        if plan_only {
            return Ok(changed);
        }
        match self.carry_out_in_time(&command).await.map_err(not_ready)? {
            Outcome::Changed | Outcome::Unchanged => {}
            Outcome::Refused(refusal) => return Err(refuse(refusal)),
        }
        // Whoever asks this node how far it is must not be told of the time before.
        let mut newest = self.newest.subscribe();
        let known = newest.wait_for(|state| state.has_done(&command));
        tokio::time::timeout(KNOWN_DEADLINE, known).await.ok();
        Ok(changed)
    }

    async fn command(&self, change: Change) -> Result<Command, ChangeError> {
        let id = |name: NodeName| NodeId(name.0);
        Ok(match change {
            Change::Join(node) => Command::Admit { node: id(node), member: self.who_comes(node).await? },
            Change::Drain(node) => Command::Drain { node: id(node), leaves: true },
            Change::Keep(node) => Command::Drain { node: id(node), leaves: false },
            Change::Remove(node) => Command::Remove { node: id(node) },
            Change::Replace { old, new } => {
                Command::Replace { old: id(old), node: id(new), member: self.who_comes(new).await? }
            }
            Change::Pause => Command::Pause(true),
            Change::Resume => Command::Pause(false),
            Change::Activate(version) => Command::Activate(Version(version)),
        })
    }

    /// What a node says of itself that is to become a member, or is one, once this node has heard of it.
    async fn who_comes(&self, name: NodeName) -> Result<Member, ChangeError> {
        let node = NodeId(name.0);
        let looked = || {
            let state = self.control_state();
            if state.was_removed(node) {
                return Some(Err(ChangeError::Refused(Refusal::Removed(node).to_string())));
            }
            let known = state.members().and_then(|members| members.get(&node).cloned());
            let waits = || self.waiting().iter().find(|greeting| greeting.node == name.0).map(member);
            known.or_else(waits).map(Ok)
        };
        let heard = async {
            loop {
                if let Some(found) = looked() {
                    return found;
                }
                tokio::time::sleep(HEARD_EVERY).await;
            }
        };
        tokio::time::timeout(HEARD_DEADLINE, heard).await.unwrap_or(Err(ChangeError::Unheard(name)))
    }

    /// How far the cluster is on its way.
    pub(super) fn moves(&self) -> Moves {
        let state = self.control_state();
        let in_transit = state.table().map_or(0, |table| table.moves().len());
        Moves {
            homes_left: number(state.homes_to_move()),
            homes_in_transit: number(in_transit),
            is_paused: state.is_paused(),
        }
    }

    /// The nodes that an operator may make members.
    pub(super) fn waiting_nodes(&self) -> Vec<Candidate> {
        let state = self.control_state();
        let candidate = |greeting: Greeting| {
            let members = state.members().into_iter().flatten();
            let mut before = members.filter(|(_, member)| member.rpc == greeting.rpc || member.api == greeting.clients);
            Candidate {
                node_id: NodeId(greeting.node).to_string(),
                addresses: Addresses {
                    client: Some(greeting.clients.to_string()),
                    rpc: Some(greeting.rpc.to_string()),
                    gossip: Some(greeting.gossip.to_string()),
                },
                zone: Some(greeting.zone).filter(|zone| !zone.is_empty()),
                in_place_of: before.next().map(|(node, _)| node.to_string()),
            }
        };
        self.waiting().into_iter().map(candidate).collect()
    }

    /// Fresh nodes that are alive and are no members, ascending.
    fn waiting(&self) -> Vec<Greeting> {
        let (state, view) = (self.control_state(), self.view.borrow());
        let waits = |greeting: &Greeting| {
            let node = NodeId(greeting.node);
            let is_member = state.members().is_some_and(|members| members.contains_key(&node));
            view.alive.contains_key(&node) && !is_member
        };
        self.fresh_neighbours().into_iter().filter(waits).collect()
    }
}

/// What each node owns before and after.
fn changed(now: &State, then: &State, is_made: bool) -> Changed {
    let homes = |table: Option<&Table>, node| number(table.map_or(0, |table| table.homes_of(node).count()));
    let members = |state: &State| state.members().into_iter().flatten().map(|(node, _)| *node).collect::<BTreeSet<_>>();
    let speaks = |state: &State, node| {
        let versions = state.members()?.get(&node)?.versions;
        Some(Speaks { min: versions.min.0, max: versions.max.0 })
    };
    let nodes = &members(now) | &members(then);
    let share = |node: NodeId| Share {
        node_id: node.to_string(),
        homes_now: homes(now.table(), node),
        homes_then: homes(then.goal(), node),
        speaks: speaks(then, node).or_else(|| speaks(now, node)),
    };
    Changed {
        is_made,
        homes_to_move: number(then.homes_to_move()),
        active_version: then.active_version().map_or(0, |version| version.0),
        nodes: nodes.into_iter().map(share).collect(),
    }
}

fn number(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}
