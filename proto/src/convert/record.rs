//! A record as it travels, and what is known of an id.

use crate::field::{fixed, home, required, within};
use crate::limits::ARCHIVE_BYTES_MAX;
use crate::malformed::{Fault, Malformed};
use crate::{Bytes, wire};
use model::{AgentId, Home, RecordId, Stamp, Timestamp};

/// A record as the log keeps it. The archive is not checked to be one, and that the id is its own is the sender's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The version of the archive format.
    pub format: u32,
    /// What the archive holds, by the numbers of the log: 1 an assertion, 2 a vote, 3 an alias, 255 a body that its writer
    /// did not know.
    pub kind: u8,
    /// Its name.
    pub id: RecordId,
    /// Where it lives.
    pub home: Home,
    /// When a node accepted it.
    pub stamp: Stamp,
    /// The rkyv archive of body and signatures, 1 to [`ARCHIVE_BYTES_MAX`] bytes. Shares memory with the message it came in.
    pub archive: Bytes,
}

impl Record {
    /// About how many bytes it takes in a message.
    pub fn weight(&self) -> usize {
        const AROUND: usize = 64;
        self.archive.len() + AROUND
    }

    pub(crate) fn into_wire(self) -> wire::Record {
        wire::Record {
            format: self.format,
            kind: u32::from(self.kind),
            id: self.id.0.to_vec(),
            home: u32::from(self.home.number()),
            stamp: self.stamp.to_bits(),
            archive: self.archive,
        }
    }

    pub(crate) fn from_wire(wire: wire::Record) -> Result<Self, Malformed> {
        let wire::Record { format, kind, id, home: number, stamp, archive } = wire;
        within(archive.len(), ARCHIVE_BYTES_MAX, "record.archive")?;
        if archive.is_empty() {
            return Err(Fault::Missing.of("record.archive"));
        }
        Ok(Self {
            format,
            kind: u8::try_from(kind).or(Err(Fault::OutOfRange.of("record.kind")))?,
            id: RecordId(fixed(&id, "record.id")?),
            home: home(number, "record.home")?,
            stamp: Stamp::from_bits(stamp),
            archive,
        })
    }
}

/// A record and in which role it is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The record.
    pub record: Record,
    /// As a hint: it waits for its owners.
    pub hint: bool,
}

impl Held {
    pub(crate) fn into_wire(self) -> wire::HeldRecord {
        wire::HeldRecord { record: Some(self.record.into_wire()), hint: self.hint }
    }

    pub(crate) fn from_wire(wire: wire::HeldRecord) -> Result<Self, Malformed> {
        Ok(Self { record: Record::from_wire(required(wire.record, "held.record")?)?, hint: wire.hint })
    }
}

/// What is left of a record whose body was erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// Its name.
    pub id: RecordId,
    /// Where it lived.
    pub home: Home,
    /// Its stamp.
    pub stamp: Stamp,
    /// BLAKE3 of its signatures.
    pub signatures: [u8; 32],
    /// Who erased it.
    pub eraser: AgentId,
    /// When.
    pub erased_at: Timestamp,
}

impl Erasure {
    fn into_wire(self) -> wire::Erasure {
        wire::Erasure {
            id: self.id.0.to_vec(),
            home: u32::from(self.home.number()),
            stamp: self.stamp.to_bits(),
            signatures: self.signatures.to_vec(),
            eraser: self.eraser.0.to_vec(),
            erased_at_ms: self.erased_at.ms(),
        }
    }

    fn from_wire(wire: &wire::Erasure) -> Result<Self, Malformed> {
        let erased_at = Timestamp::from_ms(wire.erased_at_ms);
        Ok(Self {
            id: RecordId(fixed(&wire.id, "erasure.id")?),
            home: home(wire.home, "erasure.home")?,
            stamp: Stamp::from_bits(wire.stamp),
            signatures: fixed(&wire.signatures, "erasure.signatures")?,
            eraser: AgentId(fixed(&wire.eraser, "erasure.eraser")?),
            erased_at: erased_at.ok_or(Fault::OutOfRange.of("erasure.erased_at_ms"))?,
        })
    }
}

/// What a node knows of an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The id that was asked for. That of what was found is the same.
    pub id: RecordId,
    /// What is known.
    pub state: State,
}

/// What a node knows of some id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The record.
    Held(Held),
    /// Its body was erased.
    Erased(Erasure),
    /// Nothing.
    Absent,
    /// It is known, and its bytes are damaged.
    Damaged,
}

impl Found {
    /// About how many bytes it takes in a message.
    pub fn weight(&self) -> usize {
        const WITHOUT_ARCHIVE: usize = 192;
        match &self.state {
            State::Held(held) => held.record.weight() + RecordId::LENGTH,
            State::Erased(_) | State::Absent | State::Damaged => WITHOUT_ARCHIVE,
        }
    }

    pub(crate) fn into_wire(self) -> wire::Found {
        let state = match self.state {
            State::Held(held) => wire::found::State::Record(held.into_wire()),
            State::Erased(erasure) => wire::found::State::Erased(erasure.into_wire()),
            State::Absent => wire::found::State::Absent(wire::Absent {}),
            State::Damaged => wire::found::State::Damaged(wire::Damaged {}),
        };
        wire::Found { id: self.id.0.to_vec(), state: Some(state) }
    }

    pub(crate) fn from_wire(wire: wire::Found) -> Result<Self, Malformed> {
        let id = RecordId(fixed(&wire.id, "found.id")?);
        let (state, own) = match required(wire.state, "found.state")? {
            wire::found::State::Record(held) => {
                let held = Held::from_wire(held)?;
                let own = held.record.id;
                (State::Held(held), own)
            }
            wire::found::State::Erased(erasure) => {
                let erasure = Erasure::from_wire(&erasure)?;
                (State::Erased(erasure), erasure.id)
            }
            wire::found::State::Absent(wire::Absent {}) => (State::Absent, id),
            wire::found::State::Damaged(wire::Damaged {}) => (State::Damaged, id),
        };
        if own == id { Ok(Self { id, state }) } else { Err(Fault::OutOfRange.of("found.id")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let home = Home::GLOBAL;
        Record { format: 1, kind: 2, id: RecordId([3; 32]), home, stamp: Stamp::MAX, archive: Bytes::from_static(b"x") }
    }

    #[test]
    fn a_record_that_breaks_a_rule_is_refused_with_the_field() {
        let wire = || record().into_wire();
        let long = vec![0; ARCHIVE_BYTES_MAX + 1];
        let too_long = Fault::TooLong(ARCHIVE_BYTES_MAX, ARCHIVE_BYTES_MAX + 1);
        for (spoilt, malformed) in [
            (wire::Record { kind: 256, ..wire() }, Fault::OutOfRange.of("record.kind")),
            (wire::Record { id: vec![3; 31], ..wire() }, Fault::Length(31).of("record.id")),
            (wire::Record { home: 257, ..wire() }, Fault::OutOfRange.of("record.home")),
            (wire::Record { archive: Bytes::new(), ..wire() }, Fault::Missing.of("record.archive")),
            (wire::Record { archive: long.into(), ..wire() }, too_long.of("record.archive")),
        ] {
            assert_eq!(Record::from_wire(spoilt), Err(malformed));
        }
        assert_eq!(Record::from_wire(wire()), Ok(record()));
    }

    #[test]
    fn what_was_found_is_what_was_asked_for() {
        let held = State::Held(Held { record: record(), hint: false });
        let other = Found { id: RecordId([4; 32]), state: held };
        assert_eq!(Found::from_wire(other.into_wire()), Err(Fault::OutOfRange.of("found.id")));
    }
}
