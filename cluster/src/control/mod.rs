//! What a set of claims cannot carry: members, placement, settings. One small state, the same on every node.
//!
//! [`State::apply`] is all there is to the control plane's state machine; it knows no log, no leader and no time, and never
//! calls the planner: a table comes in a [`Command`], so nodes of two releases that plan differently still agree.
//!
//! Besides the table that counts there is a **goal**: the table that was planned for the members and settings as they are.
//! [`steps`] leads from one to the other, a few homes at a time, so that a change of the cluster is a number of small steps
//! each of which is a command, and goes on wherever it was when anybody died.
//!
//! Invariants: applying the same commands to equal states gives equal bytes; a command is applied whole or not at all;
//! epochs only grow, by one; a cluster's id never changes; every owner is a member; who was removed is never one again; the
//! active version only grows, and every member has said that it speaks it.

mod command;
mod state;
pub mod steps;
mod version;
mod voters;

pub use command::{Command, Setting};
pub use state::{History, Outcome, Refusal, State};
pub use version::{Version, Versions};
pub use voters::{VOTERS_MAX, voters};

use crate::id::NodeKey;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::num::NonZeroU8;

/// The longest name of a zone, in bytes of UTF-8.
pub const ZONE_BYTES_MAX: usize = 64;

/// A node of the cluster, as the others know it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Member {
    /// Its public key, which its id is the beginning of. Another key is another node, so it never changes.
    pub key: NodeKey,
    /// Where it takes calls from nodes.
    pub rpc: SocketAddr,
    /// Where it takes gossip packets.
    pub gossip: SocketAddr,
    /// Where it takes clients' requests.
    pub api: SocketAddr,
    /// What fails together with it; see [`crate::placement::Member::zone`]. At most [`ZONE_BYTES_MAX`] bytes.
    pub zone: String,
    /// What it speaks.
    pub versions: Versions,
}

/// What holds for the whole cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Settings {
    /// On how many nodes each record is to be, if there are so many; at most [`crate::placement::COPIES_MAX`].
    pub replication_factor: NonZeroU8,
}
