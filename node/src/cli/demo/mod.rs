//! `stemedb demo`: a cluster on this machine from one command, and what becomes of it when a node is killed.
//!
//! Nothing is played: the nodes are processes of this program with files of their own, they are reached over HTTP like
//! any others, the kill is a SIGKILL, and what is reported was measured from outside.

mod check;
mod ground;
mod hints;
mod history;
mod nodes;
mod persistence;
mod process;
mod report;
mod running;
mod stage;
mod waiting;
mod writers;

pub use check::{Checked, read_back};
pub use ground::{Ground, Place};
pub use history::{Acknowledged, FailedAttempt, History};
pub use nodes::{Ended, Nodes};
pub use persistence::{ATTEMPT_MAX, Persistence, WAITS};
pub use process::Process;
pub use report::{Report, Victim};
pub use writers::write_while;

use super::console::Console;
use super::failure::Failure;
use super::stop::Stop;
use stage::Stage;
use std::path::PathBuf;

/// How many nodes there are.
const NODES: usize = 3;

/// Shows a cluster at work, and what it does when one of its nodes is killed.
#[derive(Clone, Debug, clap::Args)]
pub struct Demo {
    /// Where the nodes keep their data, and leave it [default: a temporary folder, removed at the end]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The ports of the first node begin here, those of each next node ten later [default: free ones]
    #[arg(long, value_name = "PORT")]
    pub base_port: Option<u16>,
    /// For how long claims are written after the kill
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub seconds: u32,
    /// Ends with the report, in place of leaving the cluster running until Ctrl-C
    #[arg(long)]
    pub exit: bool,
}

impl Demo {
    /// Runs the demo to its end. Where it fails, the data folder is kept, with a log a node.
    ///
    /// # Errors
    ///
    /// [`Failure::Failed`] if a node does not start, the cluster does not come together or does not recover in time, if an
    /// acknowledged claim is lost, or if none was acknowledged after the kill; [`Failure::Usage`] if folder or ports
    /// cannot be used.
    pub fn run(&self, json: bool, console: &mut Console<'_>) -> Result<(), Failure> {
        let program = std::env::current_exe().map_err(|error| Failure::of("this program cannot be found", &error))?;
        let ground = Ground::prepare(self.data_dir.as_deref(), self.base_port, NODES)?;
        let folder = ground.folder().to_owned();
        let stop = Stop::default();
        let result = stop.on_interrupt(|| {
            let nodes = Nodes::start(&program, ground)?;
            let mut stage = Stage::new(nodes, &stop, json, console);
            let played = stage.play(self.seconds, self.exit, &program);
            let stopped = stage.end();
            if played.is_ok() || stop.is_asked() {
                stopped?.remove()?;
            }
            played
        });
        result.map_err(|failure| {
            let hint = format!("what the nodes said is in {}", folder.display());
            if folder.exists() { Failure::Failed(format!("{failure}\n{hint}")) } else { failure }
        })
    }
}
