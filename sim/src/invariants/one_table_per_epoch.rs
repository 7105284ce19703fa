//! Two nodes never act on different tables of one epoch.
//!
//! All tables that the control logs on any disk lead to, at any moment of the run, are one table per epoch, and along a log
//! epochs rise by one. What nodes tell operators of the table that they act on, its epoch and how many homes it gives to
//! whom, is true of that one table; one node is asked after the other, for as long as the run lasts.
//!
//! Source: the design, 4.2 (every table has an epoch), and 4.5.

use super::control_log::Grown;
use super::{Invariant, Verdict};
use crate::client::Request;
use crate::cluster::{Asking, Cluster, Process};
use crate::history::Write;
use crate::run::{Failure, Run};
use cluster::control::State;
use cluster::placement::{Table, homes};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// How often the disks are looked at, and a node is asked, at most; the pause grows as the run does.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The pause is at most this part of the time that has passed, or [`LOOK_EVERY`].
const PAUSE_PART: u32 = 512;
/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(2);

/// How many homes each node has, by its name.
type Shares = BTreeMap<String, u64>;

/// See the module.
#[derive(Debug, Default)]
pub struct OneTablePerEpoch {
    next: Duration,
    grown: Grown,
    /// The table of each epoch, and the node on whose disk it was seen first.
    tables: BTreeMap<u64, (usize, Table)>,
    /// What was told of each epoch, and by which node first.
    told: BTreeMap<u64, (usize, Shares)>,
    asked: usize,
    under_way: Option<(usize, Asking)>,
}

impl Invariant for OneTablePerEpoch {
    fn name(&self) -> &'static str {
        "one_table_per_epoch"
    }

    fn watch(&mut self, cluster: &Cluster, _: &[Write]) -> Verdict {
        if let Some((node, asking)) = self.under_way.take() {
            match asking.answer() {
                Some(answer) => self.hear(node, &answer.map(|answer| answer.json()).unwrap_or_default())?,
                None => self.under_way = Some((node, asking)),
            }
        }
        if cluster.elapsed() < self.next {
            return Ok(());
        }
        self.next = cluster.elapsed() + LOOK_EVERY.max(cluster.elapsed() / PAUSE_PART);
        self.look(cluster)?;
        let up: Vec<_> = (0..cluster.nodes()).filter(|node| cluster.process(*node) == Process::Up).collect();
        if self.under_way.is_none() && !up.is_empty() {
            self.asked += 1;
            let node = up.get(self.asked % up.len()).copied().unwrap_or_default();
            self.under_way = Some((node, cluster.put_admin(node, Request::get("/v1/admin/cluster"), DEADLINE)));
        }
        Ok(())
    }

    fn check(&mut self, run: &mut Run) -> Result<Verdict, Failure> {
        let nodes = run.staying();
        let answers = run.ask_operators(&nodes, &Request::get("/v1/admin/cluster"))?;
        let mut answers = nodes.into_iter().zip(answers);
        let heard = answers.try_for_each(|(node, answer)| {
            let answer = answer.map_err(|lost| format!("node {node} does not tell its table: {lost}"))?;
            self.hear(node, &answer.json())
        });
        Ok(heard.and_then(|()| self.look(&run.cluster)).and_then(|()| self.is_true()))
    }
}

impl OneTablePerEpoch {
    fn look(&mut self, cluster: &Cluster) -> Verdict {
        let grown = self.grown.look(cluster)?;
        grown.into_iter().try_for_each(|(node, view)| self.take(node, view.states.iter().filter_map(State::table)))
    }

    /// Takes the tables that one log leads to.
    fn take<'a>(&mut self, node: usize, tables: impl Iterator<Item = &'a Table>) -> Verdict {
        let mut last = None;
        for table in tables {
            let epoch = table.epoch().0;
            if last.is_some_and(|last| !(last..=last + 1).contains(&epoch)) {
                return Err(format!("on the disk of node {node} epoch {epoch} comes after {last:?}"));
            }
            last = Some(epoch);
            let (other, known) = self.tables.entry(epoch).or_insert_with(|| (node, table.clone()));
            if known != table {
                return Err(format!("the disks of nodes {other} and {node} have two tables of epoch {epoch}"));
            }
        }
        Ok(())
    }

    /// Takes what a node told; nothing if it told of no table.
    fn hear(&mut self, node: usize, answer: &Value) -> Verdict {
        let Some(epoch) = answer.get("epoch").and_then(Value::as_u64).filter(|epoch| *epoch > 0) else { return Ok(()) };
        let members = answer.get("members").and_then(Value::as_array).into_iter().flatten();
        let share =
            |member: &Value| Some((member.get("node_id")?.as_str()?.to_owned(), member.get("homes")?.as_u64()?));
        // Who owns nothing may be a member or not: that is no matter of the table.
        let shares: Shares = members.filter_map(share).filter(|(_, homes)| *homes > 0).collect();
        let (other, known) = self.told.entry(epoch).or_insert_with(|| (node, shares.clone()));
        if *known == shares {
            Ok(())
        } else {
            Err(format!("of epoch {epoch} node {other} told {known:?}, node {node} {shares:?}"))
        }
    }

    /// Whether what was told is true of what is on the disks.
    fn is_true(&self) -> Verdict {
        if self.told.is_empty() {
            return Err("no node told of a table".to_owned());
        }
        self.told.iter().try_for_each(|(epoch, (node, told))| {
            let (_, table) = self
                .tables
                .get(epoch)
                .ok_or_else(|| format!("node {node} acts on epoch {epoch}, which no disk has"))?;
            let share = |name: &String| {
                let owned = |home: &_| table.owners(*home).iter().any(|owner| owner.to_string() == *name);
                (name.clone(), homes().filter(owned).count() as u64)
            };
            let shares: Shares = told.keys().map(share).collect();
            let all: u64 = homes().map(|home| table.owners(home).len() as u64).sum();
            if shares == *told && told.values().sum::<u64>() == all {
                Ok(())
            } else {
                Err(format!("node {node} told {told:?} of epoch {epoch}, on disk it is {shares:?}"))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cluster::{Epoch, NodeId};
    use serde_json::json;

    fn table(epoch: u64, owner: u64) -> Table {
        Table::new(Epoch(epoch), homes().map(|_| vec![NodeId(owner)]).collect()).unwrap()
    }

    #[test]
    fn two_tables_of_one_epoch_and_an_epoch_left_out_are_found() {
        let mut invariant = OneTablePerEpoch::default();
        assert_eq!(invariant.take(0, [table(1, 1), table(1, 1), table(2, 2)].iter()), Ok(()));
        assert!(invariant.take(1, [table(2, 1)].iter()).unwrap_err().contains("two tables of epoch 2"));
        assert!(invariant.take(2, [table(1, 1), table(3, 1)].iter()).unwrap_err().contains("comes after"));
    }

    #[test]
    fn a_node_that_acts_on_another_table_is_found() {
        let told = |epoch: u64, homes: u64| {
            let member = json!({"node_id": NodeId(1).to_string(), "homes": homes});
            json!({"epoch": epoch, "members": [member]})
        };
        let mut invariant = OneTablePerEpoch::default();
        invariant.take(0, [table(1, 1)].iter()).unwrap();
        invariant.hear(0, &told(1, 257)).unwrap();
        assert_eq!(invariant.is_true(), Ok(()));
        assert!(invariant.hear(1, &told(1, 256)).unwrap_err().contains("of epoch 1"));
        invariant.hear(1, &told(2, 257)).unwrap();
        assert!(invariant.is_true().unwrap_err().contains("no disk has"));
    }
}
