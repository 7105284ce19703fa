//! Commands for whoever runs a node: `verify`, `erase`, `completions`.

use super::arguments::Arguments;
use super::client::Client;
use super::console::{Console, Tone};
use super::failure::Failure;
use super::text::grouped;
use super::write::record_id;
use crate::settings::{Flags, Settings};
use clap::CommandFactory as _;
use clap_complete::Shell;
use model::RecordId;
use serde_json::{Value, json};

/// Removes the body of a record for ever.
#[derive(Clone, Debug, clap::Args)]
pub struct Erase {
    /// The id of the record
    #[arg(value_name = "ID", value_parser = record_id)]
    pub id: RecordId,
    /// Says that you mean it: nothing brings an erased record back
    #[arg(long)]
    pub yes: bool,
}

impl Erase {
    /// Erases, through the admin listener.
    ///
    /// # Errors
    ///
    /// [`Failure::Usage`] without `--yes`; [`Failure`] if the node refuses or does not answer.
    pub fn run(&self, client: &Client, json: bool, console: &mut Console<'_>) -> Result<(), Failure> {
        if !self.yes {
            return Err(Failure::Usage(
                "an erased record never comes back, on any node: add --yes if you mean it".to_owned(),
            ));
        }
        let body = json!({"id": self.id.to_string()}).to_string();
        let answer = client.post("/v1/admin/erase", &[], "application/json", body.as_bytes())?.taken()?;
        if json {
            return Ok(console.json(&answer)?);
        }
        let status = answer.get("status").and_then(Value::as_str).unwrap_or("erased").replace('_', " ");
        Ok(console.line(format_args!("{}  {status}", self.id))?)
    }
}

/// Checks a data folder that no node has open.
#[derive(Clone, Debug, clap::Args)]
pub struct Verify {
    /// The settings of the node that the folder belongs to; `--data-dir` is enough for most
    #[command(flatten)]
    pub flags: Flags,
}

/// What a check of a data folder found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// What was read, counted, by name.
    pub counts: Vec<(&'static str, u64)>,
    /// What is wrong, each with its position; nothing if all is well.
    pub problems: Vec<String>,
}

impl Verify {
    /// Loads settings, has `check` read everything they point to, and prints what it found.
    ///
    /// # Errors
    ///
    /// [`Failure::Refused`] if something is wrong with the data, [`Failure::Failed`] if it cannot be read.
    pub fn run(
        &self,
        check: impl FnOnce(Settings) -> Result<Verified, Failure>,
        json: bool,
        console: &mut Console<'_>,
    ) -> Result<(), Failure> {
        let found = check(super::settings::load(&self.flags)?.settings)?;
        if json {
            let counts: serde_json::Map<_, _> =
                found.counts.iter().map(|(name, count)| ((*name).to_owned(), json!(count))).collect();
            console.json(&json!({"counts": counts, "problems": found.problems}))?;
        } else {
            for (name, count) in &found.counts {
                console.line(format_args!("{:>14} {name}", grouped(*count)))?;
            }
            for problem in &found.problems {
                let problem = console.paint(Tone::Bad, problem);
                console.line(problem)?;
            }
        }
        match found.problems.len() {
            0 => Ok(()),
            1 => Err(Failure::Refused("1 problem: nothing damaged is served; keep the folder".to_owned())),
            count => Err(Failure::Refused(format!("{count} problems: nothing damaged is served; keep the folder"))),
        }
    }
}

/// Prints a completion script.
///
/// # Errors
///
/// Those of the output.
pub(super) fn completions(shell: Shell, console: &mut Console<'_>) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "stemedb", &mut script);
    Ok(console.out.write_all(&script)?)
}
