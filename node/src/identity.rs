//! Who a node is: a key of its own, made on the first start and kept beside the log.
//!
//! A log without its node's key is refused, so that a node whose identity was lost never speaks as a new one with old
//! records. The key never leaves its file.

use ed25519_dalek::SigningKey;
use model::{AgentId, hex};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The file below the data folder: the secret key, 64 hex digits and a line feed, readable by its owner only.
pub const FILE: &str = "node.key";

/// A node's identity.
#[derive(Debug, Clone)]
pub struct Identity {
    key: SigningKey,
}

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// There is a log but no key. Put the key file back, or restore the node under a new identity.
    #[error("{log} holds a claim log, but {key} is missing: put the key file of this node back")]
    LogWithoutIdentity {
        /// The folder of the log.
        log: PathBuf,
        /// The file that is missing.
        key: PathBuf,
    },
    /// The file is not 64 hex digits. Put the right one back.
    #[error("{0} is not a node key of 64 hex digits: put the key file of this node back")]
    Malformed(PathBuf),
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
}

impl Identity {
    /// Reads the identity below `data_dir`, or makes one with `secret` if neither it nor a log exists yet.
    ///
    /// # Errors
    ///
    /// See [`IdentityError`]; nothing was changed but folders made.
    pub fn load_or_create(data_dir: &Path, wal_dir: &Path, secret: [u8; 32]) -> Result<Self, IdentityError> {
        let path = data_dir.join(FILE);
        match read(&path)? {
            Some(text) => {
                let secret = hex::parse(text.trim_end()).ok_or(IdentityError::Malformed(path))?;
                Ok(Self { key: SigningKey::from_bytes(&secret) })
            }
            None if holds_files(wal_dir) => {
                Err(IdentityError::LogWithoutIdentity { log: wal_dir.to_owned(), key: path })
            }
            None => {
                create(data_dir, &path, &secret)?;
                Ok(Self { key: SigningKey::from_bytes(&secret) })
            }
        }
    }

    /// The public key: what stands as the eraser in an erasure that this node's operator asked for.
    pub fn agent(&self) -> AgentId {
        AgentId(self.key.verifying_key().to_bytes())
    }

    /// The node's name: the first 16 hex digits of its public key.
    pub fn name(&self) -> String {
        self.agent().to_string().chars().take(16).collect()
    }
}

fn read(path: &Path) -> Result<Option<String>, IdentityError> {
    let mut text = String::new();
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other,
    };
    let longest = 1024; // a key file is 65 bytes
    let read = file.and_then(|file| file.take(longest).read_to_string(&mut text));
    read.map_err(|source| IdentityError::Io { doing: "read", path: path.to_owned(), source })?;
    Ok(Some(text))
}

fn create(data_dir: &Path, path: &Path, secret: &[u8; 32]) -> Result<(), IdentityError> {
    let written = std::fs::create_dir_all(data_dir).and_then(|()| {
        let draft = path.with_extension("key.new");
        let mut line = Vec::with_capacity(65);
        hex::push(secret, &mut line);
        line.push(b'\n');
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(&line)?;
        file.sync_all()?;
        std::fs::rename(&draft, path)?;
        File::open(data_dir)?.sync_all()
    });
    written.map_err(|source| IdentityError::Io { doing: "write", path: path.to_owned(), source })
}

/// Whether a log was ever begun there; an empty folder, or none, is a fresh one.
fn holds_files(dir: &Path) -> bool {
    std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn an_identity_is_made_once_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let wal = folder.path().join("wal");
        let first = Identity::load_or_create(folder.path(), &wal, [1; 32]).unwrap();
        let second = Identity::load_or_create(folder.path(), &wal, [2; 32]).unwrap();
        assert_eq!(first.name(), second.name());
        let mode = std::fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_log_without_its_identity_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let wal = folder.path().join("wal");
        std::fs::create_dir(&wal).unwrap();
        std::fs::write(wal.join("MANIFEST"), "x").unwrap();
        let refused = Identity::load_or_create(folder.path(), &wal, [1; 32]).unwrap_err();
        assert!(matches!(refused, IdentityError::LogWithoutIdentity { .. }));
    }

    #[test]
    fn a_key_file_that_is_not_one_is_refused_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), "not hex").unwrap();
        let refused = Identity::load_or_create(folder.path(), &folder.path().join("wal"), [1; 32]).unwrap_err();
        assert!(matches!(refused, IdentityError::Malformed(_)));
        assert_eq!(std::fs::read(folder.path().join(FILE)).unwrap(), b"not hex");
    }
}
