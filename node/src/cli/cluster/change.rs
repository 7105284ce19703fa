//! `stemedb node join|drain|keep|remove|replace|pause|resume`: changes of the cluster, shown before they are made and watched
//! until they are done.
//!
//! The cluster does the work by itself: whoever stops watching stops nothing, and asking again goes on watching.

use super::super::client::Client;
use super::super::console::{Console, Tone};
use super::super::failure::Failure;
use super::super::stop::Stop;
use super::answers::Speaks;
use super::read;
use crate::cli::text::harmless;
use comfy_table::{Cell, CellAlignment};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// How often it is looked how far the cluster is.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// One node, and how its change is made.
#[derive(Clone, Debug, clap::Args)]
pub struct One {
    /// The node's name, as `node list` shows it
    #[arg(value_name = "NODE")]
    pub node: String,
    /// How.
    #[command(flatten)]
    pub how: How,
}

/// A node that goes and one that comes.
#[derive(Clone, Debug, clap::Args)]
pub struct Two {
    /// The member that is dead for good
    #[arg(value_name = "OLD")]
    pub old: String,
    /// The node that waits to take its place
    #[arg(value_name = "NEW")]
    pub new: String,
    /// How.
    #[command(flatten)]
    pub how: How,
}

/// The version that is to be active.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Activation {
    /// The version after the one that is active: no node that does not speak it is let in again
    #[arg(value_name = "VERSION")]
    pub version: u16,
    /// Shows who speaks what, and changes nothing
    #[arg(long)]
    pub plan: bool,
}

/// How a change is made.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct How {
    /// Shows what would move, and changes nothing
    #[arg(long)]
    pub plan: bool,
    /// Returns as soon as it is decided; the cluster goes on by itself
    #[arg(long, conflicts_with = "plan")]
    pub no_wait: bool,
}

/// What the node that was asked says of a change.
#[derive(Debug, Deserialize)]
struct Changed {
    is_made: bool,
    homes_to_move: u64,
    #[serde(default)]
    active_version: u16,
    nodes: Vec<Share>,
}

#[derive(Debug, Deserialize)]
struct Share {
    node_id: String,
    homes_now: u16,
    homes_then: u16,
    speaks: Option<Speaks>,
}

/// As much of the cluster as tells how far it is.
#[derive(Debug, Deserialize)]
struct Cluster {
    members: Vec<Member>,
    moves: Moves,
}

#[derive(Debug, Deserialize)]
struct Member {
    node_id: String,
    is_draining: bool,
}

#[derive(Debug, Deserialize)]
struct Moves {
    homes_left: u64,
    is_paused: bool,
}

/// Makes a change, or shows what it would come to.
pub(super) fn make(
    admin: &Client,
    body: Value,
    how: How,
    json_output: bool,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let answer = ask(admin, body, how)?;
    let changed: Changed = read(answer.clone())?;
    if json_output {
        console.json(&answer)?;
    } else {
        show(&changed, console)?;
    }
    if how.plan || how.no_wait {
        return Ok(());
    }
    watch(admin, changed.homes_to_move, console)?;
    if json_output { Ok(()) } else { Ok(console.line(console.paint(Tone::Good, "✓ done"))?) }
}

/// Makes a version the active one, or shows who speaks what.
pub(super) fn activate(
    admin: &Client,
    version: u16,
    how: How,
    json_output: bool,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let answer = ask(admin, json!({"change": "activate", "version": version}), how)?;
    let Changed { is_made, active_version, nodes, .. } = read(answer.clone())?;
    if json_output {
        return Ok(console.json(&answer)?);
    }
    let mut table = console.table(&["Node", "Speaks"]);
    for Share { node_id, speaks, .. } in &nodes {
        table.add_row([harmless(node_id), speaks.map_or_else(String::new, |speaks| speaks.to_string())]);
    }
    console.line(table.trim_fmt())?;
    let verb = if is_made { "is active" } else { "would be active, for ever" };
    Ok(console.line(format_args!("version {active_version} {verb}"))?)
}

fn ask(admin: &Client, mut body: Value, how: How) -> Result<Value, Failure> {
    if let Some(fields) = body.as_object_mut() {
        fields.insert("plan".to_owned(), how.plan.into());
    }
    admin.post("/v1/admin/changes", &[], "application/json", body.to_string().as_bytes())?.taken()
}

fn show(changed: &Changed, console: &mut Console<'_>) -> std::io::Result<()> {
    let mut table = console.table(&["Node", "Homes now", "Homes then"]);
    let number = |homes: u16| Cell::new(homes).set_alignment(CellAlignment::Right);
    for Share { node_id, homes_now, homes_then, .. } in &changed.nodes {
        table.add_row([Cell::new(harmless(node_id)), number(*homes_now), number(*homes_then)]);
    }
    console.line(table.trim_fmt())?;
    let verb = if changed.is_made { "to move" } else { "would move" };
    console.line(format_args!("{} homes {verb}", changed.homes_to_move))
}

/// Waits until nothing moves any more and nobody drains. Interrupted, it stops watching and nothing else.
fn watch(admin: &Client, homes: u64, console: &Console<'_>) -> Result<(), Failure> {
    let target = if console.progress { ProgressDrawTarget::stderr_with_hz(8) } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("{bar:32.cyan/dim} {pos} of {len} homes  {msg}  {eta} left");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸─");
    let bar = ProgressBar::with_draw_target(Some(homes), target).with_style(style);
    let stop = Stop::default();
    stop.on_interrupt(|| {
        loop {
            let cluster: Cluster = read(admin.get("/v1/admin/cluster", &[])?.taken()?)?;
            let left = cluster.moves.homes_left;
            // A plan is made a moment after the change, and may be made anew when something else changes meanwhile.
            bar.set_length(bar.length().unwrap_or(0).max(left));
            bar.set_position(bar.length().unwrap_or(0) - left);
            bar.set_message(waiting_for(&cluster));
            let draining = cluster.members.iter().any(|member| member.is_draining);
            if (left == 0 && !draining) || !stop.wait(LOOK_EVERY) {
                bar.finish_and_clear();
                return Ok(());
            }
        }
    })
}

fn waiting_for(cluster: &Cluster) -> String {
    let draining = cluster.members.iter().filter(|member| member.is_draining);
    let draining: Vec<_> = draining.map(|member| harmless(&member.node_id)).collect();
    match (cluster.moves.is_paused, draining.is_empty()) {
        (true, _) => "paused: `stemedb node resume` goes on".to_owned(),
        (false, true) => String::new(),
        (false, false) => format!("draining {}", draining.join(", ")),
    }
}

/// A change of one node.
pub(super) fn of_one(change: &str, node: &str) -> Value {
    json!({"change": change, "node": node})
}

/// A change that concerns no node.
pub(super) fn of_all(change: &str) -> Value {
    json!({"change": change})
}

/// One node in the place of another.
pub(super) fn of_two(old: &str, new: &str) -> Value {
    json!({"change": "replace", "node": old, "by": new})
}
