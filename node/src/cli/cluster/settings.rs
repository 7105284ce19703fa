//! `stemedb settings`: what holds for the whole cluster.

use super::super::client::Client;
use super::super::console::Console;
use super::super::failure::Failure;
use serde_json::{Value, json};

/// Shows or changes what holds for the whole cluster; `config` shows the settings of one node
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Settings {
    /// Shows every setting of the cluster
    Show,
    /// Changes settings of the cluster; data moves by itself, reads and writes go on
    Set(Set),
}

/// What to change.
#[derive(Clone, Debug, clap::Args)]
pub struct Set {
    /// On how many nodes each record is to be kept, from 2 to 7. Before another change wait until `status` says that
    /// nothing is under-replicated
    #[arg(long, value_name = "COPIES", value_parser = clap::value_parser!(u8).range(2..=7))]
    pub replication_factor: u8,
}

impl Settings {
    /// Asks the admin listener of any node, and shows the settings as they are then.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the node refuses, nobody leads the control plane, or it does not answer.
    pub fn run(&self, admin: &Client, json: bool, console: &mut Console<'_>) -> Result<(), Failure> {
        let settings = match self {
            Self::Show => {
                let cluster = admin.get("/v1/admin/cluster", &[])?.taken()?;
                cluster.get("settings").cloned().unwrap_or_default()
            }
            Self::Set(Set { replication_factor }) => {
                let body = json!({"replication_factor": replication_factor}).to_string();
                admin.post("/v1/admin/settings", &[], "application/json", body.as_bytes())?.taken()?
            }
        };
        if json {
            return Ok(console.json(&settings)?);
        }
        for (name, value) in settings.as_object().into_iter().flatten() {
            console.line(format_args!("{name}  {}", plain(value)))?;
        }
        Ok(())
    }
}

/// A value without the quotes of JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
