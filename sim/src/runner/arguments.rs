//! What can be asked on the command line.

use super::seeds::Seeds;
use crate::scenario::{ALL, Scenario};
use clap::Parser;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread::available_parallelism;

/// Runs whole clusters under faults, reproducible by seed.
#[derive(Debug, Parser)]
#[command(name = "sim", after_help = list())]
pub(super) struct Arguments {
    /// Which scenario; may be given several times. Without it: all but those that take minutes a seed.
    #[arg(long = "scenario", value_name = "NAME", value_parser = names(), hide_possible_values = true)]
    names: Vec<String>,
    /// Which seeds: one, or a range whose end is not in it.
    #[arg(long, value_name = "SEEDS", default_value = "0..20")]
    pub(super) seeds: Seeds,
    /// Prints one JSON object a scenario.
    #[arg(long)]
    pub(super) json: bool,
    /// Runs the first of the seeds only, and writes its full log to a file.
    #[arg(long, value_name = "FILE")]
    pub(super) trace: Option<PathBuf>,
    /// Runs each seed in two processes and compares their full logs, byte for byte.
    #[arg(long, conflicts_with = "trace")]
    pub(super) twice: bool,
    /// Plants bugs, all or those of these names, and looks for the first seed that finds each.
    #[cfg(feature = "planted")]
    #[arg(long, value_name = "BUG", value_parser = bugs(), conflicts_with_all = ["names", "twice"])]
    pub(super) planted: Vec<String>,
    /// How many seeds run at once. Without it: as many as there are cores.
    #[arg(long, value_name = "NUMBER")]
    jobs: Option<NonZeroUsize>,
}

impl Arguments {
    /// The scenarios that are asked for.
    pub(super) fn scenarios(&self) -> Vec<&'static Scenario> {
        if self.names.is_empty() {
            return ALL.iter().collect();
        }
        Scenario::every().filter(|scenario| self.names.iter().any(|name| name == scenario.name)).collect()
    }

    /// The bugs that are asked for.
    #[cfg(feature = "planted")]
    pub(super) fn planted(&self) -> Vec<planted::Bug> {
        let wanted = |bug: &planted::Bug| self.planted.iter().any(|name| name == ALL_BUGS || name == bug.name());
        planted::Bug::ALL.iter().copied().filter(wanted).collect()
    }

    /// How many seeds run at once.
    pub(super) fn jobs(&self) -> usize {
        self.jobs.or_else(|| available_parallelism().ok()).map_or(1, NonZeroUsize::get)
    }
}

fn names() -> impl clap::builder::TypedValueParser<Value = String> {
    PossibleValuesParser::new(Scenario::every().map(|scenario| scenario.name)).map(|name| name)
}

/// The name that stands for all bugs.
#[cfg(feature = "planted")]
const ALL_BUGS: &str = "all";

#[cfg(feature = "planted")]
fn bugs() -> impl clap::builder::TypedValueParser<Value = String> {
    PossibleValuesParser::new(planted::Bug::ALL.iter().map(|bug| bug.name()).chain([ALL_BUGS])).map(|name| name)
}

fn list() -> String {
    let width = Scenario::every().map(|scenario| scenario.name.len()).max().unwrap_or(0);
    let line = |Scenario { name, about, .. }: &Scenario| format!("  {name:width$}  {about}");
    format!("Scenarios:\n{}", Scenario::every().map(line).collect::<Vec<_>>().join("\n"))
}

#[test]
fn the_command_line_is_consistent() {
    use clap::CommandFactory as _;
    Arguments::command().debug_assert();
    assert!(list().contains("one_node_power_loss"));
}
