//! Why a call to another node came to nothing.

use cluster::{ClusterId, Epoch, NodeId};
use std::time::Duration;

/// Why a call came to nothing, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The node cannot be reached, or the connection broke. Retry elsewhere; it may have been done all the same.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// There was no answer in time. Retry elsewhere; it may have been done all the same.
    #[error("no answer in time")]
    Deadline,
    /// This node's table is older than the receiver's. Fetch that one, then send again.
    #[error("this node's table is older than epoch {}", theirs.0)]
    StaleEpoch {
        /// The receiver's.
        theirs: Epoch,
    },
    /// The receiver's table is older than this node's and it could not fetch the newer one. Retry elsewhere.
    #[error("the receiver's table is still of epoch {}", theirs.0)]
    BehindEpoch {
        /// The receiver's.
        theirs: Epoch,
    },
    /// The receiver is in another cluster, or in none yet. An address or `cluster.id` is wrong, or it is too early.
    #[error("the receiver is in {}", theirs.map_or_else(|| "no cluster yet".to_owned(), |id| format!("the cluster {id}")))]
    WrongCluster {
        /// The receiver's.
        theirs: Option<ClusterId>,
    },
    /// The other side holds another cluster key. The file that `cluster_key_file` names is wrong on one of the two.
    #[error("the receiver holds another cluster key: compare the files that cluster_key_file names")]
    WrongKey,
    /// Another node listens at the address. Look the address up anew.
    #[error("node {theirs} listens at the address")]
    WrongNode {
        /// Who listens.
        theirs: NodeId,
    },
    /// The receiver takes other versions of formats and protocol. One of the two is to be upgraded.
    #[error("the receiver takes versions {min} to {max} of the protocol: run a release that speaks one of them")]
    WrongProtocol {
        /// The oldest.
        min: u32,
        /// The newest.
        max: u32,
    },
    /// The receiver has too much to do and did nothing. Retry later, or elsewhere.
    #[error("overloaded; try again in {} ms", retry_after.as_millis())]
    Overloaded {
        /// After how long to try again.
        retry_after: Duration,
    },
    /// The receiver will not do it as things are, and did nothing.
    #[error("refused: {0}")]
    Refused(String),
    /// One of the two said what the other does not understand. A fault of a program; do not retry.
    #[error("not understood: {0}")]
    Malformed(String),
}

impl CallError {
    /// Whether the receiver certainly did nothing.
    pub fn nothing_was_done(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Deadline | Self::Malformed(_) => false,
            Self::StaleEpoch { .. }
            | Self::BehindEpoch { .. }
            | Self::WrongCluster { .. }
            | Self::WrongKey
            | Self::WrongNode { .. }
            | Self::WrongProtocol { .. }
            | Self::Overloaded { .. }
            | Self::Refused(_) => true,
        }
    }

    /// The receiver is in this other cluster; all zero: in none.
    pub(super) fn of_cluster(theirs: [u8; 16]) -> Self {
        Self::WrongCluster { theirs: (theirs != [0; 16]).then_some(ClusterId(theirs)) }
    }
}
