//! What homes hold, in one number each.

use super::headed;
use crate::field::{ascending, fixed, home, optional_bits, optional_stamp, within};
use crate::homes::Homes;
use crate::malformed::Malformed;
use crate::{Header, Message, wire};
use model::{Home, Stamp};

/// Asks for the sums of homes up to a fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootsRequest {
    /// Only what is stamped at or before it counts.
    pub fence: Stamp,
    /// Which homes.
    pub homes: Homes,
}

/// What a home holds up to a fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HomeSum {
    /// The home.
    pub home: Home,
    /// The sum of its elements, as bytes.
    pub sum: [u8; 16],
    /// How many elements.
    pub count: u64,
    /// In a home in transit: nothing that the receiver took by an earlier table is stamped after it. The least stamp in any
    /// other home; the greatest as long as such records are still under way.
    pub since: Stamp,
    /// Up to when nothing changes any more at any owner, if that is known.
    pub stable: Option<Stamp>,
    /// Up to when whoever joins the home is to have exactly what the receiver has, if it holds all of it.
    pub settled: Option<Stamp>,
}

/// The sums of homes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootsReply {
    /// By ascending home. Homes that the receiver does not own, or cannot sum now, are left out.
    pub sums: Vec<HomeSum>,
    /// At or below it the receiver took, before it summed, nothing more but from owners.
    pub closed: Stamp,
}

impl Message for RootsRequest {
    headed!(RootsRequest);

    fn seal(self, header: &Header) -> Self::Wire {
        wire::RootsRequest { header: header.into_wire(), fence: self.fence.to_bits(), homes: self.homes.into_wire() }
    }

    fn open(wire: Self::Wire) -> Result<Self, Malformed> {
        Ok(Self { fence: Stamp::from_bits(wire.fence), homes: Homes::from_wire(&wire.homes, "homes")? })
    }
}

impl Message for RootsReply {
    headed!(RootsReply);

    fn seal(self, header: &Header) -> Self::Wire {
        let sum = |sum: HomeSum| {
            let HomeSum { home, sum, count, stable, settled, since } = sum;
            let (stable, settled) = (optional_bits(stable), optional_bits(settled));
            wire::HomeSum {
                home: u32::from(home.number()),
                sum: sum.to_vec(),
                count,
                stable,
                settled,
                since: since.to_bits(),
            }
        };
        let sums = self.sums.into_iter().map(sum).collect();
        wire::RootsReply { header: header.into_wire(), sums, closed: self.closed.to_bits() }
    }

    fn open(wire: Self::Wire) -> Result<Self, Malformed> {
        within(wire.sums.len(), usize::from(Home::COUNT), "sums")?;
        ascending(wire.sums.iter().map(|sum| sum.home), "sums")?;
        let sum = |sum: &wire::HomeSum| {
            let home = home(sum.home, "sums.home")?;
            let since = Stamp::from_bits(sum.since);
            let (stable, settled) = (optional_stamp(sum.stable), optional_stamp(sum.settled));
            Ok(HomeSum { home, sum: fixed(&sum.sum, "sums.sum")?, count: sum.count, stable, settled, since })
        };
        let closed = Stamp::from_bits(wire.closed);
        Ok(Self { sums: wire.sums.iter().map(sum).collect::<Result<_, _>>()?, closed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fault;
    use crate::convert::laws::{self, refusal};
    use proptest::collection::btree_map;
    use proptest::option::of;
    use proptest::prelude::*;

    #[test]
    fn the_laws_hold() {
        let requests = (laws::stamps(), laws::home_sets());
        laws::holds(requests.prop_map(|(fence, homes)| RootsRequest { fence, homes }));
        let times = || of(laws::stamps().prop_filter("zero is none", |stamp| *stamp != Stamp::ZERO));
        let sum = (any::<([u8; 16], u64)>(), times(), times(), laws::stamps());
        let sums = btree_map(laws::homes(), sum, 0..9);
        laws::holds((sums, laws::stamps()).prop_map(|(sums, closed)| {
            let sum =
                |(home, ((sum, count), stable, settled, since))| HomeSum { home, sum, count, stable, settled, since };
            RootsReply { sums: sums.into_iter().map(sum).collect(), closed }
        }));
    }

    #[test]
    fn each_home_has_one_sum_of_sixteen_bytes() {
        let reply = |homes: &[u32], length: usize| {
            let sum = |home: &u32| wire::HomeSum { home: *home, sum: vec![0; length], ..wire::HomeSum::default() };
            let sums = homes.iter().map(sum).collect();
            refusal::<RootsReply>(wire::RootsReply { sums, ..wire::RootsReply::default() })
        };
        assert_eq!(reply(&[3, 3], 16), Fault::Unordered.of("sums"));
        assert_eq!(reply(&[257], 16), Fault::OutOfRange.of("sums.home"));
        assert_eq!(reply(&[3], 15), Fault::Length(15).of("sums.sum"));
    }
}
