//! Who the node of a disk is, which cluster its disk says it is in, and which node that cluster gives which homes.
//!
//! Read from the files that a node keeps beside its log, of which only what is durable counts. It never asks a node.

use super::Unreadable;
use crate::cluster::{Cluster, DATA_DIR, WAL_DIR};
use crate::world::HostDisk;
use cluster::NodeId;
use cluster::control::State;
use cluster::founding::Kept;
use cluster::placement::Table;
use node::identity::Identity;
use std::collections::BTreeMap;
use std::path::Path;
use storage::disk::{Crash, Disk, MemoryDisk};

/// The length of the checksum at the beginning of the file of the founding.
const CHECKSUM: usize = 32;

/// The id of the node of a disk; `None` if the disk was never used.
pub(crate) fn node_on(disk: &HostDisk) -> Option<NodeId> {
    let disk = durable(disk);
    disk.file_length(&Path::new(DATA_DIR).join(node::identity::FILE)).ok()?;
    let identity = Identity::load_or_create(&disk, DATA_DIR.as_ref(), WAL_DIR.as_ref(), [0; 32]).ok()?;
    u64::from_str_radix(&identity.name(), 16).ok().map(NodeId)
}

/// What the node of a disk keeps of the founding of its cluster.
///
/// # Errors
///
/// [`Unreadable`] if the file is not what a node writes.
pub(crate) fn kept_on(disk: &HostDisk) -> Result<Kept, Unreadable> {
    let Ok(file) = durable(disk).open(&Path::new(DATA_DIR).join("cluster")) else { return Ok(Kept::Nothing) };
    let unreadable = |error: &dyn std::error::Error| Unreadable(format!("the file of the founding: {error}"));
    let length = file.length().map_err(|error| unreadable(&error))?;
    let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
    file.read_exact_at(&mut bytes, 0).map_err(|error| unreadable(&error))?;
    Kept::decode(bytes.get(CHECKSUM..).unwrap_or_default()).map_err(|error| unreadable(&error))
}

/// Who stores what, by the control logs, and which node each disk belongs to.
#[derive(Debug)]
pub(crate) struct Placed {
    /// The newest table of the cluster.
    pub(crate) table: Table,
    /// The numbers of the nodes whose disks are there, by their ids.
    pub(crate) nodes: BTreeMap<NodeId, usize>,
}

impl Placed {
    /// Of the nodes with these numbers.
    ///
    /// # Errors
    ///
    /// What is missing.
    pub(crate) fn of(cluster: &Cluster, staying: &[usize]) -> Result<Self, String> {
        let nodes = staying.iter().filter_map(|node| Some((node_on(cluster.disk(*node))?, *node))).collect();
        let mut views = Vec::new();
        for node in staying {
            let view = cluster.control_log(*node).map_err(|error| format!("node {node}: {error}"))?;
            views.extend(view);
        }
        let tables = views.iter().flat_map(|view| view.states.iter().filter_map(State::table));
        let table = tables.max_by_key(|table| table.epoch()).ok_or("no control log knows of a table")?;
        Ok(Self { table: table.clone(), nodes })
    }
}

fn durable(disk: &HostDisk) -> MemoryDisk {
    let copy = disk.fork();
    copy.crash(Crash::DropUnsynced);
    copy
}
