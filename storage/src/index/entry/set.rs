//! The entries of the homes' sets: `s`, one an element, and `t`, one a home.
//!
//! An element's key begins with its stamp, so that what lies above a fence is one stretch of keys.

use super::{Table, joined, take};
use model::set::Leaf;
use model::{Home, RecordId, Stamp};

/// The value of an `s` entry: the leaf (16), then flags (1; bit 0 = erased).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ElementEntry {
    /// What the element adds to its home's sum.
    pub leaf: Leaf,
    /// Whether the record was erased; its leaf stays.
    pub erased: bool,
}

impl ElementEntry {
    /// The key of the entry for `id` under `stamp` in `home`.
    pub fn key(home: Home, stamp: Stamp, id: &RecordId) -> Vec<u8> {
        joined(Table::Element, &[&home.number().to_be_bytes(), &stamp.to_bits().to_be_bytes(), &id.0])
    }

    /// The value.
    pub fn encode(&self) -> Vec<u8> {
        let mut value = self.leaf.0.to_vec();
        value.push(u8::from(self.erased));
        value
    }

    /// The inverse of [`ElementEntry::encode`]; `None` for anything else.
    pub fn decode(mut value: &[u8]) -> Option<Self> {
        let leaf = Leaf(take(&mut value)?);
        let erased = match value {
            [0] => false,
            [1] => true,
            _ => return None,
        };
        Some(Self { leaf, erased })
    }
}

/// The prefix of the elements of `home`.
pub fn elements_of(home: Home) -> Vec<u8> {
    joined(Table::Element, &[&home.number().to_be_bytes()])
}

/// Takes the key of an `s` entry apart.
pub fn element(key: &[u8]) -> Option<(Home, Stamp, RecordId)> {
    let mut rest = key.strip_prefix(b"s")?;
    let home = Home::from_number(u16::from_be_bytes(take(&mut rest)?))?;
    let stamp = Stamp::from_bits(u64::from_be_bytes(take(&mut rest)?));
    let id = RecordId(take(&mut rest)?);
    rest.is_empty().then_some((home, stamp, id))
}

/// The key of the `t` entry of `home`; its value is [`model::set::SetSum::to_bytes`].
pub fn sum_key(home: Home) -> Vec<u8> {
    joined(Table::Sum, &[&home.number().to_be_bytes()])
}

/// The home of a `t` entry, from its key.
pub fn sum_home(key: &[u8]) -> Option<Home> {
    let mut rest = key.strip_prefix(b"t")?;
    let home = Home::from_number(u16::from_be_bytes(take(&mut rest)?))?;
    rest.is_empty().then_some(home)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn elements() -> impl Strategy<Value = (Home, Stamp, RecordId)> {
        (0..Home::COUNT, any::<u64>(), any::<[u8; 32]>())
            .prop_map(|(home, stamp, id)| (Home::from_number(home).unwrap(), Stamp::from_bits(stamp), RecordId(id)))
    }

    proptest! {
        #[test]
        fn elements_sort_by_home_stamp_and_id_and_read_back(a in elements(), b in elements()) {
            let key = |(home, stamp, id): (Home, Stamp, RecordId)| ElementEntry::key(home, stamp, &id);
            prop_assert_eq!(key(a).cmp(&key(b)), a.cmp(&b));
            prop_assert_eq!(element(&key(a)), Some(a));
            prop_assert!(key(a).starts_with(&elements_of(a.0)));
            prop_assert_eq!(sum_home(&sum_key(a.0)), Some(a.0));
        }
    }

    #[test]
    fn an_element_of_another_form_is_refused() {
        for erased in [false, true] {
            let entry = ElementEntry { leaf: Leaf([3; 16]), erased };
            assert_eq!(ElementEntry::decode(&entry.encode()), Some(entry));
        }
        for wrong in [&[3; 16][..], &[3; 17], &[0; 18]] {
            assert_eq!(ElementEntry::decode(wrong), None);
        }
        assert_eq!(element(&[b's'; 44]), None);
        assert_eq!(sum_home(b"t\x01\x01"), None);
    }
}
