//! Bytes change on disks: of one record on one node, then of records of every node in different places, while clients write.
//!
//! Nobody but the scrubber notices: the sums of what nodes were given agree. What cannot be read is served by another owner
//! meanwhile, and must be whole again on every disk. By chance the node is killed before it can heal itself, and opens a log that
//! is damaged.

use super::change::until_found;
use super::{Scenario, three_nodes};
use crate::client::Request;
use crate::cluster::Shape;
use crate::invariants::{OnDisk, of_a_cluster, places_on};
use crate::run::{Failure, Run};
use model::RecordId;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;
use storage::store::Lookup;

/// How fast logs are read again and again, in bytes a second: a log of this scenario within a second.
const SCRUB_BYTES_PER_SECOND: u64 = 1 << 20;
/// How long clients write before.
const BEFORE: Duration = Duration::from_secs(4);
/// How many records of each node are damaged.
const RECORDS: usize = 5;
/// What was written last stays whole: damage at the very end of a log is for the crash tests of the log.
const LAST_WHOLE: usize = 50;
/// How long it may take until all is whole.
const HEALED_MAX: Duration = Duration::from_secs(20);
/// What is violated if a record is not served or not healed.
const WHOLE: &str = "what_is_damaged_is_served_by_others_and_made_whole";

pub(super) const SCENARIO: Scenario = Scenario {
    name: "disks_rot",
    about: "bytes change on one disk, then on every disk in other places",
    shape,
    faults,
    liveness_max: Duration::from_secs(30),
    invariants: of_a_cluster,
};

fn shape() -> Shape {
    Shape { settings: |settings, _| settings.scrub_bytes_per_second = SCRUB_BYTES_PER_SECOND, ..three_nodes() }
}

fn faults(run: &mut Run) -> Result<(), Failure> {
    run.pass(BEFORE)?;
    let mut damaged = BTreeSet::new();
    let one = run.any_node();
    let first = rot(run, one, 1, &mut damaged)?;
    are_served(run, &first)?;
    until_whole(run, &[(one, first)])?;
    knows_of_nothing_damaged(run, one)?;
    let nodes = run.staying();
    let mut all = Vec::new();
    for node in nodes {
        all.push((node, rot(run, node, RECORDS, &mut damaged)?));
    }
    let is_killed = run.chance.below(2) == 0;
    if is_killed {
        let node = run.any_node();
        run.cluster.kill(node);
        run.fault();
        run.pass_up_to_seconds(3)?;
        run.cluster.start(node);
        run.until_ready(SCENARIO.liveness_max)?;
    } else {
        all.iter().try_for_each(|(_, ids)| are_served(run, ids))?;
    }
    until_whole(run, &all)
}

/// Changes a byte of some records on the disk of a node, of none that is damaged on another one.
fn rot(run: &mut Run, node: usize, records: usize, damaged: &mut BTreeSet<RecordId>) -> Result<Vec<RecordId>, Failure> {
    let disk = run.cluster.disk(node).clone();
    let places = places_on(&disk).map_err(|error| violated(error.to_string()))?;
    let mut times: BTreeMap<RecordId, u32> = BTreeMap::new();
    places.iter().for_each(|(id, ..)| *times.entry(*id).or_default() += 1);
    // What was written again, with other signatures for one, is read from its last place.
    let once = |place: &(RecordId, PathBuf, usize)| times.get(&place.0) == Some(&1);
    let mut places: Vec<_> = places.into_iter().filter(once).rev().skip(LAST_WHOLE).collect();
    let mut ids = Vec::new();
    while ids.len() < records {
        if places.is_empty() {
            return Err(violated(format!("node {node} has too few records to damage")));
        }
        let (id, path, offset) = places.swap_remove(run.chance.index(places.len()));
        if damaged.insert(id) && disk.rot(&path, offset) {
            ids.push(id);
        }
    }
    let read = OnDisk::read(&disk).map_err(|error| violated(error.to_string()))?;
    match ids.iter().find(|id| matches!(read.get(id), Ok(Lookup::Found(_)))) {
        None => Ok(ids),
        Some(id) => Err(violated(format!("{id} can be read on node {node} though a byte of it was changed"))),
    }
}

/// Every node serves them, at once.
fn are_served(run: &mut Run, ids: &[RecordId]) -> Result<(), Failure> {
    let questions = run
        .staying()
        .into_iter()
        .flat_map(|node| ids.iter().map(move |id| (node, Request::get(format!("/v1/records/{id}")))));
    let answers = run.ask_all(questions.collect())?;
    match answers.into_iter().find(|answer| answer.as_ref().map_or(true, |answer| answer.status != 200)) {
        None => Ok(()),
        Some(answer) => Err(violated(format!("a record that is damaged on one node is answered with {answer:?}"))),
    }
}

/// Waits until they can be read on the disks that they were damaged on.
fn until_whole(run: &mut Run, all: &[(usize, Vec<RecordId>)]) -> Result<(), Failure> {
    until_found(run, "all is whole again", HEALED_MAX, |run| {
        for (node, ids) in all {
            let disk = OnDisk::read(run.cluster.disk(*node)).map_err(|error| violated(error.to_string()))?;
            for id in ids {
                if !matches!(disk.get(id), Ok(Lookup::Found(_))) {
                    return Ok(Err(format!("{id} on node {node}")));
                }
            }
        }
        Ok(Ok(()))
    })
}

/// Waits until the node says that it can read all it has; a read from all owners may have healed it before the scrubber came.
fn knows_of_nothing_damaged(run: &mut Run, node: usize) -> Result<(), Failure> {
    until_found(run, "the node can read all it has", HEALED_MAX, |run| {
        let metrics = run.ask_admin(node, Request::get("/metrics"))?.map(|answer| answer.text()).unwrap_or_default();
        let told: Vec<_> = metrics.lines().filter(|line| line.starts_with("stemedb_damaged_records ")).collect();
        Ok(if told == ["stemedb_damaged_records 0"] { Ok(()) } else { Err(format!("{told:?}")) })
    })
}

fn violated(detail: String) -> Failure {
    Failure::Violated { invariant: WHOLE, detail }
}
