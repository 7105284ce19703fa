//! What the admin listener answers, as far as these commands show it. Fields of later releases are passed over.

use serde::Deserialize;
use serde_json::{Map, Value};
use std::fmt;

/// The answer of `/v1/admin/nodes`.
#[derive(Debug, Deserialize)]
pub(super) struct Nodes {
    pub(super) nodes: Vec<Node>,
}

/// A node of the cluster. What only it can say is missing if it did not answer.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Node {
    pub(super) node_id: String,
    pub(super) state: String,
    pub(super) is_self: bool,
    pub(super) is_leader: bool,
    pub(super) addresses: Addresses,
    pub(super) zone: Option<String>,
    pub(super) homes: u16,
    #[serde(default)]
    pub(super) is_draining: bool,
    pub(super) speaks: Option<Speaks>,
    pub(super) replication_lag_seconds: Option<f64>,
    pub(super) hints_pending: Option<u64>,
    pub(super) under_replicated: Option<Shortfall>,
}

/// The versions of formats and protocol that a node speaks.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Speaks {
    min: u16,
    max: u16,
}

impl fmt::Display for Speaks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.min == self.max { write!(f, "{}", self.min) } else { write!(f, "{} to {}", self.min, self.max) }
    }
}

/// A node that waits to be made a member.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Candidate {
    pub(super) node_id: String,
    pub(super) addresses: Addresses,
    pub(super) in_place_of: Option<String>,
}

/// Where a node is.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Addresses {
    pub(super) client: Option<String>,
}

/// How many records lack a copy.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Shortfall {
    pub(super) records: u64,
    pub(super) is_exact: bool,
}

/// The answer of `/v1/admin/status`: the cluster, and the node's own figures by name.
#[derive(Debug, Deserialize)]
pub(super) struct Figures {
    pub(super) cluster: Option<Cluster>,
    #[serde(flatten)]
    pub(super) own: Map<String, Value>,
}

/// A cluster at a glance.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Cluster {
    pub(super) cluster_id: Option<String>,
    pub(super) epoch: u64,
    pub(super) leader: Option<String>,
    pub(super) active_version: Option<u16>,
    pub(super) nodes: u64,
    pub(super) nodes_up: u64,
    pub(super) copies: u8,
    pub(super) replication_factor: u8,
    pub(super) hints_pending: u64,
    pub(super) under_replicated: Shortfall,
}

/// The answer of `/v1/ready`, also where it is a problem.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Ready {
    #[serde(default)]
    pub(super) parts: Vec<Part>,
}

/// One thing that must hold.
#[derive(Debug, Deserialize)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) ok: bool,
    pub(super) detail: String,
}
