//! Messages of Raft, opaque.

use super::headed;
use crate::field::within;
use crate::limits::RAFT_BYTES_MAX;
use crate::malformed::{Fault, Malformed};
use crate::{Bytes, Header, Message, wire};

/// Which message of Raft it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RaftKind {
    /// Entries for the log, or a heartbeat.
    Append,
    /// A request for a vote.
    Vote,
    /// A piece of a snapshot.
    Snapshot,
}

/// A message of Raft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaftRequest {
    /// Which.
    pub kind: RaftKind,
    /// What it says, at most [`RAFT_BYTES_MAX`] bytes.
    pub payload: Bytes,
}

impl Message for RaftRequest {
    headed!(RaftRequest);

    fn seal(self, header: &Header) -> Self::Wire {
        let kind = match self.kind {
            RaftKind::Append => wire::RaftKind::Append,
            RaftKind::Vote => wire::RaftKind::Vote,
            RaftKind::Snapshot => wire::RaftKind::Snapshot,
        };
        wire::RaftRequest { header: header.into_wire(), kind: kind.into(), payload: self.payload }
    }

    fn open(wire: Self::Wire) -> Result<Self, Malformed> {
        within(wire.payload.len(), RAFT_BYTES_MAX, "payload")?;
        let kind = match wire::RaftKind::try_from(wire.kind) {
            Ok(wire::RaftKind::Append) => RaftKind::Append,
            Ok(wire::RaftKind::Vote) => RaftKind::Vote,
            Ok(wire::RaftKind::Snapshot) => RaftKind::Snapshot,
            Ok(wire::RaftKind::Unspecified) | Err(_) => return Err(Fault::Missing.of("kind")),
        };
        Ok(Self { kind, payload: wire.payload })
    }
}

/// What Raft answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaftReply {
    /// What it says, at most [`RAFT_BYTES_MAX`] bytes.
    pub payload: Bytes,
}

impl Message for RaftReply {
    headed!(RaftReply);

    fn seal(self, header: &Header) -> Self::Wire {
        wire::RaftReply { header: header.into_wire(), payload: self.payload }
    }

    fn open(wire: Self::Wire) -> Result<Self, Malformed> {
        within(wire.payload.len(), RAFT_BYTES_MAX, "payload")?;
        Ok(Self { payload: wire.payload })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::laws::{self, refusal, sealed};
    use proptest::prelude::*;

    #[test]
    fn the_laws_hold() {
        let kinds = prop_oneof![Just(RaftKind::Append), Just(RaftKind::Vote), Just(RaftKind::Snapshot)];
        let payloads = || laws::payloads(RAFT_BYTES_MAX);
        laws::holds((kinds, payloads()).prop_map(|(kind, payload)| RaftRequest { kind, payload }));
        laws::holds(payloads().prop_map(|payload| RaftReply { payload }));
    }

    #[test]
    fn a_message_of_unknown_kind_or_too_long_is_refused() {
        let request = RaftRequest { kind: RaftKind::Vote, payload: Bytes::new() };
        for kind in [0, 4, -1] {
            let mut wire = sealed(request.clone());
            wire.kind = kind;
            assert_eq!(refusal::<RaftRequest>(wire), Fault::Missing.of("kind"));
        }
        let mut wire = sealed(request);
        wire.payload = vec![0; RAFT_BYTES_MAX + 1].into();
        assert_eq!(refusal::<RaftRequest>(wire), Fault::TooLong(RAFT_BYTES_MAX, RAFT_BYTES_MAX + 1).of("payload"));
    }
}
