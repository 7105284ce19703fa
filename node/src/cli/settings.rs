//! `stemedb config`, and how commands load settings.

use super::console::Console;
use super::failure::Failure;
use crate::settings::{Flags, Loaded, to_env, to_json, to_toml};

/// Loads settings from the file that `--config` names, the process's environment and flags.
///
/// # Errors
///
/// [`Failure::Usage`] with everything that is wrong.
pub(super) fn load(flags: &Flags) -> Result<Loaded, Failure> {
    // A variable that is not UTF-8 and not ours is of no interest; of ours, none can be.
    let variables = std::env::vars_os();
    let texts =
        variables.map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()));
    flags.load(texts.collect()).map_err(|refused| Failure::Usage(refused.to_string()))
}

/// Prints every setting.
#[derive(Clone, Debug, clap::Args)]
pub struct Config {
    /// Prints an .env file in place of TOML
    #[arg(long, conflicts_with = "json")]
    pub env: bool,
    /// The settings to print the values of.
    #[command(flatten)]
    pub flags: Flags,
}

impl Config {
    /// Prints TOML that can be used as a settings file; `.env` or JSON if asked for.
    ///
    /// # Errors
    ///
    /// [`Failure::Usage`] if the settings are wrong.
    pub fn run(&self, json: bool, console: &mut Console<'_>) -> Result<(), Failure> {
        let loaded = load(&self.flags)?;
        match (self.env, json) {
            (true, _) => write!(console.out, "{}", to_env())?,
            (false, true) => console.json(&to_json(&loaded))?,
            (false, false) => write!(console.out, "{}", to_toml(&loaded))?,
        }
        Ok(())
    }
}
