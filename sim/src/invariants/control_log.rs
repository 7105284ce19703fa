//! The control log of a node, read from its disk: only what is durable counts. It never asks a node.

use super::Unreadable;
use crate::cluster::{Cluster, DATA_DIR};
use crate::world::HostDisk;
use cluster::control::State;
use node::control::Kept;
use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use storage::control::ControlLog;
use storage::disk::{Crash, Disk as _};

/// What a control log says.
#[derive(Debug, Default)]
pub(crate) struct ControlView {
    /// Its entries.
    pub(crate) kept: Kept,
    /// The states that the cluster went through, as far as the log knows.
    pub(crate) states: Vec<State>,
}

/// The control logs of the disks of a cluster. One is read again only when its disk has changed it since; who looks often and at
/// all of them pays for the changes alone.
#[derive(Debug, Default)]
pub(crate) struct ControlLogs(Mutex<BTreeMap<usize, Known>>);

/// What a control log said when it was read last.
#[derive(Debug)]
struct Known {
    /// Of its folder, then.
    changes: u64,
    view: Option<Arc<ControlView>>,
}

impl ControlLogs {
    /// What the control log on the disk of node `number` says; `None` if there is none yet. As long as nothing changes, the same
    /// value.
    ///
    /// # Errors
    ///
    /// [`Unreadable`] if it is not what a node writes.
    pub(crate) fn view(&self, number: usize, disk: &HostDisk) -> Result<Option<Arc<ControlView>>, Unreadable> {
        let now = disk.changes(&folder());
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get(&number) {
            Some(Known { changes, view }) if *changes == now => Ok(view.clone()),
            Some(_) | None => {
                let view = read(disk)?.map(Arc::new);
                known.insert(number, Known { changes: now, view: view.clone() });
                Ok(view)
            }
        }
    }
}

/// Who looks at the control logs again and again, and only at those that have changed.
#[derive(Debug, Default)]
pub(super) struct Grown(BTreeMap<usize, Arc<ControlView>>);

impl Grown {
    /// Whether the node had a control log when this was asked last.
    pub(super) fn knows(&self, node: usize) -> bool {
        self.0.contains_key(&node)
    }

    /// The nodes whose control logs say something else than when this was asked last, and what.
    ///
    /// # Errors
    ///
    /// Whose cannot be read, and why.
    pub(super) fn look(&mut self, cluster: &Cluster) -> Result<Vec<(usize, Arc<ControlView>)>, String> {
        let mut grown = Vec::new();
        for node in 0..cluster.nodes() {
            let Some(view) = cluster.control_log(node).map_err(|error| format!("node {node}: {error}"))? else {
                self.0.remove(&node);
                continue;
            };
            if self.0.get(&node).is_none_or(|seen| !Arc::ptr_eq(seen, &view)) {
                self.0.insert(node, Arc::clone(&view));
                grown.push((node, view));
            }
        }
        Ok(grown)
    }
}

fn folder() -> PathBuf {
    Path::new(DATA_DIR).join("control")
}

fn read(disk: &HostDisk) -> Result<Option<ControlView>, Unreadable> {
    let dir = folder();
    let copy = disk.fork_folder(&dir);
    copy.crash(Crash::DropUnsynced);
    if copy.list(&dir).map_or(true, |names| !names.iter().any(|name| name == "LOG")) {
        return Ok(None);
    }
    let unreadable = |error: &dyn Error| Unreadable(format!("the control log: {error}"));
    let (log, _) = ControlLog::open(Arc::new(copy), &dir).map_err(|error| unreadable(&error))?;
    let kept = Kept::of(&log).map_err(|error| unreadable(&error))?;
    Ok(Some(ControlView { states: kept.states(), kept }))
}
