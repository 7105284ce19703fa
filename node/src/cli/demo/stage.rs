//! What happens in a demo, step by step: found, import, ask, write and kill, read back, bring back.

use super::check::most_shown;
use super::ground::{Ground, Place};
use super::history::History;
use super::nodes::Nodes;
use super::report::{Report, Victim};
use super::running::node_id;
use super::waiting::{self, Wait, bar, missing_copies, missing_to_be_whole, spinner};
use super::{Checked, NODES, read_back, write_while};
use crate::cli::client::Client;
use crate::cli::console::{Console, Tone};
use crate::cli::failure::Failure;
use crate::cli::import::Import;
use crate::cli::import::input::{Input, Line};
use crate::cli::read::{Query, Terms};
use crate::cli::stop::Stop;
use crate::cli::text::{grouped, span};
use crate::clock::{Clock as _, SystemClock};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// How long the nodes may take until they are one cluster.
const FOUNDING_MAX: Duration = Duration::from_secs(60);
/// How long a node that returns may take until nothing lacks a copy.
const CATCHING_UP_MAX: Duration = Duration::from_secs(120);
/// How long is written before the kill.
const BEFORE: Duration = Duration::from_secs(2);
/// How every subject in the file begins.
const SUBJECTS: &str = "geo://country/";

const CLAIMS: &[u8] = include_bytes!("../../../../examples/countries/countries.ndjson.gz");
const SOURCES: &[u8] = include_bytes!("../../../../examples/countries/sources.toml");

/// Everything that is needed while it runs.
pub(super) struct Stage<'a, 'c> {
    pub(super) nodes: Nodes,
    pub(super) clock: SystemClock,
    pub(super) stop: &'a Stop,
    pub(super) json: bool,
    pub(super) console: &'a mut Console<'c>,
}

/// What was imported.
#[derive(Clone, Copy)]
struct Imported {
    lines: u64,
    claims: usize,
    took: Duration,
}

/// What was written, and when which node was killed.
struct Written {
    victim: Victim,
    history: History,
    kill: Duration,
}

impl<'a, 'c> Stage<'a, 'c> {
    pub(super) fn new(nodes: Nodes, stop: &'a Stop, json: bool, console: &'a mut Console<'c>) -> Self {
        Self { nodes, clock: SystemClock::start(), stop, json, console }
    }

    /// Plays, tells what happened, and goes on until it is asked to stop, unless it is to `exit`. Claims are written for
    /// so many seconds after the kill; `program` is what the nodes run.
    pub(super) fn play(&mut self, seconds: u32, exit: bool, program: &Path) -> Result<(), Failure> {
        let founded_in = self.found()?;
        let imported = self.import()?;
        let answer = self.ask()?;
        let written = self.write_and_kill(Duration::from_secs(seconds.into()))?;
        let Written { victim, history, kill } = written;
        let (imported_found, checked) = self.read_back(&history, imported, victim.number - 1)?;
        let caught_up_in = self.bring_back(&victim)?;
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let report = Report {
            nodes: NODES,
            founded_in,
            imported: imported.lines,
            imported_claims: count(imported.claims),
            imported_in: imported.took,
            victim,
            acknowledged: count(history.acknowledged.len()),
            acknowledged_after: count(history.acknowledged_after(kill)),
            slowest: history.slowest_after(kill),
            copies_min: history.copies_min.unwrap_or(0),
            attempts: history.attempts,
            failed_attempts: count(history.failed_attempts.len()),
            failed_writes: history.failed_writes,
            errors_seen_for: history.errors_seen_for(kill),
            imported_found: count(imported_found),
            found: count(checked.found),
            lost: count(checked.lost.len()),
            unanswered: count(checked.unanswered.len()),
            caught_up_in,
        };
        self.tell(&report, answer, exit, program)?;
        if let Some(trouble) = report.trouble() {
            return Err(Failure::Failed(trouble));
        }
        if exit { Ok(()) } else { self.stay() }
    }

    /// Ends the nodes, and gives the ground back.
    pub(super) fn end(self) -> Result<Ground, Failure> {
        self.nodes.stop()
    }

    /// Waits until the processes are one cluster.
    fn found(&mut self) -> Result<Duration, Failure> {
        self.say(&format!("{NODES} nodes start and found a cluster, in {}", self.nodes.folder().display()))?;
        let took = self.wait_for_all(FOUNDING_MAX, "waiting for the nodes to be one cluster")?;
        self.done(&format!("they did, in {}", span(took.as_secs_f64())))?;
        Ok(took)
    }

    /// Waits until every node is ready and sees all others.
    fn wait_for_all(&mut self, limit: Duration, text: &str) -> Result<Duration, Failure> {
        let (clients, admins) = self.nodes.clients()?;
        let (wait, nodes) = (Wait { clock: &self.clock, stop: self.stop, limit }, &mut self.nodes);
        wait.until(&spinner(self.console, text), || {
            nodes.check_running()?;
            let missing = |(client, admin): (&Client, &Client)| missing_to_be_whole(client, admin, NODES);
            Ok(clients.iter().zip(&admins).find_map(missing))
        })
    }

    /// Imports the countries through the first node.
    fn import(&mut self) -> Result<Imported, Failure> {
        self.say("Four packages state what they hold true of 250 countries")?;
        let folder = self.nodes.folder().to_owned();
        let (file, sources) = (folder.join("countries.ndjson.gz"), folder.join("sources.toml"));
        let failed = |error| Failure::of(format!("cannot write below {}", folder.display()), &error);
        std::fs::write(&file, CLAIMS).and_then(|()| std::fs::write(&sources, SOURCES)).map_err(failed)?;
        let claims = different(&file)?;
        let begun = self.clock.monotonic();
        let import = Import { file, sources: Some(sources), timestamp: None, dry_run: false };
        let (client, keys) = (self.first_client()?, folder.join("keys"));
        let mut unheard = Vec::new();
        let quiet = &mut self.console.onto(&mut unheard);
        let summary = import.run(&client, &keys, true, quiet)?;
        let took = self.clock.monotonic().saturating_sub(begun);
        let lines = summary.created + summary.existing;
        self.done(&format!("{} claims imported, signed and verified in {}", grouped(lines), span(took.as_secs_f64())))?;
        Ok(Imported { lines, claims, took })
    }

    /// Asks what the sources disagree on; the answer for programs.
    fn ask(&mut self) -> Result<Value, Failure> {
        self.say("They disagree. What is the capital of Bolivia, by authority, and why?")?;
        let query = Query { terms: Terms::on("geo://country/BO", "capital"), lens: "authority".to_owned() };
        let (client, keys) = (self.first_client()?, self.nodes.folder().join("keys"));
        if !self.json {
            query.run(&client, &keys, false, self.console)?;
            return Ok(Value::Null);
        }
        let mut answer = Vec::new();
        query.run(&client, &keys, true, &mut self.console.onto(&mut answer))?;
        Ok(serde_json::from_slice(&answer).unwrap_or_default())
    }

    /// Kills a node while writers write to all of them: the leader if there is one.
    fn write_and_kill(&mut self, after: Duration) -> Result<Written, Failure> {
        let victim = self.choose()?;
        let role = if victim.led { ", which leads the control plane" } else { "" };
        self.say(&format!("Now {NODES} programs write, and node {}{role}, is killed", victim.number))?;
        let urls: Vec<_> = self.nodes.places().iter().map(Place::url).collect();
        let spinner = spinner(self.console, "writing");
        let (stop, clock, nodes) = (self.stop, &self.clock, &mut self.nodes);
        let rest = |time: Duration| {
            let until = clock.monotonic() + time;
            while clock.monotonic() < until {
                spinner.tick();
                if !stop.wait(Duration::from_millis(100)) {
                    return Err(Failure::Failed("stopped before the end".to_owned()));
                }
            }
            Ok(())
        };
        let (history, kill) = write_while(&urls, clock, || {
            rest(BEFORE)?;
            let kill = clock.monotonic();
            nodes.kill(victim.number - 1)?;
            spinner.set_message(format!("writing; node {} is dead", victim.number));
            rest(after)?;
            Ok(kill)
        })?;
        spinner.finish_and_clear();
        let count = |number: usize| grouped(u64::try_from(number).unwrap_or(u64::MAX));
        let (all, after) = (count(history.acknowledged.len()), count(history.acknowledged_after(kill)));
        let failed = count(history.failed_attempts.len());
        self.done(&format!("{all} claims acknowledged, {after} of them after the kill; {failed} attempts failed"))?;
        Ok(Written { victim, history, kill })
    }

    /// The node to kill: the leader, or the last one.
    fn choose(&self) -> Result<Victim, Failure> {
        let (clients, admins) = self.nodes.clients()?;
        let leader =
            admins.iter().find_map(|admin| waiting::glance(admin).ok()?.get("leader")?.as_str().map(str::to_owned));
        let names: Vec<_> = clients.iter().map(name_of).collect::<Result<_, _>>()?;
        let led = names.iter().position(|name| Some(name) == leader.as_ref());
        let node = led.unwrap_or(names.len().saturating_sub(1));
        let node_id = names.into_iter().nth(node).unwrap_or_default();
        Ok(Victim { number: node + 1, node_id, led: led.is_some() })
    }

    /// Reads everything that was acknowledged back from those that are left.
    fn read_back(&mut self, history: &History, imported: Imported, dead: usize) -> Result<(usize, Checked), Failure> {
        self.say("Is everything there that was acknowledged? The others are asked, claim by claim")?;
        let (clients, _) = self.nodes.clients()?;
        let left: Vec<_> =
            clients.into_iter().enumerate().filter(|(node, _)| *node != dead).map(|(_, client)| client).collect();
        let bar = bar(self.console, history.acknowledged.len(), "read back");
        let shown = |done: usize| bar.set_position(u64::try_from(done).unwrap_or(u64::MAX));
        let checked = read_back(&history.acknowledged, &left, self.stop, shown);
        bar.finish_and_clear();
        let imported = most_shown(&left, SUBJECTS, imported.claims, self.stop);
        let lost = checked.lost.len() + checked.unanswered.len();
        if lost == 0 {
            let written = grouped(u64::try_from(checked.found).unwrap_or(u64::MAX));
            let imported = grouped(u64::try_from(imported).unwrap_or(u64::MAX));
            self.done(&format!("{written} written and {imported} imported claims are there"))?;
        } else if !self.json {
            let trouble = self.console.paint(Tone::Bad, &format!("  ✗ {lost} claims were not read back"));
            self.console.line(trouble)?;
        }
        Ok((imported, checked))
    }

    /// Starts the node that was killed again, and waits until nothing lacks a copy.
    fn bring_back(&mut self, victim: &Victim) -> Result<Duration, Failure> {
        self.say(&format!("Node {} is started again, and is given what it missed", victim.number))?;
        let begun = self.clock.monotonic();
        self.nodes.start_one(victim.number - 1)?;
        self.wait_for_all(CATCHING_UP_MAX, "waiting for it to be ready")?;
        let (_, admins) = self.nodes.clients()?;
        let (wait, nodes) = (Wait { clock: &self.clock, stop: self.stop, limit: CATCHING_UP_MAX }, &mut self.nodes);
        let spinner = spinner(self.console, "catching up");
        wait.until(&spinner, || {
            nodes.check_running()?;
            let missing = admins.iter().find_map(|admin| missing_copies(admin, NODES));
            spinner.set_message(missing.clone().unwrap_or_default());
            Ok(missing)
        })?;
        let took = self.clock.monotonic().saturating_sub(begun);
        self.done(&format!("0 records lack a copy, {} after its start", span(took.as_secs_f64())))?;
        Ok(took)
    }

    pub(super) fn first_client(&self) -> Result<Client, Failure> {
        let place = self.nodes.places().first().ok_or_else(|| Failure::Failed("there is no node".to_owned()))?;
        Client::new(&place.url())
    }

    /// A sentence before something happens, unless a program reads.
    pub(super) fn say(&mut self, text: &str) -> Result<(), Failure> {
        if self.json {
            return Ok(());
        }
        let text = self.console.paint(Tone::Strong, text);
        self.console.line(format_args!("\n{text}"))?;
        Ok(self.console.out.flush()?)
    }

    /// What came of it.
    pub(super) fn done(&mut self, text: &str) -> Result<(), Failure> {
        if self.json {
            return Ok(());
        }
        let mark = self.console.paint(Tone::Good, "✓");
        self.console.line(format_args!("  {mark} {text}"))?;
        Ok(self.console.out.flush()?)
    }
}

/// The name of the node behind a client.
fn name_of(client: &Client) -> Result<String, Failure> {
    Ok(node_id(client)?.as_str().unwrap_or_default().to_owned())
}

/// How many different claims there are in a file: some of its lines are there twice.
fn different(file: &Path) -> Result<usize, Failure> {
    let (mut input, mut lines) = (Input::open(file)?, BTreeSet::new());
    while let Some((_, line)) = input.next_line().map_err(|error| Failure::of("cannot read the claims", &error))? {
        match line {
            Line::Bytes(bytes) => lines.insert(bytes),
            Line::TooLong => continue, // refused by the import
        };
    }
    Ok(lines.len())
}
