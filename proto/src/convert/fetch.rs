//! Records by id, for a reader who waits.

use super::headed;
use crate::convert::record::Found;
use crate::field::{ids, put_ids, within};
use crate::limits::FETCH_IDS_MAX;
use crate::malformed::{Fault, Malformed};
use crate::{Header, Message, wire};
use model::RecordId;

/// Asks for records by id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchRequest {
    /// The ids, 1 to [`FETCH_IDS_MAX`].
    pub ids: Vec<RecordId>,
    /// Also what is held as a hint.
    pub hints: bool,
}

/// What is known of the first of the ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchReply {
    /// In the order asked for: as many as fit in a message, at least one. Ask again for the rest.
    pub found: Vec<Found>,
}

impl Message for FetchRequest {
    headed!(FetchRequest);

    fn seal(self, header: &Header) -> Self::Wire {
        wire::FetchRequest { header: header.into_wire(), ids: put_ids(&self.ids), hints: self.hints }
    }

    fn open(wire: Self::Wire) -> Result<Self, Malformed> {
        Ok(Self { ids: ids(&wire.ids, FETCH_IDS_MAX, "ids")?, hints: wire.hints })
    }
}

impl Message for FetchReply {
    headed!(FetchReply);

    fn seal(self, header: &Header) -> Self::Wire {
        wire::FetchReply { header: header.into_wire(), found: self.found.into_iter().map(Found::into_wire).collect() }
    }

    fn open(wire: Self::Wire) -> Result<Self, Malformed> {
        within(wire.found.len(), FETCH_IDS_MAX, "found")?;
        if wire.found.is_empty() {
            return Err(Fault::Length(0).of("found"));
        }
        Ok(Self { found: wire.found.into_iter().map(Found::from_wire).collect::<Result<_, _>>()? })
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
        let requests = (vec(laws::ids(), 1..20), any::<bool>());
        laws::holds(requests.prop_map(|(ids, hints)| FetchRequest { ids, hints }));
        laws::holds(vec(laws::found(), 1..5).prop_map(|found| FetchReply { found }));
    }

    #[test]
    fn an_answer_says_something_of_the_first_id() {
        let wire = sealed(FetchReply { found: Vec::new() });
        assert_eq!(refusal::<FetchReply>(wire), Fault::Length(0).of("found"));
    }
}
