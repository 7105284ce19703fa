//! Who this node is, as it tells whoever greets it, and what it learns from their greetings.
//!
//! It judges nothing: what a standing leads to is decided by the founding, what a clock or an address means by the doctor.

use super::Cluster;
use ::cluster::founding::{List, Standing};
use ::cluster::{ClusterId, NodeId};
use proto::{Greeting, Membership, Reachable};
use std::net::SocketAddr;
use std::sync::PoisonError;
use std::time::Duration;

/// The most nodes whose word is remembered.
const NEIGHBOURS_MAX: usize = 1_024;
/// How long a node that greets back has to answer.
const CALL_BACK_DEADLINE: Duration = Duration::from_millis(500);

/// What of a node does not change while it runs.
#[derive(Clone, Debug)]
pub(crate) struct Card {
    /// Where it takes calls from nodes, as others reach it.
    pub(crate) rpc: SocketAddr,
    /// Where it takes gossip.
    pub(crate) gossip: SocketAddr,
    /// Where it takes clients.
    pub(crate) clients: SocketAddr,
    /// What fails together with it.
    pub(crate) zone: String,
}

/// What another node said of itself.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) from: NodeId,
    pub(crate) greeting: Greeting,
    /// What it takes this node for.
    pub(crate) membership: Membership,
    /// When, by this node's wall clock, in the middle between question and answer.
    pub(crate) wall_ms: u64,
}

impl Cluster {
    /// What this node says of itself now.
    pub(crate) fn greeting(&self) -> Greeting {
        Greeting {
            node: self.me.0,
            generation: self.generation.0,
            standing: to_wire(&self.standing.borrow()),
            protocol_min: u32::from(self.speaks.min.0),
            protocol_max: u32::from(self.speaks.max.0),
            wall_ms: self.clock.wall_ms(),
            epoch: self.epoch().0,
            rpc: self.card.rpc,
            gossip: self.card.gossip,
            clients: self.card.clients,
            zone: self.card.zone.clone(),
            release: env!("CARGO_PKG_VERSION").to_owned(),
            key: self.key.0,
        }
    }

    /// Somebody said who it is.
    pub(crate) fn greeted(&self, from: NodeId, greeting: &Greeting) {
        let (greeting, membership) = (greeting.clone(), Membership::None);
        self.take(Heard { from, greeting, membership, wall_ms: self.clock.wall_ms() });
    }

    /// Greets whoever listens at an address, and takes note of what it says.
    pub(crate) async fn greet(
        &self,
        address: SocketAddr,
        call_back: bool,
        deadline: Duration,
    ) -> Result<proto::GreetReply, crate::rpc::CallError> {
        let began = self.clock.wall_ms();
        let request = proto::GreetRequest { greeting: self.greeting(), call_back };
        let reply = self.peers.greet(address, request, deadline).await?;
        let wall_ms = began + self.clock.wall_ms().saturating_sub(began) / 2;
        let (from, greeting) = (NodeId(reply.greeting.node), reply.greeting.clone());
        self.take(Heard { from, greeting, membership: reply.membership, wall_ms });
        Ok(reply)
    }

    /// Takes note of what a node said of itself. Of one that has this node's own id, and is another process, operators
    /// are told.
    fn take(&self, heard: Heard) {
        if heard.from == self.me {
            if heard.greeting.generation != self.generation.0 {
                self.note_twin(heard.greeting.rpc);
            }
            return;
        }
        let mut neighbours = self.neighbours.lock().unwrap_or_else(PoisonError::into_inner);
        if neighbours.len() < NEIGHBOURS_MAX || neighbours.contains_key(&heard.from) {
            neighbours.insert(heard.from, heard.greeting.clone());
        }
        self.heard.try_send(heard).ok(); // full: it will be greeted again
    }

    /// What a node is to this one's cluster.
    pub(crate) fn membership(&self, node: NodeId) -> Membership {
        let state = self.control_state();
        if state.members().is_some_and(|members| members.contains_key(&node)) {
            Membership::Member
        } else if state.was_removed(node) {
            Membership::Removed
        } else {
            Membership::None
        }
    }

    /// The fresh nodes that were heard of, ascending.
    pub(super) fn fresh_neighbours(&self) -> Vec<Greeting> {
        let neighbours = self.neighbours.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = |greeting: &&Greeting| matches!(greeting.standing, proto::Standing::Fresh { .. });
        neighbours.values().filter(is_fresh).cloned().collect()
    }

    /// The last that a node said of itself.
    pub(crate) fn neighbour(&self, node: NodeId) -> Option<Greeting> {
        self.neighbours.lock().unwrap_or_else(PoisonError::into_inner).get(&node).cloned()
    }

    /// Tries the address that a node says it has.
    pub(crate) async fn call_back(&self, greeting: &Greeting) -> Reachable {
        let request = proto::GreetRequest { greeting: self.greeting(), call_back: false };
        match self.peers.greet(greeting.rpc, request, CALL_BACK_DEADLINE).await {
            Ok(reply) if reply.greeting.node == greeting.node => Reachable::Yes,
            Ok(reply) => Reachable::No(format!("node {} answers there", NodeId(reply.greeting.node))),
            Err(error) => Reachable::No(error.to_string()),
        }
    }
}

fn to_wire(standing: &Standing) -> proto::Standing {
    match standing {
        Standing::Fresh { expect } => proto::Standing::Fresh { expect: u32::try_from(*expect).unwrap_or(u32::MAX) },
        Standing::Promised(list) => proto::Standing::Promised(list.nodes().map(|node| node.0).collect()),
        Standing::Founded(cluster) => proto::Standing::Founded(cluster.0),
    }
}

/// How a node stands, by its greeting.
pub(crate) fn standing(greeting: &Greeting) -> Standing {
    match &greeting.standing {
        proto::Standing::Fresh { expect } => Standing::Fresh { expect: usize::try_from(*expect).unwrap_or(usize::MAX) },
        proto::Standing::Promised(nodes) => Standing::Promised(List::new(nodes.iter().copied().map(NodeId).collect())),
        proto::Standing::Founded(cluster) => Standing::Founded(ClusterId(*cluster)),
    }
}
