//! The file in which a node keeps its part in the founding of its cluster: nothing, a promise, or the cluster it is in.
//!
//! BLAKE3 of what follows (32 bytes), then [`Kept::encode`]. It is replaced whole and never deleted.

use cluster::founding::Kept;
use std::io;
use std::path::{Path, PathBuf};
use storage::disk::Disk;

/// The file below the data folder: what a node promised, or which cluster it is in.
const FILE: &str = "cluster";
/// The longest such file, in bytes: a list of the most nodes that a cluster can have.
const FILE_BYTES_MAX: u64 = 64 << 10;
/// Why what was promised cannot be known.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// The file cannot be read or written. Check the folder and its rights.
    #[error("cannot {doing} {path}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
    /// The file is not what this release writes. Put the right one back; never delete it.
    #[error("{0} is damaged, or of a later release: put the file of this node back")]
    Malformed(PathBuf),
}

/// What a node kept of its founding.
pub(crate) fn load(disk: &dyn Disk, data_dir: &Path) -> Result<Kept, KeptError> {
    let path = data_dir.join(FILE);
    let failed = |source| KeptError::Io { doing: "read", path: path.clone(), source };
    let file = match disk.open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Kept::Nothing),
        file => file.map_err(failed)?,
    };
    let length = file.length().map_err(failed)?;
    if length > FILE_BYTES_MAX {
        return Err(KeptError::Malformed(path));
    }
    let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
    file.read_exact_at(&mut bytes, 0).map_err(failed)?;
    let (sum, kept) = bytes.split_at_checked(32).ok_or_else(|| KeptError::Malformed(path.clone()))?;
    if blake3::hash(kept).as_bytes() != sum {
        return Err(KeptError::Malformed(path));
    }
    Kept::decode(kept).or(Err(KeptError::Malformed(path)))
}

/// Keeps it, durably, in the place of what was kept before: BLAKE3 of what follows, then its bytes.
pub(crate) fn keep(disk: &dyn Disk, data_dir: &Path, kept: &Kept) -> Result<(), KeptError> {
    let path = data_dir.join(FILE);
    let draft = data_dir.join("cluster.tmp");
    let bytes = kept.encode();
    let sealed = [blake3::hash(&bytes).as_bytes().as_slice(), &bytes].concat();
    let write = || {
        disk.make_dirs(data_dir)?;
        let file = disk.create(&draft)?;
        file.write_all_at(&sealed, 0)?;
        #[cfg(feature = "planted")]
        if matches!(kept, Kept::Promise(_)) && planted::is(planted::Bug::PromiseNotSynced) {
            return disk.rename(&draft, &path);
        }
        file.sync_all()?;
        disk.rename(&draft, &path)?;
        disk.sync_dir(data_dir)
    };
    write().map_err(|source| KeptError::Io { doing: "write", path: path.clone(), source })
}
