//! The command line of `stemedb`: everything of the program that is not the running node.
//!
//! [`run`] parses, acts and prints; it holds no rule of the database. Commands that talk to a node know it only by its
//! HTTP interface.

pub mod arguments;
pub mod client;
pub mod cluster;
pub mod console;
pub mod demo;
pub mod failure;
pub mod import;
pub mod keys;
pub mod stop;
pub mod text;

mod export;
mod operate;
pub mod read;
mod settings;
mod signing;
mod write;

use crate::settings::Settings;
use arguments::{Arguments, Command};
use clap::Parser as _;
use client::Client;
use console::Console;
use failure::Failure;
pub use operate::Verified;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

/// What commands do that need the node itself. Both get settings that were checked.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    /// Runs a node and returns when it has stopped.
    pub serve: fn(Settings) -> Result<(), Failure>,
    /// Reads and checks everything in a data folder.
    pub verify: fn(Settings) -> Result<Verified, Failure>,
}

/// Runs the program with these arguments, the first of them its own name, and says how it ended.
pub fn run(arguments: impl IntoIterator<Item = OsString>, node: Node) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(message) => {
            // Where not even this can be printed, the exit code still tells.
            drop(message.print());
            return ExitCode::from(u8::try_from(message.exit_code()).unwrap_or(2));
        }
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    let result = act(arguments, node, &mut Console::of_process(&mut out));
    match result.and_then(|()| Ok(out.flush()?)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if failure.is_worth_telling() {
                eprintln!("{}", Failure::of("stemedb", &failure));
            }
            failure.exit_code()
        }
    }
}

fn act(arguments: Arguments, node: Node, console: &mut Console<'_>) -> Result<(), Failure> {
    let Arguments { at, json, key_dir, command } = arguments;
    let client = || Client::new(&at.url);
    let admin = || Client::new(&at.admin_url);
    let keys = key_dir.unwrap_or_else(|| keys::KeyFolder::default_path(|name| std::env::var(name).ok()));
    match command {
        Command::Serve(flags) => (node.serve)(settings::load(&flags)?.settings),
        Command::Config(config) => config.run(json, console),
        Command::Keygen(keygen) => keygen.run(&keys, json, console),
        Command::Assert(assert) => assert.run(&client()?, &keys, json, console),
        Command::Vote(vote) => vote.run(&client()?, &keys, json, console),
        Command::Query(query) => query.run(&client()?, &keys, json, console),
        Command::Skeptic(skeptic) => skeptic.run(&client()?, &keys, json, console),
        Command::Layered(layered) => layered.run(&client()?, &keys, json, console),
        Command::Import(import) => match import.run(&client()?, &keys, json, console)?.refused {
            0 => Ok(()),
            1 => Err(Failure::Refused("1 line was refused".to_owned())),
            refused => Err(Failure::Refused(format!("{} lines were refused", text::grouped(refused)))),
        },
        Command::Export(export) => export.run(&client()?, console),
        Command::Demo(demo) => demo.run(json, console),
        Command::Status(status) => status.run(&client()?, &admin()?, json, console),
        Command::Node(node) => node.run(&admin()?, json, console),
        Command::Settings(settings) => settings.run(&admin()?, json, console),
        Command::Verify(verify) => verify.run(node.verify, json, console),
        Command::Erase(erase) => erase.run(&admin()?, json, console),
        Command::Completions { shell } => operate::completions(shell, console),
    }
}

#[cfg(test)]
mod tests;
