//! What the disk of a node holds, read by the code that a node reads it with, on a copy.
//!
//! The copy is what the power would leave if it failed now: only what was synced. The node notices nothing.

use crate::cluster::{LOG_SEGMENT_BYTES, WAL_DIR};
use crate::world::HostDisk;
use model::set::SetKey;
use model::{Home, RecordId, Stamp};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use storage::disk::{Crash, Disk as _};
use storage::index::Engine;
use storage::log::{self, FRAME_HEADER, Frame, Item, Log, Position};
use storage::store::{Element, Lookup, OpenReport, Reader, Settings, Setup, Store};
use storage::stored::StoredRecord;

/// How the logs of nodes are cut.
const LOG: log::Settings =
    log::Settings { segment_bytes_max: LOG_SEGMENT_BYTES, batch_bytes_max: 8 << 20, version_max: u16::MAX };
/// How many hints are read at once.
const HINTS_A_PAGE: usize = 1024;

/// The log of a disk that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the log of the disk cannot be read: {0}")]
pub struct Unreadable(pub(super) String);

/// What a disk holds.
#[derive(Debug)]
pub struct OnDisk {
    reader: Reader,
    report: OpenReport,
    is_rotten: bool,
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
        let opened = Store::open(Setup {
            disk: Arc::new(copy),
            wal_dir: WAL_DIR.into(),
            db_dir: "/nowhere".into(), // not touched by an index in memory
            engine: Engine::Memory,
            settings: Settings { open_frames_max: u64::MAX, ..Settings::with_log(LOG) },
            store_id_seed: [0; 16],
            set_key: SetKey::new([0; 32]), // sums are not looked at
            wall_ms: 0,
        });
        let (_, reader, report) = opened.map_err(|error| Unreadable(error.to_string()))?;
        Ok(Self { reader, report, is_rotten: disk.is_rotten() })
    }

    /// The record of that id.
    ///
    /// # Errors
    ///
    /// [`Unreadable`].
    pub fn get(&self, id: &RecordId) -> Result<Lookup, Unreadable> {
        self.reader.get(id).map_err(|error| Unreadable(error.to_string()))
    }

    /// All records that can be read, in the order of the log.
    ///
    /// # Errors
    ///
    /// [`Unreadable`], also if a part of the log is damaged and the disk was not.
    pub fn records(&self) -> Result<Vec<StoredRecord>, Unreadable> {
        let mut records = Vec::new();
        let exported = self.reader.export(Position::START, &mut |record| {
            records.push(record);
            ControlFlow::Continue(())
        });
        let exported = exported.map_err(|error| Unreadable(error.to_string()))?;
        match exported.damages.first() {
            None => Ok(records),
            Some(_) if self.is_rotten => Ok(records),
            Some(damage) => Err(Unreadable(damage.to_string())),
        }
    }

    /// The elements of a home's set, in the order of stamp and id.
    ///
    /// # Errors
    ///
    /// [`Unreadable`].
    pub fn elements(&self, home: Home) -> Result<Vec<Element>, Unreadable> {
        self.reader.elements(home, None, Stamp::MAX, usize::MAX).map_err(|error| Unreadable(error.to_string()))
    }

    /// The records that are kept for the owners of a home.
    ///
    /// # Errors
    ///
    /// [`Unreadable`], also if one of them is damaged.
    pub fn hints(&self, home: Home) -> Result<Vec<StoredRecord>, Unreadable> {
        let (mut records, mut after) = (Vec::new(), None);
        loop {
            let page = self.reader.hinted(home, after, HINTS_A_PAGE).map_err(|error| Unreadable(error.to_string()))?;
            if let Some((_, id)) = page.damaged.first() {
                return Err(Unreadable(format!("the hint {id} is damaged")));
            }
            records.extend(page.hints.into_iter().map(|hint| hint.record));
            match page.next {
                Some((_, id)) => after = Some(id),
                None => return Ok(records),
            }
        }
    }

    /// What opening found.
    pub fn report(&self) -> &OpenReport {
        &self.report
    }
}

/// Hands every durable frame of the log of a disk to `visit`, in order; none if there is no log yet. Cheaper than
/// [`OnDisk::read`]: no index is made.
///
/// # Errors
///
/// [`Unreadable`], also if a part of the log is damaged and the disk was not.
pub(super) fn frames_on(disk: &HostDisk, visit: &mut dyn FnMut(Frame<'_>)) -> Result<(), Unreadable> {
    frames_with_places(disk, &mut |_, frame| visit(frame))
}

/// Where the durable records of a disk lie, in the order of the log: the file, and a byte of it that belongs to the record.
/// Compacted segments are left out.
///
/// # Errors
///
/// As [`OnDisk::read`].
pub fn places_on(disk: &HostDisk) -> Result<Vec<(RecordId, PathBuf, usize)>, Unreadable> {
    let mut places = Vec::new();
    frames_with_places(disk, &mut |position, frame| {
        if let Frame::Record(record) = frame {
            let Position { segment, at } = position;
            let file = Path::new(WAL_DIR).join(format!("{segment:010}-0000.log"));
            places.push((record.id, file, at as usize + FRAME_HEADER));
        }
    })?;
    Ok(places)
}

fn frames_with_places(disk: &HostDisk, visit: &mut dyn FnMut(Position, Frame<'_>)) -> Result<(), Unreadable> {
    let copy = disk.fork();
    copy.crash(Crash::DropUnsynced);
    if copy.list(WAL_DIR.as_ref()).map_or(true, |names| names.is_empty()) {
        return Ok(());
    }
    let opened = Log::open(Arc::new(copy), WAL_DIR.as_ref(), LOG, [0; 16]);
    let (log, _) = opened.map_err(|error| Unreadable(error.to_string()))?;
    let mut damaged = None;
    let scanned = log.reader().scan(Position::START, &mut |item| {
        match item {
            Item::Frame(position, frame) => visit(position, frame),
            Item::Damage(damage) => damaged = damaged.take().or(Some(damage.to_string())),
        }
        ControlFlow::Continue(())
    });
    scanned.map_err(|error| Unreadable(error.to_string()))?;
    match damaged {
        Some(damage) if !disk.is_rotten() => Err(Unreadable(damage)),
        _ => Ok(()),
    }
}
