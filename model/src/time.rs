//! Times as values. Nothing here reads a clock.

use rkyv::{Archive, Deserialize, Serialize};
use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

/// When an author claims something, or until when it holds: milliseconds since the Unix epoch, 0 to 2^53 - 1.
///
/// Only in signed content and on displays; nothing is ordered or expired by it except through a lens.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[rkyv(derive(Clone, Copy, Debug))]
pub struct Timestamp(u64);

impl Timestamp {
    /// The first value that is refused: 2^53.
    pub const LIMIT: u64 = 1 << 53;

    /// A timestamp of `ms` milliseconds since the Unix epoch; `None` from 2^53 on.
    pub fn from_ms(ms: u64) -> Option<Self> {
        (ms < Self::LIMIT).then_some(Self(ms))
    }

    /// Milliseconds since the Unix epoch.
    pub fn ms(self) -> u64 {
        self.0
    }
}

impl From<&ArchivedTimestamp> for Timestamp {
    fn from(archived: &ArchivedTimestamp) -> Self {
        Self(archived.0.to_native())
    }
}

/// When a node accepted a record: a hybrid logical clock, 48 bits of milliseconds and 16 of counter.
///
/// In JSON the string `<ms>.<counter>`. Never part of an id. Source: Kulkarni et al., "Logical Physical Clocks", OPODIS
/// 2014.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Stamp(u64);

impl Stamp {
    /// Before every stamp that a node gives.
    pub const ZERO: Self = Self(0);
    /// After every stamp that a node gives.
    pub const MAX: Self = Self(u64::MAX);
    /// The first number of milliseconds that does not fit: 2^48, in the year 10889.
    pub const MS_LIMIT: u64 = 1 << 48;

    /// The stamp of `ms` milliseconds since the Unix epoch and a counter; `None` from 2^48 ms on.
    pub fn new(ms: u64, counter: u16) -> Option<Self> {
        (ms < Self::MS_LIMIT).then_some(Self(ms << 16 | u64::from(counter)))
    }

    /// The last stamp of a millisecond: what an RFC 3339 `as_of` means. From 2^48 ms on, [`Stamp::MAX`].
    pub fn end_of_ms(ms: u64) -> Self {
        Self::new(ms, u16::MAX).unwrap_or(Self::MAX)
    }

    /// Milliseconds since the Unix epoch.
    pub fn ms(self) -> u64 {
        self.0 >> 16
    }

    /// The counter that tells stamps of one millisecond apart.
    pub fn counter(self) -> u16 {
        let [low, high, ..] = self.0.to_le_bytes();
        u16::from_le_bytes([low, high])
    }

    /// The next stamp, counting over into the next millisecond; `None` after [`Stamp::MAX`].
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }

    /// As one number: milliseconds in the upper 48 bits, the counter in the lower 16.
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// The inverse of [`Stamp::to_bits`].
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.ms(), self.counter())
    }
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stamp({self})")
    }
}

/// A text that is not `<ms>.<counter>` in plain decimal digits without leading zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a stamp of the form <ms>.<counter>")]
pub struct NotAStamp;

impl FromStr for Stamp {
    type Err = NotAStamp;

    fn from_str(text: &str) -> Result<Self, NotAStamp> {
        let (ms, counter) = text.split_once('.').ok_or(NotAStamp)?;
        Self::new(decimal(ms)?, u16::try_from(decimal(counter)?).or(Err(NotAStamp))?).ok_or(NotAStamp)
    }
}

fn decimal(digits: &str) -> Result<u64, NotAStamp> {
    let canonical = digits == "0" || !digits.starts_with('0');
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if canonical && plain { digits.parse().or(Err(NotAStamp)) } else { Err(NotAStamp) }
}

/// A length of time in milliseconds, never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(NonZeroU64);

impl Duration {
    /// A duration of `ms` milliseconds; `None` for zero.
    pub fn from_ms(ms: u64) -> Option<Self> {
        NonZeroU64::new(ms).map(Self)
    }

    /// Its milliseconds, at least 1.
    pub fn ms(self) -> NonZeroU64 {
        self.0
    }
}

#[test]
fn a_stamp_reads_back_what_it_prints() {
    for stamp in [Stamp::ZERO, Stamp::MAX, Stamp::new(1_785_000_000_000, 7).unwrap()] {
        assert_eq!(stamp.to_string().parse(), Ok(stamp));
    }
    for wrong in ["", "1", "1.", ".1", "01.0", "1.65536", "+1.0", "281474976710656.0", "1.0.0", "1.00"] {
        assert_eq!(wrong.parse::<Stamp>(), Err(NotAStamp), "{wrong}");
    }
}
