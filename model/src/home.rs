//! Homes: the fixed partitions of the record set.

use crate::record::Subject;
use std::fmt;

/// One of the 257 partitions: 256 by subject, and one for records that every node keeps.
///
/// A `u16`, little-endian in frames and messages. The rule that assigns a home never changes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Home(u16);

impl Home {
    /// The home of records that every node keeps.
    pub const GLOBAL: Self = Self(256);
    /// How many homes there are, [`Home::GLOBAL`] included.
    pub const COUNT: u16 = 257;

    /// The home of a subject: the first byte of `BLAKE3(subject)`.
    ///
    /// Every node of every release must agree. Cost: one hash, about 1 ns a byte.
    pub fn of(subject: &Subject) -> Self {
        Self::of_bytes(subject.as_str().as_bytes())
    }

    /// [`Home::of`] for the UTF-8 bytes of a subject.
    pub fn of_bytes(subject: &[u8]) -> Self {
        let [first, ..] = *blake3::hash(subject).as_bytes();
        Self(u16::from(first))
    }

    /// Parses a home's number, 0 to 256.
    pub fn from_number(number: u16) -> Option<Self> {
        (number < Self::COUNT).then_some(Self(number))
    }

    /// Its number, 0 to 256.
    pub fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Home({self})")
    }
}

impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::GLOBAL { f.write_str("global") } else { write!(f, "{}", self.0) }
    }
}

#[test]
fn the_home_rule_is_frozen() {
    let home = |subject: &str| Home::of_bytes(subject.as_bytes()).number();
    assert_eq!(
        [home("geo://country/BO"), home("Tesla_Inc"), home("x")],
        [
            u16::from(blake3::hash(b"geo://country/BO").as_bytes()[0]),
            u16::from(blake3::hash(b"Tesla_Inc").as_bytes()[0]),
            u16::from(blake3::hash(b"x").as_bytes()[0]),
        ]
    );
    assert_eq!(Home::from_number(257), None);
    assert_eq!(Home::from_number(256), Some(Home::GLOBAL));
}
