//! Records to be synced, and what came of each.

use super::headed;
use crate::convert::record::Record;
use crate::field::{clipped, required, within};
use crate::limits::{STORE_RECORDS_MAX, TEXT_BYTES_MAX};
use crate::malformed::{Fault, Malformed};
use crate::wire::verdict::Verdict as Wire;
use crate::{Header, Message, wire};
use model::Stamp;

/// As what a record is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// As an owner of its home.
    Owned,
    /// As a hint, until every owner has it.
    Hint,
}

/// Has records synced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreRequest {
    /// As what.
    pub role: Role,
    /// The records, 1 to [`STORE_RECORDS_MAX`].
    pub records: Vec<Record>,
}

/// What came of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is new there and synced, under this stamp.
    Created(Stamp),
    /// It was there, and is synced; this stamp counts now.
    Exists(Stamp),
    /// Its body was erased; it never comes back.
    Erased,
    /// It is longer than what the receiver stores, this many bytes.
    TooLarge(u64),
    /// Its stamp lies this many milliseconds ahead of the receiver's clock, which is too far.
    Ahead(u64),
    /// The receiver does not accept it; the reason is for people.
    Refused(String),
}

impl Verdict {
    /// Whether the receiver has the record now, synced, or knows that it was erased.
    pub fn is_synced(&self) -> bool {
        match self {
            Self::Created(_) | Self::Exists(_) | Self::Erased => true,
            Self::TooLarge(_) | Self::Ahead(_) | Self::Refused(_) => false,
        }
    }
}

/// What came of the records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreReply {
    /// One for each record, in their order; all that were stored are synced.
    pub verdicts: Vec<Verdict>,
    /// How many records the receiver takes next from this sender; with 0: wait, then send one.
    pub takes_next: u32,
}

impl Message for StoreRequest {
    headed!(StoreRequest);

    fn seal(self, header: &Header) -> Self::Wire {
        let role = match self.role {
            Role::Owned => wire::Role::Owned,
            Role::Hint => wire::Role::Hint,
        };
        let records = self.records.into_iter().map(Record::into_wire).collect();
        wire::StoreRequest { header: header.into_wire(), role: role.into(), records }
    }

    fn open(wire: Self::Wire) -> Result<Self, Malformed> {
        within(wire.records.len(), STORE_RECORDS_MAX, "records")?;
        if wire.records.is_empty() {
            return Err(Fault::Length(0).of("records"));
        }
        let role = match wire::Role::try_from(wire.role) {
            Ok(wire::Role::Owned) => Role::Owned,
            Ok(wire::Role::Hint) => Role::Hint,
            Ok(wire::Role::Unspecified) | Err(_) => return Err(Fault::Missing.of("role")),
        };
        Ok(Self { role, records: wire.records.into_iter().map(Record::from_wire).collect::<Result<_, _>>()? })
    }
}

impl Message for StoreReply {
    headed!(StoreReply);

    fn seal(self, header: &Header) -> Self::Wire {
        let verdicts = self.verdicts.into_iter().map(Verdict::into_wire).collect();
        wire::StoreReply { header: header.into_wire(), verdicts, takes_next: self.takes_next }
    }

    fn open(wire: Self::Wire) -> Result<Self, Malformed> {
        within(wire.verdicts.len(), STORE_RECORDS_MAX, "verdicts")?;
        let verdicts = wire.verdicts.into_iter().map(Verdict::from_wire).collect::<Result<_, _>>()?;
        Ok(Self { verdicts, takes_next: wire.takes_next })
    }
}

impl Verdict {
    fn into_wire(self) -> wire::Verdict {
        let verdict = match self {
            Self::Created(stamp) => Wire::Created(wire::StampedVerdict { stamp: stamp.to_bits() }),
            Self::Exists(stamp) => Wire::Exists(wire::StampedVerdict { stamp: stamp.to_bits() }),
            Self::Erased => Wire::Erased(wire::ErasedVerdict {}),
            Self::TooLarge(bytes_max) => Wire::TooLarge(wire::TooLargeVerdict { bytes_max }),
            Self::Ahead(ahead_ms) => Wire::Ahead(wire::AheadVerdict { ahead_ms }),
            Self::Refused(text) => Wire::Refused(wire::RefusedVerdict { text: clipped(text, TEXT_BYTES_MAX) }),
        };
        wire::Verdict { verdict: Some(verdict) }
    }

    fn from_wire(wire: wire::Verdict) -> Result<Self, Malformed> {
        Ok(match required(wire.verdict, "verdict")? {
            Wire::Created(wire::StampedVerdict { stamp }) => Self::Created(Stamp::from_bits(stamp)),
            Wire::Exists(wire::StampedVerdict { stamp }) => Self::Exists(Stamp::from_bits(stamp)),
            Wire::Erased(wire::ErasedVerdict {}) => Self::Erased,
            Wire::TooLarge(wire::TooLargeVerdict { bytes_max }) => Self::TooLarge(bytes_max),
            Wire::Ahead(wire::AheadVerdict { ahead_ms }) => Self::Ahead(ahead_ms),
            Wire::Refused(wire::RefusedVerdict { text }) => {
                within(text.len(), TEXT_BYTES_MAX, "verdict.refused.text")?;
                Self::Refused(text)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::laws::{self, refusal, sealed};
    use proptest::collection::vec;
    use proptest::prelude::*;

    #[test]
    fn the_laws_hold() {
        let roles = prop_oneof![Just(Role::Owned), Just(Role::Hint)];
        let requests = (roles, vec(laws::records(), 1..5));
        laws::holds(requests.prop_map(|(role, records)| StoreRequest { role, records }));
        let verdict = prop_oneof![
            laws::stamps().prop_map(Verdict::Created),
            laws::stamps().prop_map(Verdict::Exists),
            Just(Verdict::Erased),
            any::<u64>().prop_map(Verdict::TooLarge),
            any::<u64>().prop_map(Verdict::Ahead),
            ".{0,40}".prop_map(Verdict::Refused),
        ];
        let replies = (vec(verdict, 0..8), any::<u32>());
        laws::holds(replies.prop_map(|(verdicts, takes_next)| StoreReply { verdicts, takes_next }));
    }

    #[test]
    fn a_store_has_a_role_and_one_to_many_records() {
        let store = || wire::StoreRequest { header: None, role: 1, records: vec![wire::Record::default(); 2] };
        let max = STORE_RECORDS_MAX;
        let many = vec![wire::Record::default(); max + 1];
        assert_eq!(refusal::<StoreRequest>(wire::StoreRequest { role: 0, ..store() }), Fault::Missing.of("role"));
        let none = wire::StoreRequest { records: Vec::new(), ..store() };
        assert_eq!(refusal::<StoreRequest>(none), Fault::Length(0).of("records"));
        let many = wire::StoreRequest { records: many, ..store() };
        assert_eq!(refusal::<StoreRequest>(many), Fault::TooLong(max, max + 1).of("records"));
    }

    #[test]
    fn a_verdict_of_a_later_release_is_malformed() {
        let mut wire = sealed(StoreReply { verdicts: vec![Verdict::Erased], takes_next: 0 });
        wire.verdicts[0].verdict = None;
        assert_eq!(refusal::<StoreReply>(wire), Fault::Missing.of("verdict"));
    }
}
