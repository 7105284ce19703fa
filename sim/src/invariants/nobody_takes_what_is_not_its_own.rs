//! Nobody takes as its own a record of a home that it knows not to own.
//!
//! For every record that a disk ever held as the node's own, dropped since or not: when it became durable there, the node
//! owned its home by the table that the disk had already known for [`SLACK`], or by a later one. A node may lag behind the
//! others and act on an old table with whoever lags as well; it may not act on one that it knows to be replaced. [`SLACK`]
//! is what a record may take from the last look at the table to the end of its sync. Hints are not a node's own, and of the
//! home of global records every node keeps a copy.
//!
//! Source: the design, 4.2: every data message carries the epoch of its table, and a node that is behind fetches the newer
//! one first.

use super::control_log::Grown;
use super::standing::Placed;
use super::{Invariant, Verdict};
use crate::cluster::Cluster;
use crate::history::Write;
use crate::run::{Failure, Run};
use cluster::NodeId;
use cluster::control::State;
use cluster::placement::Table;
use model::Home;
use std::collections::BTreeMap;
use std::time::Duration;

/// How often the control logs are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// See the module.
const SLACK: Duration = Duration::from_millis(500);

/// See the module.
#[derive(Debug, Default)]
pub struct NobodyTakesWhatIsNotItsOwn {
    next: Duration,
    grown: Grown,
    tables: BTreeMap<u64, Table>,
    /// For each node the epochs that its disk knew, and when it was first seen to.
    known: BTreeMap<usize, Vec<(Duration, u64)>>,
}

impl Invariant for NobodyTakesWhatIsNotItsOwn {
    fn name(&self) -> &'static str {
        "nobody_takes_what_is_not_its_own"
    }

    fn watch(&mut self, cluster: &Cluster, _: &[Write]) -> Verdict {
        if cluster.elapsed() < self.next {
            return Ok(());
        }
        self.next = cluster.elapsed() + LOOK_EVERY;
        self.look(cluster)
    }

    fn check(&mut self, run: &mut Run) -> Result<Verdict, Failure> {
        let cluster = &run.cluster;
        let looked = self.look(cluster);
        let checked = looked.and_then(|()| {
            let placed = Placed::of(cluster, &run.staying())?;
            placed.nodes.iter().try_for_each(|(id, node)| self.check_disk(cluster, *node, *id))
        });
        Ok(checked)
    }
}

impl NobodyTakesWhatIsNotItsOwn {
    fn look(&mut self, cluster: &Cluster) -> Verdict {
        for (node, view) in self.grown.look(cluster)? {
            for table in view.states.iter().filter_map(State::table) {
                self.tables.entry(table.epoch().0).or_insert_with(|| table.clone());
            }
            let newest = view.states.last().and_then(State::table).map_or(0, |table| table.epoch().0);
            let known = self.known.entry(node).or_default();
            if known.last().is_none_or(|(_, epoch)| *epoch < newest) {
                known.push((cluster.elapsed(), newest));
            }
        }
        Ok(())
    }

    fn check_disk(&self, cluster: &Cluster, node: usize, id: NodeId) -> Verdict {
        let taken = cluster.disk(node).taken().into_iter().filter(|(_, home, _)| *home != Home::GLOBAL);
        for (record, home, since) in taken {
            let known = self.known_at(node, since.saturating_sub(SLACK));
            if !self.may_take(id, home, known) {
                return Err(format!(
                    "node {node} took {record} as its own at {since:?}, of home {home:?}, which it did not own by epoch {known}"
                ));
            }
        }
        Ok(())
    }

    /// The epoch that a disk knew at that time.
    fn known_at(&self, node: usize, time: Duration) -> u64 {
        let known = self.known.get(&node).into_iter().flatten();
        known.filter(|(since, _)| *since <= time).map(|(_, epoch)| *epoch).max().unwrap_or(0)
    }

    /// Whether a node owns a home by a table of that epoch or a later one.
    fn may_take(&self, id: NodeId, home: Home, epoch: u64) -> bool {
        self.tables.range(epoch..).any(|(_, table)| table.holds(id, home))
    }
}

#[test]
fn what_a_node_lost_it_may_not_take_and_what_it_will_own_it_may() {
    use cluster::Epoch;
    use cluster::placement::homes;
    let (me, home) = (NodeId(1), Home::from_number(7).unwrap());
    let table = |epoch, owner| Table::new(Epoch(epoch), homes().map(|_| vec![NodeId(owner)]).collect()).unwrap();
    let known = vec![(Duration::from_secs(1), 1), (Duration::from_secs(9), 2)];
    let mut invariant = NobodyTakesWhatIsNotItsOwn {
        grown: Grown::default(),
        next: Duration::ZERO,
        tables: [(1, table(1, 1)), (2, table(2, 2))].into(),
        known: [(0, known)].into(),
    };
    let may = |second| invariant.may_take(me, home, invariant.known_at(0, Duration::from_secs(second)));
    assert_eq!([0, 8, 9].map(may), [true, true, false]);
    invariant.tables.insert(3, table(3, 1));
    assert!(invariant.may_take(me, home, 2));
}
