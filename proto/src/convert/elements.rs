//! The elements of a home, page by page.

use super::headed;
use crate::field::{ascending, fixed, home, within};
use crate::limits::PAGE_ELEMENTS_MAX;
use crate::malformed::{Fault, Malformed};
use crate::{Header, Message, wire};
use model::{Home, RecordId, Stamp};

/// How many bytes an element takes in a message: stamp, id and leaf.
const ELEMENT_BYTES: usize = 8 + RecordId::LENGTH + 16;

/// Asks for the elements of a home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ElementsRequest {
    /// The home.
    pub home: Home,
    /// Only what comes after this one in the order of (stamp, id).
    pub after: Option<(Stamp, RecordId)>,
    /// Only what is stamped at or before it.
    pub until: Stamp,
}

/// An element of a home's set. Ordered by stamp, then id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Element {
    /// When a node accepted the record.
    pub stamp: Stamp,
    /// Its name.
    pub id: RecordId,
    /// The beginning of a hash over id, stamp and signatures.
    pub leaf: [u8; 16],
}

/// A page of elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElementsPage {
    /// In ascending order of (stamp, id), at most [`PAGE_ELEMENTS_MAX`].
    pub elements: Vec<Element>,
}

impl Message for ElementsRequest {
    headed!(ElementsRequest);

    fn seal(self, header: &Header) -> Self::Wire {
        let place = |(stamp, id): (Stamp, RecordId)| wire::Place { stamp: stamp.to_bits(), id: id.0.to_vec() };
        wire::ElementsRequest {
            header: header.into_wire(),
            home: u32::from(self.home.number()),
            after: self.after.map(place),
            until: self.until.to_bits(),
        }
    }

    fn open(wire: Self::Wire) -> Result<Self, Malformed> {
        let place =
            |place: wire::Place| fixed(&place.id, "after.id").map(|id| (Stamp::from_bits(place.stamp), RecordId(id)));
        Ok(Self {
            home: home(wire.home, "home")?,
            after: wire.after.map(place).transpose()?,
            until: Stamp::from_bits(wire.until),
        })
    }
}

impl Message for ElementsPage {
    headed!(ElementsPage);

    fn seal(self, header: &Header) -> Self::Wire {
        let mut elements = Vec::with_capacity(self.elements.len() * ELEMENT_BYTES);
        for Element { stamp, id, leaf } in self.elements {
            elements.extend_from_slice(&stamp.to_bits().to_be_bytes());
            elements.extend_from_slice(&id.0);
            elements.extend_from_slice(&leaf);
        }
        wire::ElementsPage { header: header.into_wire(), elements: elements.into() }
    }

    fn open(wire: Self::Wire) -> Result<Self, Malformed> {
        let (elements, rest) = wire.elements.as_chunks::<ELEMENT_BYTES>();
        if !rest.is_empty() {
            return Err(Fault::Length(wire.elements.len()).of("elements"));
        }
        within(elements.len(), PAGE_ELEMENTS_MAX, "elements")?;
        let elements = elements.iter().map(element).collect::<Result<Vec<_>, _>>()?;
        ascending(elements.iter().map(|element| (element.stamp, element.id)), "elements")?;
        Ok(Self { elements })
    }
}

fn element(bytes: &[u8; ELEMENT_BYTES]) -> Result<Element, Malformed> {
    let (stamp, rest) = bytes.split_at(8);
    let (id, leaf) = rest.split_at(RecordId::LENGTH);
    let stamp = Stamp::from_bits(u64::from_be_bytes(fixed(stamp, "elements")?));
    Ok(Element { stamp, id: RecordId(fixed(id, "elements")?), leaf: fixed(leaf, "elements")? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::laws::{self, refusal, sealed};
    use proptest::collection::btree_set;
    use proptest::prelude::*;

    #[test]
    fn the_laws_hold() {
        let place = prop::option::of((laws::stamps(), laws::ids()));
        let requests = (laws::homes(), place, laws::stamps());
        laws::holds(requests.prop_map(|(home, after, until)| ElementsRequest { home, after, until }));
        let element = (laws::stamps(), laws::ids(), any::<[u8; 16]>());
        let element = element.prop_map(|(stamp, id, leaf)| Element { stamp, id, leaf });
        laws::holds(
            btree_set(element, 0..9).prop_map(|elements| ElementsPage { elements: elements.into_iter().collect() }),
        );
    }

    #[test]
    fn elements_come_whole_and_in_order() {
        let element = |stamp| Element { stamp: Stamp::from_bits(stamp), id: RecordId([1; 32]), leaf: [2; 16] };
        let page = |stamps: &[u64]| sealed(ElementsPage { elements: stamps.iter().copied().map(element).collect() });
        assert_eq!(refusal::<ElementsPage>(page(&[2, 1])), Fault::Unordered.of("elements"));
        assert_eq!(refusal::<ElementsPage>(page(&[1, 1])), Fault::Unordered.of("elements"));
        let mut torn = page(&[1]);
        torn.elements = torn.elements.slice(1..);
        assert_eq!(refusal::<ElementsPage>(torn), Fault::Length(55).of("elements"));
    }
}
