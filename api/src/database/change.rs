//! Changes of a cluster that an operator asks for, and what they come to.

use super::{ReadError, Speaks};
use serde::Serialize;
use std::fmt;
use utoipa::ToSchema;

/// The name of a node: 16 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeName(pub u64);

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A change of who is in the cluster, or of what moves in it. Asking for one that was made already is harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Makes a node that waits for it a member. It takes its share of the homes.
    Join(NodeName),
    /// Has a member give all that it owns to the others; when it has nothing left it is removed.
    Drain(NodeName),
    /// Stops that: the member takes its share again.
    Keep(NodeName),
    /// Removes a member at once and for ever: a dead one, whose homes others take over from those that have them too.
    Remove(NodeName),
    /// Removes a dead member, and has a node that waits for it take its place.
    Replace {
        /// Who goes.
        old: NodeName,
        /// Who comes.
        new: NodeName,
    },
    /// Lets no further home set out.
    Pause,
    /// Lets them again.
    Resume,
    /// Makes this the active version of formats and protocol, for ever: every member speaks it.
    Activate(u16),
}

/// What a change comes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Changed {
    /// Whether it was made; else it is only what it would come to.
    pub is_made: bool,
    /// How many homes are still to move then, those in transit included.
    #[schema(maximum = 257)]
    pub homes_to_move: u16,
    /// The version of formats and protocol that is active then.
    #[schema(minimum = 1)]
    pub active_version: u16,
    /// Every node concerned, ascending by name.
    pub nodes: Vec<Share>,
}

/// What a node owns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Share {
    /// Its name.
    #[schema(examples("3b6a27bcceb6a42d"))]
    pub node_id: String,
    /// How many homes it owns before the change, the global one included.
    #[schema(maximum = 257)]
    pub homes_now: u16,
    /// How many it is to own when all have moved.
    #[schema(maximum = 257)]
    pub homes_then: u16,
    /// Which versions of formats and protocol it speaks.
    pub speaks: Option<Speaks>,
}

/// Why a change is not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeError {
    /// The node that is to join has not been heard of. Start it with `seeds` in this cluster and the cluster's key.
    Unheard(NodeName),
    /// The cluster as it is does not allow it; the text says why and what to do.
    Refused(String),
    /// It cannot be made now. It may still be made; asking again is harmless.
    Read(ReadError),
}

/// How far a cluster is on its way to where its members and settings lead it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Moves {
    /// Homes that are not yet where they are to be, those in transit included.
    #[schema(maximum = 257)]
    pub homes_left: u16,
    /// Homes that are being taken over now.
    #[schema(maximum = 257)]
    pub homes_in_transit: u16,
    /// Whether no further home sets out.
    pub is_paused: bool,
}
