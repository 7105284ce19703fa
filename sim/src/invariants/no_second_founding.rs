//! Whatever three of many nodes do, they found one cluster, and it serves.
//!
//! Every list of a founded cluster that was ever durable on any disk is the same one; promises may differ, since a promise
//! founds nothing. Once all faults are over, the nodes on that list become ready within [`READY_MAX`].
//!
//! Source: the design, 4.5 (each node syncs a promise to one exact list before the cluster starts, and never promises two).

use super::standing::{kept_on, node_on};
use super::{Invariant, Verdict};
use crate::client::Request;
use crate::cluster::Cluster;
use crate::history::Write;
use crate::run::{Failure, Run};
use cluster::founding::{Kept, List};
use std::time::Duration;

/// How often the disks are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long the founders may take until they are ready.
const READY_MAX: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Debug, Default)]
pub struct NoSecondFounding {
    next: Duration,
    /// The cluster that was founded, and the node whose disk said so first.
    founded: Option<(usize, List)>,
}

impl Invariant for NoSecondFounding {
    fn name(&self) -> &'static str {
        "no_second_founding"
    }

    fn watch(&mut self, cluster: &Cluster, _: &[Write]) -> Verdict {
        if cluster.elapsed() < self.next {
            return Ok(());
        }
        self.next = cluster.elapsed() + LOOK_EVERY;
        (0..cluster.nodes()).try_for_each(|node| self.look(cluster, node))
    }

    fn check(&mut self, run: &mut Run) -> Result<Verdict, Failure> {
        let begun = run.cluster.elapsed();
        while let Some(list) = self.founded.as_ref().map(|(_, list)| list.clone()) {
            let is_founder = |node: &usize| {
                node_on(run.cluster.disk(*node)).is_some_and(|id| list.nodes().any(|founder| founder == id))
            };
            let founders: Vec<_> = run.staying().into_iter().filter(is_founder).collect();
            let questions = founders.iter().map(|node| (*node, Request::get("/v1/ready"))).collect();
            let answers = run.ask_all(questions)?;
            if answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.status == 200)) {
                break;
            }
            if run.cluster.elapsed() - begun >= READY_MAX {
                return Ok(Err(format!("after {READY_MAX:?} the founders {founders:?} are not all ready")));
            }
            run.pass(LOOK_EVERY)?;
        }
        Ok((0..run.cluster.nodes()).try_for_each(|node| self.look(&run.cluster, node)))
    }
}

impl NoSecondFounding {
    fn look(&mut self, cluster: &Cluster, node: usize) -> Verdict {
        let kept = kept_on(cluster.disk(node)).map_err(|error| format!("node {node}: {error}"))?;
        let Kept::Founded(list) = kept else { return Ok(()) };
        let (first, known) = self.founded.get_or_insert_with(|| (node, list.clone()));
        if *known != list {
            return Err(format!("node {first} is in the cluster of {known:?}, node {node} in that of {list:?}"));
        }
        Ok(())
    }
}
