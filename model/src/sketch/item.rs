//! One element as a sketch holds it, and the key under which it is hashed.

use super::Symbol;
use super::indices::Indices;
use crate::home::Home;
use crate::set::{Leaf, SetKey};
use crate::time::Stamp;
use std::fmt;

/// The secret under which elements are hashed into items and items into symbols: one a cluster, unknown to clients.
///
/// Numbered, so that a cluster can go over to another: sketches can be compared under equal numbers only. It is never printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SketchKey {
    secret: [u8; 32],
    number: u32,
}

impl SketchKey {
    /// What tells its derivation from all others.
    const CONTEXT: &str = "stemedb 2026 v1 key of sketches";

    /// The sketch key of this number of whoever holds this key of the sets.
    pub fn of(sets: &SetKey, number: u32) -> Self {
        Self { secret: sets.derived(Self::CONTEXT, number), number }
    }

    /// Its number.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The first 40 bits of the hash of an element. Cost: one hash of 16 bytes, about 150 ns.
    fn hash(&self, leaf: Leaf) -> u64 {
        let [a, b, c, d, e, ..] = *blake3::keyed_hash(&self.secret, &leaf.0).as_bytes();
        u64::from_le_bytes([a, b, c, d, e, 0, 0, 0])
    }

    /// The symbol that holds `item` alone, and the indices at which a sketch has it.
    ///
    /// Of a hash of 12 bytes, of which no leaf has so few, the first 4 are the check and the next 8 begin the draws.
    pub(super) fn one(&self, item: Item) -> (Symbol, Indices) {
        let [a, b, c, d, seed @ ..] = *blake3::keyed_hash(&self.secret, &item.to_bytes()).as_bytes();
        let Some(seed) = seed.first_chunk() else { unreachable!("a hash has 32 bytes") };
        let check = u32::from_le_bytes([a, b, c, d]);
        (Symbol::of(item, check), Indices::drawn_from(u64::from_le_bytes(*seed)))
    }
}

impl fmt::Debug for SketchKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SketchKey({}, ..)", self.number)
    }
}

/// One element of a home's set: where to look for it, and how to know it there.
///
/// As a number it has 96 bits, from the upper end: the home's number (9), the milliseconds of the stamp (47), and the first 40
/// of BLAKE3 of the leaf under the [`SketchKey`]. Items are in order of home and time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Item {
    home: Home,
    ms: u64,
    hash: u64,
}

impl Item {
    /// Its length in bytes.
    pub const LENGTH: usize = 12;
    /// The greatest number of milliseconds that an item holds, in the year 6429. Whatever is stamped later has it too.
    pub const MS_MAX: u64 = (1 << Self::MS_BITS) - 1;

    const MS_BITS: u32 = 47;
    const HASH_BITS: u32 = 40;

    /// The item of an element. Cost: one hash of 16 bytes, about 150 ns.
    pub fn of(key: &SketchKey, home: Home, stamp: Stamp, leaf: Leaf) -> Self {
        Self { home, ms: stamp.ms().min(Self::MS_MAX), hash: key.hash(leaf) }
    }

    /// In which home the element is.
    pub fn home(self) -> Home {
        self.home
    }

    /// The milliseconds of its stamp; [`Item::MS_MAX`] also for all later ones.
    pub fn ms(self) -> u64 {
        self.ms
    }

    /// As one number below 2^96.
    pub fn to_bits(self) -> u128 {
        let place = u128::from(self.home.number()) << Self::MS_BITS | u128::from(self.ms);
        place << Self::HASH_BITS | u128::from(self.hash)
    }

    /// The inverse of [`Item::to_bits`]; `None` where the upper bits number no home.
    pub fn from_bits(bits: u128) -> Option<Self> {
        let place = bits >> Self::HASH_BITS;
        Some(Self {
            home: Home::from_number(u16::try_from(place >> Self::MS_BITS).ok()?)?,
            ms: u64::try_from(place & u128::from(Self::MS_MAX)).ok()?,
            hash: u64::try_from(bits & ((1 << Self::HASH_BITS) - 1)).ok()?,
        })
    }

    /// As it is hashed and sent: its number, little-endian.
    pub fn to_bytes(self) -> [u8; Self::LENGTH] {
        let Some(bytes) = self.to_bits().to_le_bytes().first_chunk().copied() else { unreachable!("16 bytes have 12") };
        bytes
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{:010x}", self.home, self.ms, self.hash)
    }
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Item({self})")
    }
}
