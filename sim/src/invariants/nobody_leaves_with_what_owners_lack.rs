//! Who is drained leaves nothing behind that is nowhere else.
//!
//! As soon as a control log says that a node which was draining is no member any more: whatever its disk holds, as an owner's
//! record or as a hint, each owner of that home by the newest table has durably. Owners that never come back are passed over.
//!
//! Source: the design, 4.3: drain empties hints first, and a former owner keeps a record until every current owner has confirmed
//! it.

use super::control_log::Grown;
use super::standing::{Placed, node_on};
use super::{Invariant, OnDisk, Verdict};
use crate::cluster::Cluster;
use crate::history::Write;
use crate::run::{Failure, Run};
use cluster::NodeId;
use cluster::control::State;
use cluster::placement::homes;
use std::collections::BTreeSet;
use std::time::Duration;

/// How often the control logs are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// See the module.
#[derive(Debug, Default)]
pub struct NobodyLeavesWithWhatOwnersLack {
    next: Duration,
    grown: Grown,
    draining: BTreeSet<NodeId>,
    looked_at: BTreeSet<NodeId>,
}

impl Invariant for NobodyLeavesWithWhatOwnersLack {
    fn name(&self) -> &'static str {
        "nobody_leaves_with_what_owners_lack"
    }

    fn watch(&mut self, cluster: &Cluster, _: &[Write]) -> Verdict {
        if cluster.elapsed() < self.next {
            return Ok(());
        }
        self.next = cluster.elapsed() + LOOK_EVERY;
        let all: Vec<_> = (0..cluster.nodes()).collect();
        for (_, view) in self.grown.look(cluster)? {
            for state in &view.states {
                self.draining.extend(state.draining());
                let gone: Vec<_> = self.gone(state);
                self.looked_at.extend(gone.iter().copied());
                gone.into_iter().try_for_each(|gone| left_nothing(cluster, &all, gone))?;
            }
        }
        Ok(())
    }

    fn check(&mut self, run: &mut Run) -> Result<Verdict, Failure> {
        // Once more: who was let go since the last look counts as well.
        self.next = Duration::ZERO;
        let looked = self.watch(&run.cluster, &[]);
        let (seen, wanted) = (self.looked_at.len(), run.drained());
        Ok(looked.and_then(|()| match seen {
            seen if seen < wanted => Err(format!("{wanted} nodes were drained, and {seen} were looked at")),
            _ => Ok(()),
        }))
    }
}

impl NobodyLeavesWithWhatOwnersLack {
    /// Those that drained, are removed by this state, and were not looked at yet.
    fn gone(&self, state: &State) -> Vec<NodeId> {
        state.removed().filter(|node| self.draining.contains(node) && !self.looked_at.contains(node)).collect()
    }
}

fn left_nothing(cluster: &Cluster, all: &[usize], gone: NodeId) -> Verdict {
    let placed = Placed::of(cluster, all)?;
    let Some(node) = all.iter().find(|node| node_on(cluster.disk(**node)) == Some(gone)) else { return Ok(()) };
    let disk = OnDisk::read(cluster.disk(*node)).map_err(|error| format!("node {node}: {error}"))?;
    for home in homes() {
        let unreadable = |error: super::Unreadable| format!("node {node}: {error}");
        let held = disk.elements(home).map_err(unreadable)?.into_iter().map(|element| element.id);
        let hints = disk.hints(home).map_err(unreadable)?.into_iter().map(|hint| hint.id());
        for id in held.chain(hints) {
            let owners = placed.table.owners(home).iter().filter_map(|owner| placed.nodes.get(owner));
            let lacks = |owner: &&usize| !cluster.disk(**owner).was_owned_at(&id, cluster.elapsed());
            if let Some(owner) = owners.into_iter().find(lacks) {
                return Err(format!(
                    "node {node} was let go with {id} of home {home:?}, which its owner {owner} lacks"
                ));
            }
        }
    }
    Ok(())
}
