//! The command line: runs seeds of scenarios on all cores, prints what came of them, and how to run a failed one again.
//!
//! A seed runs in a thread of its own, so that nothing of it outlives it. The only place here that reads the machine's
//! clock, to say how fast that was.

mod arguments;
#[cfg(feature = "planted")]
mod planted;
mod report;
mod seeds;
mod twice;

pub use seeds::Seeds;

use crate::run::{Failure, Outcome, run};
use crate::scenario::Scenario;
use crate::trace::{Digest, Now, Trace};
use arguments::Arguments;
use clap::Parser as _;
use indicatif::{ProgressBar, ProgressStyle};
use report::Report;
use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufWriter};
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

/// The stack of a seed's thread: what the main thread of a program has.
const STACK_BYTES: usize = 8 << 20;

/// Runs the program `sim`. Exits with 0 if everything held, 1 if something did not, 2 if it was asked wrongly.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    remember_panics();
    #[cfg(feature = "planted")]
    if !arguments.planted.is_empty() {
        return exit_code(planted::hunt(&arguments));
    }
    exit_code(run_all(&arguments))
}

/// Runs the scenarios that are asked for; whether all held.
fn run_all(arguments: &Arguments) -> io::Result<bool> {
    let mut held = true;
    for scenario in arguments.scenarios() {
        held &= if arguments.twice { twice::compare(scenario, arguments)? } else { once(scenario, arguments)? };
    }
    Ok(held)
}

fn exit_code(held: io::Result<bool>) -> ExitCode {
    match held {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("sim: {error}");
            ExitCode::from(2)
        }
    }
}

/// Runs the seeds of a scenario and prints the report; whether all held.
fn once(scenario: &'static Scenario, arguments: &Arguments) -> io::Result<bool> {
    #[expect(clippy::disallowed_methods, reason = "how fast the machine was is said to people only")]
    let begun = Instant::now();
    let outcomes = match &arguments.trace {
        Some(file) => {
            let seed = arguments.seeds.first();
            let (outcome, digest) = traced(scenario, seed, file)?;
            eprintln!("{}: {} lines, hash {:016x}", file.display(), digest.lines, digest.hash);
            vec![(seed, outcome)]
        }
        None => all(scenario, arguments),
    };
    let report = Report::of(scenario, &outcomes, begun.elapsed());
    let printed = if arguments.json { report.json() } else { report.table() };
    #[expect(clippy::print_stdout, reason = "the report is what this program prints")]
    {
        println!("{printed}");
    }
    Ok(report.held())
}

/// Runs all seeds, several at once; the outcomes are in the order of the seeds.
fn all(scenario: &'static Scenario, arguments: &Arguments) -> Vec<(u64, Outcome)> {
    let seeds: Vec<_> = arguments.seeds.iter().collect();
    let outcomes = Mutex::new(Vec::with_capacity(seeds.len()));
    let (next, bar) = (AtomicUsize::new(0), progress(scenario, seeds.len(), arguments.json));
    thread::scope(|scope| {
        for _ in 0..arguments.jobs() {
            scope.spawn(|| {
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)).copied() {
                    let outcome = alone(|| run(scenario, seed, Now::default()));
                    if let Some(failure) = &outcome.failure {
                        bar.println(format!("seed {seed}: {failure}\n  replay: {}", replay(scenario, seed)));
                    }
                    outcomes.lock().unwrap_or_else(PoisonError::into_inner).push((seed, outcome));
                    bar.inc(1);
                }
            });
        }
    });
    bar.finish_and_clear();
    let mut outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcomes.sort_by_key(|(seed, _)| *seed);
    outcomes
}

/// Runs one seed with its full log in `file`.
fn traced(scenario: &'static Scenario, seed: u64, file: &Path) -> io::Result<(Outcome, Digest)> {
    let sink = Box::new(BufWriter::new(File::create(file)?));
    let now = Now::default();
    Trace::of(sink, now.clone(), || guarded(|| run(scenario, seed, now)))
}

/// Runs a seed in a thread of its own.
fn alone(seed: impl FnOnce() -> Outcome + Send) -> Outcome {
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, || guarded(seed));
        match thread.map(thread::ScopedJoinHandle::join) {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => broken("the thread of the seed died"),
            Err(error) => broken(&format!("the system gives no thread: {error}")),
        }
    })
}

thread_local! {
    /// What the first panic of this thread said, and where it was.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Makes panics say what they say in the outcome of their seed and nowhere else.
fn remember_panics() {
    panic::set_hook(Box::new(|panic| {
        PANIC.with_borrow_mut(|first| {
            first.get_or_insert_with(|| panic.to_string());
        });
    }));
}

/// Runs a seed; a panic of a node is its outcome.
fn guarded(seed: impl FnOnce() -> Outcome) -> Outcome {
    PANIC.set(None);
    catch_unwind(AssertUnwindSafe(seed))
        .unwrap_or_else(|_| broken(&PANIC.take().unwrap_or_else(|| "a panic without words".to_owned())))
}

fn broken(what: &str) -> Outcome {
    Outcome {
        failure: Some(Failure::Broken(what.to_owned())),
        figures: crate::run::Figures::default(),
        simulated: std::time::Duration::ZERO,
    }
}

/// The command that runs a seed again, with its log.
fn replay(scenario: &Scenario, seed: u64) -> String {
    format!("cargo run -p sim -- --scenario {} --seeds {seed} --trace {}-{seed}.log", scenario.name, scenario.name)
}

fn progress(scenario: &Scenario, seeds: usize, hidden: bool) -> ProgressBar {
    if hidden {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg} {bar:40} {pos}/{len} seeds, {eta} left");
    let bar = ProgressBar::new(u64::try_from(seeds).unwrap_or(u64::MAX)).with_message(scenario.name);
    style.map_or(bar.clone(), |style| bar.with_style(style))
}
