//! Which ids an owner has synced.

use super::headed;
use crate::field::{bits, ids, put_bits, put_ids};
use crate::limits::CONFIRM_IDS_MAX;
use crate::malformed::Malformed;
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
        let (count, synced) = put_bits(&self.synced);
        wire::ConfirmReply { header: header.into_wire(), count, synced }
    }

    fn open(wire: Self::Wire) -> Result<Self, Malformed> {
        Ok(Self { synced: bits(&wire.synced, wire.count, CONFIRM_IDS_MAX, "synced")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::laws::{self, refusal, sealed};
    use crate::malformed::Fault;
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
