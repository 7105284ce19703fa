//! The file with the secrets that all nodes of a cluster share: comments, and lines of 64 hex digits.
//!
//! ```text
//! 0123...          the key that nodes use
//! next 4567...     a key that they take as well, and are to use
//! old 89ab...      a key that they take as well, since it was in use
//! sets cdef...     what the sums of sets are made under; it stays when the key changes
//! ```
//!
//! Nodes only read it: `stemedb keygen --cluster` makes and rotates it, and the operator gives every node a copy. It is never
//! printed. A key changes in three steps, and nodes that are one step apart understand each other: see the decision record 11.

use cluster::membership::{ClusterKey, ClusterKeys};
use model::hex;
use model::set::SetKey;
use std::io;
use std::path::{Path, PathBuf};
use storage::disk::Disk;

/// The longest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 4096;
/// What the nodes of a cluster derive the key of their sets for, where the file does not say it.
const SET_KEY: &str = "stemedb-v1 the sets of the nodes of a cluster";
/// What the name of a key is derived for.
const NAME: &str = "stemedb-v1 the name of a cluster key";

/// What the file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFile {
    key: ClusterKey,
    change: Change,
    sets: Option<ClusterKey>,
}

/// How far a change of the key is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Change {
    /// There is none.
    None,
    /// The next key is taken, and not used yet.
    Next(ClusterKey),
    /// The next key is in use, and the old one is taken still.
    Old(ClusterKey),
}

/// What the next step of a change was, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A next key was added.
    Added,
    /// It is the key in use now.
    Used,
    /// The old key is gone, and the change is done.
    Dropped,
}

/// Why there is no cluster key. Everything names the setting.
#[derive(Debug, thiserror::Error)]
pub enum ClusterKeyError {
    /// There is no such file. Put the key there; a new one would be the key of another cluster.
    #[error("cluster_key_file: {0} does not exist: put the key of the cluster there")]
    Missing(PathBuf),
    /// The file is not a key. Put the right one there.
    #[error("cluster_key_file: {0} holds no cluster key: one line of 64 lower-case hex digits")]
    Malformed(PathBuf),
    /// Two keys were written by hand. Have the program do it.
    #[error(
        "cluster_key_file: {0} holds a second key but no line `sets`: change keys with `stemedb keygen --cluster --rotate`"
    )]
    NoSets(PathBuf),
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

impl KeyFile {
    /// A new key, and a secret for the sets.
    pub fn new(key: ClusterKey, sets: ClusterKey) -> Self {
        Self { key, change: Change::None, sets: Some(sets) }
    }

    /// Reads a file, which may be on a disk that cannot be written.
    ///
    /// # Errors
    ///
    /// [`ClusterKeyError`].
    pub fn read(disk: &dyn Disk, path: &Path) -> Result<Self, ClusterKeyError> {
        let bytes = disk.read_secret(path, FILE_BYTES_MAX).map_err(|source| {
            let (missing, path) = (source.kind() == io::ErrorKind::NotFound, path.to_owned());
            if missing { ClusterKeyError::Missing(path) } else { ClusterKeyError::Io { path, source } }
        })?;
        let file = parse(&bytes).ok_or_else(|| ClusterKeyError::Malformed(path.to_owned()))?;
        if file.sets.is_none() && file.change != Change::None {
            return Err(ClusterKeyError::NoSets(path.to_owned()));
        }
        Ok(file)
    }

    /// The keys that a node holds by it.
    pub fn keys(&self) -> ClusterKeys {
        let also = match &self.change {
            Change::None => None,
            Change::Next(key) | Change::Old(key) => Some(key.clone()),
        };
        ClusterKeys { key: self.key.clone(), also }
    }

    /// The key of the sets of every node of the cluster. Where the file has none it follows from the only key, so that a file
    /// which was written by hand will do; a change of the key writes it down.
    pub fn set_key(&self) -> SetKey {
        SetKey::new(self.set_secret().0)
    }

    fn set_secret(&self) -> ClusterKey {
        self.sets.clone().unwrap_or_else(|| ClusterKey(blake3::derive_key(SET_KEY, &self.key.0)))
    }

    /// The file after the next step of a change, for which `fresh` is the next key if one begins.
    #[must_use]
    pub fn rotated(&self, fresh: ClusterKey) -> (Self, Step) {
        let sets = Some(self.set_secret());
        match &self.change {
            Change::None => (Self { key: self.key.clone(), change: Change::Next(fresh), sets }, Step::Added),
            Change::Next(next) => (Self { key: next.clone(), change: Change::Old(self.key.clone()), sets }, Step::Used),
            Change::Old(_) => (Self { key: self.key.clone(), change: Change::None, sets }, Step::Dropped),
        }
    }

    /// The text of the file.
    pub fn print(&self) -> String {
        let digits = |key: &ClusterKey| {
            let mut digits = Vec::with_capacity(64);
            hex::push(&key.0, &mut digits);
            String::from_utf8_lossy(&digits).into_owned()
        };
        let mut text =
            "# The key of a StemeDB cluster: whoever has it can join. The same on every node, outside its data \
                        folder.\n"
                .to_owned();
        text += &format!("{}\n", digits(&self.key));
        match &self.change {
            Change::None => {}
            Change::Next(key) => text += &format!("next {}\n", digits(key)),
            Change::Old(key) => text += &format!("old {}\n", digits(key)),
        }
        if let Some(sets) = &self.sets {
            text += &format!("sets {}\n", digits(sets));
        }
        text
    }
}

/// What tells keys apart in logs and metrics without telling them: 8 hex digits.
pub fn name(key: &ClusterKey) -> String {
    let [a, b, c, d, ..] = blake3::derive_key(NAME, &key.0);
    format!("{a:02x}{b:02x}{c:02x}{d:02x}")
}

fn parse(bytes: &[u8]) -> Option<KeyFile> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (mut key, mut change, mut sets) = (None, Change::None, None);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (word, digits) = line.split_once(' ').unwrap_or(("", line));
        let secret = hex::parse(digits.trim_start()).map(ClusterKey)?;
        match word {
            "" if key.is_none() => key = Some(secret),
            "next" if change == Change::None => change = Change::Next(secret),
            "old" if change == Change::None => change = Change::Old(secret),
            "sets" if sets.is_none() => sets = Some(secret),
            _ => return None,
        }
    }
    Some(KeyFile { key: key?, change, sets })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use storage::disk::{MemoryDisk, StdDisk};

    fn on_disk(text: &str) -> Result<KeyFile, ClusterKeyError> {
        let disk = MemoryDisk::new();
        disk.make_dirs("/etc".as_ref()).unwrap();
        disk.create("/etc/cluster.key".as_ref()).unwrap().write_all_at(text.as_bytes(), 0).unwrap();
        KeyFile::read(&disk, "/etc/cluster.key".as_ref())
    }

    fn key(byte: u8) -> ClusterKey {
        ClusterKey([byte; 32])
    }

    #[test]
    fn a_file_reads_back_as_it_was_printed() {
        let file = KeyFile::new(key(0xab), key(0xcd));
        assert_eq!(on_disk(&file.print()).unwrap(), file);
        let by_hand = on_disk(&"ab".repeat(32)).unwrap();
        assert_eq!(by_hand.keys(), (&key(0xab)).into());
    }

    #[test]
    fn a_key_changes_in_three_steps_and_the_sets_never() {
        for (text, sets) in [
            (KeyFile::new(key(1), key(9)).print(), key(9).0),
            ("01".repeat(32), { blake3::derive_key("stemedb-v1 the sets of the nodes of a cluster", &[1; 32]) }),
        ] {
            let mut file = on_disk(&text).unwrap();
            let mut seen = Vec::new();
            for fresh in [2, 3, 4] {
                let before = file.keys();
                let (next, step) = file.rotated(key(fresh));
                file = on_disk(&next.print()).unwrap();
                assert_eq!(file, next);
                assert_eq!(file.set_key().fingerprint(), SetKey::new(sets).fingerprint());
                let keys = file.keys();
                let takes = |keys: &ClusterKeys, key: &ClusterKey| keys.key == *key || keys.also.as_ref() == Some(key);
                assert!(
                    takes(&keys, &before.key) && takes(&before, &keys.key),
                    "nodes a step apart understand each other"
                );
                seen.push((keys.key, keys.also, step));
            }
            assert_eq!(
                seen,
                [
                    (key(1), Some(key(2)), Step::Added),
                    (key(2), Some(key(1)), Step::Used),
                    (key(2), None, Step::Dropped),
                ]
            );
        }
    }

    #[test]
    fn a_second_key_by_hand_is_refused_with_the_way_to_do_it() {
        let text = format!("{}\nold {}\n", "ab".repeat(32), "cd".repeat(32));
        let refused = on_disk(&text).unwrap_err().to_string();
        assert!(refused.contains("stemedb keygen --cluster --rotate"), "{refused}");
    }

    #[test]
    fn whatever_is_no_key_is_refused_with_the_setting() {
        let long = "#".repeat(5000);
        let (one, two) = ("ab".repeat(32), format!("{0}\n{0}\n", "ab".repeat(32)));
        let (only_next, odd) = (format!("next {one}"), format!("{one}\nlast {one}"));
        let both = format!("{one}\nnext {one}\nold {one}\nsets {one}");
        for wrong in ["", "abc", &"AB".repeat(32), &two, &"ab".repeat(33), &long, &only_next, &odd, &both] {
            let refused = on_disk(wrong).unwrap_err().to_string();
            assert!(refused.starts_with("cluster_key_file: "), "{refused}");
        }
        let missing = KeyFile::read(&MemoryDisk::new(), "/none".as_ref()).unwrap_err();
        assert!(matches!(missing, ClusterKeyError::Missing(_)), "{missing}");
    }

    #[test]
    fn a_key_that_cannot_be_written_is_read_and_one_that_anybody_may_read_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cluster.key");
        std::fs::write(&path, KeyFile::new(key(1), key(2)).print()).unwrap();
        let with_mode = |mode| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            KeyFile::read(&StdDisk, &path)
        };
        assert!(with_mode(0o440).is_ok());
        let refused = with_mode(0o444).unwrap_err();
        let why = std::error::Error::source(&refused).unwrap().to_string();
        assert!(why.contains("chmod o="), "{why}");
    }
}
