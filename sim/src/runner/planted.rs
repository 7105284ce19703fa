//! Planted bugs: each has a scenario that must find it, and how soon it does is told in a table.
//!
//! The same scenario holds without the bug: the ordinary runs show that.

use super::arguments::Arguments;
use super::{alone, traced};
use crate::run::{Failure, Outcome, run};
use crate::scenario::Scenario;
use crate::trace::Now;
use comfy_table::Table;
use planted::Bug;
use serde_json::json;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// The longest part of what was found that the table shows, in characters.
const SHOWN_MAX: usize = 160;

/// The scenario that must find a bug.
fn scenario_for(bug: Bug) -> &'static str {
    match bug {
        Bug::AckBeforeSync => "power_loss_any_node",
        Bug::SyncTriedAgain | Bug::UnsealedTailTrusted => "failing_fsync",
        Bug::CeilingForgotten => "clock_skew",
        Bug::FirstEnvelopeStays => "bad_network",
        Bug::ReadRepairSkipsOneSide | Bug::ServedBeforeItMet => "returning_owner",
        Bug::StampOfTheFutureAdopted => "clock_a_year_ahead",
        Bug::PromiseNotSynced => "founding",
        Bug::HintDroppedAtRestart => "kill_any_node",
        Bug::HintDischargedByOneOwner => "disk_lost_while_another_is_away",
        Bug::StaleEpochAccepted => "replication_factor_changes",
        Bug::FormerOwnerDropsTooEarly | Bug::NewOwnerServesBeforeFrontier => "a_node_joins",
        Bug::DrainForgetsHints => "a_node_is_drained",
        Bug::RejoinWithOldId | Bug::RemovedNodeAccepted => "a_removed_node_returns",
        Bug::WipedFounderFoundsAgain => "a_node_is_replaced",
        Bug::MinMergeBelowClosedFrontier => "late_hints",
        Bug::NextWrittenBeforeActive | Bug::NextSentBeforeActive => "rolling_upgrade",
        Bug::DamageOnlyCounted => "disks_rot",
    }
}

/// What became of one bug.
struct Found {
    bug: Bug,
    scenario: &'static Scenario,
    /// The first seed that failed, and why.
    caught: Option<(u64, Failure)>,
}

/// Plants each bug that was asked for, and prints what found it; whether all were found.
pub(super) fn hunt(arguments: &Arguments) -> io::Result<bool> {
    let mut all = Vec::new();
    for bug in arguments.planted() {
        let name = scenario_for(bug);
        let scenario = Scenario::named(name).ok_or_else(|| io::Error::other(format!("there is no {name}")))?;
        if let Some(file) = &arguments.trace {
            return trace(bug, scenario, arguments.seeds.first(), file);
        }
        let found = Found { bug, scenario, caught: first(bug, scenario, arguments) };
        eprintln!("{}", found.line());
        all.push(found);
    }
    let printed = if arguments.json { as_json(&all, arguments) } else { as_table(&all, arguments) };
    #[expect(clippy::print_stdout, reason = "the report is what this program prints")]
    {
        println!("{printed}");
    }
    Ok(all.iter().all(|found| found.caught.is_some()))
}

fn trace(bug: Bug, scenario: &'static Scenario, seed: u64, file: &Path) -> io::Result<bool> {
    planted::plant(Some(bug));
    let (outcome, _) = traced(scenario, seed, file)?;
    eprintln!("{}: {:?}", file.display(), outcome.failure.as_ref().map(ToString::to_string));
    Ok(outcome.failure.is_some())
}

/// The first seed that finds a bug. Several are tried at once; each before the one that is told was tried as well.
fn first(bug: Bug, scenario: &'static Scenario, arguments: &Arguments) -> Option<(u64, Failure)> {
    let seeds: Vec<_> = arguments.seeds.iter().collect();
    let (next, end) = (AtomicUsize::new(0), AtomicUsize::new(seeds.len()));
    let try_on = || {
        let mut caught = None;
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(seed) = seeds.get(at).copied().filter(|_| at < end.load(Ordering::Relaxed)) else {
                return caught;
            };
            let outcome = alone(|| with(bug, || run(scenario, seed, Now::default())));
            if let Some(failure) = outcome.failure {
                end.fetch_min(at, Ordering::Relaxed);
                caught = caught.or(Some((seed, failure)));
            }
        }
    };
    thread::scope(|scope| {
        let tried: Vec<_> = (0..arguments.jobs()).map(|_| scope.spawn(try_on)).collect();
        let caught = tried.into_iter().filter_map(|tried| tried.join().ok().flatten());
        caught.min_by_key(|(seed, _)| *seed)
    })
}

/// Runs a seed with a bug, in a thread that ends after it.
fn with(bug: Bug, seed: impl FnOnce() -> Outcome) -> Outcome {
    planted::plant(Some(bug));
    seed()
}

impl Found {
    /// What caught it, in a word, and the rest of what was found.
    fn catcher(&self) -> (&str, String) {
        match &self.caught {
            None => ("nothing", String::new()),
            Some((_, Failure::Violated { invariant, detail })) => (invariant, detail.clone()),
            Some((_, stuck @ Failure::Stuck { .. })) => ("stuck", stuck.to_string()),
            Some((_, Failure::Broken(what))) => ("broken", what.clone()),
        }
    }

    fn line(&self) -> String {
        let (catcher, detail) = self.catcher();
        let seed = self.caught.as_ref().map_or_else(|| "in no seed".to_owned(), |(seed, _)| format!("in seed {seed}"));
        let detail: String = detail.chars().take(SHOWN_MAX).collect();
        format!("{}: {catcher} {seed} of {}: {detail}", self.bug.name(), self.scenario.name)
    }

    /// How many seeds were tried.
    fn tried(&self, arguments: &Arguments) -> usize {
        let seeds = arguments.seeds.iter();
        match &self.caught {
            None => seeds.count(),
            Some((seed, _)) => seeds.take_while(|tried| tried <= seed).count(),
        }
    }
}

/// For people.
fn as_table(all: &[Found], arguments: &Arguments) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(["bug", "scenario", "caught by", "seed", "seeds tried"]);
    for found in all {
        let seed = found.caught.as_ref().map_or_else(String::new, |(seed, _)| seed.to_string());
        let tried = found.tried(arguments).to_string();
        table.add_row([found.bug.name(), found.scenario.name, found.catcher().0, &seed, &tried]);
    }
    table.to_string()
}

/// For programs: one object a bug and line.
fn as_json(all: &[Found], arguments: &Arguments) -> String {
    let lines = all.iter().map(|found| {
        let (catcher, detail) = found.catcher();
        json!({
            "bug": found.bug.name(),
            "scenario": found.scenario.name,
            "caught_by": found.caught.as_ref().map(|_| catcher),
            "detail": detail,
            "seed": found.caught.as_ref().map(|(seed, _)| seed),
            "seeds_tried": found.tried(arguments),
        })
        .to_string()
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_bug_has_a_scenario_that_is_there() {
    Bug::ALL.iter().for_each(|bug| assert!(Scenario::named(scenario_for(*bug)).is_some(), "{}", bug.name()));
}
