//! Positions: the names of places in the log.
//!
//! A position never changes, not even when its segment is compacted, and never names two different frames.

use std::fmt;

/// A place in the log: the segment's number and the offset in the segment as it was first written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The segment's number, from 1.
    pub segment: u32,
    /// The offset in bytes in generation 0 of the segment.
    pub at: u32,
}

impl Position {
    /// Before everything in the log.
    pub const START: Self = Self { segment: 0, at: 0 };

    /// As one number that sorts alike: the segment in the upper 32 bits, the offset in the lower.
    pub fn to_bits(self) -> u64 {
        u64::from(self.segment) << 32 | u64::from(self.at)
    }

    /// The inverse of [`Position::to_bits`].
    pub fn from_bits(bits: u64) -> Self {
        let [a, b, c, d, e, f, g, h] = bits.to_be_bytes();
        Self { segment: u32::from_be_bytes([a, b, c, d]), at: u32::from_be_bytes([e, f, g, h]) }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.segment, self.at)
    }
}
