//! What holds for every message, shown with values of every shape.

use crate::limits::MESSAGE_BYTES_MAX;
use crate::{Erasure, Found, Header, Held, Homes, Malformed, Message, Record, State};
use model::record::{Predicate, Subject};
use model::{AgentId, Home, RecordId, Stamp, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;
use std::fmt::Debug;

const HEADER: Header = Header { cluster: [1; 16], from: 2, to: 3, epoch: 4, protocol: 1, proof: [6; 16] };

/// Every message reads back as it was written, within the limit; and no bytes make a reader panic.
pub(super) fn holds<M: Message + Clone + Debug + PartialEq>(messages: impl Strategy<Value = M>) {
    let damage = vec((any::<prop::sample::Index>(), any::<u8>()), 1..4);
    proptest!(ProptestConfig::with_cases(64), |(message in messages, damage in damage)| {
        let mut bytes = message.clone().seal(&HEADER).encode_to_vec();
        prop_assert!(bytes.len() <= MESSAGE_BYTES_MAX);
        let wire = M::Wire::decode(bytes.as_slice())?;
        prop_assert_eq!(M::header(&wire), Ok(HEADER));
        prop_assert_eq!(M::open(wire), Ok(message));
        for (place, byte) in damage {
            *place.get_mut(&mut bytes) = byte;
        }
        // Only that it returns is of interest: what is damaged may well be another message.
        let _: Option<Result<M, Malformed>> = M::Wire::decode(bytes.as_slice()).ok().map(M::open);
    });
}

/// How `wire` is refused.
pub(super) fn refusal<M: Message + Debug>(wire: M::Wire) -> Malformed {
    M::open(wire).unwrap_err()
}

/// `message` for the wire, to be spoilt.
pub(super) fn sealed<M: Message>(message: M) -> M::Wire {
    message.seal(&HEADER)
}

pub(super) fn homes() -> impl Strategy<Value = Home> {
    (0..Home::COUNT).prop_map(|number| Home::from_number(number).unwrap())
}

pub(super) fn home_sets() -> impl Strategy<Value = Homes> {
    vec(homes(), 0..20).prop_map(|homes| homes.into_iter().collect())
}

pub(super) fn stamps() -> impl Strategy<Value = Stamp> {
    any::<u64>().prop_map(Stamp::from_bits)
}

pub(super) fn ids() -> impl Strategy<Value = RecordId> {
    any::<[u8; 32]>().prop_map(RecordId)
}

pub(super) fn nodes() -> impl Strategy<Value = u64> {
    1..=u64::MAX
}

pub(super) fn payloads(max: usize) -> impl Strategy<Value = crate::Bytes> {
    prop_oneof![3 => 0..40_usize, 1 => Just(max)].prop_map(|length| vec![7; length].into())
}

pub(super) fn subjects() -> impl Strategy<Value = Subject> {
    "[a-zé/:]{1,40}".prop_map(|text| Subject::new(&text).unwrap())
}

pub(super) fn predicates() -> impl Strategy<Value = Predicate> {
    "[a-zé_]{1,20}".prop_map(|text| Predicate::new(&text).unwrap())
}

pub(super) fn agents() -> impl Strategy<Value = AgentId> {
    any::<[u8; 32]>().prop_map(AgentId)
}

pub(super) fn records() -> impl Strategy<Value = Record> {
    (any::<u32>(), any::<u8>(), ids(), homes(), stamps(), vec(any::<u8>(), 1..200)).prop_map(
        |(format, kind, id, home, stamp, archive)| Record { format, kind, id, home, stamp, archive: archive.into() },
    )
}

pub(super) fn held() -> impl Strategy<Value = Held> {
    (records(), any::<bool>()).prop_map(|(record, hint)| Held { record, hint })
}

fn erasures(id: RecordId) -> impl Strategy<Value = Erasure> {
    (homes(), stamps(), any::<[u8; 32]>(), agents(), 0..Timestamp::LIMIT).prop_map(
        move |(home, stamp, signatures, eraser, at)| {
            let erased_at = Timestamp::from_ms(at).unwrap();
            Erasure { id, home, stamp, signatures, eraser, erased_at }
        },
    )
}

pub(super) fn found() -> impl Strategy<Value = Found> {
    ids().prop_flat_map(|id| {
        let held = held().prop_map(move |held| Held { record: Record { id, ..held.record }, ..held });
        let state = prop_oneof![
            held.prop_map(State::Held),
            erasures(id).prop_map(State::Erased),
            Just(State::Absent),
            Just(State::Damaged),
        ];
        state.prop_map(move |state| Found { id, state })
    })
}
