//! Nobody drops a record with its home before every owner has it.
//!
//! For every record that a disk held as the node's own when a `home dropped` frame became durable there: on the disk of each
//! owner, by the table that the frame names, it had been durable by then. Owners that never come back are passed over.
//!
//! Source: the design, 4.3: a former owner keeps a record until every current owner has confirmed it.

use super::control_log::Grown;
use super::standing::Placed;
use super::{Invariant, Verdict};
use crate::cluster::Cluster;
use crate::history::Write;
use crate::run::{Failure, Run};
use crate::world::GivenUp;
use cluster::control::State;
use cluster::placement::Table;
use std::collections::BTreeMap;
use std::time::Duration;

/// How often the control logs are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// See the module.
#[derive(Debug, Default)]
pub struct NobodyDropsWhatOwnersLack {
    next: Duration,
    grown: Grown,
    tables: BTreeMap<u64, Table>,
}

impl Invariant for NobodyDropsWhatOwnersLack {
    fn name(&self) -> &'static str {
        "nobody_drops_what_owners_lack"
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
        let checked = self.look(cluster).and_then(|()| {
            let placed = Placed::of(cluster, &run.staying())?;
            // Who was drained has dropped more than anybody.
            (0..cluster.nodes()).try_for_each(|node| self.check_disk(cluster, &placed, node))
        });
        Ok(checked)
    }
}

impl NobodyDropsWhatOwnersLack {
    fn look(&mut self, cluster: &Cluster) -> Verdict {
        for (_, view) in self.grown.look(cluster)? {
            for table in view.states.iter().filter_map(State::table) {
                self.tables.entry(table.epoch().0).or_insert_with(|| table.clone());
            }
        }
        Ok(())
    }

    fn check_disk(&self, cluster: &Cluster, placed: &Placed, node: usize) -> Verdict {
        for GivenUp { id, home, epoch, at } in cluster.disk(node).given_up() {
            let table =
                self.tables.get(&epoch).ok_or_else(|| format!("node {node} dropped by epoch {epoch}, unknown"))?;
            let owners = table.owners(home).iter().filter_map(|owner| placed.nodes.get(owner));
            if let Some(owner) = owners.copied().find(|owner| !cluster.disk(*owner).was_owned_at(&id, at)) {
                return Err(format!(
                    "node {node} dropped {id} at {at:?} with home {home:?}, by epoch {epoch}, before node {owner} had it"
                ));
            }
        }
        Ok(())
    }
}
