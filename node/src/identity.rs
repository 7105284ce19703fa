//! Who a node is: a key of its own, made on the first start and kept beside the log.
//!
//! A log without its node's key is refused, so that a node whose identity was lost never speaks as a new one with old
//! records. The key never leaves the process but to its file.

use cluster::NodeKey;
use ed25519_dalek::SigningKey;
use model::{AgentId, hex};
use std::io;
use std::path::{Path, PathBuf};
use storage::disk::Disk;

/// The file below the data folder: the secret key, 64 hex digits and a line feed, readable by its owner only.
pub const FILE: &str = "node.key";
/// The longest key file that is read, in bytes; a key takes 65.
const FILE_BYTES_MAX: u64 = 1024;

/// What stands before an Ed25519 secret key in PKCS #8.
const PKCS8_ED25519: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

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
    /// Reads the identity below `data_dir` on `disk`, or makes one with `secret` if neither it nor a log exists yet.
    ///
    /// # Errors
    ///
    /// See [`IdentityError`]; nothing was changed but folders made.
    pub fn load_or_create(
        disk: &dyn Disk,
        data_dir: &Path,
        wal_dir: &Path,
        secret: [u8; 32],
    ) -> Result<Self, IdentityError> {
        let path = data_dir.join(FILE);
        match read(disk, &path)? {
            Some(text) => {
                let secret = hex::parse(text.trim_end()).ok_or(IdentityError::Malformed(path))?;
                Ok(Self { key: SigningKey::from_bytes(&secret) })
            }
            None if holds_files(disk, wal_dir) => {
                Err(IdentityError::LogWithoutIdentity { log: wal_dir.to_owned(), key: path })
            }
            None => {
                create(disk, data_dir, &path, &secret)?;
                Ok(Self { key: SigningKey::from_bytes(&secret) })
            }
        }
    }

    /// The public key: what stands as the eraser in an erasure that this node's operator asked for.
    pub fn agent(&self) -> AgentId {
        AgentId(self.key.verifying_key().to_bytes())
    }

    /// The public key, as other nodes know this one by.
    pub fn node_key(&self) -> NodeKey {
        NodeKey(self.key.verifying_key().to_bytes())
    }

    /// The secret key as PKCS #8 has it (RFC 8410), for the node's certificate alone.
    pub(crate) fn pkcs8(&self) -> Vec<u8> {
        [PKCS8_ED25519.as_slice(), self.key.as_bytes()].concat()
    }

    /// A key made from the secret one for a single purpose, which `context` names and no other caller does.
    pub fn derived_key(&self, context: &str) -> [u8; 32] {
        blake3::derive_key(context, self.key.as_bytes())
    }

    /// The node's name: the first 16 hex digits of its public key.
    pub fn name(&self) -> String {
        self.agent().to_string().chars().take(16).collect()
    }
}

fn read(disk: &dyn Disk, path: &Path) -> Result<Option<String>, IdentityError> {
    let failed = |source| IdentityError::Io { doing: "read", path: path.to_owned(), source };
    let file = match disk.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(failed)?,
    };
    let length = file.length().map_err(failed)?.min(FILE_BYTES_MAX);
    let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
    file.read_exact_at(&mut bytes, 0).map_err(failed)?;
    String::from_utf8(bytes).map(Some).or(Err(IdentityError::Malformed(path.to_owned())))
}

fn create(disk: &dyn Disk, data_dir: &Path, path: &Path, secret: &[u8; 32]) -> Result<(), IdentityError> {
    let written = disk.make_dirs(data_dir).and_then(|()| {
        let draft = path.with_extension("key.new");
        let mut line = Vec::with_capacity(65);
        hex::push(secret, &mut line);
        line.push(b'\n');
        let file = disk.create_private(&draft)?;
        file.write_all_at(&line, 0)?;
        file.sync_all()?;
        disk.rename(&draft, path)?;
        disk.sync_dir(data_dir)
    });
    written.map_err(|source| IdentityError::Io { doing: "write", path: path.to_owned(), source })
}

/// Whether a log was ever begun there; an empty folder, or none, is a fresh one.
fn holds_files(disk: &dyn Disk, dir: &Path) -> bool {
    disk.list(dir).is_ok_and(|names| !names.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use storage::disk::{Crash, MemoryDisk};

    const DATA: &str = "/data";

    fn load(disk: &MemoryDisk, secret: u8) -> Result<Identity, IdentityError> {
        Identity::load_or_create(disk, DATA.as_ref(), &Path::new(DATA).join("wal"), [secret; 32])
    }

    fn write(disk: &MemoryDisk, path: &str, bytes: &[u8]) {
        let path = Path::new(DATA).join(path);
        disk.make_dirs(path.parent().unwrap()).unwrap();
        disk.create(&path).unwrap().write_all_at(bytes, 0).unwrap();
    }

    #[test]
    fn an_identity_is_made_once_and_outlives_a_loss_of_power() {
        let disk = MemoryDisk::new();
        let first = load(&disk, 1).unwrap();
        disk.crash(Crash::DropUnsynced);
        assert_eq!(first.name(), load(&disk, 2).unwrap().name());
    }

    #[test]
    fn a_log_without_its_identity_is_refused() {
        let disk = MemoryDisk::new();
        write(&disk, "wal/MANIFEST", b"x");
        assert!(matches!(load(&disk, 1).unwrap_err(), IdentityError::LogWithoutIdentity { .. }));
    }

    #[test]
    fn a_key_file_that_is_not_one_is_refused_and_kept() {
        for text in [b"not hex".as_slice(), b"", &[0xFF; 2000]] {
            let disk = MemoryDisk::new();
            write(&disk, FILE, text);
            assert!(matches!(load(&disk, 1).unwrap_err(), IdentityError::Malformed(_)));
            assert_eq!(disk.file_length(&Path::new(DATA).join(FILE)).unwrap(), text.len() as u64);
        }
    }
}
