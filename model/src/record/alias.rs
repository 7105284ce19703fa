//! Aliases.

use super::field::{Authors, Pair};
use crate::time::Timestamp;
use rkyv::{Archive, Deserialize, Serialize};

/// A statement that two subjects name one thing. Well-formed, not signed.
///
/// It lives in the global home, since it concerns the homes of both. Whether it counts is for readers to decide.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct Alias {
    /// Who states it.
    pub authors: Authors,
    /// When they do.
    pub timestamp: Timestamp,
    /// The two subjects: `from` is another name of `to`.
    pub pair: Pair,
}
