//! At rest the owners of a home hold equal sets of (id, stamp, signatures), and nobody holds what it should not.
//!
//! Owners are those of the newest table. What a node should not hold: a record of a home that it does not own, also if it
//! did before, the global home apart; and, unless an owner of that home never comes back, a hint. The cluster is given
//! [`REST_MAX`] of simulated time to come to rest.
//!
//! Source: the design, 4.2 (writes, hints, homes that move) and 4.4 (reconciliation): what is acknowledged anywhere reaches every owner, and
//! owners merge by one rule, smaller stamp and smaller signatures.

use super::standing::Placed;
use super::{Invariant, OnDisk, Verdict};
use crate::run::{Failure, Run};
use cluster::NodeId;
use cluster::placement::homes;
use model::Home;
use std::collections::BTreeMap;
use std::time::Duration;
use storage::store::Element;

/// How long coming to rest may take.
const REST_MAX: Duration = Duration::from_secs(30);
/// How often the disks are looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// See the module.
#[derive(Debug, Default)]
pub struct OwnersAgreeAtRest;

impl Invariant for OwnersAgreeAtRest {
    fn name(&self) -> &'static str {
        "owners_agree_at_rest"
    }

    fn check(&mut self, run: &mut Run) -> Result<Verdict, Failure> {
        let placed = match Placed::of(&run.cluster, &run.staying()) {
            Ok(placed) => placed,
            Err(missing) => return Ok(Err(missing)),
        };
        let begun = run.cluster.elapsed();
        loop {
            let verdict = look(run, &placed);
            if verdict.is_ok() || run.cluster.elapsed() - begun >= REST_MAX {
                return Ok(verdict);
            }
            run.pass(LOOK_EVERY)?;
        }
    }
}

fn look(run: &Run, placed: &Placed) -> Verdict {
    let read = |(id, node): (&NodeId, &usize)| {
        OnDisk::read(run.cluster.disk(*node)).map(|disk| (*id, disk)).map_err(|error| format!("node {node}: {error}"))
    };
    let disks = placed.nodes.iter().map(read).collect::<Result<BTreeMap<_, _>, _>>()?;
    homes().try_for_each(|home| look_at(home, placed, &disks))
}

fn look_at(home: Home, placed: &Placed, disks: &BTreeMap<NodeId, OnDisk>) -> Verdict {
    let owners = placed.table.owners(home);
    let all_there = owners.iter().all(|owner| disks.contains_key(owner));
    let mut first: Option<(NodeId, Vec<Element>)> = None;
    for (id, disk) in disks {
        let elements = disk.elements(home).map_err(|error| error.to_string())?;
        let hints = disk.hints(home).map_err(|error| error.to_string())?;
        if all_there && !hints.is_empty() {
            return Err(format!("{id} still keeps {} hints of home {home:?}, whose owners are there", hints.len()));
        }
        if !owners.contains(id) {
            if !elements.is_empty() && home != Home::GLOBAL {
                return Err(format!("{id} holds {} records of home {home:?}, of which it is no owner", elements.len()));
            }
            continue;
        }
        let (other, known) = first.get_or_insert_with(|| (*id, elements.clone()));
        if let Some(differs) = difference(known, &elements) {
            return Err(format!(
                "of home {home:?} {other} has {}, {id} has {}: {differs}",
                known.len(),
                elements.len()
            ));
        }
    }
    Ok(())
}

/// The first element that is in one list and not in the other.
fn difference(one: &[Element], other: &[Element]) -> Option<String> {
    let lacks = |some: &[Element], others: &[Element]| some.iter().find(|element| !others.contains(element)).copied();
    let differs = (one != other).then(|| lacks(one, other).or_else(|| lacks(other, one)))?;
    Some(differs.map_or_else(|| "another order".to_owned(), |element| format!("{} {}", element.id, element.stamp)))
}
