//! What the disk of a node holds, read by the code that a node reads it with, on a copy.
//!
//! The copy is what the power would leave if it failed now: only what was synced. The node notices nothing.

use crate::cluster::{LOG_SEGMENT_BYTES, WAL_DIR};
use crate::world::HostDisk;
use model::set::SetKey;
use std::ops::ControlFlow;
use std::sync::Arc;
use storage::disk::Crash;
use storage::index::Engine;
use storage::log::{self, Position};
use storage::store::{Lookup, OpenReport, Reader, Settings, Setup, Store};
use storage::stored::StoredRecord;

/// The log of a disk that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the log of the disk cannot be read: {0}")]
pub struct Unreadable(String);

/// What a disk holds.
#[derive(Debug)]
pub struct OnDisk {
    reader: Reader,
    report: OpenReport,
}

impl OnDisk {
    /// Reads what is durable on the disk of a node. Cost: reads the whole log.
    ///
    /// # Errors
    ///
    /// [`Unreadable`].
    pub fn read(disk: &HostDisk) -> Result<Self, Unreadable> {
        let copy = disk.fork();
        copy.crash(Crash::DropUnsynced);
        let log = log::Settings { segment_bytes_max: LOG_SEGMENT_BYTES, ..log::Settings::default() };
        let opened = Store::open(Setup {
            disk: Arc::new(copy),
            wal_dir: WAL_DIR.into(),
            db_dir: "/nowhere".into(), // not touched by an index in memory
            engine: Engine::Memory,
            settings: Settings { open_frames_max: u64::MAX, ..Settings::with_log(log) },
            store_id_seed: [0; 16],
            set_key: SetKey::new([0; 32]), // sums are not looked at
            wall_ms: 0,
        });
        let (_, reader, report) = opened.map_err(|error| Unreadable(error.to_string()))?;
        Ok(Self { reader, report })
    }

    /// The record of that id.
    ///
    /// # Errors
    ///
    /// [`Unreadable`].
    pub fn get(&self, id: &model::RecordId) -> Result<Lookup, Unreadable> {
        self.reader.get(id).map_err(|error| Unreadable(error.to_string()))
    }

    /// All records, in the order of the log.
    ///
    /// # Errors
    ///
    /// [`Unreadable`], also if a part of the log is damaged.
    pub fn records(&self) -> Result<Vec<StoredRecord>, Unreadable> {
        let mut records = Vec::new();
        let exported = self.reader.export(Position::START, &mut |record| {
            records.push(record);
            ControlFlow::Continue(())
        });
        let exported = exported.map_err(|error| Unreadable(error.to_string()))?;
        match exported.damages.first() {
            None => Ok(records),
            Some(damage) => Err(Unreadable(damage.to_string())),
        }
    }

    /// What opening found.
    pub fn report(&self) -> &OpenReport {
        &self.report
    }
}
