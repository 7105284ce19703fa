//! What keeps a founding from going on, in words for operators. It decides nothing.

use super::List;
use crate::id::{ClusterId, NodeId};
use std::collections::BTreeSet;
use std::fmt;

/// Why a cluster is not founded. Each says what was seen; the runbook on founding says what to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// Fewer fresh nodes than expected, for too long. Start the others, or check seeds and ports.
    TooFew {
        /// `bootstrap_expect` of this node.
        expect: usize,
        /// Those in sight, this one included.
        fresh: BTreeSet<NodeId>,
    },
    /// More fresh nodes than expected. Stop some, or raise `bootstrap_expect` on all.
    TooMany {
        /// `bootstrap_expect` of this node.
        expect: usize,
        /// Those in sight, this one included.
        fresh: BTreeSet<NodeId>,
    },
    /// A fresh node in sight expects another number. Give all the same `bootstrap_expect`.
    Expectations {
        /// What this node expects or has promised.
        expect: usize,
        /// The other node.
        node: NodeId,
        /// What it expects.
        theirs: usize,
    },
    /// Others have promised a list that this node cannot promise. It can join their cluster, or must be kept apart.
    LeftOut {
        /// `bootstrap_expect` of this node.
        expect: usize,
        /// Their list.
        list: List,
    },
    /// Two lists were promised among nodes that see each other. Wipe the nodes of one list and start them again.
    TwoLists(List),
    /// There is a cluster already. This node can only join it, once an operator admits it there.
    Exists {
        /// The cluster.
        cluster: ClusterId,
        /// This node.
        me: NodeId,
    },
    /// This node only joins, and no cluster is in sight. Check `seeds`, the key and the ports.
    NoCluster,
    /// Somebody on the promised list is not heard of. Bring it back; if its disk is lost, wipe all on the list.
    Missing {
        /// The promised list.
        list: List,
        /// Who is not heard of.
        missing: BTreeSet<NodeId>,
    },
    /// Somebody on the promised list is there but does not promise. It says itself why.
    Unpromised {
        /// The promised list.
        list: List,
        /// Who has not promised it.
        fresh: BTreeSet<NodeId>,
    },
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFew { expect, fresh } | Self::TooMany { expect, fresh } => {
                let noun = if fresh.len() == 1 { "node" } else { "nodes" };
                write!(f, "{} fresh {noun}, bootstrap_expect is {expect}: ", fresh.len())?;
                names(fresh, f)
            }
            Self::Expectations { expect, node, theirs } => {
                write!(f, "bootstrap_expect is {expect} here and {theirs} on node {node}")
            }
            Self::LeftOut { expect, list } => {
                write!(f, "others promised a list that this node cannot promise (bootstrap_expect is {expect}): {list}")
            }
            Self::TwoLists(list) => write!(f, "another list was promised besides this one: {list}"),
            Self::Exists { cluster, me } => {
                write!(f, "cluster {cluster} exists already: this node joins it once it is admitted there, by ")?;
                write!(f, "`stemedb node join {me}`")
            }
            Self::NoCluster => {
                f.write_str("no cluster is in sight, and this node only joins one: check seeds, key and ports")
            }
            Self::Missing { list, missing } => {
                f.write_str("promised a list whose members were never seen again: ")?;
                names(missing, f)?;
                write!(f, "; the list is {list}")
            }
            Self::Unpromised { list, fresh } => {
                f.write_str("promised a list that is not promised by ")?;
                names(fresh, f)?;
                write!(f, "; the list is {list}")
            }
        }
    }
}

/// Ids, separated by commas.
pub(super) fn names(nodes: &BTreeSet<NodeId>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    nodes.iter().enumerate().try_for_each(|(at, node)| write!(f, "{}{node}", if at == 0 { "" } else { ", " }))
}
