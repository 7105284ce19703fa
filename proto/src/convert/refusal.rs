//! Why a call was refused.

use super::headed;
use crate::field::{clipped, fixed, node, required, within};
use crate::limits::TEXT_BYTES_MAX;
use crate::malformed::{Fault, Malformed};
use crate::wire::refusal::Why;
use crate::{Bytes, Header, Message, wire};
use prost::Message as _;

/// Why a call was refused. Nothing of it was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The sender's table is older than the receiver's, which is of this epoch. Fetch it, then send again.
    StaleEpoch(u64),
    /// The receiver's table, of this epoch, is older than the sender's and it cannot fetch the newer one. Retry elsewhere.
    BehindEpoch(u64),
    /// The receiver is in this other cluster.
    WrongCluster([u8; 16]),
    /// The sender does not hold the receiver's cluster key.
    WrongKey,
    /// This other node listens at the address.
    WrongReceiver(u64),
    /// The receiver speaks only these protocol versions, the first to the second.
    WrongProtocol(u32, u32),
    /// Too much is under way. Send again after so many milliseconds.
    Overloaded(u64),
    /// The receiver will not do it as things are; the reason is for people.
    Refused(String),
    /// A field of the message breaks a rule of the format; which one is for people.
    Malformed(String),
}

impl Refusal {
    /// The bytes that travel in the details of a status.
    pub fn encode(self, header: &Header) -> Bytes {
        self.seal(header).encode_to_vec().into()
    }

    /// What the details of a status say, and under which header.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if they are no refusal that this release knows.
    pub fn decode(details: &[u8]) -> Result<(Header, Self), Malformed> {
        let wire = wire::Refusal::decode(details).or(Err(Fault::Missing.of("refusal")))?;
        Ok((Self::header(&wire)?, Self::open(wire)?))
    }
}

impl Message for Refusal {
    headed!(Refusal);

    fn seal(self, header: &Header) -> Self::Wire {
        let why = match self {
            Self::StaleEpoch(epoch) => Why::StaleEpoch(wire::StaleEpoch { epoch }),
            Self::BehindEpoch(epoch) => Why::BehindEpoch(wire::BehindEpoch { epoch }),
            Self::WrongCluster(cluster) => Why::WrongCluster(wire::WrongCluster { cluster: cluster.to_vec() }),
            Self::WrongKey => Why::WrongKey(wire::WrongKey {}),
            Self::WrongReceiver(node) => Why::WrongReceiver(wire::WrongReceiver { node }),
            Self::WrongProtocol(min, max) => Why::WrongProtocol(wire::WrongProtocol { min, max }),
            Self::Overloaded(retry_after_ms) => Why::Overloaded(wire::Overloaded { retry_after_ms }),
            Self::Refused(text) => Why::Refused(wire::Refused { text: clipped(text, TEXT_BYTES_MAX) }),
            Self::Malformed(text) => Why::Malformed(wire::MalformedMessage { text: clipped(text, TEXT_BYTES_MAX) }),
        };
        wire::Refusal { header: header.into_wire(), why: Some(why) }
    }

    fn open(wire: Self::Wire) -> Result<Self, Malformed> {
        let text = |text: String| within(text.len(), TEXT_BYTES_MAX, "text").map(|()| text);
        Ok(match required(wire.why, "why")? {
            Why::StaleEpoch(wire::StaleEpoch { epoch }) => Self::StaleEpoch(epoch),
            Why::BehindEpoch(wire::BehindEpoch { epoch }) => Self::BehindEpoch(epoch),
            Why::WrongCluster(wrong) => Self::WrongCluster(fixed(&wrong.cluster, "wrong_cluster.cluster")?),
            Why::WrongKey(wire::WrongKey {}) => Self::WrongKey,
            Why::WrongReceiver(wrong) => Self::WrongReceiver(node(wrong.node, "wrong_receiver.node")?),
            Why::WrongProtocol(wire::WrongProtocol { min, max }) if min <= max => Self::WrongProtocol(min, max),
            Why::WrongProtocol(_) => return Err(Fault::OutOfRange.of("wrong_protocol")),
            Why::Overloaded(wire::Overloaded { retry_after_ms }) => Self::Overloaded(retry_after_ms),
            Why::Refused(refused) => Self::Refused(text(refused.text)?),
            Why::Malformed(malformed) => Self::Malformed(text(malformed.text)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::laws::{self, refusal, sealed};
    use proptest::prelude::*;

    #[test]
    fn the_laws_hold() {
        laws::holds(prop_oneof![
            any::<u64>().prop_map(Refusal::StaleEpoch),
            any::<u64>().prop_map(Refusal::BehindEpoch),
            any::<[u8; 16]>().prop_map(Refusal::WrongCluster),
            Just(Refusal::WrongKey),
            laws::nodes().prop_map(Refusal::WrongReceiver),
            (any::<u32>(), any::<u32>()).prop_map(|(a, b)| Refusal::WrongProtocol(a.min(b), a.max(b))),
            any::<u64>().prop_map(Refusal::Overloaded),
            ".{0,80}".prop_map(Refusal::Refused),
            ".{0,80}".prop_map(Refusal::Malformed),
        ]);
    }

    #[test]
    fn a_long_text_is_cut_when_written_and_refused_when_read() {
        let long = "x".repeat(TEXT_BYTES_MAX + 1);
        let cut = Refusal::open(sealed(Refusal::Refused(long.clone())));
        assert_eq!(cut, Ok(Refusal::Refused("x".repeat(TEXT_BYTES_MAX))));
        let mut wire = sealed(Refusal::WrongKey);
        wire.why = Some(Why::Refused(wire::Refused { text: long }));
        assert_eq!(refusal::<Refusal>(wire), Fault::TooLong(TEXT_BYTES_MAX, TEXT_BYTES_MAX + 1).of("text"));
    }

    #[test]
    fn a_refusal_travels_in_the_details_of_a_status() {
        let header = Header { cluster: [1; 16], from: 2, to: 3, epoch: 4, protocol: 1, proof: [6; 16] };
        let details = Refusal::StaleEpoch(5).encode(&header);
        assert_eq!(Refusal::decode(&details), Ok((header, Refusal::StaleEpoch(5))));
        assert_eq!(Refusal::decode(b""), Err(Fault::Missing.of("header")));
        assert_eq!(Refusal::decode(b"\xff"), Err(Fault::Missing.of("refusal")));
    }

    #[test]
    fn a_reason_of_a_later_release_is_malformed() {
        let mut wire = sealed(Refusal::WrongKey);
        wire.why = None;
        assert_eq!(refusal::<Refusal>(wire), Fault::Missing.of("why"));
    }
}
