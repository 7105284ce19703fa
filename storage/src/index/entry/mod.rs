//! What the entries of the index look like: their keys and values, byte by byte.
//!
//! Nothing else in the workspace builds or takes apart a key. The tables are in `docs/architecture.md`, "The index".
//! Numbers in keys are big-endian, so that they sort; numbers in values are little-endian, as in the log. A zero byte
//! ends a subject or a predicate: neither can hold one, since control characters are refused in both.

pub mod hint;
pub mod set;

use crate::log::{Position, RecordKind};
use model::record::{Predicate, Subject};
use model::{AgentId, Home, RecordId, Stamp};

/// The version of the entries. An index of another version is rebuilt.
pub const FORMAT: u16 = 6;

/// What ends a subject or a predicate inside a key.
const END: u8 = 0;

/// One of the ten kinds of entry: the first byte of every key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// `i` id: where the record with this id is, or that it was erased.
    Id,
    /// `q` subject 00 predicate 00 position: the claims on a question.
    Question,
    /// `p` predicate 00 subject: the questions with a predicate.
    Predicate,
    /// `a` agent subject 00 predicate: the questions an agent spoke on.
    Agent,
    /// `v` target position: the votes on a claim.
    Vote,
    /// `s` home stamp id: the elements of a home's set.
    Element,
    /// `t` home: the sum of a home's set.
    Sum,
    /// `h` home id: the records kept for owners of their home.
    Hint,
    /// `j` id: the home for whose owners a record is kept.
    HintHome,
    /// `m` name: what the index says of itself.
    Meta,
}

impl Table {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Id,
        Self::Question,
        Self::Predicate,
        Self::Agent,
        Self::Vote,
        Self::Element,
        Self::Sum,
        Self::Hint,
        Self::HintHome,
        Self::Meta,
    ];

    /// The table that a key is of.
    pub fn of(key: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|table| key.first() == Some(&table.byte()))
    }

    /// The first byte of its keys.
    pub fn byte(self) -> u8 {
        match self {
            Self::Id => b'i',
            Self::Question => b'q',
            Self::Predicate => b'p',
            Self::Agent => b'a',
            Self::Vote => b'v',
            Self::Element => b's',
            Self::Sum => b't',
            Self::Hint => b'h',
            Self::HintHome => b'j',
            Self::Meta => b'm',
        }
    }

    /// The prefix of all its keys.
    pub fn prefix(self) -> Vec<u8> {
        vec![self.byte()]
    }
}

/// A subject and a predicate: what claims answer. Ordered by the bytes of the subject, then of the predicate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question {
    /// What the claims are about.
    pub subject: Subject,
    /// Which property.
    pub predicate: Predicate,
}

/// The value of an `i` entry: 23 bytes.
///
/// | at | bytes | what |
/// |---|---|---|
/// | 0 | 4 | segment |
/// | 4 | 4 | `at` |
/// | 8 | 4 | length of the whole frame |
/// | 12 | 2 | home |
/// | 14 | 8 | stamp |
/// | 22 | 1 | flags: bit 0 = erased (then the position is that of the `erased` frame); bits 1 and 2 = kind (0 opaque, 1 assertion, 2 vote, 3 alias) |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdEntry {
    /// Where the frame is.
    pub position: Position,
    /// The length of the whole frame in bytes.
    pub length: u32,
    /// The home of the record.
    pub home: Home,
    /// Its stamp.
    pub stamp: Stamp,
    /// What the record is; of an erased one that this index never saw the body of, opaque.
    pub kind: RecordKind,
    /// Whether the record was erased; then it stays so for ever.
    pub erased: bool,
}

/// Bit 0 of the flags of an `i` entry.
const ERASED: u8 = 1;
/// Bits 1 and 2 of the flags, by kind.
const KINDS: [(RecordKind, u8); 4] = [
    (RecordKind::Opaque, 0 << 1),
    (RecordKind::Assertion, 1 << 1),
    (RecordKind::Vote, 2 << 1),
    (RecordKind::Alias, 3 << 1),
];

impl IdEntry {
    /// The key of the entry for `id`.
    pub fn key(id: &RecordId) -> Vec<u8> {
        joined(Table::Id, &[&id.0])
    }

    /// The value.
    pub fn encode(&self) -> Vec<u8> {
        let mut value = Vec::with_capacity(23);
        value.extend(self.position.segment.to_le_bytes());
        value.extend(self.position.at.to_le_bytes());
        value.extend(self.length.to_le_bytes());
        value.extend(self.home.number().to_le_bytes());
        value.extend(self.stamp.to_bits().to_le_bytes());
        let kind = KINDS.iter().find(|(kind, _)| *kind == self.kind).map_or(0, |(_, bits)| *bits);
        value.push(if self.erased { kind | ERASED } else { kind });
        value
    }

    /// The inverse of [`IdEntry::encode`]; `None` for anything else.
    pub fn decode(mut value: &[u8]) -> Option<Self> {
        let position = position(u32::from_le_bytes(take(&mut value)?), u32::from_le_bytes(take(&mut value)?));
        let length = u32::from_le_bytes(take(&mut value)?);
        let home = Home::from_number(u16::from_le_bytes(take(&mut value)?))?;
        let stamp = Stamp::from_bits(u64::from_le_bytes(take(&mut value)?));
        let [flags] = take(&mut value)?;
        let (kind, _) = KINDS.into_iter().find(|(_, bits)| *bits == flags & !ERASED)?;
        value.is_empty().then_some(Self { position, length, home, stamp, kind, erased: flags & ERASED != 0 })
    }
}

/// A `q` or `v` entry without what it is filed under: where the record is, and its stamp, so that `as_of` can be decided
/// without reading it. The position ends the key, 8 bytes; the value is the frame's length, 4, and the stamp, 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posting {
    /// Where the frame is.
    pub position: Position,
    /// The length of the whole frame in bytes.
    pub length: u32,
    /// The stamp of the record.
    pub stamp: Stamp,
}

impl Posting {
    /// The key of the entry for a claim on `question`.
    pub fn claim_key(question: &Question, position: Position) -> Vec<u8> {
        let mut key = claims_on(question);
        key.extend(position_bytes(position));
        key
    }

    /// The key of the entry for a vote on `target`.
    pub fn vote_key(target: &RecordId, position: Position) -> Vec<u8> {
        joined(Table::Vote, &[&target.0, &position_bytes(position)])
    }

    /// The value of either.
    pub fn value(&self) -> Vec<u8> {
        let mut value = Vec::with_capacity(12);
        value.extend(self.length.to_le_bytes());
        value.extend(self.stamp.to_bits().to_le_bytes());
        value
    }

    /// Takes apart what stands behind the prefix in a key, and the value.
    pub fn decode(mut tail: &[u8], mut value: &[u8]) -> Option<Self> {
        let position = position(u32::from_be_bytes(take(&mut tail)?), u32::from_be_bytes(take(&mut tail)?));
        let length = u32::from_le_bytes(take(&mut value)?);
        let stamp = Stamp::from_bits(u64::from_le_bytes(take(&mut value)?));
        (tail.is_empty() && value.is_empty()).then_some(Self { position, length, stamp })
    }
}

/// The prefix of the claims on `question`.
pub fn claims_on(question: &Question) -> Vec<u8> {
    let (subject, predicate) = (question.subject.as_str(), question.predicate.as_str());
    joined(Table::Question, &[subject.as_bytes(), &[END], predicate.as_bytes(), &[END]])
}

/// After every claim on `question` and before those on the next.
pub fn claims_after(question: &Question) -> Vec<u8> {
    let mut key = claims_on(question);
    if let Some(end) = key.last_mut() {
        *end = END + 1;
    }
    key
}

/// The prefix of the claims on every question about `subject`.
pub fn claims_about(subject: &Subject) -> Vec<u8> {
    joined(Table::Question, &[subject.as_str().as_bytes(), &[END]])
}

/// The prefix of the claims about every subject that starts with `subject_prefix`.
pub fn claims_below(subject_prefix: &str) -> Vec<u8> {
    joined(Table::Question, &[subject_prefix.as_bytes()])
}

/// Takes the key of a `q` entry apart: the question, and the tail for [`Posting::decode`].
pub fn claim_question(key: &[u8]) -> Option<(Question, &[u8])> {
    let (subject, rest) = ended(key.strip_prefix(b"q")?)?;
    let (predicate, tail) = ended(rest)?;
    Some((question(subject, predicate)?, tail))
}

/// The prefix of the votes on `target`.
pub fn votes_on(target: &RecordId) -> Vec<u8> {
    joined(Table::Vote, &[&target.0])
}

/// Takes the key of a `v` entry apart: the target, and the tail for [`Posting::decode`].
pub fn vote_target(key: &[u8]) -> Option<(RecordId, &[u8])> {
    let mut rest = key.strip_prefix(b"v")?;
    Some((RecordId(take(&mut rest)?), rest))
}

/// The id of an `i` entry, from its key.
pub fn entry_id(key: &[u8]) -> Option<RecordId> {
    let mut rest = key.strip_prefix(b"i")?;
    let id = take(&mut rest)?;
    rest.is_empty().then_some(RecordId(id))
}

/// The prefix of the questions with `predicate`, about subjects that start with `subject_prefix`.
pub fn subjects_with(predicate: &Predicate, subject_prefix: &str) -> Vec<u8> {
    joined(Table::Predicate, &[predicate.as_str().as_bytes(), &[END], subject_prefix.as_bytes()])
}

/// The key of the `p` entry for `question`.
pub fn predicate_key(question: &Question) -> Vec<u8> {
    subjects_with(&question.predicate, question.subject.as_str())
}

/// The question of a `p` entry, from its key.
pub fn predicate_question(key: &[u8]) -> Option<Question> {
    let (predicate, subject) = ended(key.strip_prefix(b"p")?)?;
    question(subject, predicate)
}

/// The prefix of the questions that `agent` spoke on.
pub fn questions_of(agent: &AgentId) -> Vec<u8> {
    joined(Table::Agent, &[&agent.0])
}

/// The key of the `a` entry for `agent` and `question`.
pub fn agent_key(agent: &AgentId, question: &Question) -> Vec<u8> {
    let (subject, predicate) = (question.subject.as_str(), question.predicate.as_str());
    joined(Table::Agent, &[&agent.0, subject.as_bytes(), &[END], predicate.as_bytes()])
}

/// The agent and the question of an `a` entry, from its key.
pub fn agent_question(key: &[u8]) -> Option<(AgentId, Question)> {
    let mut rest = key.strip_prefix(b"a")?;
    let agent = AgentId(take(&mut rest)?);
    let (subject, predicate) = ended(rest)?;
    Some((agent, question(subject, predicate)?))
}

fn joined(table: Table, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>() + 8);
    key.push(table.byte());
    parts.iter().for_each(|part| key.extend_from_slice(part));
    key
}

fn question(subject: &[u8], predicate: &[u8]) -> Option<Question> {
    let subject = Subject::new(str::from_utf8(subject).ok()?).ok()?;
    let predicate = Predicate::new(str::from_utf8(predicate).ok()?).ok()?;
    Some(Question { subject, predicate })
}

/// What stands before the next [`END`], and what stands behind it.
fn ended(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == END)?;
    Some((bytes.get(..end)?, bytes.get(end + 1..)?))
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = bytes.split_first_chunk()?;
    *bytes = tail;
    Some(*head)
}

fn position(segment: u32, at: u32) -> Position {
    Position { segment, at }
}

/// A position as it ends the keys of postings: segment, `at`.
pub fn position_bytes(position: Position) -> [u8; 8] {
    (u64::from(position.segment) << 32 | u64::from(position.at)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(longest: usize) -> impl Strategy<Value = String> {
        let letter = prop::sample::select(vec!['a', '/', '~', 'é', '\u{10ffff}', ' ']);
        prop::collection::vec(letter, 1..longest).prop_map(|letters| letters.into_iter().collect())
    }

    fn questions() -> impl Strategy<Value = Question> {
        (text(5), text(3)).prop_map(|(subject, predicate)| Question {
            subject: Subject::new(subject).unwrap(),
            predicate: Predicate::new(predicate).unwrap(),
        })
    }

    fn positions() -> impl Strategy<Value = Position> {
        (any::<u32>(), any::<u32>()).prop_map(|(segment, at)| position(segment, at))
    }

    proptest! {
        #[test]
        fn keys_sort_as_what_they_stand_for(a in questions(), b in questions(), at in positions(), or in positions()) {
            prop_assert_eq!(
                Posting::claim_key(&a, at).cmp(&Posting::claim_key(&b, or)),
                (&a, at.segment, at.at).cmp(&(&b, or.segment, or.at))
            );
            let (agent, by_agent) = (AgentId([b'a'; 32]), |question| agent_key(&AgentId([b'a'; 32]), question));
            prop_assert_eq!(by_agent(&a).cmp(&by_agent(&b)), a.cmp(&b));
            prop_assert!(by_agent(&a).starts_with(&questions_of(&agent)));
            prop_assert_eq!(claims_after(&a) <= Posting::claim_key(&b, or), a < b);
        }

        #[test]
        fn keys_read_back_what_they_were_made_of(question in questions(), at in positions(), stamp in any::<u64>()) {
            let posting = Posting { position: at, length: 77, stamp: Stamp::from_bits(stamp) };
            let key = Posting::claim_key(&question, at);
            let (read, tail) = claim_question(&key).unwrap();
            prop_assert_eq!((read, Posting::decode(tail, &posting.value())), (question.clone(), Some(posting)));
            let (target, agent) = (RecordId([0; 32]), AgentId([0; 32]));
            let key = Posting::vote_key(&target, at);
            let (read, tail) = vote_target(&key).unwrap();
            prop_assert_eq!((read, Posting::decode(tail, &posting.value())), (target, Some(posting)));
            prop_assert_eq!(predicate_question(&predicate_key(&question)), Some(question.clone()));
            prop_assert_eq!(agent_question(&agent_key(&agent, &question)), Some((agent, question)));
            prop_assert_eq!(entry_id(&IdEntry::key(&target)), Some(target));
            for (kind, erased) in KINDS.into_iter().flat_map(|(kind, _)| [(kind, false), (kind, true)]) {
                let (length, home, stamp) = (9, Home::GLOBAL, posting.stamp);
                let entry = IdEntry { position: at, length, home, stamp, kind, erased };
                prop_assert_eq!(IdEntry::decode(&entry.encode()), Some(entry));
            }
        }
    }

    #[test]
    fn values_of_another_form_are_refused() {
        let entry = IdEntry {
            position: position(1, 64),
            length: 9,
            home: Home::GLOBAL,
            stamp: Stamp::ZERO,
            kind: RecordKind::Vote,
            erased: false,
        };
        let mut value = entry.encode();
        for length in 0..value.len() {
            assert_eq!(IdEntry::decode(&value[..length]), None);
        }
        value[22] = 8;
        assert_eq!(IdEntry::decode(&value), None);
        assert_eq!(Posting::decode(&[0; 8], &[0; 11]), None);
        assert_eq!(Posting::decode(&[0; 7], &[0; 12]), None);
    }
}
