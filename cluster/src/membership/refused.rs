//! Packets that were dropped: why, how many, and where the last one came from.
//!
//! The sender's address is what the datagram claims; anybody can forge it. It is for the eyes of an operator.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

/// Why a packet was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Too short to be one.
    NoPacket,
    /// Longer than a packet may be.
    TooLong,
    /// Of a version that this release does not speak.
    OtherVersion,
    /// It does not open: sealed with another cluster key, or changed on the way.
    OtherKey,
    /// Of another founded cluster that has the same key.
    OtherCluster,
    /// It opens, but makes no sense.
    Malformed,
    /// It came from this node itself.
    Ourselves,
    /// From a node that was removed from the cluster.
    Removed,
    /// It names more nodes than this one keeps.
    Full,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPacket => "too short to be packets",
            Self::TooLong => "longer than packets may be",
            Self::OtherVersion => "of another version",
            Self::OtherKey => "sealed with another cluster key",
            Self::OtherCluster => "of another cluster with the same key",
            Self::Malformed => "that make no sense",
            Self::Ourselves => "that this node sent itself",
            Self::Removed => "of a node that was removed",
            Self::Full => "that name more nodes than are kept",
        })
    }
}

/// The packets dropped for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// How many since the node started.
    pub packets: u64,
    /// Where the last one claimed to come from.
    pub last_from: SocketAddr,
}

/// Counts dropped packets by reason.
#[derive(Debug, Default)]
pub(super) struct Refusals(BTreeMap<Reason, Refused>);

impl Refusals {
    /// One more.
    pub(super) fn count(&mut self, reason: Reason, from: SocketAddr) {
        let refused = self.0.entry(reason).or_insert(Refused { packets: 0, last_from: from });
        refused.packets += 1;
        refused.last_from = from;
    }

    /// All of them.
    pub(super) fn all(&self) -> &BTreeMap<Reason, Refused> {
        &self.0
    }
}
