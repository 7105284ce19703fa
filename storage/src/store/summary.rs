//! What the index says of itself: which store and format it is of, how far it reflects the log, and counts.
//!
//! These are the `m` entries. They are written in the batch of the entries they speak of, never apart from them.

use crate::index::Engine;
use crate::index::entry::{FORMAT, Table, position_bytes};
use crate::log::{Position, RecordKind};
use model::set::SetKey;
use model::{Home, RecordId, Stamp};

/// How many records the store holds, erased ones left out unless named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Assertions.
    pub assertions: u64,
    /// Votes.
    pub votes: u64,
    /// Aliases.
    pub aliases: u64,
    /// Records of kinds that this release does not know.
    pub opaque: u64,
    /// Ids whose body was erased.
    pub erased: u64,
    /// Records kept for owners of their home that have not confirmed them; they are no part of this store's own.
    pub hints: u64,
}

impl Counts {
    /// Records that can be read.
    pub fn records(&self) -> u64 {
        self.assertions + self.votes + self.aliases + self.opaque
    }

    /// The count of one kind.
    pub(super) fn of(&mut self, kind: RecordKind) -> &mut u64 {
        match kind {
            RecordKind::Assertion => &mut self.assertions,
            RecordKind::Vote => &mut self.votes,
            RecordKind::Alias => &mut self.aliases,
            RecordKind::Opaque => &mut self.opaque,
        }
    }
}

/// How far the index reflects the log, and what it counted on the way: the entry `m` `state`, 64 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Summary {
    /// Every frame before it is reflected in the `i` entries.
    pub(super) ids: Position,
    /// Every frame before it is reflected in the others; never after `ids`.
    pub(super) postings: Position,
    /// The counts, of what `ids` reflects.
    pub(super) counts: Counts,
}

impl Summary {
    /// Of an index without entries.
    pub(super) const EMPTY: Self = Self {
        ids: Position::START,
        postings: Position::START,
        counts: Counts { assertions: 0, votes: 0, aliases: 0, opaque: 0, erased: 0, hints: 0 },
    };

    /// The key it stands at.
    pub(super) fn key() -> Vec<u8> {
        meta_key(b"state")
    }

    /// The value: two positions of 4 + 4 bytes, then the six counts of 8, all little-endian.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut value = Vec::with_capacity(64);
        for position in [self.ids, self.postings] {
            value.extend(position.segment.to_le_bytes());
            value.extend(position.at.to_le_bytes());
        }
        let Counts { assertions, votes, aliases, opaque, erased, hints } = self.counts;
        [assertions, votes, aliases, opaque, erased, hints].iter().for_each(|count| value.extend(count.to_le_bytes()));
        value
    }

    /// The inverse of [`Summary::encode`].
    pub(super) fn decode(value: &[u8]) -> Option<Self> {
        let (positions, counts) = value.split_at_checked(16)?;
        let mut positions = positions.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes));
        let mut position = || Some(Position { segment: positions.next()?, at: positions.next()? });
        let (ids, postings) = (position()?, position()?);
        let (counts, rest) = counts.as_chunks::<8>();
        let counts: [[u8; 8]; 6] = counts.try_into().ok()?;
        let [assertions, votes, aliases, opaque, erased, hints] = counts.map(u64::from_le_bytes);
        let counts = Counts { assertions, votes, aliases, opaque, erased, hints };
        rest.is_empty().then_some(Self { ids, postings, counts })
    }
}

/// Key and value of the entry `m` `about`: version of the entries (2), engine (1), store id (16), fingerprint of the key
/// of the sets (8).
pub(super) fn about(engine: Engine, store: [u8; 16], set_key: &SetKey) -> (Vec<u8>, Vec<u8>) {
    let mut value = FORMAT.to_le_bytes().to_vec();
    value.push(engine.number());
    value.extend(store);
    value.extend(set_key.fingerprint());
    (meta_key(b"about"), value)
}

/// Whether two values of that entry differ in nothing but the fingerprint.
pub(super) fn only_the_key_differs(found: &[u8], wanted: &[u8]) -> bool {
    let split = |value: &'_ [u8]| value.split_last_chunk::<8>().map(|(rest, _)| rest.to_vec());
    found != wanted && split(found).is_some() && split(found) == split(wanted)
}

/// What compaction would gain in one segment: the entry `m` `garbage` segment, 12 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Garbage {
    /// Bytes of frames that are not needed any more.
    pub(super) bytes: u64,
    /// How many of them are erased bodies, which have to go.
    pub(super) erased: u32,
}

impl Garbage {
    /// The prefix of their keys.
    pub(super) fn prefix() -> Vec<u8> {
        meta_key(b"garbage")
    }

    /// The key for a segment.
    pub(super) fn key(segment: u32) -> Vec<u8> {
        let mut key = Self::prefix();
        key.extend(segment.to_be_bytes());
        key
    }

    /// The segment that a key is for.
    pub(super) fn segment(key: &[u8]) -> Option<u32> {
        key.strip_prefix(Self::prefix().as_slice())?.try_into().ok().map(u32::from_be_bytes)
    }

    /// The value: bytes (8), erased bodies (4).
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut value = self.bytes.to_le_bytes().to_vec();
        value.extend(self.erased.to_le_bytes());
        value
    }

    /// The inverse of [`Garbage::encode`].
    pub(super) fn decode(value: &[u8]) -> Option<Self> {
        let (bytes, erased) = value.split_first_chunk::<8>()?;
        Some(Self { bytes: u64::from_le_bytes(*bytes), erased: u32::from_le_bytes(erased.try_into().ok()?) })
    }

    /// What is left when `other` is gone.
    pub(super) fn without(self, other: Self) -> Self {
        Self { bytes: self.bytes.saturating_sub(other.bytes), erased: self.erased.saturating_sub(other.erased) }
    }
}

/// The prefix of all entries `m` `superseded`.
pub(super) fn all_superseded() -> Vec<u8> {
    meta_key(b"superseded")
}

/// The prefix of the entries `m` `superseded` id: frames with its body that are not needed any more, because a later one
/// took their place or the hint was delivered.
pub(super) fn superseded(id: &RecordId) -> Vec<u8> {
    let mut key = all_superseded();
    key.extend_from_slice(id.as_ref());
    key
}

/// The key of the entry `m` `superseded` id segment 4 `at` 4. It stays until the id is erased, or until no file holds bytes
/// of the frame any more. Its value is empty, or, of a frame that was a hint, what [`Retired::encode`] makes.
pub(super) fn superseded_key(id: &RecordId, position: Position) -> Vec<u8> {
    let mut key = superseded(id);
    key.extend(position_bytes(position));
    key
}

/// What is known of a hint that is not needed any more, whose id may have no other entry: 14 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Retired {
    /// For whose owners it was.
    pub(super) home: Home,
    /// Its stamp.
    pub(super) stamp: Stamp,
    /// The length of its frame.
    pub(super) length: u32,
}

impl Retired {
    /// Home (2), stamp (8), length (4), little-endian.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut value = self.home.number().to_le_bytes().to_vec();
        value.extend(self.stamp.to_bits().to_le_bytes());
        value.extend(self.length.to_le_bytes());
        value
    }

    /// The inverse of [`Retired::encode`].
    pub(super) fn decode(value: &[u8]) -> Option<Self> {
        let (home, rest) = value.split_first_chunk::<2>()?;
        let (stamp, length) = rest.split_first_chunk::<8>()?;
        Some(Self {
            home: Home::from_number(u16::from_le_bytes(*home))?,
            stamp: Stamp::from_bits(u64::from_le_bytes(*stamp)),
            length: u32::from_le_bytes(length.try_into().ok()?),
        })
    }
}

/// The position in the key of such an entry.
pub(super) fn superseded_position(key: &[u8]) -> Option<Position> {
    let (segment, at) = key.last_chunk::<8>()?.split_first_chunk::<4>()?;
    Some(Position { segment: u32::from_be_bytes(*segment), at: u32::from_be_bytes(at.try_into().ok()?) })
}

/// The key, or the beginning of keys, of that name.
pub(super) fn meta_key(name: &[u8]) -> Vec<u8> {
    let mut key = Table::Meta.prefix();
    key.extend_from_slice(name);
    key
}

#[test]
fn what_the_index_says_of_itself_reads_back() {
    let summary = Summary {
        ids: Position { segment: 3, at: 64 },
        postings: Position { segment: 2, at: u32::MAX },
        counts: Counts { assertions: 1, votes: 2, aliases: 3, opaque: 4, erased: u64::MAX, hints: 5 },
    };
    assert_eq!(Summary::decode(&summary.encode()), Some(summary));
    assert_eq!(Summary::decode(&summary.encode()[1..]), None);
    let garbage = Garbage { bytes: 5, erased: 6 };
    assert_eq!(Garbage::decode(&garbage.encode()), Some(garbage));
    assert_eq!(Garbage::segment(&Garbage::key(7)), Some(7));
    let retired = Retired { home: Home::GLOBAL, stamp: Stamp::MAX, length: 77 };
    assert_eq!((Retired::decode(&retired.encode()), Retired::decode(&[])), (Some(retired), None));
    let position = Position { segment: 3, at: 65 };
    assert_eq!(superseded_position(&superseded_key(&RecordId([1; 32]), position)), Some(position));
}
