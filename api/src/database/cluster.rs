//! What a node knows of its cluster: who is in it, how each of them is, and how many copies are missing.

use super::Moves;
use serde::Serialize;
use std::num::NonZeroU8;
use std::ops::RangeInclusive;
use utoipa::ToSchema;

/// The cluster as this node's control plane has it. Nobody is asked for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    /// Its name, 32 hex digits; nothing before the founding.
    pub cluster_id: Option<String>,
    /// The epoch of the placement table in use; 0 before the first.
    pub epoch: u64,
    /// The leader of the control plane, if this node knows one. Reads and writes go on without.
    pub leader: Option<String>,
    /// The version of formats and protocol that is active; nothing before the founding.
    pub active_version: Option<u16>,
    /// Everybody who belongs to it, ascending by name.
    pub members: Vec<Member>,
    /// What holds for the whole cluster.
    pub settings: ClusterSettings,
    /// How far it is on its way to where these lead it.
    pub moves: Moves,
    /// Nodes that wait to be made members, ascending by name.
    pub candidates: Vec<Candidate>,
}

/// A fresh node that has the cluster's key and was heard of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Candidate {
    /// Its name.
    #[schema(examples("3b6a27bcceb6a42d"))]
    pub node_id: String,
    /// Where it is.
    pub addresses: Addresses,
    /// The zone it stands in; null if it names none.
    pub zone: Option<String>,
    /// The member that had these addresses, if one has: a node that lost its disk comes back as another.
    pub in_place_of: Option<String>,
}

/// A node that belongs to the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Member {
    /// Its name, 16 hex digits, for ever.
    #[schema(examples("3b6a27bcceb6a42d"))]
    pub node_id: String,
    /// Where it is, as it says itself.
    pub addresses: Addresses,
    /// The zone it stands in; null if it names none.
    pub zone: Option<String>,
    /// How many homes it owns by the placement table, the global one included.
    #[schema(maximum = 257)]
    pub homes: u16,
    /// Whether it gives away what it owns, and is removed then.
    pub is_draining: bool,
    /// Which versions of formats and protocol it speaks, as it said when it started.
    pub speaks: Speaks,
}

/// The versions of formats and protocol that a node speaks, from the oldest to the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Speaks {
    /// The oldest.
    #[schema(minimum = 1)]
    pub min: u16,
    /// The newest.
    #[schema(minimum = 1)]
    pub max: u16,
}

/// The versions of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// What it speaks.
    pub speaks: Speaks,
    /// What it goes by: writes, sends and takes. Nothing before there is a cluster.
    pub active: Option<u16>,
}

/// Where a node is; null where that is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Addresses {
    /// For clients.
    #[schema(examples("10.0.0.7:18180"))]
    pub client: Option<String>,
    /// For messages between nodes.
    #[schema(examples("10.0.0.7:18182"))]
    pub rpc: Option<String>,
    /// For gossip.
    #[schema(examples("10.0.0.7:18183"))]
    pub gossip: Option<String>,
}

/// The numbers of copies that may be asked for. With one, a home that moves would have its records on a former owner alone.
pub const REPLICATION_FACTORS: RangeInclusive<NonZeroU8> =
    NonZeroU8::new(2).expect("not 0")..=NonZeroU8::new(7).expect("not 0");

/// What holds for the whole cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ClusterSettings {
    /// On how many nodes a record is to be kept; on fewer where there are fewer.
    #[schema(minimum = 1)]
    pub replication_factor: u8,
}

impl Default for ClusterSettings {
    /// Two copies.
    fn default() -> Self {
        Self { replication_factor: 2 }
    }
}

/// How a node is, as far as the one that was asked can tell.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeView {
    /// Who.
    pub member: Member,
    /// Whether it lives, by gossip.
    pub state: NodeState,
    /// What it says of itself; nothing if it did not answer.
    pub figures: Option<NodeFigures>,
}

/// Whether a node lives, by gossip: advice, never a verdict that moves data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(rename_all = "snake_case")]
pub enum NodeState {
    /// It answers.
    Alive,
    /// It did not answer somebody; it has a moment to object.
    Suspect,
    /// Nobody hears it.
    Down,
    /// Nothing was heard of it yet since the node that was asked started.
    Unknown,
}

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeFigures {
    /// The version of its program.
    pub version: String,
    /// How far it is behind the other owners of its homes, in milliseconds: the longest lag.
    pub replication_lag_ms: u64,
    /// Records that it keeps for others until they have them.
    pub hints_pending: u64,
    /// Records not yet on all their owners, of the homes that it counts for.
    pub under_replicated: Shortfall,
    /// The version that its log was raised to, if it was asked for that and answered.
    #[cfg(feature = "next")]
    pub log_version: Option<u16>,
}

/// How many records are not on as many nodes as they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Shortfall {
    /// How many; at least so many if it is not exact.
    pub records: u64,
    /// Whether nobody can know of more.
    pub is_exact: bool,
}

impl Shortfall {
    /// Nothing is missing, and that is certain.
    pub const NONE: Self = Self { records: 0, is_exact: true };

    /// What a cluster lacks: the sum over its nodes, a lower bound as soon as one of them does not live or did not say.
    pub fn of(nodes: &[NodeView]) -> Self {
        nodes.iter().fold(Self::NONE, |sum, node| {
            let own = node.figures.as_ref().map(|figures| figures.under_replicated);
            let own = own.unwrap_or(Self { records: 0, is_exact: false });
            Self {
                records: sum.records.saturating_add(own.records),
                is_exact: sum.is_exact && own.is_exact && node.state == NodeState::Alive,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(state: NodeState, shortfall: Option<Shortfall>) -> NodeView {
        let figures = shortfall.map(|under_replicated| NodeFigures {
            version: "0.1.0".to_owned(),
            replication_lag_ms: 0,
            hints_pending: 0,
            under_replicated,
            #[cfg(feature = "next")]
            log_version: None,
        });
        let member = Member {
            node_id: "n".to_owned(),
            addresses: Addresses::default(),
            zone: None,
            homes: 1,
            is_draining: false,
            speaks: Speaks { min: 1, max: 1 },
        };
        NodeView { member, state, figures }
    }

    #[test]
    fn a_count_is_exact_only_if_every_node_lives_and_is_sure() {
        let (sure, unsure) = (Shortfall { records: 2, is_exact: true }, Shortfall { records: 3, is_exact: false });
        let of = |nodes: &[NodeView]| Shortfall::of(nodes);
        let alive = |shortfall| node(NodeState::Alive, Some(shortfall));
        assert_eq!(of(&[]), Shortfall::NONE);
        assert_eq!(of(&[alive(sure), alive(sure)]), Shortfall { records: 4, is_exact: true });
        assert_eq!(of(&[alive(sure), alive(unsure)]), Shortfall { records: 5, is_exact: false });
        assert_eq!(of(&[alive(sure), node(NodeState::Alive, None)]), Shortfall { records: 2, is_exact: false });
        assert_eq!(of(&[alive(sure), node(NodeState::Down, Some(sure))]), Shortfall { records: 4, is_exact: false });
    }
}
