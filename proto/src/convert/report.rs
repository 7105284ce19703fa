//! How a node does.

use super::headed;
use crate::field::{ascending, clipped, home, node, optional_node, required, texts, within};
use crate::limits::{NAME_BYTES_MAX, NODES_MAX, TEXT_BYTES_MAX, TEXTS_MAX};
use crate::malformed::{Fault, Malformed};
use crate::{Header, Message, wire};
use model::Home;
use std::collections::BTreeSet;

const HOMES_MAX: usize = Home::COUNT as usize;

/// Asks how a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportRequest;

/// How a node does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Who it is.
    pub node: u64,
    /// Which life of it.
    pub generation: u64,
    /// Its release, at most 64 bytes.
    pub release: String,
    /// Its wall clock, milliseconds since the Unix epoch.
    pub wall_ms: u64,
    /// How long its process runs, in milliseconds.
    pub uptime_ms: u64,
    /// The newest placement table that it knows; 0 before any.
    pub epoch: u64,
    /// Who leads the control plane as far as it knows.
    pub leader: Option<u64>,
    /// The term of Raft.
    pub term: u64,
    /// The last entry of Raft's log that it applied.
    pub applied: u64,
    /// What keeps it from being ready, for people: at most 64, more are cut; none if it is ready.
    pub problems: Vec<String>,
    /// How many homes it owns.
    pub homes_owned: u16,
    /// How many of those it is fit to answer for.
    pub homes_fit: u16,
    /// How many records it holds, hints not counted.
    pub records: u64,
    /// Undischarged hints, by ascending home; homes without are left out.
    pub hints: Vec<HomeHints>,
    /// Of the homes that it counts, those with records short of a copy, or whose count is not exact; ascending.
    pub shortfalls: Vec<HomeShortfall>,
    /// How far it lags behind others, by ascending node.
    pub lags: Vec<PeerLag>,
    /// Homes in transit under the table of `epoch` that it owns and of which it has taken all that each reader holds.
    pub taken: BTreeSet<Home>,
    /// How many homes that are not its own it holds records of.
    pub homes_stray: u16,
    /// Whether it is to leave, holds nothing of others, and takes nothing for them any more.
    pub can_leave: bool,
}

/// The hints for a home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HomeHints {
    /// The home.
    pub home: Home,
    /// How many.
    pub hints: u64,
}

/// Records of a home that not every owner is known to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HomeShortfall {
    /// The home.
    pub home: Home,
    /// How many.
    pub records: u64,
    /// Whether the count is exact; else it is a lower bound.
    pub exact: bool,
}

/// How far a node lags behind another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerLag {
    /// The other node.
    pub node: u64,
    /// How far, in milliseconds.
    pub lag_ms: u64,
}

impl Message for ReportRequest {
    headed!(ReportRequest);

    fn seal(self, header: &Header) -> Self::Wire {
        wire::ReportRequest { header: header.into_wire() }
    }

    fn open(_wire: Self::Wire) -> Result<Self, Malformed> {
        Ok(Self)
    }
}

impl Message for Report {
    headed!(ReportReply);

    fn seal(self, header: &Header) -> Self::Wire {
        let cut = |text| clipped(text, TEXT_BYTES_MAX);
        let report = wire::Report {
            node: self.node,
            generation: self.generation,
            release: clipped(self.release, NAME_BYTES_MAX),
            wall_ms: self.wall_ms,
            uptime_ms: self.uptime_ms,
            epoch: self.epoch,
            leader: self.leader.unwrap_or(0),
            term: self.term,
            applied: self.applied,
            problems: self.problems.into_iter().take(TEXTS_MAX).map(cut).collect(),
            homes_owned: u32::from(self.homes_owned),
            homes_fit: u32::from(self.homes_fit),
            records: self.records,
            hints: self.hints.into_iter().map(HomeHints::into_wire).collect(),
            shortfalls: self.shortfalls.into_iter().map(HomeShortfall::into_wire).collect(),
            lags: self.lags.iter().map(|lag| wire::PeerLag { node: lag.node, lag_ms: lag.lag_ms }).collect(),
            taken: self.taken.iter().map(|home| u32::from(home.number())).collect(),
            homes_stray: u32::from(self.homes_stray),
            can_leave: self.can_leave,
        };
        wire::ReportReply { header: header.into_wire(), report: Some(report) }
    }

    fn open(wire: Self::Wire) -> Result<Self, Malformed> {
        let wire = required(wire.report, "report")?;
        within(wire.release.len(), NAME_BYTES_MAX, "report.release")?;
        within(wire.problems.len(), TEXTS_MAX, "report.problems")?;
        texts(&wire.problems, "report.problems")?;
        let homes = |number, name| match u16::try_from(number) {
            Ok(homes) if homes <= Home::COUNT => Ok(homes),
            _ => Err(Fault::OutOfRange.of(name)),
        };
        Ok(Self {
            node: node(wire.node, "report.node")?,
            generation: wire.generation,
            release: wire.release,
            wall_ms: wire.wall_ms,
            uptime_ms: wire.uptime_ms,
            epoch: wire.epoch,
            leader: optional_node(wire.leader),
            term: wire.term,
            applied: wire.applied,
            problems: wire.problems,
            homes_owned: homes(wire.homes_owned, "report.homes_owned")?,
            homes_fit: homes(wire.homes_fit, "report.homes_fit")?,
            records: wire.records,
            hints: hints(&wire.hints)?,
            shortfalls: shortfalls(&wire.shortfalls)?,
            lags: lags(&wire.lags)?,
            taken: taken(&wire.taken)?,
            homes_stray: homes(wire.homes_stray, "report.homes_stray")?,
            can_leave: wire.can_leave,
        })
    }
}

impl HomeHints {
    fn into_wire(self) -> wire::HomeHints {
        wire::HomeHints { home: u32::from(self.home.number()), hints: self.hints }
    }
}

impl HomeShortfall {
    fn into_wire(self) -> wire::HomeShortfall {
        let Self { home, records, exact } = self;
        wire::HomeShortfall { home: u32::from(home.number()), records, exact }
    }
}

fn hints(wire: &[wire::HomeHints]) -> Result<Vec<HomeHints>, Malformed> {
    let name = "report.hints";
    within(wire.len(), HOMES_MAX, name)?;
    ascending(wire.iter().map(|hints| hints.home), name)?;
    wire.iter().map(|hints| Ok(HomeHints { home: home(hints.home, name)?, hints: hints.hints })).collect()
}

fn shortfalls(wire: &[wire::HomeShortfall]) -> Result<Vec<HomeShortfall>, Malformed> {
    let name = "report.shortfalls";
    within(wire.len(), HOMES_MAX, name)?;
    ascending(wire.iter().map(|short| short.home), name)?;
    let short = |short: &wire::HomeShortfall| {
        Ok(HomeShortfall { home: home(short.home, name)?, records: short.records, exact: short.exact })
    };
    wire.iter().map(short).collect()
}

fn lags(wire: &[wire::PeerLag]) -> Result<Vec<PeerLag>, Malformed> {
    let name = "report.lags";
    within(wire.len(), NODES_MAX, name)?;
    ascending(wire.iter().map(|lag| lag.node), name)?;
    wire.iter().map(|lag| Ok(PeerLag { node: node(lag.node, name)?, lag_ms: lag.lag_ms })).collect()
}

fn taken(wire: &[u32]) -> Result<BTreeSet<Home>, Malformed> {
    let name = "report.taken";
    within(wire.len(), HOMES_MAX, name)?;
    ascending(wire.iter().copied(), name)?;
    wire.iter().map(|number| home(*number, name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::laws::{self, refusal, sealed};
    use proptest::collection::{btree_map, btree_set, vec};
    use proptest::prelude::*;

    fn reports() -> impl Strategy<Value = Report> {
        let numbers = (laws::nodes(), any::<[u64; 7]>(), 0..=Home::COUNT, 0..=Home::COUNT);
        let lists = (
            vec(".{0,30}", 0..4),
            btree_map(laws::homes(), any::<u64>(), 0..5),
            btree_map(laws::homes(), (any::<u64>(), any::<bool>()), 0..5),
            btree_map(laws::nodes(), any::<u64>(), 0..5),
            btree_set(laws::homes(), 0..5),
        );
        (numbers, prop::option::of(laws::nodes()), "[0-9.]{0,8}", lists).prop_map(
            |((node, numbers, homes_owned, homes_fit), leader, release, (problems, hints, shortfalls, lags, taken))| {
                Report {
                    node,
                    generation: numbers[0],
                    release,
                    wall_ms: numbers[1],
                    uptime_ms: numbers[2],
                    epoch: numbers[3],
                    leader,
                    term: numbers[4],
                    applied: numbers[5],
                    problems,
                    homes_owned,
                    homes_fit,
                    records: numbers[6],
                    hints: hints.into_iter().map(|(home, hints)| HomeHints { home, hints }).collect(),
                    shortfalls: shortfalls
                        .into_iter()
                        .map(|(home, (records, exact))| HomeShortfall { home, records, exact })
                        .collect(),
                    lags: lags.into_iter().map(|(node, lag_ms)| PeerLag { node, lag_ms }).collect(),
                    homes_stray: homes_owned - homes_owned.min(u16::try_from(taken.len()).unwrap()),
                    can_leave: taken.is_empty(),
                    taken,
                }
            },
        )
    }

    #[test]
    fn the_laws_hold() {
        laws::holds(Just(ReportRequest));
        laws::holds(reports());
    }

    fn report() -> Report {
        Report {
            node: 1,
            generation: 2,
            release: String::new(),
            wall_ms: 3,
            uptime_ms: 4,
            epoch: 5,
            leader: None,
            term: 6,
            applied: 7,
            problems: vec![String::new(); TEXTS_MAX + 1],
            homes_owned: 257,
            homes_fit: 0,
            records: 8,
            hints: Vec::new(),
            shortfalls: Vec::new(),
            lags: Vec::new(),
            taken: BTreeSet::new(),
            homes_stray: 0,
            can_leave: true,
        }
    }

    #[test]
    fn too_many_problems_are_cut() {
        assert_eq!(Report::open(sealed(report())).unwrap().problems.len(), TEXTS_MAX);
    }

    #[test]
    fn a_report_that_breaks_a_rule_is_refused_with_the_field() {
        let spoilt = |spoil: fn(&mut wire::Report)| {
            let mut wire = sealed(report());
            wire.report.iter_mut().for_each(spoil);
            refusal::<Report>(wire)
        };
        let hint = |home| wire::HomeHints { home, hints: 1 };
        let lag = |node| wire::PeerLag { node, lag_ms: 1 };
        assert_eq!(
            [
                spoilt(|wire| wire.homes_owned = 258),
                spoilt(|wire| wire.hints = [2, 1].map(|home| wire::HomeHints { home, hints: 1 }).to_vec()),
                spoilt(|wire| wire.lags = [1, 1].map(|node| wire::PeerLag { node, lag_ms: 1 }).to_vec()),
                spoilt(|wire| wire.problems = vec!["x".repeat(TEXT_BYTES_MAX + 1)]),
                spoilt(|wire| wire.taken = vec![2, 2]),
                spoilt(|wire| wire.homes_stray = 258),
            ],
            [
                Fault::OutOfRange.of("report.homes_owned"),
                Fault::Unordered.of("report.hints"),
                Fault::Unordered.of("report.lags"),
                Fault::TooLong(TEXT_BYTES_MAX, TEXT_BYTES_MAX + 1).of("report.problems"),
                Fault::Unordered.of("report.taken"),
                Fault::OutOfRange.of("report.homes_stray"),
            ]
        );
        assert_eq!(hints(&[hint(257)]), Err(Fault::OutOfRange.of("report.hints")));
        assert_eq!(lags(&[lag(0)]), Err(Fault::OutOfRange.of("report.lags")));
    }
}
