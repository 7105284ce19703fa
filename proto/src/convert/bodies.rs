//! Records by id, for a repair.

use super::headed;
use crate::convert::record::Found;
use crate::field::{ids, put_ids, within};
use crate::limits::{BODIES_IDS_MAX, PAGE_RECORDS_MAX};
use crate::malformed::Malformed;
use crate::{Header, Message, wire};
use model::RecordId;

/// Asks for records by id; what is held as a hint does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodiesRequest {
    /// The ids, 1 to [`BODIES_IDS_MAX`].
    pub ids: Vec<RecordId>,
}

/// A page of what is known of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodiesPage {
    /// In the order asked for, at most [`PAGE_RECORDS_MAX`].
    pub found: Vec<Found>,
}

impl Message for BodiesRequest {
    headed!(BodiesRequest);

    fn seal(self, header: &Header) -> Self::Wire {
        wire::BodiesRequest { header: header.into_wire(), ids: put_ids(&self.ids) }
    }

    fn open(wire: Self::Wire) -> Result<Self, Malformed> {
        Ok(Self { ids: ids(&wire.ids, BODIES_IDS_MAX, "ids")? })
    }
}

impl Message for BodiesPage {
    headed!(BodiesPage);

    fn seal(self, header: &Header) -> Self::Wire {
        wire::BodiesPage { header: header.into_wire(), found: self.found.into_iter().map(Found::into_wire).collect() }
    }

    fn open(wire: Self::Wire) -> Result<Self, Malformed> {
        within(wire.found.len(), PAGE_RECORDS_MAX, "found")?;
        Ok(Self { found: wire.found.into_iter().map(Found::from_wire).collect::<Result<_, _>>()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fault;
    use crate::convert::laws::{self, refusal};
    use proptest::collection::vec;
    use proptest::prelude::*;

    #[test]
    fn the_laws_hold() {
        laws::holds(vec(laws::ids(), 1..20).prop_map(|ids| BodiesRequest { ids }));
        laws::holds(vec(laws::found(), 0..5).prop_map(|found| BodiesPage { found }));
    }

    #[test]
    fn a_page_that_is_too_long_is_refused() {
        let wire = wire::BodiesPage { header: None, found: vec![wire::Found::default(); PAGE_RECORDS_MAX + 1] };
        assert_eq!(refusal::<BodiesPage>(wire), Fault::TooLong(PAGE_RECORDS_MAX, PAGE_RECORDS_MAX + 1).of("found"));
    }
}
