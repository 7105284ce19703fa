//! A read of all owners repairs them.
//!
//! While every node listens and the network is whole, each claim in the answer of a read with `consistency=all` is on the
//! disk of every owner of its home when the answer arrives, whoever lacked it before. Looked at now and then, since each look
//! reads the logs of the owners.
//!
//! Source: the design, 4.4 (`all`: every owner and possible hint holder, united, repaired).

use super::reading::{Read, Reading, subject_of};
use super::standing::Placed;
use super::{Invariant, OnDisk, Verdict};
use crate::cluster::{Cluster, Process};
use crate::history::Write;
use crate::run::{Failure, Run};
use model::Home;
use model::record::Subject;
use std::collections::BTreeSet;
use std::time::Duration;
use storage::store::Lookup;

/// The time between two reads, at least.
const EVERY: Duration = Duration::from_millis(200);

/// See the module. For scenarios that leave the network whole.
#[derive(Debug)]
pub struct AReadOfAllRepairsItsOwners {
    reading: Reading,
    subjects: BTreeSet<String>,
}

impl Default for AReadOfAllRepairsItsOwners {
    fn default() -> Self {
        Self { reading: Reading::new("all", EVERY), subjects: BTreeSet::new() }
    }
}

impl Invariant for AReadOfAllRepairsItsOwners {
    fn name(&self) -> &'static str {
        "a_read_of_all_repairs_its_owners"
    }

    fn watch(&mut self, cluster: &Cluster, news: &[Write]) -> Verdict {
        self.subjects.extend(news.iter().map(|write| subject_of(&write.record)));
        let read = self.reading.go_on(cluster, self.subjects.iter());
        let all_listen = (0..cluster.nodes()).all(|node| cluster.process(node) == Process::Up);
        read.filter(|_| all_listen).map_or(Ok(()), |read| is_on_all_owners(cluster, &read))
    }

    fn check(&mut self, _: &mut Run) -> Result<Verdict, Failure> {
        Ok(Ok(()))
    }
}

fn is_on_all_owners(cluster: &Cluster, read: &Read) -> Verdict {
    let nodes: Vec<_> = (0..cluster.nodes()).collect();
    let placed = Placed::of(cluster, &nodes)?;
    let home = Subject::new(&read.subject).as_ref().map(Home::of).ok().ok_or("a subject that is none")?;
    for owner in placed.table.owners(home) {
        let Some(node) = placed.nodes.get(owner) else { continue };
        let disk = OnDisk::read(cluster.disk(*node)).map_err(|error| format!("node {node}: {error}"))?;
        for id in &read.claims {
            if !matches!(disk.get(id), Ok(Lookup::Found(_))) {
                let Read { node: asked, subject, .. } = read;
                return Err(format!("node {asked} answered for {subject} with {id}, which node {node} does not have"));
            }
        }
    }
    Ok(())
}
