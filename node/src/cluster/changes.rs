//! Changes of the cluster that operators ask for: what they would come to, and having them carried out.
//!
//! What a change means is decided by [`cluster::control`]; what follows from it is done by the leader, step by step.

use super::Cluster;
use super::plane::member;
use ::cluster::NodeId;
use ::cluster::control::{Command, Outcome, Refusal, State};
use ::cluster::placement::Table;
use api::database::{Addresses, Candidate, Change, ChangeError, Changed, Moves, NodeName, ReadError, Share};
use proto::Greeting;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long this node may take to know of a change that was decided.
const KNOWN_DEADLINE: Duration = Duration::from_secs(2);

impl Cluster {
    /// Makes a change, or says what it would come to.
    ///
    /// # Errors
    ///
    /// [`ChangeError`]. If nobody leads, it may still be made; asking again is harmless.
    pub(crate) async fn change(&self, change: Change, plan_only: bool) -> Result<Changed, ChangeError> {
        let command = self.command(change)?;
        let state = self.control_state();
        if self.control.get().is_none() {
            let what = "this node is alone: give it a cluster key (`stemedb keygen --cluster`, cluster_key_file) and start \
                        it again before others join";
            return Err(ChangeError::Refused(what.to_owned()));
        }
        let then = state.what_if(&command).map_err(|refusal| ChangeError::Refused(refusal.to_string()))?;
        let changed = changed(&state, &then, !plan_only);
        if plan_only {
            return Ok(changed);
        }
        let not_ready = |what| ChangeError::Read(ReadError::NotReady { what: format!("the control plane: {what}") });
        match self.carry_out(&command).await.map_err(not_ready)? {
            Outcome::Changed | Outcome::Unchanged => {}
            Outcome::Refused(refusal) => return Err(ChangeError::Refused(refusal.to_string())),
        }
        // Whoever asks this node how far it is must not be told of the time before.
        let mut newest = self.newest.subscribe();
        let known = newest.wait_for(|state| state.has_done(&command));
        tokio::time::timeout(KNOWN_DEADLINE, known).await.ok();
        Ok(changed)
    }

    fn command(&self, change: Change) -> Result<Command, ChangeError> {
        let id = |name: NodeName| NodeId(name.0);
        let comes = |name: NodeName| {
            if self.control_state().was_removed(id(name)) {
                return Err(ChangeError::Refused(Refusal::Removed(id(name)).to_string()));
            }
            let waits = || self.waiting().into_iter().find(|greeting| greeting.node == name.0);
            let known = self.control_state().members().and_then(|members| members.get(&id(name)).cloned());
            known.or_else(|| waits().as_ref().map(member)).ok_or(ChangeError::Unheard(name))
        };
        Ok(match change {
            Change::Join(node) => Command::Admit { node: id(node), member: comes(node)? },
            Change::Drain(node) => Command::Drain { node: id(node), leaves: true },
            Change::Keep(node) => Command::Drain { node: id(node), leaves: false },
            Change::Remove(node) => Command::Remove { node: id(node) },
            Change::Replace { old, new } => Command::Replace { old: id(old), node: id(new), member: comes(new)? },
            Change::Pause => Command::Pause(true),
            Change::Resume => Command::Pause(false),
        })
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
    let nodes = &members(now) | &members(then);
    let share = |node: NodeId| Share {
        node_id: node.to_string(),
        homes_now: homes(now.table(), node),
        homes_then: homes(then.goal(), node),
    };
    Changed { is_made, homes_to_move: number(then.homes_to_move()), nodes: nodes.into_iter().map(share).collect() }
}

fn number(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}
