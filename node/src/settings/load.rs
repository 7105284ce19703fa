//! Reading settings from all their sources.
//!
//! [`Sources::load`] takes the sources as values; only [`Sources::read_file`] touches the disk and nothing reads the
//! process's environment. Everything that is wrong is reported at once.

use super::check::contradictions;
use super::kind::Kind;
use super::problem::nearest;
use super::{ALL, Problem, Refused, Setting, Settings};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// Variables that begin with `STEMEDB_` but belong to commands, not to the node.
pub const COMMAND_VARIABLES: &[&str] =
    &["STEMEDB_CONFIG", "STEMEDB_URL", "STEMEDB_ADMIN_URL", "STEMEDB_KEY", "STEMEDB_KEY_DIR"];

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nothing was said.
    Default,
    /// The settings file.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
    /// A flag, with its dashes.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the default"),
            Self::File(path) => write!(f, "in {}", path.display()),
            Self::Variable(name) => write!(f, "from the environment variable {name}"),
            Self::Flag(flag) => write!(f, "from the flag {flag}"),
        }
    }
}

/// All sources but the defaults.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The settings file: its path, for messages, and its text.
    pub file: Option<(PathBuf, String)>,
    /// The environment. Names that do not begin with `STEMEDB_` (but `RUST_LOG`) are not looked at, empty values count
    /// as not set.
    pub variables: Vec<(String, String)>,
    /// Flags by the key of their setting.
    pub flags: Vec<(&'static str, String)>,
}

/// Settings with the origin of each value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The values.
    pub settings: Settings,
    /// Where each came from, by key; settings at their default are not listed.
    pub origins: BTreeMap<&'static str, Origin>,
}

impl Loaded {
    /// Where the value of `setting` came from.
    pub fn origin(&self, setting: &Setting) -> &Origin {
        self.origins.get(setting.key).unwrap_or(&Origin::Default)
    }
}

impl Sources {
    /// Reads the settings file.
    ///
    /// # Errors
    ///
    /// [`Problem::Unreadable`].
    pub fn read_file(path: &Path) -> Result<(PathBuf, String), Refused> {
        let unreadable = |error: std::io::Error| {
            Refused(vec![Problem::Unreadable { path: path.to_owned(), reason: error.to_string() }])
        };
        std::fs::read_to_string(path).map(|text| (path.to_owned(), text)).map_err(unreadable)
    }

    /// Applies the sources over the defaults, file first, flags last.
    ///
    /// # Errors
    ///
    /// [`Refused`] with every unknown name and every wrong value; if there is none, with every contradiction.
    pub fn load(&self) -> Result<Loaded, Refused> {
        let mut loading = Loading {
            loaded: Loaded { settings: Settings::default(), origins: BTreeMap::new() },
            problems: Vec::new(),
        };
        if let Some((path, text)) = &self.file {
            loading.file(path, text);
        }
        for (name, value) in &self.variables {
            loading.variable(name, value);
        }
        for (key, value) in &self.flags {
            if let Some(setting) = Setting::of_key(key) {
                loading.set(setting, value, Origin::Flag(format!("--{}", setting.flag())));
            }
        }
        let Loading { loaded, mut problems } = loading;
        if problems.is_empty() {
            problems = contradictions(&loaded);
        }
        if problems.is_empty() { Ok(loaded) } else { Err(Refused(problems)) }
    }
}

struct Loading {
    loaded: Loaded,
    problems: Vec<Problem>,
}

impl Loading {
    fn file(&mut self, path: &Path, text: &str) {
        match text.parse::<toml::Table>() {
            Ok(table) => self.table(path, "", &table),
            Err(error) => {
                let reason = error.to_string().trim_end().to_owned();
                self.problems.push(Problem::NotToml { path: path.to_owned(), reason });
            }
        }
    }

    fn table(&mut self, path: &Path, prefix: &str, table: &toml::Table) {
        for (name, value) in table {
            let key = format!("{prefix}{name}");
            match (Setting::of_key(&key), value) {
                (Some(setting), value) => self.file_value(setting, value, Origin::File(path.to_owned())),
                (None, toml::Value::Table(inner)) if is_section(&key) => self.table(path, &format!("{key}."), inner),
                (None, _) => self.problems.push(Problem::Unknown {
                    nearest: nearest(&key, |setting| setting.key.to_owned()),
                    name: key,
                    origin: Origin::File(path.to_owned()),
                }),
            }
        }
    }

    fn file_value(&mut self, setting: &'static Setting, value: &toml::Value, origin: Origin) {
        match value {
            toml::Value::String(text) => self.set(setting, text, origin),
            toml::Value::Integer(_) | toml::Value::Boolean(_) if setting.kind.takes_bare() => {
                self.set(setting, &value.to_string(), origin);
            }
            toml::Value::Array(texts) if setting.kind == Kind::Seeds && texts.iter().all(toml::Value::is_str) => {
                let texts: Vec<_> = texts.iter().filter_map(toml::Value::as_str).collect();
                self.set(setting, &texts.join(","), origin);
            }
            toml::Value::Integer(_)
            | toml::Value::Boolean(_)
            | toml::Value::Float(_)
            | toml::Value::Datetime(_)
            | toml::Value::Array(_)
            | toml::Value::Table(_) => self.wrong(setting, value.to_string(), origin),
        }
    }

    fn variable(&mut self, name: &str, value: &str) {
        let origin = || Origin::Variable(name.to_owned());
        match ALL.iter().find(|setting| setting.variable() == name) {
            Some(_) if value.is_empty() => {}
            Some(setting) => self.set(setting, value, origin()),
            None if !name.starts_with("STEMEDB_") || is_for_others(name) => {}
            None => self.problems.push(Problem::Unknown {
                name: name.to_owned(),
                origin: origin(),
                nearest: nearest(name, Setting::variable),
            }),
        }
    }

    fn set(&mut self, setting: &'static Setting, text: &str, origin: Origin) {
        match (setting.read)(&mut self.loaded.settings, text, setting.kind) {
            Some(()) => {
                self.loaded.origins.insert(setting.key, origin);
            }
            None => self.wrong(setting, format!("{text:?}"), origin),
        }
    }

    fn wrong(&mut self, setting: &'static Setting, value: String, origin: Origin) {
        self.problems.push(Problem::Wrong { key: setting.key, value, origin, expected: setting.kind.accepts() });
    }
}

fn is_section(name: &str) -> bool {
    ALL.iter().any(|setting| setting.key.split_once('.').is_some_and(|(section, _)| section == name))
}

/// Variables of commands, and those that Kubernetes sets in every container for a service called `stemedb`.
fn is_for_others(name: &str) -> bool {
    COMMAND_VARIABLES.contains(&name)
        || name == "STEMEDB_PORT"
        || name.starts_with("STEMEDB_PORT_")
        || name.starts_with("STEMEDB_SERVICE_")
}
