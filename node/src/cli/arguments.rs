//! What can be typed: every command with its help. The settings of `serve` come from the table of settings.

use super::cluster::{Node, Settings as ClusterSettings, Status};
use super::demo::Demo;
use super::export::Export;
use super::import::Import;
use super::operate::{Erase, Verify};
use super::read::{Layered, Query, Skeptic};
use super::settings::Config;
use super::write::{Assert, Keygen, Vote};
use crate::settings::Flags;
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use std::path::PathBuf;

const EXIT_CODES: &str = "Exit codes:
  0  done
  1  failed: no node was reached, or something went wrong on the way
  2  wrong usage or settings
  3  refused: the input was looked at and will never be taken as it is";

/// A database of signed claims that may contradict each other
#[derive(Clone, Debug, Parser)]
#[command(name = "stemedb", version, after_help = EXIT_CODES, after_long_help = EXIT_CODES)]
#[command(max_term_width = 100, subcommand_required = true, arg_required_else_help = true)]
pub struct Arguments {
    /// Which node to talk to.
    #[command(flatten)]
    pub at: NodeArguments,
    /// Prints JSON, for programs
    #[arg(long, global = true)]
    pub json: bool,
    /// Where secret keys are kept, one per source [default: $XDG_DATA_HOME/stemedb/keys]
    #[arg(long, global = true, value_name = "DIR", env = "STEMEDB_KEY_DIR", hide_env_values = true)]
    pub key_dir: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Which node to talk to.
#[derive(Clone, Debug, Args)]
pub struct NodeArguments {
    /// The node to talk to
    #[arg(long, global = true, value_name = "URL", env = "STEMEDB_URL", hide_env_values = true)]
    #[arg(default_value = "http://127.0.0.1:18180")]
    pub url: String,
    /// The admin listener of the node, for `erase`, `node`, `settings` and `status`
    #[arg(long, global = true, value_name = "URL", env = "STEMEDB_ADMIN_URL", hide_env_values = true)]
    #[arg(default_value = "http://127.0.0.1:18181")]
    pub admin_url: String,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Runs a node on a data folder; nothing else is needed
    Serve(Flags),
    /// Starts three nodes on this machine, kills one while claims are written, and reports what was lost: nothing
    Demo(Demo),
    /// Prints every setting with its documentation, default and current value
    Config(Config),
    /// Makes a secret key and prints the agent it signs as
    Keygen(Keygen),
    /// Signs one claim and sends it
    Assert(Assert),
    /// Signs a verdict on a claim and sends it
    Vote(Vote),
    /// Shows what is claimed, resolved by a lens, and why it won
    Query(Query),
    /// Shows how contested a question is: every value, its share and who holds it
    Skeptic(Skeptic),
    /// Shows what each tier of sources says
    Layered(Layered),
    /// Signs and sends claims from a file, or sends signed envelopes
    Import(Import),
    /// Writes every record as a signed envelope that `import` takes anywhere
    Export(Export),
    /// Shows how the cluster and the node are, what is wrong first
    Status(Status),
    /// Shows the nodes of the cluster
    #[command(subcommand)]
    Node(Node),
    /// Shows or changes what holds for the whole cluster, on the admin listener
    #[command(subcommand)]
    Settings(ClusterSettings),
    /// Checks a data folder that no node has open
    Verify(Verify),
    /// Removes the body of a record for ever, on the admin listener
    Erase(Erase),
    /// Prints a completion script for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
}
