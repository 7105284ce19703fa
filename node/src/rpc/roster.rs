//! Who belongs to the cluster, as far as a node knows: whose calls it takes.
//!
//! It only tells; it grows and shrinks with the control state, and nothing else changes it.

use cluster::{NodeId, NodeKey};
use std::collections::{BTreeMap, BTreeSet};

/// Who belongs to the cluster, as far as this node knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Roster {
    /// There is no cluster yet.
    #[default]
    Nobody,
    /// Those that promised to found it. Of their keys only the beginnings are known, which their ids are.
    Founders(BTreeSet<NodeId>),
    /// Those that the newest known control state lists.
    Members(BTreeMap<NodeId, NodeKey>),
}

impl Roster {
    /// Whether a node belongs; `key` is what it showed, nothing where nobody shows keys.
    pub(super) fn has(&self, node: NodeId, key: Option<NodeKey>) -> bool {
        let fits = key.is_none_or(|key| key.node() == node);
        fits && match self {
            Self::Nobody => false,
            Self::Founders(founders) => founders.contains(&node),
            Self::Members(members) => members.get(&node).is_some_and(|known| key.is_none_or(|key| key == *known)),
        }
    }

    /// Whether a key may be that of a node: it is, or nobody knows better.
    pub(super) fn may_be(&self, node: NodeId, key: NodeKey) -> bool {
        let known = match self {
            Self::Nobody | Self::Founders(_) => None,
            Self::Members(members) => members.get(&node),
        };
        key.node() == node && known.is_none_or(|known| *known == key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: u64, rest: u8) -> NodeKey {
        let mut key = [rest; 32];
        key[..8].copy_from_slice(&id.to_be_bytes());
        NodeKey(key)
    }

    #[test]
    fn a_member_belongs_under_its_own_key_alone() {
        let node = NodeId(1);
        let (own, same_id, other) = (key(1, 7), key(1, 8), key(2, 7));
        let founders = Roster::Founders([node].into());
        let members = Roster::Members([(node, own)].into());
        for (roster, key, belongs) in [
            (&Roster::Nobody, Some(own), false),
            (&founders, Some(own), true),
            (&founders, Some(same_id), true),
            (&founders, Some(other), false),
            (&members, Some(own), true),
            (&members, None, true),
            (&members, Some(same_id), false),
            (&members, Some(other), false),
        ] {
            assert_eq!(roster.has(node, key), belongs, "{roster:?} {key:?}");
        }
        assert!(!members.has(NodeId(2), Some(other)) && members.may_be(NodeId(2), other));
        assert!(!members.may_be(node, same_id) && founders.may_be(node, same_id));
        assert!(!Roster::Nobody.may_be(node, other));
    }
}
