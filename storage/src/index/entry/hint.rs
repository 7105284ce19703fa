//! The entries of hints: `h`, one a hint, and `j`, which says in which home the hint of an id is.

use super::{Table, joined, position, take};
use crate::log::Position;
use model::{Home, RecordId, Stamp};

/// What a hinted record would be filed under if it were the node's own: the beginning of a hash of it, so that a hint on
/// another question is passed over without reading it. All zero for a record that is filed under nothing.
pub type Topic = [u8; 8];

/// The topic of a record whose posting would stand under `prefix`.
pub fn topic_of(prefix: &[u8]) -> Topic {
    let hash = blake3::hash(prefix);
    let [topic, ..] = *hash.as_bytes().as_chunks::<8>().0 else { unreachable!("a hash has 32 bytes") };
    topic
}

/// The value of an `h` entry: segment (4), `at` (4), length of the whole frame (4), stamp (8), topic (8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HintEntry {
    /// Where the frame is.
    pub position: Position,
    /// Its length in bytes.
    pub length: u32,
    /// The stamp of the record.
    pub stamp: Stamp,
    /// What it is about.
    pub topic: Topic,
}

impl HintEntry {
    /// The key of the entry for the hint of `id`, addressed to the owners of `home`.
    pub fn key(home: Home, id: &RecordId) -> Vec<u8> {
        joined(Table::Hint, &[&home.number().to_be_bytes(), &id.0])
    }

    /// The value.
    pub fn encode(&self) -> Vec<u8> {
        let mut value = Vec::with_capacity(28);
        value.extend(self.position.segment.to_le_bytes());
        value.extend(self.position.at.to_le_bytes());
        value.extend(self.length.to_le_bytes());
        value.extend(self.stamp.to_bits().to_le_bytes());
        value.extend(self.topic);
        value
    }

    /// The inverse of [`HintEntry::encode`]; `None` for anything else.
    pub fn decode(mut value: &[u8]) -> Option<Self> {
        let position = position(u32::from_le_bytes(take(&mut value)?), u32::from_le_bytes(take(&mut value)?));
        let length = u32::from_le_bytes(take(&mut value)?);
        let stamp = Stamp::from_bits(u64::from_le_bytes(take(&mut value)?));
        let topic = take(&mut value)?;
        value.is_empty().then_some(Self { position, length, stamp, topic })
    }
}

/// The prefix of the hints for the owners of `home`.
pub fn hints_for(home: Home) -> Vec<u8> {
    joined(Table::Hint, &[&home.number().to_be_bytes()])
}

/// Takes the key of an `h` entry apart.
pub fn hint(key: &[u8]) -> Option<(Home, RecordId)> {
    let mut rest = key.strip_prefix(b"h")?;
    let home = home(&mut rest)?;
    let id = RecordId(take(&mut rest)?);
    rest.is_empty().then_some((home, id))
}

/// The key of the `j` entry for `id`.
pub fn hint_home_key(id: &RecordId) -> Vec<u8> {
    joined(Table::HintHome, &[&id.0])
}

/// The value of a `j` entry: the home (2), big-endian as in the key that it leads to.
pub fn hint_home_value(home: Home) -> Vec<u8> {
    home.number().to_be_bytes().to_vec()
}

/// Takes a `j` entry apart.
pub fn hint_home(key: &[u8], mut value: &[u8]) -> Option<(RecordId, Home)> {
    let mut rest = key.strip_prefix(b"j")?;
    let id = RecordId(take(&mut rest)?);
    let home = home(&mut value)?;
    (rest.is_empty() && value.is_empty()).then_some((id, home))
}

fn home(bytes: &mut &[u8]) -> Option<Home> {
    Home::from_number(u16::from_be_bytes(take(bytes)?))
}

#[test]
fn the_entries_of_a_hint_read_back() {
    let (id, entry) = (
        RecordId([7; 32]),
        HintEntry { position: position(3, 64), length: 9, stamp: Stamp::from_bits(5), topic: topic_of(b"q") },
    );
    assert_eq!(HintEntry::decode(&entry.encode()), Some(entry));
    assert_eq!(HintEntry::decode(&entry.encode()[1..]), None);
    for home in [Home::of_bytes(b"x"), Home::GLOBAL] {
        let key = HintEntry::key(home, &id);
        assert_eq!((hint(&key), hint(&key[1..])), (Some((home, id)), None));
        assert!(key.starts_with(&hints_for(home)));
        assert_eq!(hint_home(&hint_home_key(&id), &hint_home_value(home)), Some((id, home)));
        assert_eq!(hint_home(&hint_home_key(&id), &[9]), None);
    }
}
