//! Reads on their way to the nodes that can answer them.
//!
//! [`one`] asks one owner after another until one answers; [`all`] needs an answer from everybody; [`cover`] finds few
//! owners that hold all homes between them. They only choose whom to ask: no answer passes through here.

pub mod all;
mod cover;
pub mod one;

pub use cover::{Cover, cover};

use crate::id::{Epoch, NodeId};

/// Somebody who can be asked about a home.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// An owner of the home.
    pub node: NodeId,
    /// Whether it is there and, as far as is known, has met another owner since it started; see
    /// [`crate::reconcile::fitness::Fitness`].
    pub fit: bool,
    /// What a call to it takes lately, in microseconds; 0 for the coordinator itself.
    pub latency_us: u64,
}

/// What has happened to a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// This node's answer is here, complete.
    Answered(NodeId),
    /// The same, and the node has met no other owner since it started: what it missed while it was away is missing.
    Unmet(NodeId),
    /// This node will not answer: it refused, or the call to it broke.
    Failed(NodeId),
    /// Somebody refused because there is a newer table.
    StaleEpoch(Epoch),
    /// Time has passed.
    Tick,
}
