//! Votes.

use super::field::{Authors, Subject, Weight};
use crate::id::RecordId;
use crate::time::Timestamp;
use rkyv::{Archive, Deserialize, Serialize};

/// A verdict on a claim. Well-formed, not signed.
///
/// It counts only where its target is in the same home; the target need not be known yet.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[rkyv(derive(Debug))]
pub struct Vote {
    /// Who votes.
    pub authors: Authors,
    /// When they do.
    pub timestamp: Timestamp,
    /// The subject of the target.
    pub subject: Subject,
    /// The claim voted on.
    pub target: RecordId,
    /// How far they agree, -1 to 1.
    pub weight: Weight,
}
