//! An id's body never differs between nodes.
//!
//! Whatever disk holds a record, in its log as its own or as a hint for others, the canonical bytes of the body hash to the
//! id it is filed under; so no two disks can hold two bodies of one id. Signatures may differ until owners have compared.
//!
//! Source: the design, 3.1 (an id is BLAKE3 of the canonical bytes of the body).

use super::{Invariant, OnDisk, Verdict};
use crate::run::{Failure, Run};

/// See the module.
#[derive(Debug, Default)]
pub struct OneIdOneBody;

impl Invariant for OneIdOneBody {
    fn name(&self) -> &'static str {
        "one_id_one_body"
    }

    fn check(&mut self, run: &mut Run) -> Result<Verdict, Failure> {
        Ok(run
            .staying()
            .into_iter()
            .try_for_each(|node| look(run, node).map_err(|what| format!("node {node}: {what}"))))
    }
}

fn look(run: &Run, node: usize) -> Verdict {
    let disk = OnDisk::read(run.cluster.disk(node)).map_err(|error| error.to_string())?;
    let mut records = disk.records().map_err(|error| error.to_string())?;
    for home in cluster::placement::homes() {
        records.extend(disk.hints(home).map_err(|error| error.to_string())?);
    }
    match records.iter().find(|record| record.computed_id() != Some(record.id())) {
        None => Ok(()),
        Some(wrong) => Err(format!("what is filed under {} is {:?}", wrong.id(), wrong.computed_id())),
    }
}
