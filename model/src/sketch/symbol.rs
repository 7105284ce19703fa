//! One symbol of a sketch, in memory and on the wire.

use super::Item;
use std::fmt;

/// Some of a set's items, added up: the xor of the items, the xor of their checks, and how many they are.
///
/// 20 bytes. The number is negative where items were taken out that were never there. It counts modulo 2^32 in memory and
/// modulo 256 on the wire, which is enough: numbers are added, taken away, and asked whether they are 1 or -1 modulo 256; a
/// symbol of 257 items that is taken for one of a single item does not get past its check.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
#[repr(Rust, packed(4))]
pub struct Symbol {
    /// The xor of the items in the lower 96 bits, that of the checks in the upper 32.
    sum: u128,
    count: i32,
}

impl Symbol {
    /// The symbol of no item.
    pub const EMPTY: Self = Self { sum: 0, count: 0 };
    /// Its length as bytes.
    pub const LENGTH: usize = 17;

    const ITEM_BITS: u32 = 96;

    /// The symbol of one item with this check.
    pub(super) fn of(item: Item, check: u32) -> Self {
        Self { sum: u128::from(check) << Self::ITEM_BITS | item.to_bits(), count: 1 }
    }

    /// The symbol of the items of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { sum: self.sum ^ other.sum, count: self.count.wrapping_add(other.count) }
    }

    /// What is left without the items of `other`.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self { sum: self.sum ^ other.sum, count: self.count.wrapping_sub(other.count) }
    }

    /// How many items were added less those taken away, modulo 256 as -128 to 127.
    pub fn count(self) -> i8 {
        let [low, ..] = self.count.to_le_bytes();
        low.cast_signed()
    }

    /// Whether nothing is in it, as far as a symbol can tell.
    pub fn is_empty(self) -> bool {
        self.sum == 0 && self.count() == 0
    }

    /// The item in it if it holds only one; `None` if its bits name no home. Whether it does hold one is not known here.
    pub(super) fn item(self) -> Option<Item> {
        Item::from_bits(self.sum & ((1 << Self::ITEM_BITS) - 1))
    }

    /// Whether both hold the same items, apart from how often and on which side.
    pub(super) fn sums_to(self, other: Self) -> bool {
        self.sum == other.sum
    }

    /// As it is sent: the xor of the items (12), that of their checks (4), both little-endian, and the number modulo 256 (1).
    pub fn to_bytes(self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        if let Some((count, sum)) = bytes.split_last_mut() {
            sum.copy_from_slice(&self.sum.to_le_bytes());
            *count = self.count().cast_unsigned();
        }
        bytes
    }

    /// The inverse of [`Symbol::to_bytes`]: any bytes are a symbol.
    pub fn from_bytes(bytes: &[u8; Self::LENGTH]) -> Self {
        let [sum @ .., count] = *bytes;
        Self { sum: u128::from_le_bytes(sum), count: i32::from(count.cast_signed()) }
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sum, count) = (self.sum, self.count);
        write!(f, "Symbol({sum:032x}, {count})")
    }
}
