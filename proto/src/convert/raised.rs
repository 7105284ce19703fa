//! The version that a log was raised to: what a second version of the protocol would bring.

use super::headed;
use crate::malformed::{Fault, Malformed};
use crate::{Header, Message, wire};

/// Asks for the version that a node's log was raised to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaisedRequest;

impl RaisedRequest {
    /// The version that brought it: nobody sends it who does not go by that one.
    pub const SINCE: u16 = 2;
}

/// The version that a node's log was raised to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaisedReply {
    /// The version; none if the node goes by none yet.
    pub version: Option<u16>,
}

impl Message for RaisedRequest {
    headed!(next::RaisedRequest);

    fn seal(self, header: &Header) -> Self::Wire {
        wire::next::RaisedRequest { header: header.into_wire() }
    }

    fn open(_wire: Self::Wire) -> Result<Self, Malformed> {
        Ok(Self)
    }
}

impl Message for RaisedReply {
    headed!(next::RaisedReply);

    fn seal(self, header: &Header) -> Self::Wire {
        wire::next::RaisedReply { header: header.into_wire(), version: u32::from(self.version.unwrap_or(0)) }
    }

    fn open(wire: Self::Wire) -> Result<Self, Malformed> {
        let version = u16::try_from(wire.version).ok().ok_or_else(|| Fault::OutOfRange.of("version"))?;
        Ok(Self { version: Some(version).filter(|version| *version > 0) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::laws::{self, refusal, sealed};
    use proptest::prelude::*;

    #[test]
    fn the_laws_hold() {
        laws::holds(Just(RaisedRequest));
        laws::holds(prop::option::of(1..=u16::MAX).prop_map(|version| RaisedReply { version }));
    }

    #[test]
    fn a_version_has_sixteen_bits() {
        let wire = wire::next::RaisedReply { version: 1 << 16, ..sealed(RaisedReply { version: None }) };
        assert_eq!(refusal::<RaisedReply>(wire), Fault::OutOfRange.of("version"));
    }
}
