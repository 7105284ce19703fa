//! The flags of commands that run on settings: one for each row of the table, and `--config`.
//!
//! Values are not checked here: all sources are, together, by [`Sources::load`].

use super::{ALL, Kind, Loaded, Refused, Sources};
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use std::path::PathBuf;

/// The flags that were given.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// The settings file.
    pub config: Option<PathBuf>,
    /// Values by the key of their setting.
    pub values: Vec<(&'static str, String)>,
}

impl Flags {
    /// Loads settings from the file that `--config` names, the given environment and these flags.
    ///
    /// # Errors
    ///
    /// [`Refused`] with everything that is wrong.
    pub fn load(&self, variables: Vec<(String, String)>) -> Result<Loaded, Refused> {
        let file = self.config.as_deref().map(Sources::read_file).transpose()?;
        Sources { file, variables, flags: self.values.clone() }.load()
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let value = |key: &'static str| matches.get_one::<String>(key).map(|value| (key, value.clone()));
        Ok(Self {
            config: matches.get_one::<PathBuf>("config").cloned(),
            values: ALL.iter().filter_map(|setting| value(setting.key)).collect(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new("config")
            .long("config")
            .env("STEMEDB_CONFIG")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help("A settings file in TOML; `stemedb config` prints one");
        ALL.iter().fold(command.arg(config), |command, setting| {
            let docs = setting.docs.iter().map(|doc| doc.trim()).collect::<Vec<_>>().join(" ");
            let default = if setting.default.is_empty() { String::new() } else { format!(" [{}]", setting.default) };
            let flag = Arg::new(setting.key)
                .long(setting.flag())
                .value_name(value_name(setting.kind))
                .help_heading("Settings")
                .help(format!("{docs}{default}"));
            command.arg(match setting.kind {
                Kind::Switch => flag.num_args(0..=1).require_equals(true).default_missing_value("true"),
                Kind::Path
                | Kind::Address
                | Kind::Word(_)
                | Kind::Bytes { .. }
                | Kind::Millis { .. }
                | Kind::Count { .. }
                | Kind::Host
                | Kind::Seeds
                | Kind::Name
                | Kind::Cluster
                | Kind::Text => flag,
            })
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn value_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Path => "PATH",
        Kind::Address => "ADDRESS",
        Kind::Switch => "BOOL",
        Kind::Word(_) => "WORD",
        Kind::Bytes { .. } => "SIZE",
        Kind::Millis { .. } => "TIME",
        Kind::Count { .. } => "NUMBER",
        Kind::Host => "HOST",
        Kind::Seeds => "ADDRESSES",
        Kind::Name => "NAME",
        Kind::Cluster => "ID",
        Kind::Text => "TEXT",
    }
}
