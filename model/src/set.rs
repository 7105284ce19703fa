//! What a home's set of records is, as bytes: the leaf of one element, and sums of leaves that two nodes compare.
//!
//! It never sees a record and keeps no set; it only says what an element is and adds elements up. Equal sums under one
//! secret key mean equal sets, whatever the order in which elements came and went.
//!
//! The sum is taken modulo 2^128 over keyed hashes. Whoever does not know the key cannot choose elements whose hashes
//! cancel out; so the key is made from what clients never see. Source: Clarke et al., "Incremental Multiset Hash
//! Functions and Their Application to Memory Integrity Checking", ASIACRYPT 2003 (MSet-Add-Hash).

use crate::hex;
use crate::id::RecordId;
use crate::time::Stamp;
use std::fmt;

/// One element of a home's set: which record, under which stamp, with which signatures.
///
/// The first 16 bytes of BLAKE3 over the id (32), the stamp (8, little-endian) and the BLAKE3 of the signatures (32), as
/// [`crate::canonical::signatures_digest`] gives it. An erased record keeps its leaf.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Leaf(pub [u8; 16]);

impl Leaf {
    /// Its length in bytes.
    pub const LENGTH: usize = 16;

    /// The leaf of a record. Every node of every release must agree. Cost: one hash of 72 bytes, about 150 ns.
    pub fn of(id: &RecordId, stamp: Stamp, signatures_digest: &[u8; 32]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&id.0).update(&stamp.to_bits().to_le_bytes()).update(signatures_digest);
        Self(first_16(&hasher.finalize()))
    }
}

impl fmt::Display for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(&self.0, f)
    }
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Leaf({self})")
    }
}

/// The secret under which leaves are hashed before they are summed: one a cluster, unknown to clients.
///
/// Sums made under different keys cannot be compared. It is never printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SetKey([u8; 32]);

impl SetKey {
    /// The key of these bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// What tells two keys apart without telling either: 8 bytes of a hash under the key.
    pub fn fingerprint(&self) -> [u8; 8] {
        let [first, ..] = *blake3::keyed_hash(&self.0, b"stemedb-v1-set-key").as_bytes().as_chunks::<8>().0 else {
            unreachable!("a hash has 32 bytes")
        };
        first
    }

    /// The secret of this number for another purpose, from which nothing follows about the key or about other secrets.
    /// `context` is a constant of the purpose's own.
    pub(crate) fn derived(&self, context: &str, number: u32) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key(context);
        hasher.update(&self.0).update(&number.to_le_bytes());
        hasher.finalize().into()
    }

    /// What a leaf adds to a sum. Cost: one hash of 16 bytes, about 80 ns.
    fn weight(&self, leaf: Leaf) -> u128 {
        u128::from_le_bytes(first_16(&blake3::keyed_hash(&self.0, &leaf.0)))
    }
}

impl fmt::Debug for SetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SetKey(..)")
    }
}

/// The sum of a set of leaves and how many there are: what two owners of a home compare first.
///
/// All arithmetic wraps, so that a difference of two sums is one too and may be added to a third.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SetSum {
    /// The sum of the keyed hashes, modulo 2^128.
    pub sum: u128,
    /// How many leaves, modulo 2^64.
    pub count: u64,
}

impl SetSum {
    /// The sum of nothing.
    pub const ZERO: Self = Self { sum: 0, count: 0 };
    /// Its length as bytes.
    pub const LENGTH: usize = 24;

    /// Adds a leaf.
    pub fn add(&mut self, key: &SetKey, leaf: Leaf) {
        *self = self.plus(Self { sum: key.weight(leaf), count: 1 });
    }

    /// Takes a leaf out that was added before.
    pub fn remove(&mut self, key: &SetKey, leaf: Leaf) {
        *self = self.minus(Self { sum: key.weight(leaf), count: 1 });
    }

    /// The sum of both sets together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { sum: self.sum.wrapping_add(other.sum), count: self.count.wrapping_add(other.count) }
    }

    /// What is left without the leaves of `other`.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self { sum: self.sum.wrapping_sub(other.sum), count: self.count.wrapping_sub(other.count) }
    }

    /// As it is stored and sent: the sum (16) and the count (8), little-endian.
    pub fn to_bytes(self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        let (sum, count) = bytes.split_at_mut(Leaf::LENGTH);
        sum.copy_from_slice(&self.sum.to_le_bytes());
        count.copy_from_slice(&self.count.to_le_bytes());
        bytes
    }

    /// The inverse of [`SetSum::to_bytes`]; `None` for another length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (sum, count) = bytes.split_first_chunk::<16>()?;
        Some(Self { sum: u128::from_le_bytes(*sum), count: u64::from_le_bytes(count.try_into().ok()?) })
    }
}

fn first_16(hash: &blake3::Hash) -> [u8; 16] {
    let Some(first) = hash.as_bytes().first_chunk::<16>() else { unreachable!("a hash has 32 bytes") };
    *first
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: SetKey = SetKey([7; 32]);

    fn leaves() -> impl Strategy<Value = Vec<Leaf>> {
        prop::collection::vec(any::<[u8; 16]>().prop_map(Leaf), 0..40)
    }

    fn in_two_orders() -> impl Strategy<Value = (Vec<Leaf>, Vec<Leaf>)> {
        leaves().prop_flat_map(|leaves| (Just(leaves.clone()), Just(leaves).prop_shuffle()))
    }

    fn sum(leaves: &[Leaf]) -> SetSum {
        let mut sum = SetSum::ZERO;
        leaves.iter().for_each(|leaf| sum.add(&KEY, *leaf));
        sum
    }

    proptest! {
        #[test]
        fn the_order_of_leaves_does_not_matter((leaves, shuffled) in in_two_orders()) {
            prop_assert_eq!(sum(&leaves), sum(&shuffled));
            prop_assert_eq!(sum(&leaves).count, leaves.len() as u64);
        }

        #[test]
        fn a_leaf_that_came_and_went_leaves_nothing(leaves in leaves(), more in leaves()) {
            let mut sum_of_all = sum(&leaves);
            more.iter().for_each(|leaf| sum_of_all.add(&KEY, *leaf));
            prop_assert_eq!(sum_of_all, sum(&leaves).plus(sum(&more)));
            more.iter().rev().for_each(|leaf| sum_of_all.remove(&KEY, *leaf));
            prop_assert_eq!(sum_of_all, sum(&leaves));
        }

        #[test]
        fn what_is_taken_away_may_be_added_to_another_sum(a in leaves(), b in leaves(), c in leaves()) {
            let difference = sum(&a).minus(sum(&b));
            prop_assert_eq!(sum(&c).plus(sum(&b)).plus(difference), sum(&c).plus(sum(&a)));
        }

        #[test]
        fn a_sum_reads_back_what_it_was_written_as(leaves in leaves()) {
            let written = sum(&leaves).to_bytes();
            prop_assert_eq!(SetSum::from_bytes(&written), Some(sum(&leaves)));
            prop_assert_eq!(SetSum::from_bytes(&written[1..]), None);
        }
    }

    #[test]
    fn every_part_of_an_element_changes_its_leaf_and_the_key_changes_its_sum() {
        let (id, stamp) = (RecordId([1; 32]), Stamp::from_bits(2));
        let leaf = Leaf::of(&id, stamp, &[3; 32]);
        assert_ne!(leaf, Leaf::of(&RecordId([9; 32]), stamp, &[3; 32]));
        assert_ne!(leaf, Leaf::of(&id, Stamp::from_bits(9), &[3; 32]));
        assert_ne!(leaf, Leaf::of(&id, stamp, &[9; 32]));
        let mut other = SetSum::ZERO;
        other.add(&SetKey::new([8; 32]), leaf);
        assert_ne!(sum(&[leaf]), other);
        assert_ne!(KEY.fingerprint(), SetKey::new([8; 32]).fingerprint());
        assert_eq!(format!("{KEY:?}"), "SetKey(..)");
    }
}
