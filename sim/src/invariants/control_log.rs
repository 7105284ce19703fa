//! The control log of a node, read from its disk: only what is durable counts. It never asks a node.

use super::Unreadable;
use crate::cluster::DATA_DIR;
use crate::world::HostDisk;
use node::control::Kept;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use storage::control::ControlLog;
use storage::disk::{Crash, Disk as _};

/// What the control log on a disk says; `None` if there is none yet.
///
/// # Errors
///
/// [`Unreadable`] if it is not what a node writes.
pub(crate) fn control_log_on(disk: &HostDisk) -> Result<Option<Kept>, Unreadable> {
    let dir = Path::new(DATA_DIR).join("control");
    let copy = disk.fork_folder(&dir);
    copy.crash(Crash::DropUnsynced);
    if copy.list(&dir).map_or(true, |names| !names.iter().any(|name| name == "LOG")) {
        return Ok(None);
    }
    let unreadable = |error: &dyn Error| Unreadable(format!("the control log: {error}"));
    let (log, _) = ControlLog::open(Arc::new(copy), &dir).map_err(|error| unreadable(&error))?;
    Kept::of(&log).map(Some).map_err(|error| unreadable(&error))
}
