//! A command to the control plane, opaque.

use super::headed;
use crate::field::{optional_node, required, within};
use crate::limits::COMMAND_BYTES_MAX;
use crate::malformed::Malformed;
use crate::wire::propose_reply::Result as Outcome;
use crate::{Header, Message, wire};

/// Has a command written to the control plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposeRequest {
    /// The command, at most [`COMMAND_BYTES_MAX`] bytes.
    pub command: Vec<u8>,
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProposeReply {
    /// It was written and applied; what came of it, at most [`COMMAND_BYTES_MAX`] bytes.
    Done(Vec<u8>),
    /// The receiver does not lead and did nothing; this node leads as far as it knows.
    NotLeader(Option<u64>),
}

impl Message for ProposeRequest {
    headed!(ProposeRequest);

    fn seal(self, header: &Header) -> Self::Wire {
        wire::ProposeRequest { header: header.into_wire(), command: self.command }
    }

    fn open(wire: Self::Wire) -> Result<Self, Malformed> {
        within(wire.command.len(), COMMAND_BYTES_MAX, "command")?;
        Ok(Self { command: wire.command })
    }
}

impl Message for ProposeReply {
    headed!(ProposeReply);

    fn seal(self, header: &Header) -> Self::Wire {
        let result = match self {
            Self::Done(outcome) => Outcome::Outcome(outcome),
            Self::NotLeader(leader) => Outcome::NotLeader(wire::NotLeader { leader: leader.unwrap_or(0) }),
        };
        wire::ProposeReply { header: header.into_wire(), result: Some(result) }
    }

    fn open(wire: Self::Wire) -> Result<Self, Malformed> {
        match required(wire.result, "result")? {
            Outcome::Outcome(outcome) => {
                within(outcome.len(), COMMAND_BYTES_MAX, "outcome")?;
                Ok(Self::Done(outcome))
            }
            Outcome::NotLeader(wire::NotLeader { leader }) => Ok(Self::NotLeader(optional_node(leader))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fault;
    use crate::convert::laws::{self, refusal, sealed};
    use proptest::prelude::*;

    #[test]
    fn the_laws_hold() {
        let bytes = || laws::payloads(COMMAND_BYTES_MAX).prop_map(Vec::from);
        laws::holds(bytes().prop_map(|command| ProposeRequest { command }));
        let leaders = prop::option::of(laws::nodes());
        laws::holds(prop_oneof![bytes().prop_map(ProposeReply::Done), leaders.prop_map(ProposeReply::NotLeader)]);
    }

    #[test]
    fn a_command_that_is_too_long_is_refused() {
        let wire = sealed(ProposeRequest { command: vec![0; COMMAND_BYTES_MAX + 1] });
        let fault = Fault::TooLong(COMMAND_BYTES_MAX, COMMAND_BYTES_MAX + 1);
        assert_eq!(refusal::<ProposeRequest>(wire), fault.of("command"));
    }
}
