//! A table with a row a node.

use super::answers::{Candidate, Node};
use super::{shortfall, tone_of};
use crate::cli::console::{Console, Tone};
use crate::cli::text::{grouped, harmless, span};
use comfy_table::{Cell, CellAlignment, Color};
use std::io;

/// What stands for a figure that nobody gave.
const UNTOLD: &str = "–";

/// Prints the nodes, and how many of them live.
pub(super) fn print(nodes: &[Node], console: &mut Console<'_>) -> io::Result<()> {
    let header = ["Node", "State", "Address", "Zone", "Speaks", "Homes", "Lag", "Hints", "Under-replicated", "Role"];
    let mut table = console.table(&header);
    for node in nodes {
        table.add_row(row(node));
    }
    console.line(table.trim_fmt())?;
    let alive = nodes.iter().filter(|node| node.state == "alive").count();
    let total = console.paint(Tone::Dim, &format!("{alive} of {} alive", nodes.len()));
    console.line(total)
}

/// Prints who waits to be made a member, and by which command.
pub(super) fn print_candidates(candidates: &[Candidate], console: &mut Console<'_>) -> io::Result<()> {
    for Candidate { node_id, addresses, in_place_of } in candidates {
        let (node, at) = (harmless(node_id), addresses.client.as_deref().unwrap_or(UNTOLD));
        let line = format!("{node} at {} waits to join: `stemedb node join {node}`", harmless(at));
        let line = match in_place_of.as_deref().map(harmless) {
            Some(old) => format!("{line}, or if {old} is gone for good: `stemedb node replace {old} {node}`"),
            None => line,
        };
        console.line(console.paint(Tone::Warning, &line))?;
    }
    Ok(())
}

fn row(node: &Node) -> [Cell; 10] {
    let figure = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
    let told = |figure: Option<String>| figure.unwrap_or_else(|| UNTOLD.to_owned());
    let roles = [(node.is_leader, "leader"), (node.is_self, "asked"), (node.is_draining, "draining")];
    let roles: Vec<_> = roles.into_iter().filter_map(|(holds, role)| holds.then_some(role)).collect();
    let state = Cell::new(harmless(&node.state));
    let state = match tone_of(&node.state) {
        Tone::Good => state.fg(Color::Green),
        Tone::Bad => state.fg(Color::Red),
        Tone::Strong | Tone::Dim | Tone::Warning => state.fg(Color::Yellow),
    };
    [
        Cell::new(harmless(&node.node_id)),
        state,
        Cell::new(harmless(&told(node.addresses.client.clone()))),
        Cell::new(harmless(&told(node.zone.clone()))),
        Cell::new(told(node.speaks.map(|speaks| speaks.to_string()))),
        figure(node.homes.to_string()),
        figure(told(node.replication_lag_seconds.map(span))),
        figure(told(node.hints_pending.map(grouped))),
        figure(told(node.under_replicated.map(shortfall))),
        Cell::new(roles.join(", ")),
    ]
}
