//! A snapshot of the control plane's state, in a file of its own, replaced whole.
//!
//! It never reads what is inside. The byte diagram is in `docs/architecture.md`.

use super::{ControlLogError, SNAPSHOT_BYTES_MAX};
use crate::disk::Disk;
use std::io;
use std::path::Path;

const NAME: &str = "SNAPSHOT";
const TEMPORARY: &str = "SNAPSHOT.tmp";
const MAGIC: &[u8; 8] = b"STEMESNP";
const VERSION: u16 = 1;
const HEADER: usize = 32;

/// A state, and up to where it holds what the log did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The index of the last entry that it holds.
    pub index: u64,
    /// What the consensus knows about it; opaque here.
    pub about: Vec<u8>,
    /// The state; opaque here.
    pub state: Vec<u8>,
}

impl Snapshot {
    /// Reads the snapshot in `dir`, if there is one.
    ///
    /// # Errors
    ///
    /// [`ControlLogError::Damaged`], [`ControlLogError::Version`], or what the disk says.
    pub(super) fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<Self>, ControlLogError> {
        let failed = || ControlLogError::io("read the snapshot");
        let file = match disk.open(&dir.join(NAME)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(failed())?,
        };
        let length = usize::try_from(file.length().map_err(failed())?).unwrap_or(usize::MAX);
        if length > HEADER + SNAPSHOT_BYTES_MAX {
            return Err(damaged());
        }
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, 0).map_err(failed())?;
        Self::decode(&bytes).map(Some)
    }

    /// Writes the snapshot durably in place of the one before.
    ///
    /// # Errors
    ///
    /// What the disk says; then the one before still stands, unless only the last step failed.
    pub(super) fn write(&self, disk: &dyn Disk, dir: &Path) -> io::Result<()> {
        let temporary = dir.join(TEMPORARY);
        let file = disk.create(&temporary)?;
        file.write_all_at(&self.encode(), 0)?;
        file.sync_all()?;
        disk.rename(&temporary, &dir.join(NAME))?;
        disk.sync_dir(dir)
    }

    /// How many bytes it takes, header not counted.
    pub(super) fn length(&self) -> usize {
        self.about.len().saturating_add(self.state.len())
    }

    fn encode(&self) -> Vec<u8> {
        let about = u32::try_from(self.about.len()).unwrap_or(u32::MAX);
        let state = u32::try_from(self.state.len()).unwrap_or(u32::MAX);
        let mut bytes = Vec::with_capacity(HEADER + self.length());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 2]);
        bytes.extend_from_slice(&self.index.to_le_bytes());
        bytes.extend_from_slice(&about.to_le_bytes());
        bytes.extend_from_slice(&state.to_le_bytes());
        let crc = crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(&bytes), &self.about), &self.state);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes.extend_from_slice(&self.about);
        bytes.extend_from_slice(&self.state);
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, ControlLogError> {
        let (header, body) = bytes.split_first_chunk::<HEADER>().ok_or_else(damaged)?;
        let (fields, crc) = header.split_last_chunk::<4>().ok_or_else(damaged)?;
        let expected = crc32c::crc32c_append(crc32c::crc32c(fields), body);
        let (magic, rest) = fields.split_first_chunk::<8>().ok_or_else(damaged)?;
        if expected.to_le_bytes() != *crc || magic != MAGIC {
            return Err(damaged());
        }
        let (version, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let version = u16::from_le_bytes(*version);
        if version != VERSION {
            return Err(ControlLogError::Version { file: NAME, version });
        }
        let (index, rest) = rest.get(2..).and_then(|rest| rest.split_first_chunk()).ok_or_else(damaged)?;
        let (about, _) = rest.split_first_chunk().ok_or_else(damaged)?;
        let about = usize::try_from(u32::from_le_bytes(*about)).unwrap_or(usize::MAX);
        let (about, state) = body.split_at_checked(about).ok_or_else(damaged)?;
        Ok(Self { index: u64::from_le_bytes(*index), about: about.to_vec(), state: state.to_vec() })
    }
}

fn damaged() -> ControlLogError {
    ControlLogError::Damaged { file: NAME, at: 0 }
}
