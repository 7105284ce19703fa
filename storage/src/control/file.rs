//! The file of the control log: made whole under another name, then filled.
//!
//! It knows what fits and what is durable, not what the frames mean.

use super::contents::Contents;
use super::frame::Place;
use super::recovery::{self, Head, LOG, Read};
use super::{ControlLogError, ROOM_BYTES_MIN};
use crate::disk::{Disk, DiskFile};
use std::io;
use std::path::Path;

const TEMPORARY: &str = "LOG.tmp";

/// The open file.
#[derive(Debug)]
pub(super) struct LogFile {
    file: Box<dyn DiskFile>,
    /// Counts the rewritings, from 1.
    pub(super) generation: u64,
    /// How many frames it has, all of them durable.
    frames: u64,
    /// Where the next frame goes.
    end: usize,
    /// How long it is: zeros from `end` on.
    length: usize,
}

impl LogFile {
    /// Writes a file that holds `contents` and nothing else, with room for more, in place of the one before.
    ///
    /// # Errors
    ///
    /// What the disk says; then either file may be there after a crash.
    pub(super) fn write(disk: &dyn Disk, dir: &Path, contents: &Contents, generation: u64) -> io::Result<Self> {
        let (mut body, mut frames) = (Vec::new(), 0);
        for frame in contents.frames() {
            frames += 1;
            frame.write(Place { generation, number: frames, durable: 0 }, &mut body);
        }
        let mut bytes = Head { generation, settled: frames }.write();
        bytes.append(&mut body);
        let end = bytes.len();
        let length = end + end.max(ROOM_BYTES_MIN);
        bytes.resize(length, 0);
        let temporary = dir.join(TEMPORARY);
        let file = disk.create(&temporary)?;
        file.write_all_at(&bytes, 0)?;
        file.sync_all()?;
        disk.rename(&temporary, &dir.join(LOG))?;
        disk.sync_dir(dir)?;
        Ok(Self { file: disk.open(&dir.join(LOG))?, generation, frames, end, length })
    }

    /// The places of the next frames, if they are written together.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        let Self { generation, frames: durable, .. } = *self;
        (durable + 1..).map(move |number| Place { generation, number, durable })
    }

    /// Whether so many bytes fit.
    pub(super) fn fits(&self, bytes: usize) -> bool {
        self.length - self.end >= bytes
    }

    /// Writes frames behind the others, durably.
    ///
    /// # Errors
    ///
    /// What the disk says; then the file is not to be written to any more.
    pub(super) fn extend(&mut self, bytes: &[u8], frames: usize) -> io::Result<()> {
        self.file.write_all_at(bytes, u64::try_from(self.end).map_err(io::Error::other)?)?;
        self.file.sync_data()?;
        self.end += bytes.len();
        self.frames += u64::try_from(frames).map_err(io::Error::other)?;
        Ok(())
    }
}

/// Reads the file in `dir`, if there is one.
///
/// # Errors
///
/// As [`recovery::read`], or what the disk says.
pub(super) fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<Read>, ControlLogError> {
    let failed = || ControlLogError::io("read the control log");
    let file = match disk.open(&dir.join(LOG)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(failed())?,
    };
    let length = file.length().map_err(failed())?;
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other).map_err(failed())?];
    file.read_exact_at(&mut bytes, 0).map_err(failed())?;
    recovery::read(&bytes).map(Some)
}
