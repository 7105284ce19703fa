//! `under_replicated` is exact at rest.
//!
//! What `GET /v1/admin/status` of any node says is short of a copy, against the disks: the records that some owner of
//! their home, or a hint, holds and some owner does not. With all nodes there it must become exact within [`REST_MAX`] and
//! be that number; where one never comes back it may say that it is a lower bound, and must be one.
//!
//! Source: the definition in `cluster::accounting`, and the design, 4.4.

use super::standing::Placed;
use super::{Invariant, OnDisk, Verdict};
use crate::client::{Answer, Request};
use crate::run::{Failure, Run};
use cluster::NodeId;
use cluster::placement::homes;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long it may take until the number is exact.
const REST_MAX: Duration = Duration::from_secs(30);
/// How often it is asked for.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// See the module.
#[derive(Debug, Default)]
pub struct UnderReplicatedIsExactAtRest;

impl Invariant for UnderReplicatedIsExactAtRest {
    fn name(&self) -> &'static str {
        "under_replicated_is_exact_at_rest"
    }

    fn check(&mut self, run: &mut Run) -> Result<Verdict, Failure> {
        for node in run.staying() {
            let begun = run.cluster.elapsed();
            loop {
                let answer = run.ask_admin(node, Request::get("/v1/admin/status"))?;
                let verdict = counted(run).and_then(|counted| {
                    let told = answer.map_err(|lost| lost.to_string())?;
                    is_right(&told, counted, run.staying().len() == run.cluster.nodes())
                });
                if verdict.is_ok() {
                    break;
                }
                if run.cluster.elapsed() - begun >= REST_MAX {
                    return Ok(verdict.map_err(|what| format!("node {node}: {what}")));
                }
                run.pass(LOOK_EVERY)?;
            }
        }
        Ok(Ok(()))
    }
}

fn is_right(told: &Answer, counted: u64, all_there: bool) -> Verdict {
    let json = told.json();
    let told = json.pointer("/cluster/under_replicated").cloned().unwrap_or_default();
    let records = told.get("records").and_then(serde_json::Value::as_u64);
    let exact = told.get("is_exact").and_then(serde_json::Value::as_bool);
    match (records, exact) {
        (Some(records), Some(true)) if records == counted => Ok(()),
        (Some(records), Some(false)) if !all_there && records <= counted => Ok(()),
        (_, _) => Err(format!("it says {told}, and the disks say {counted}")),
    }
}

/// How many records are short of a copy, by the disks.
fn counted(run: &Run) -> Result<u64, String> {
    let placed = Placed::of(&run.cluster, &run.staying())?;
    let read = |(id, node): (&NodeId, &usize)| {
        OnDisk::read(run.cluster.disk(*node)).map(|disk| (*id, disk)).map_err(|error| error.to_string())
    };
    let disks = placed.nodes.iter().map(read).collect::<Result<BTreeMap<_, _>, _>>()?;
    let mut short = 0;
    for home in homes() {
        let owners = placed.table.owners(home);
        let (mut held, mut by_owner) = (BTreeSet::new(), BTreeMap::new());
        for (id, disk) in &disks {
            held.extend(disk.hints(home).map_err(|error| error.to_string())?.iter().map(|hint| hint.id()));
            let elements = disk.elements(home).map_err(|error| error.to_string())?;
            let ids: BTreeSet<_> = elements.into_iter().map(|element| element.id).collect();
            if owners.contains(id) {
                held.extend(ids.iter().copied());
                by_owner.insert(*id, ids);
            }
        }
        let everywhere =
            |id: &&model::RecordId| owners.iter().all(|owner| by_owner.get(owner).is_some_and(|ids| ids.contains(*id)));
        short += held.len() - held.iter().filter(everywhere).count();
    }
    u64::try_from(short).map_err(|error| error.to_string())
}
