//! One leader per term, where a term is what openraft counts by: the pair of term and node.
//!
//! openraft lets a node of higher id win after another within one number of a term, so "one leader per number" is promised
//! by nobody. What is promised, and looked at on all disks for as long as the run lasts:
//!
//! - Under one leader, one index has one entry, on whatever disk it ever stood: so nobody else wrote in its name.
//! - What is committed at an index is the same entry on all disks, and stays it.
//! - Along a log leaders only rise, and so does what a disk knows to be committed, and the vote on it.
//! - At rest all nodes name one leader, within [`REST_MAX`].
//!
//! Source: Ongaro and Ousterhout, 2014, figure 3 (election safety, log matching, state machine safety), with the leader's id
//! of openraft 0.9; the design, 2 and 4.5.

use super::control_log::Grown;
use super::{Invariant, Verdict};
use crate::client::Request;
use crate::cluster::Cluster;
use crate::history::Write;
use crate::measure::{CLUSTER, leader_in};
use crate::run::{Failure, Run};
use node::control::{Kept, Leadership};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How often the disks are looked at: entries stay there for longer.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long nodes may take to agree on who leads, at rest.
const REST_MAX: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Debug, Default)]
pub struct OneLeaderPerTerm {
    next: Duration,
    grown: Grown,
    /// The entry of each leader at each index, and the node on whose disk it was seen first.
    written: BTreeMap<(Leadership, u64), (usize, Vec<u8>)>,
    /// The committed entry at each index, likewise.
    committed: BTreeMap<u64, (usize, Leadership)>,
    /// What each disk said last: its vote, and up to where entries are committed.
    last: BTreeMap<usize, (Option<Leadership>, Option<u64>)>,
}

impl Invariant for OneLeaderPerTerm {
    fn name(&self) -> &'static str {
        "one_leader_per_term"
    }

    fn watch(&mut self, cluster: &Cluster, _: &[Write]) -> Verdict {
        if cluster.elapsed() < self.next {
            return Ok(());
        }
        self.next = cluster.elapsed() + LOOK_EVERY;
        self.look(cluster)
    }

    fn check(&mut self, run: &mut Run) -> Result<Verdict, Failure> {
        if let Err(found) = self.look(&run.cluster) {
            return Ok(Err(found));
        }
        if self.committed.is_empty() {
            return Ok(Err("no disk knows of anything that was committed".to_owned()));
        }
        let begun = run.cluster.elapsed();
        loop {
            let named = leaders_named(run)?;
            if let [Some(_)] = named.iter().collect::<Vec<_>>().as_slice() {
                return Ok(Ok(()));
            }
            if run.cluster.elapsed() - begun >= REST_MAX {
                return Ok(Err(format!("after {REST_MAX:?} of rest these are named as leaders: {named:?}")));
            }
            run.pass(LOOK_EVERY)?;
        }
    }
}

/// Whom the nodes that stay name as leader; nothing for whoever names nobody.
pub(crate) fn leaders_named(run: &mut Run) -> Result<BTreeSet<Option<String>>, Failure> {
    let answers = run.ask_operators(&run.staying(), &Request::get(CLUSTER))?;
    Ok(answers.iter().map(leader_in).collect())
}

impl OneLeaderPerTerm {
    fn look(&mut self, cluster: &Cluster) -> Verdict {
        let grown = self.grown.look(cluster)?;
        self.last.retain(|node, _| self.grown.knows(*node)); // a disk that was lost remembers nothing
        grown.into_iter().try_for_each(|(node, view)| self.take(node, &view.kept))
    }

    fn take(&mut self, node: usize, kept: &Kept) -> Verdict {
        let now = (kept.vote, kept.committed);
        let (vote, committed) = self.last.insert(node, now).unwrap_or_default();
        if vote > now.0 || committed > now.1 {
            return Err(format!("the disk of node {node} went back from {:?} to {now:?}", (vote, committed)));
        }
        let mut before: Option<Leadership> = None;
        for (index, entry) in &kept.entries {
            if before.is_some_and(|before| before > entry.under) {
                return Err(format!("on the disk of node {node} {before:?} comes before {index} of {:?}", entry.under));
            }
            before = Some(entry.under);
            match self.written.entry((entry.under, *index)) {
                Entry::Vacant(free) => drop(free.insert((node, entry.bytes.clone()))),
                Entry::Occupied(known) if known.get().1 == entry.bytes => {}
                Entry::Occupied(known) => {
                    let other = known.get().0;
                    return Err(format!(
                        "{:?} wrote two entries at {index}: see the disks of nodes {other} and {node}",
                        entry.under
                    ));
                }
            }
            if kept.committed.is_some_and(|committed| *index <= committed) {
                let (other, known) = *self.committed.entry(*index).or_insert((node, entry.under));
                if known != entry.under {
                    return Err(format!(
                        "at {index} node {other} has what {known:?} wrote for committed, node {node} what {:?} wrote",
                        entry.under
                    ));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cluster::NodeId;
    use node::control::KeptEntry;

    /// A log of entries, each the node that led in term 1 and what it says, of which the first are committed.
    fn log(entries: &[(u64, u8)], committed: u64) -> Kept {
        let entry = |(node, says): &(u64, u8)| KeptEntry {
            under: Leadership { term: 1, node: NodeId(*node) },
            bytes: vec![*says],
            command: None,
        };
        let entries = (1..).zip(entries.iter().map(entry)).collect();
        Kept { entries, committed: Some(committed), ..Kept::default() }
    }

    fn looked_at(logs: &[Kept]) -> Verdict {
        let mut invariant = OneLeaderPerTerm::default();
        logs.iter().enumerate().try_for_each(|(node, log)| invariant.take(node, log))
    }

    #[test]
    fn two_that_lead_one_after_the_other_in_a_term_are_no_harm() {
        assert_eq!(looked_at(&[log(&[(1, 7), (1, 8)], 1), log(&[(1, 7), (2, 9)], 2)]), Ok(()));
    }

    #[test]
    fn what_cannot_be_is_found() {
        let found = |logs: &[Kept]| looked_at(logs).unwrap_err();
        assert!(found(&[log(&[(1, 7)], 0), log(&[(1, 8)], 0)]).contains("wrote two entries at 1"));
        assert!(found(&[log(&[(1, 7)], 1), log(&[(2, 7)], 1)]).contains("for committed"));
        assert!(found(&[log(&[(2, 7), (1, 8)], 0)]).contains("comes before 2"));
        let mut invariant = OneLeaderPerTerm::default();
        invariant.take(0, &log(&[(1, 7)], 1)).unwrap();
        assert!(invariant.take(0, &log(&[(1, 7)], 0)).unwrap_err().contains("went back"));
    }
}
