//! `stemedb demo`: a cluster on this machine from one command, and what becomes of it when a node is killed.
//!
//! Nothing is played: the nodes are processes of this program with files of their own, they are reached over HTTP like
//! any others, the kill is a SIGKILL, and what is reported was measured from outside.

mod check;
mod ground;
mod history;
mod nodes;
mod persistence;
mod process;
mod report;
mod waiting;
mod writers;

pub use check::{Checked, read_back};
pub use ground::{Ground, Place};
pub use history::{Acknowledged, FailedAttempt, History};
pub use nodes::Nodes;
pub use persistence::{ATTEMPT_MAX, Persistence, WAITS};
pub use process::Process;
pub use report::{Report, Victim};
pub use writers::write_while;

use super::client::Client;
use super::console::{Console, Tone};
use super::failure::Failure;
use super::import::Import;
use super::read::{Query, Terms};
use super::stop::Stop;
use crate::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;
use waiting::{Wait, bar, missing_copies, missing_to_be_whole, spinner};

/// How many nodes there are.
const NODES: usize = 3;
/// How long the nodes may take until they are one cluster.
const FOUNDING_MAX: Duration = Duration::from_secs(60);
/// How long a node that returns may take until nothing lacks a copy.
const CATCHING_UP_MAX: Duration = Duration::from_secs(120);
/// How long is written before the kill,
const BEFORE: Duration = Duration::from_secs(2);
/// and after it.
const AFTER: Duration = Duration::from_secs(5);
/// How often the processes are looked at while nothing happens.
const LOOK: Duration = Duration::from_secs(1);

const CLAIMS: &[u8] = include_bytes!("../../../../examples/countries/countries.ndjson.gz");
const SOURCES: &[u8] = include_bytes!("../../../../examples/countries/sources.toml");

/// Shows a cluster at work, and what it does when one of its nodes is killed.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Demo {
    /// Where the nodes keep their data, and leave it [default: a temporary folder, removed at the end]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The ports of the first node begin here, those of each next node ten later [default: free ones]
    #[arg(long, value_name = "PORT")]
    pub base_port: Option<u16>,
    /// Ends with the report, in place of leaving the cluster running until Ctrl-C
    #[arg(long)]
    pub exit: bool,
}

impl Demo {
    /// Runs the demo to its end. Where it fails, the data folder is kept, with a log a node.
    ///
    /// # Errors
    ///
    /// [`Failure::Failed`] if a node does not start, the cluster does not come together or does not recover in time, or
    /// an acknowledged claim is lost; [`Failure::Usage`] if folder or ports cannot be used.
    pub fn run(&self, json: bool, console: &mut Console<'_>) -> Result<(), Failure> {
        let program = std::env::current_exe().map_err(|error| Failure::of("this program cannot be found", &error))?;
        let ground = Ground::prepare(self.data_dir.as_deref(), self.base_port, NODES)?;
        let folder = ground.folder().to_owned();
        let stop = Stop::default();
        let result = stop.on_interrupt(|| {
            let nodes = Nodes::start(&program, ground)?;
            let mut stage = Stage { nodes, clock: SystemClock::start(), stop: &stop, json, console };
            let played = stage.play(self.exit);
            let stopped = stage.nodes.stop();
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

/// Everything that is needed while it runs.
struct Stage<'a, 'c> {
    nodes: Nodes,
    clock: SystemClock,
    stop: &'a Stop,
    json: bool,
    console: &'a mut Console<'c>,
}

impl Stage<'_, '_> {
    fn play(&mut self, exit: bool) -> Result<(), Failure> {
        let founded_in = self.found()?;
        let (imported, imported_in) = self.import()?;
        let answer = self.ask()?;
        let (victim, history, kill) = self.write_and_kill()?;
        let checked = self.read_back(&history, victim.number - 1)?;
        let caught_up_in = self.bring_back(&victim)?;
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let report = Report {
            nodes: NODES,
            founded_in,
            imported,
            imported_in,
            victim,
            acknowledged: count(history.acknowledged.len()),
            copies_min: history.copies_min.unwrap_or(0),
            attempts: history.attempts,
            failed_attempts: count(history.failed_attempts.len()),
            failed_writes: history.failed_writes,
            errors_seen_for: history.errors_seen_for(kill),
            found: count(checked.found),
            lost: count(checked.lost.len()),
            unanswered: count(checked.unanswered.len()),
            caught_up_in,
        };
        self.tell(&report, answer, exit)?;
        if !report.nothing_lost() {
            return Err(Failure::Failed("not every acknowledged claim was read back".to_owned()));
        }
        if exit { Ok(()) } else { self.stay() }
    }

    /// Waits until the processes are one cluster.
    fn found(&mut self) -> Result<Duration, Failure> {
        self.say(&format!("{NODES} nodes start and found a cluster, in {}", self.nodes.folder().display()))?;
        let took = self.wait_for_all(FOUNDING_MAX, "waiting for the nodes to be one cluster")?;
        self.done(&format!("they did, in {}", super::text::span(took.as_secs_f64())))?;
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
    fn import(&mut self) -> Result<(u64, Duration), Failure> {
        self.say("Four packages state what they hold true of 250 countries")?;
        let folder = self.nodes.folder().to_owned();
        let (file, sources) = (folder.join("countries.ndjson.gz"), folder.join("sources.toml"));
        let failed = |error| Failure::of(format!("cannot write below {}", folder.display()), &error);
        std::fs::write(&file, CLAIMS).and_then(|()| std::fs::write(&sources, SOURCES)).map_err(failed)?;
        let begun = self.clock.monotonic();
        let import = Import { file, sources: Some(sources), timestamp: None, dry_run: false };
        let (client, keys) = (self.first_client()?, folder.join("keys"));
        let mut unheard = Vec::new();
        let quiet = &mut self.console.onto(&mut unheard);
        let summary = import.run(&client, &keys, true, quiet)?;
        let took = self.clock.monotonic().saturating_sub(begun);
        let stored = summary.created + summary.existing;
        let (stored_words, took_words) = (super::text::grouped(stored), super::text::span(took.as_secs_f64()));
        self.done(&format!("{stored_words} claims imported, signed and verified in {took_words}"))?;
        Ok((stored, took))
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
    fn write_and_kill(&mut self) -> Result<(Victim, History, Duration), Failure> {
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
            rest(AFTER)?;
            Ok(kill)
        })?;
        spinner.finish_and_clear();
        let written = super::text::grouped(u64::try_from(history.acknowledged.len()).unwrap_or(u64::MAX));
        let failed = history.failed_attempts.len();
        self.done(&format!("{written} claims acknowledged, {failed} attempts failed"))?;
        Ok((victim, history, kill))
    }

    /// The node to kill: the leader, or the last one.
    fn choose(&self) -> Result<Victim, Failure> {
        let (clients, admins) = self.nodes.clients()?;
        let leader =
            admins.iter().find_map(|admin| waiting::glance(admin).ok()?.get("leader")?.as_str().map(str::to_owned));
        let name = |client: &Client| -> Result<String, Failure> {
            let health = client.get("/v1/health", &[])?.taken()?;
            Ok(health.get("node_id").and_then(Value::as_str).unwrap_or_default().to_owned())
        };
        let names: Vec<_> = clients.iter().map(name).collect::<Result<_, _>>()?;
        let led = names.iter().position(|name| Some(name) == leader.as_ref());
        let node = led.unwrap_or(names.len().saturating_sub(1));
        let node_id = names.into_iter().nth(node).unwrap_or_default();
        Ok(Victim { number: node + 1, node_id, led: led.is_some() })
    }

    /// Reads everything that was acknowledged back from those that are left.
    fn read_back(&mut self, history: &History, dead: usize) -> Result<Checked, Failure> {
        self.say("Is everything there that was acknowledged? The others are asked, claim by claim")?;
        let (clients, _) = self.nodes.clients()?;
        let left: Vec<_> =
            clients.into_iter().enumerate().filter(|(node, _)| *node != dead).map(|(_, client)| client).collect();
        let bar = bar(self.console, history.acknowledged.len(), "read back");
        let shown = |done: usize| bar.set_position(u64::try_from(done).unwrap_or(u64::MAX));
        let checked = read_back(&history.acknowledged, &left, self.stop, shown);
        bar.finish_and_clear();
        let lost = checked.lost.len() + checked.unanswered.len();
        if lost == 0 {
            self.done("all of it")?;
        } else if !self.json {
            let trouble = self.console.paint(Tone::Bad, &format!("  ✗ {lost} claims were not read back"));
            self.console.line(trouble)?;
        }
        Ok(checked)
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
        self.done(&format!("0 records lack a copy, {} after its start", super::text::span(took.as_secs_f64())))?;
        Ok(took)
    }

    fn tell(&mut self, report: &Report, answer: Value, exit: bool) -> Result<(), Failure> {
        if self.json {
            let mut told = report.json();
            if let Some(object) = told.as_object_mut() {
                object.insert("answer".to_owned(), answer);
                if !exit {
                    object.insert("running".to_owned(), self.addresses());
                }
            }
            self.console.json(&told)?;
        } else {
            report.print(self.console)?;
        }
        Ok(self.console.out.flush()?)
    }

    fn addresses(&self) -> Value {
        let place = |(node, place): (usize, &Place)| json!({"number": place.number, "pid": self.nodes.pid(node), "url": place.url(), "admin_url": place.admin_url()});
        self.nodes.places().iter().enumerate().map(place).collect()
    }

    /// Leaves the cluster running until Ctrl-C.
    fn stay(&mut self) -> Result<(), Failure> {
        if !self.json {
            self.say("The cluster goes on until Ctrl-C")?;
            let header = ["Node", "Process", "Clients", "Operators"];
            let mut table = self.console.table(&header);
            for (node, place) in self.nodes.places().iter().enumerate() {
                let pid = self.nodes.pid(node).map(|pid| pid.to_string()).unwrap_or_default();
                table.add_row([place.number.to_string(), pid, place.url(), place.admin_url()]);
            }
            self.console.line(table.trim_fmt())?;
            if let Some(place) = self.nodes.places().first() {
                let hint = format!("stemedb status --watch --url {} --admin-url {}", place.url(), place.admin_url());
                let hint = self.console.paint(Tone::Dim, &hint);
                self.console.line(hint)?;
            }
            self.console.out.flush()?;
        }
        while self.stop.wait(LOOK) {
            if let Err(failure) = self.nodes.check_running()
                && !self.stop.is_asked()
            {
                return Err(failure);
            }
        }
        Ok(())
    }

    fn first_client(&self) -> Result<Client, Failure> {
        let place = self.nodes.places().first().ok_or_else(|| Failure::Failed("there is no node".to_owned()))?;
        Client::new(&place.url())
    }

    /// A sentence before something happens, unless a program reads.
    fn say(&mut self, text: &str) -> Result<(), Failure> {
        if self.json {
            return Ok(());
        }
        let text = self.console.paint(Tone::Strong, text);
        self.console.line(format_args!("\n{text}"))?;
        Ok(self.console.out.flush()?)
    }

    /// What came of it.
    fn done(&mut self, text: &str) -> Result<(), Failure> {
        if self.json {
            return Ok(());
        }
        let mark = self.console.paint(Tone::Good, "✓");
        self.console.line(format_args!("  {mark} {text}"))?;
        Ok(self.console.out.flush()?)
    }
}
