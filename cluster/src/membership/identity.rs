//! Who takes part in gossip: a node in one of its lives, and where it is reached.

use crate::{Generation, NodeId};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// A node in one of its lives, as it introduces itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The node. Never 0, which stands for "whoever is there".
    pub id: NodeId,
    /// Which life of it. Of two identities of a node the one with the higher generation counts.
    pub generation: Generation,
    /// Where it takes gossip, by UDP.
    pub gossip: SocketAddr,
    /// Where it takes the calls of other nodes.
    pub rpc: SocketAddr,
    /// Where it takes clients.
    pub api: SocketAddr,
}

/// Stands for a node whose name is not known yet.
const ANYBODY: NodeId = NodeId(0);

impl Identity {
    /// Whoever takes gossip at `gossip`: all that is known of a seed before it has answered.
    pub(super) fn anybody_at(gossip: SocketAddr) -> Self {
        Self { id: ANYBODY, generation: Generation(0), gossip, rpc: gossip, api: gossip }
    }

    /// Whether it stands for whoever is there.
    pub(super) fn is_anybody(&self) -> bool {
        self.id == ANYBODY
    }
}

impl foca::Identity for Identity {
    type Addr = NodeId;

    fn renew(&self) -> Option<Self> {
        self.generation.0.checked_add(1).map(|next| Self { generation: Generation(next), ..*self })
    }

    fn addr(&self) -> NodeId {
        self.id
    }

    /// The addresses only break a tie, so that all nodes keep the same one.
    fn win_addr_conflict(&self, other: &Self) -> bool {
        (self.generation, self.gossip, self.rpc, self.api) > (other.generation, other.gossip, other.rpc, other.api)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use foca::Identity as _;

    fn identity(generation: u64, port: u16) -> Identity {
        let at = SocketAddr::from(([10, 0, 0, 1], port));
        Identity { id: NodeId(1), generation: Generation(generation), gossip: at, rpc: at, api: at }
    }

    #[test]
    fn the_higher_generation_wins_wherever_it_is() {
        assert!(identity(2, 1).win_addr_conflict(&identity(1, 9)));
        assert!(!identity(1, 9).win_addr_conflict(&identity(2, 1)));
    }

    #[test]
    fn of_one_generation_at_two_addresses_exactly_one_wins() {
        let (one, other) = (identity(1, 1), identity(1, 2));
        assert_ne!(one.win_addr_conflict(&other), other.win_addr_conflict(&one));
    }

    #[test]
    fn a_renewed_identity_wins_and_the_last_generation_cannot_be_renewed() {
        let renewed = identity(1, 1).renew().expect("there is a next generation");
        assert!(renewed.win_addr_conflict(&identity(1, 1)));
        assert_eq!(identity(u64::MAX, 1).renew(), None);
    }
}
