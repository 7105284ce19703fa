//! The file with the secret that all nodes of a cluster share: comments, and one line of 64 hex digits.
//!
//! Nodes only read it: `stemedb keygen --cluster` makes it and the operator gives every node a copy. It is never printed.

use cluster::membership::ClusterKey;
use model::hex;
use std::io;
use std::path::{Path, PathBuf};
use storage::disk::Disk;

/// The longest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 4096;

/// Why there is no cluster key. Everything names the setting.
#[derive(Debug, thiserror::Error)]
pub enum ClusterKeyError {
    /// There is no such file. Put the key there; a new one would be the key of another cluster.
    #[error("cluster_key_file: {0} does not exist: put the key of the cluster there")]
    Missing(PathBuf),
    /// The file is not a key. Put the right one there.
    #[error("cluster_key_file: {0} holds no cluster key: one line of 64 lower-case hex digits")]
    Malformed(PathBuf),
    /// The file cannot be read, or may be read by anybody. Look at its rights.
    #[error("cluster_key_file: cannot read {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
}

/// Reads the key from a file, which may be on a disk that cannot be written.
///
/// # Errors
///
/// [`ClusterKeyError`].
pub fn read(disk: &dyn Disk, path: &Path) -> Result<ClusterKey, ClusterKeyError> {
    let bytes = disk.read_secret(path, FILE_BYTES_MAX).map_err(|source| {
        let (missing, path) = (source.kind() == io::ErrorKind::NotFound, path.to_owned());
        if missing { ClusterKeyError::Missing(path) } else { ClusterKeyError::Io { path, source } }
    })?;
    parse(&bytes).ok_or_else(|| ClusterKeyError::Malformed(path.to_owned()))
}

/// The text of a key file.
pub fn print(key: &ClusterKey) -> String {
    let mut digits = Vec::with_capacity(64);
    hex::push(&key.0, &mut digits);
    let about =
        "# The key of a StemeDB cluster: whoever has it can join. The same on every node, outside its data folder.";
    format!("{about}\n{}\n", String::from_utf8_lossy(&digits))
}

fn parse(bytes: &[u8]) -> Option<ClusterKey> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let key = hex::parse(lines.next()?).map(ClusterKey)?;
    lines.next().is_none().then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use storage::disk::{MemoryDisk, StdDisk};

    fn on_disk(text: &str) -> Result<ClusterKey, ClusterKeyError> {
        let disk = MemoryDisk::new();
        disk.make_dirs("/etc".as_ref()).unwrap();
        disk.create("/etc/cluster.key".as_ref()).unwrap().write_all_at(text.as_bytes(), 0).unwrap();
        read(&disk, "/etc/cluster.key".as_ref())
    }

    #[test]
    fn a_key_reads_back_what_was_printed() {
        let key = ClusterKey([0xab; 32]);
        assert_eq!(on_disk(&print(&key)).unwrap(), key);
        assert_eq!(on_disk(&"ab".repeat(32)).unwrap(), key);
    }

    #[test]
    fn whatever_is_no_key_is_refused_with_the_setting() {
        let long = "#".repeat(5000);
        for wrong in ["", "abc", &"AB".repeat(32), &format!("{0}\n{0}\n", "ab".repeat(32)), &"ab".repeat(33), &long] {
            let refused = on_disk(wrong).unwrap_err().to_string();
            assert!(refused.starts_with("cluster_key_file: "), "{refused}");
        }
        let missing = read(&MemoryDisk::new(), "/none".as_ref()).unwrap_err();
        assert!(matches!(missing, ClusterKeyError::Missing(_)), "{missing}");
    }

    #[test]
    fn a_key_that_cannot_be_written_is_read_and_one_that_anybody_may_read_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cluster.key");
        std::fs::write(&path, print(&ClusterKey([1; 32]))).unwrap();
        let with_mode = |mode| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            read(&StdDisk, &path)
        };
        assert!(with_mode(0o440).is_ok());
        let refused = with_mode(0o444).unwrap_err();
        let why = std::error::Error::source(&refused).unwrap().to_string();
        assert!(why.contains("chmod o="), "{why}");
    }
}
