//! Which ids an owner has synced.

use super::headed;
use crate::field::{ids, put_ids};
use crate::limits::CONFIRM_IDS_MAX;
use crate::malformed::{Fault, Malformed};
use crate::{Header, Message, wire};
use model::RecordId;

/// Asks which ids the receiver has synced as an owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfirmRequest {
    /// The ids, 1 to [`CONFIRM_IDS_MAX`].
    pub ids: Vec<RecordId>,
}

/// Which ids are synced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfirmReply {
    /// For each id, in their order: the receiver has synced it as an owner, or knows that it was erased.
    pub synced: Vec<bool>,
}

impl Message for ConfirmRequest {
    headed!(ConfirmRequest);

    fn seal(self, header: &Header) -> Self::Wire {
        wire::ConfirmRequest { header: header.into_wire(), ids: put_ids(&self.ids) }
    }

    fn open(wire: Self::Wire) -> Result<Self, Malformed> {
        Ok(Self { ids: ids(&wire.ids, CONFIRM_IDS_MAX, "ids")? })
    }
}

impl Message for ConfirmReply {
    headed!(ConfirmReply);

    fn seal(self, header: &Header) -> Self::Wire {
        let byte = |bits: &[bool]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
        let count = u32::try_from(self.synced.len()).unwrap_or(u32::MAX);
        wire::ConfirmReply { header: header.into_wire(), count, synced: self.synced.chunks(8).map(byte).collect() }
    }

    fn open(wire: Self::Wire) -> Result<Self, Malformed> {
        let count = usize::try_from(wire.count).unwrap_or(usize::MAX);
        if count > CONFIRM_IDS_MAX {
            return Err(Fault::TooLong(CONFIRM_IDS_MAX, count).of("count"));
        }
        if wire.synced.len() != count.div_ceil(8) {
            return Err(Fault::Length(wire.synced.len()).of("synced"));
        }
        let mut synced: Vec<bool> =
            wire.synced.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1)).collect();
        if synced.drain(count..).any(|bit| bit) { Err(Fault::OutOfRange.of("synced")) } else { Ok(Self { synced }) }
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
        laws::holds(vec(laws::ids(), 1..20).prop_map(|ids| ConfirmRequest { ids }));
        laws::holds(vec(any::<bool>(), 0..40).prop_map(|synced| ConfirmReply { synced }));
    }

    #[test]
    fn the_bits_are_as_many_as_the_ids() {
        let reply = |count, synced: &[u8]| wire::ConfirmReply { header: None, count, synced: synced.to_vec() };
        assert_eq!(sealed(ConfirmReply { synced: vec![true, false, true] }).synced, [0b101]);
        assert_eq!(refusal::<ConfirmReply>(reply(9, &[1])), Fault::Length(1).of("synced"));
        assert_eq!(refusal::<ConfirmReply>(reply(3, &[0b1000])), Fault::OutOfRange.of("synced"));
        assert_eq!(refusal::<ConfirmReply>(reply(5000, &[])), Fault::TooLong(CONFIRM_IDS_MAX, 5000).of("count"));
    }
}
