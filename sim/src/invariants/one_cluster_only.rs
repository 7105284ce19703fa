//! No second cluster is ever founded.
//!
//! Whatever a disk keeps of the founding, a promise or a cluster, at any time and after whatever happened, names one list of
//! nodes, the same on all disks; and the node of the disk is on it.
//!
//! Source: the design, 4.5 (a node promises once in its life, and a founded cluster's list is the one that all of it
//! promised).

use super::standing::{kept_on, node_on};
use super::{Invariant, Verdict};
use crate::run::{Failure, Run};

/// See the module.
#[derive(Debug, Default)]
pub struct OneClusterOnly;

impl Invariant for OneClusterOnly {
    fn name(&self) -> &'static str {
        "one_cluster_only"
    }

    fn check(&mut self, run: &mut Run) -> Result<Verdict, Failure> {
        Ok(look(run))
    }
}

fn look(run: &Run) -> Verdict {
    let mut first = None;
    for node in 0..run.cluster.nodes() {
        let disk = run.cluster.disk(node);
        let kept = kept_on(disk).map_err(|error| format!("node {node}: {error}"))?;
        let Some(list) = kept.list().cloned() else { continue };
        if !node_on(disk).is_some_and(|id| list.nodes().any(|member| member == id)) {
            return Err(format!("node {node} keeps a list that it is not on: {kept:?}"));
        }
        let (other, known) = first.get_or_insert((node, list.clone()));
        if *known != list {
            return Err(format!("node {other} keeps {known:?}, node {node} keeps {list:?}"));
        }
    }
    first.map(|_| ()).ok_or_else(|| "no disk keeps anything of a founding".to_owned())
}
