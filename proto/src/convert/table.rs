//! The control state, asked for by a node that is behind.

use super::headed;
use crate::field::within;
use crate::limits::STATE_BYTES_MAX;
use crate::malformed::{Fault, Malformed};
use crate::{Bytes, Header, Message, wire};

/// Asks for the control state if its table is newer than this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableRequest {
    /// The epoch of the newest table that the sender has; 0 if it has none.
    pub newer_than: u64,
}

/// The control state, if it is newer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableReply {
    /// The epoch of the receiver's newest table; 0 if it has none.
    pub epoch: u64,
    /// The control state, at most [`STATE_BYTES_MAX`] bytes; none if its table is not newer.
    pub state: Option<Bytes>,
}

impl Message for TableRequest {
    headed!(TableRequest);

    fn seal(self, header: &Header) -> Self::Wire {
        wire::TableRequest { header: header.into_wire(), newer_than: self.newer_than }
    }

    fn open(wire: Self::Wire) -> Result<Self, Malformed> {
        Ok(Self { newer_than: wire.newer_than })
    }
}

impl Message for TableReply {
    headed!(TableReply);

    fn seal(self, header: &Header) -> Self::Wire {
        let newer = self.state.is_some();
        wire::TableReply { header: header.into_wire(), epoch: self.epoch, newer, state: self.state.unwrap_or_default() }
    }

    fn open(wire: Self::Wire) -> Result<Self, Malformed> {
        within(wire.state.len(), STATE_BYTES_MAX, "state")?;
        match (wire.newer, wire.state.is_empty()) {
            (false, true) => Ok(Self { epoch: wire.epoch, state: None }),
            (true, false) => Ok(Self { epoch: wire.epoch, state: Some(wire.state) }),
            (true, true) => Err(Fault::Missing.of("state")),
            (false, false) => Err(Fault::OutOfRange.of("newer")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::laws::{self, refusal, sealed};
    use proptest::prelude::*;

    #[test]
    fn the_laws_hold() {
        laws::holds(any::<u64>().prop_map(|newer_than| TableRequest { newer_than }));
        let states = laws::payloads(STATE_BYTES_MAX).prop_filter("a state is not empty", |state| !state.is_empty());
        let replies = (any::<u64>(), prop::option::of(states));
        laws::holds(replies.prop_map(|(epoch, state)| TableReply { epoch, state }));
    }

    #[test]
    fn there_is_a_state_exactly_if_it_is_newer() {
        let reply = |newer, state: &'static [u8]| {
            let mut wire = sealed(TableReply { epoch: 1, state: None });
            (wire.newer, wire.state) = (newer, Bytes::from_static(state));
            refusal::<TableReply>(wire)
        };
        assert_eq!(reply(true, b""), Fault::Missing.of("state"));
        assert_eq!(reply(false, b"x"), Fault::OutOfRange.of("newer"));
    }
}
