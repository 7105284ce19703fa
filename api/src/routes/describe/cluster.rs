//! Shapes of what operators are told of a cluster.

use crate::database::{
    Addresses, Candidate, Cluster, ClusterSettings, Member, Moves, NodeFigures, NodeState, NodeView, Shortfall, Speaks,
    Status,
};
use serde::Serialize;
use utoipa::ToSchema;

/// The cluster as the control plane of this node has it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClusterShape {
    /// The cluster's name, for ever; null before the founding.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    cluster_id: Option<String>,
    /// The epoch of the placement table in use; 0 before the first.
    epoch: u64,
    /// The node that leads the control plane, if this node knows one; reads and writes go on without.
    leader: Option<String>,
    /// The version of formats and protocol that is active; null before the founding.
    active_version: Option<u16>,
    /// On how many nodes a record is kept: what is set, or as many nodes as there are if they are fewer.
    copies: u8,
    /// Everybody who belongs to it, ascending by name.
    members: Vec<Member>,
    /// What holds for the whole cluster.
    settings: ClusterSettings,
    /// How far it is on its way to where members and settings lead it.
    moves: Moves,
    /// Nodes that wait to be made members, ascending by name.
    candidates: Vec<Candidate>,
}

impl From<Cluster> for ClusterShape {
    fn from(cluster: Cluster) -> Self {
        let copies = copies(&cluster);
        let Cluster { cluster_id, epoch, leader, active_version, members, settings, moves, candidates } = cluster;
        Self { cluster_id, epoch, leader, active_version, copies, members, settings, moves, candidates }
    }
}

/// How many copies there are of a record.
fn copies(cluster: &Cluster) -> u8 {
    u8::try_from(cluster.members.len()).unwrap_or(u8::MAX).min(cluster.settings.replication_factor)
}

/// Every node of the cluster.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NodesShape {
    /// Ascending by name.
    nodes: Vec<NodeShape>,
}

impl NodesShape {
    /// Who of `nodes` was asked and who leads is told by name.
    pub(crate) fn new(nodes: Vec<NodeView>, own: &str, leader: Option<&str>) -> Self {
        let shape = |view: NodeView| {
            let (is_self, is_leader) = (view.member.node_id == own, leader == Some(&view.member.node_id));
            NodeShape::new(view, is_self, is_leader)
        };
        Self { nodes: nodes.into_iter().map(shape).collect() }
    }
}

/// How one node is. What only it can say is null if it did not answer.
#[derive(Debug, Serialize, ToSchema)]
struct NodeShape {
    /// Its name, 16 hex digits, for ever.
    #[schema(examples("3b6a27bcceb6a42d"))]
    node_id: String,
    /// Whether it lives, by gossip.
    state: NodeState,
    /// Whether it is the node that was asked.
    is_self: bool,
    /// Whether it leads the control plane.
    is_leader: bool,
    /// Where it is.
    addresses: Addresses,
    /// The zone it stands in; null if it names none.
    zone: Option<String>,
    /// How many homes it owns, the global one included.
    #[schema(maximum = 257)]
    homes: u16,
    /// Whether it gives away what it owns, and is removed then.
    is_draining: bool,
    /// Which versions of formats and protocol it speaks, as it said when it started.
    speaks: Speaks,
    /// The version of its program.
    version: Option<String>,
    /// How far it is behind the other owners of its homes: the longest lag.
    replication_lag_seconds: Option<f64>,
    /// Records that it keeps for others until they have them.
    hints_pending: Option<u64>,
    /// Records not yet on all their owners, of the homes that it counts for.
    under_replicated: Option<Shortfall>,
    /// The version that its log was raised to; left out as long as the node that was asked does not go by version 2, or if
    /// nobody answered.
    #[cfg(feature = "next")]
    #[serde(skip_serializing_if = "Option::is_none")]
    log_version: Option<u16>,
}

impl NodeShape {
    fn new(view: NodeView, is_self: bool, is_leader: bool) -> Self {
        let NodeView { member, state, figures } = view;
        let Member { node_id, addresses, zone, homes, is_draining, speaks } = member;
        let lag = |figures: &NodeFigures| std::time::Duration::from_millis(figures.replication_lag_ms).as_secs_f64();
        Self {
            node_id,
            state,
            is_self,
            is_leader,
            addresses,
            zone,
            homes,
            is_draining,
            speaks,
            replication_lag_seconds: figures.as_ref().map(lag),
            hints_pending: figures.as_ref().map(|figures| figures.hints_pending),
            under_replicated: figures.as_ref().map(|figures| figures.under_replicated),
            #[cfg(feature = "next")]
            log_version: figures.as_ref().and_then(|figures| figures.log_version),
            version: figures.map(|figures| figures.version),
        }
    }
}

/// Figures of this node, and its cluster at a glance.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StatusShape {
    /// Of this node.
    #[serde(flatten)]
    pub(crate) node: Status,
    /// Of the cluster; null if this node cannot tell now.
    pub(crate) cluster: Option<Glance>,
}

/// A cluster at a glance.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Glance {
    /// The cluster's name, for ever; null before the founding.
    cluster_id: Option<String>,
    /// The epoch of the placement table in use.
    epoch: u64,
    /// The node that leads the control plane, if this node knows one.
    leader: Option<String>,
    /// The version of formats and protocol that is active; null before the founding.
    active_version: Option<u16>,
    /// How many nodes belong to it.
    nodes: usize,
    /// How many of them live.
    nodes_up: usize,
    /// On how many nodes a record is kept.
    copies: u8,
    /// On how many it is to be kept.
    replication_factor: u8,
    /// Records that nodes keep for others; of the nodes that said.
    hints_pending: u64,
    /// Records not yet on all their owners.
    under_replicated: Shortfall,
}

impl Glance {
    /// What `cluster` and its `nodes` come to.
    pub(crate) fn of(cluster: Cluster, nodes: &[NodeView]) -> Self {
        let figures = || nodes.iter().filter_map(|node| node.figures.as_ref());
        Self {
            copies: copies(&cluster),
            replication_factor: cluster.settings.replication_factor,
            cluster_id: cluster.cluster_id,
            epoch: cluster.epoch,
            leader: cluster.leader,
            active_version: cluster.active_version,
            nodes: cluster.members.len(),
            nodes_up: nodes.iter().filter(|node| node.state == NodeState::Alive).count(),
            hints_pending: figures().fold(0, |sum, figures| sum.saturating_add(figures.hints_pending)),
            under_replicated: Shortfall::of(nodes),
        }
    }
}
