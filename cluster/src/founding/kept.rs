//! What a founding keeps on disk: nothing, a promise, or a founded cluster. It never holds what is not synced.

use crate::id::{ClusterId, NodeId};
use crate::wire::{self, WireError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// The first byte of what is kept.
const VERSION: u8 = 1;

/// The nodes that found together, each once, ascending.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct List(BTreeSet<NodeId>);

/// What is on the disk. It only ever goes down this list, and neither a list nor a cluster ever changes; who has promised
/// does not join.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kept {
    /// Nothing: the node is fresh.
    Nothing,
    /// A promise to found with exactly these, and with nobody else, ever.
    Promise(List),
    /// A cluster founded with this list.
    Founded(List),
    /// A cluster that others founded, and that admitted this node.
    Joined(ClusterId),
}

impl ClusterId {
    /// The cluster that these nodes found, in any order: the first 16 bytes of BLAKE3 over a tag and their ids, ascending,
    /// 8 bytes big-endian each. Frozen: a cluster's name never changes.
    pub fn of(nodes: impl IntoIterator<Item = NodeId>) -> Self {
        let nodes: BTreeSet<_> = nodes.into_iter().collect();
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"stemedb cluster 1");
        for node in nodes {
            hasher.update(&node.0.to_be_bytes());
        }
        let mut id = [0; 16];
        hasher.finalize_xof().fill(&mut id);
        Self(id)
    }
}

impl List {
    /// A list of these.
    pub fn new(nodes: BTreeSet<NodeId>) -> Self {
        Self(nodes)
    }

    /// The cluster that they found.
    pub fn cluster(&self) -> ClusterId {
        ClusterId::of(self.nodes())
    }

    /// The nodes, ascending.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.0.iter().copied()
    }

    pub(super) fn contains(&self, node: NodeId) -> bool {
        self.0.contains(&node)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::trouble::names(&self.0, f)
    }
}

impl Kept {
    /// The list, if there is one.
    pub fn list(&self) -> Option<&List> {
        match self {
            Self::Nothing | Self::Joined(_) => None,
            Self::Promise(list) | Self::Founded(list) => Some(list),
        }
    }

    /// The cluster that the node belongs to.
    pub fn cluster(&self) -> Option<ClusterId> {
        match self {
            Self::Nothing | Self::Promise(_) => None,
            Self::Founded(list) => Some(list.cluster()),
            Self::Joined(cluster) => Some(*cluster),
        }
    }

    /// Its bytes: a version, then postcard.
    pub fn encode(&self) -> Vec<u8> {
        wire::encode(VERSION, self)
    }

    /// The inverse of [`Kept::encode`].
    ///
    /// # Errors
    ///
    /// [`WireError`] for bytes that `encode` of this release cannot have made. A node that kept such bytes must not found.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        wire::decode(VERSION, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn list(ids: &[u64]) -> List {
        List::new(ids.iter().copied().map(NodeId).collect())
    }

    #[test]
    fn a_cluster_id_depends_on_the_set_of_its_founders_alone_and_is_frozen() {
        assert_eq!(ClusterId::of([3, 1, 2, 1].map(NodeId)), list(&[1, 2, 3]).cluster());
        expect!["8dc10c9f654fcf442a96d228ae2070b7"].assert_eq(&list(&[1, 2, 3]).cluster().to_string());
    }

    #[test]
    fn what_is_kept_reads_back_and_its_bytes_are_frozen() {
        let joined = Kept::Joined(ClusterId([9; 16]));
        for kept in [Kept::Nothing, Kept::Promise(list(&[1, 500])), Kept::Founded(list(&[7])), joined] {
            assert_eq!(Kept::decode(&kept.encode()), Ok(kept));
        }
        assert_eq!(Kept::Promise(list(&[1, 500])).encode(), [1, 1, 2, 1, 0xf4, 3]);
        assert_eq!(Kept::decode(&[1, 1, 2, 3, 1]), Err(WireError::Bytes), "not ascending");
    }
}
