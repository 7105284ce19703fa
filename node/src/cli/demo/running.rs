//! What is left running at the end: told with its addresses and what to try, and kept running until it is asked to stop.

use super::ground::Place;
use super::hints::{Hints, typed};
use super::nodes::Ended;
use super::report::Report;
use super::stage::Stage;
use crate::cli::client::Client;
use crate::cli::cluster::overview;
use crate::cli::console::Tone;
use crate::cli::failure::Failure;
use crate::cli::text::span;
use crate::clock::Clock as _;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// How often the processes are looked at while nothing happens.
const LOOK: Duration = Duration::from_millis(250);

/// A node that was started again and is not ready yet.
struct Returning {
    node: usize,
    begun: Duration,
}

impl Stage<'_, '_> {
    /// Tells what happened and, unless the demo is to `exit`, what runs now.
    pub(super) fn tell(&mut self, report: &Report, answer: Value, exit: bool, program: &Path) -> Result<(), Failure> {
        let hints = self.hints(program);
        if self.json {
            let mut told = report.json();
            if let Some(object) = told.as_object_mut() {
                object.insert("answer".to_owned(), answer);
                if !exit {
                    object.insert("running".to_owned(), self.running()?);
                    object.insert("folder".to_owned(), self.nodes.folder().display().to_string().into());
                    object.extend(hints.map(|hints| ("try".to_owned(), told_to_programs(&hints))));
                }
            }
            self.console.json(&told)?;
        } else {
            report.print(self.console)?;
            if !exit {
                self.show_nodes()?;
                hints.map_or(Ok(()), |hints| self.show_hints(&hints))?;
            }
        }
        Ok(self.console.out.flush()?)
    }

    fn hints(&self, program: &Path) -> Option<Hints> {
        let here = std::env::current_dir().unwrap_or_default();
        let folders = std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
        let program = typed(program, &here, folders.unwrap_or_default());
        let keys = self.nodes.folder().join("keys");
        self.nodes.places().first().map(|place| Hints::new(&program, place, &keys))
    }

    /// The nodes with their addresses and how the first of them sees them.
    fn running(&self) -> Result<Value, Failure> {
        let (clients, admins) = self.nodes.clients()?;
        let seen = admins.first().map(|admin| admin.get("/v1/admin/nodes", &[])?.taken()).transpose()?;
        let seen = seen.unwrap_or_default();
        let rows = self.nodes.places().iter().zip(&clients).enumerate().map(|(node, (place, client))| {
            let name = node_id(client)?;
            let nodes = seen.get("nodes").and_then(Value::as_array).into_iter().flatten();
            let own = nodes.into_iter().find(|node| node.get("node_id") == Some(&name));
            let of_own = |member: &str| own.and_then(|own| own.get(member)).cloned().unwrap_or_default();
            Ok(json!({
                "number": place.number, "node_id": name, "state": of_own("state"), "is_leader": of_own("is_leader"),
                "pid": self.nodes.pid(node), "url": place.url(), "admin_url": place.admin_url(),
            }))
        });
        rows.collect()
    }

    fn show_nodes(&mut self) -> Result<(), Failure> {
        self.say("The cluster goes on")?;
        let mut table = self.console.table(&["Node", "State", "Clients", "Operators", "Process", "Name"]);
        for row in self.running()?.as_array().into_iter().flatten() {
            let cell =
                |name| row.get(name).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            let cells =
                ["number", "state", "url", "admin_url", "pid", "node_id"].map(|name| cell(name).unwrap_or_default());
            table.add_row(cells);
        }
        self.console.line(table.trim_fmt())?;
        self.console.line("")?;
        let (_, admins) = self.nodes.clients()?;
        admins.first().map_or(Ok(()), |admin| overview(admin, self.console))
    }

    fn show_hints(&mut self, hints: &Hints) -> Result<(), Failure> {
        self.say("What to try next, in another terminal")?;
        self.console.line(format_args!("  {}", hints.environment))?;
        let kill =
            self.nodes.pid(1).map(|pid| (format!("kill -9 {pid}"), "node 2: it is started again, and nothing is lost"));
        let commands: Vec<_> = hints.commands.iter().chain(&kill).collect();
        let width = commands.iter().map(|(command, _)| command.chars().count()).max().unwrap_or(0);
        for (command, shows) in commands {
            let shows = self.console.paint(Tone::Dim, &format!("# {shows}"));
            self.console.line(format_args!("  {command:<width$}  {shows}"))?;
        }
        let end = format!("Ctrl-C here, or kill {}, ends all of it", std::process::id());
        self.say(&end)
    }

    /// Keeps the cluster running until it is asked to stop. Nodes that end by themselves are started again.
    pub(super) fn stay(&mut self) -> Result<(), Failure> {
        let mut returning: Vec<Returning> = Vec::new();
        while self.stop.wait(LOOK) {
            // A Ctrl-C reaches the nodes as well, maybe before it is known here.
            if self.nodes.has_one_ended() && self.stop.wait(LOOK) {
                for ended in self.nodes.revive()? {
                    self.tell_ended(&ended)?;
                    let begun = self.clock.monotonic();
                    returning.extend(ended.pid.map(|_| Returning { node: ended.node, begun }));
                }
            }
            let mut away = Vec::new();
            for one in returning {
                if self.is_back(&one)? { self.tell_back(&one)? } else { away.push(one) }
            }
            returning = away;
        }
        Ok(())
    }

    fn is_back(&self, one: &Returning) -> Result<bool, Failure> {
        let Some(place) = self.nodes.places().get(one.node) else { return Ok(false) };
        Ok(Client::new(&place.url())?.get("/v1/ready", &[]).is_ok_and(|reply| reply.is_success()))
    }

    fn tell_ended(&mut self, ended: &Ended) -> Result<(), Failure> {
        let (number, status) = (ended.node + 1, ended.status);
        if self.json {
            let event = json!({"event": "ended", "number": number, "status": status.to_string(), "pid": ended.pid});
            self.console.json(&event)?;
            return Ok(self.console.out.flush()?);
        }
        let log = self.nodes.places().get(ended.node).map(Place::said_in).unwrap_or_default();
        let now = match ended.pid {
            Some(pid) => format!("started again as process {pid}"),
            None => format!("left alone, for it ends again and again; {log} says why"),
        };
        let line = self.console.paint(Tone::Warning, &format!("  ! node {number} ended ({status}); {now}"));
        self.console.line(line)?;
        Ok(self.console.out.flush()?)
    }

    fn tell_back(&mut self, one: &Returning) -> Result<(), Failure> {
        let (number, took) = (one.node + 1, self.clock.monotonic().saturating_sub(one.begun));
        if self.json {
            self.console.json(&json!({"event": "ready", "number": number}))?;
            return Ok(self.console.out.flush()?);
        }
        self.done(&format!("node {number} is back after {}", span(took.as_secs_f64())))
    }
}

/// The name of the node behind a client.
pub(super) fn node_id(client: &Client) -> Result<Value, Failure> {
    Ok(client.get("/v1/health", &[])?.taken()?.get("node_id").cloned().unwrap_or_default())
}

fn told_to_programs(hints: &Hints) -> Value {
    let commands: Vec<_> =
        hints.commands.iter().map(|(command, shows)| json!({"run": command, "shows": shows})).collect();
    json!({"environment": hints.environment, "commands": commands})
}
