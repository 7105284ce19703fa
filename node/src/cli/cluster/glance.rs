//! A cluster and a node at a glance: what is wrong first.

use super::answers::{Cluster, Figures, Node, Ready};
use super::{list, shortfall};
use crate::cli::console::{Console, Tone};
use crate::cli::failure::Failure;
use crate::cli::text::{grouped, harmless};
use serde_json::Value;
use std::io;

/// What was seen of a node and, through it, of its cluster.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) url: String,
    pub(super) health: Value,
    pub(super) ready: Ready,
    pub(super) figures: Result<Figures, Failure>,
    pub(super) nodes: Vec<Node>,
}

impl Seen {
    /// Prints it: the cluster, then the node that was asked.
    pub(super) fn print(&self, console: &mut Console<'_>) -> io::Result<()> {
        self.print_cluster(console)?;
        self.print_node(console)
    }

    /// Prints what is wrong, the cluster, and its nodes if there are several.
    pub(super) fn print_cluster(&self, console: &mut Console<'_>) -> io::Result<()> {
        let cluster = self.figures.as_ref().ok().and_then(|figures| figures.cluster.as_ref());
        let troubles = self.troubles(cluster);
        for (tone, trouble) in &troubles {
            let mark = if *tone == Tone::Bad { "✗" } else { "!" };
            let line = console.paint(*tone, &format!("{mark} {trouble}"));
            console.line(line)?;
        }
        if troubles.is_empty() {
            let line = console.paint(Tone::Good, "✓ all is well");
            console.line(line)?;
        }
        cluster.map_or(Ok(()), |cluster| print_cluster(cluster, console))?;
        if self.nodes.len() > 1 { list::print(&self.nodes, console) } else { Ok(()) }
    }

    /// What an operator should know first, the worst first.
    fn troubles(&self, cluster: Option<&Cluster>) -> Vec<(Tone, String)> {
        let parts = self.ready.parts.iter().filter(|part| !part.ok);
        let mut troubles: Vec<_> = parts
            .map(|part| (Tone::Bad, format!("this node is not ready: {}: {}", part.name, harmless(&part.detail))))
            .collect();
        troubles.extend(self.nodes.iter().filter_map(trouble_of));
        if let Some(cluster) = cluster {
            troubles.extend(troubles_in(cluster));
        }
        troubles.sort_by_key(|(tone, _)| *tone != Tone::Bad);
        troubles
    }

    fn print_node(&self, console: &mut Console<'_>) -> io::Result<()> {
        let heading = console.paint(Tone::Strong, "node");
        console.line(format_args!("{heading}  {}  {}", self.url, words(&self.health)))?;
        for part in &self.ready.parts {
            let (tone, mark) = if part.ok { (Tone::Good, "✓") } else { (Tone::Bad, "✗") };
            let mark = console.paint(tone, mark);
            console.line(format_args!("  {mark} {:<8} {}", harmless(&part.name), harmless(&part.detail)))?;
        }
        match &self.figures {
            Ok(figures) => {
                for (name, value) in figures.own.iter().filter(|(_, value)| !value.is_array() && !value.is_object()) {
                    console.line(format_args!("    {:<17} {}", name.replace('_', " "), plain(value)))?;
                }
                Ok(())
            }
            Err(why) => {
                let note = console.paint(Tone::Dim, &format!("no figures from the admin listener: {why}"));
                console.line(note)
            }
        }
    }
}

fn trouble_of(node: &Node) -> Option<(Tone, String)> {
    let name = harmless(&node.node_id);
    match node.state.as_str() {
        "alive" if node.under_replicated.is_none() => {
            Some((Tone::Warning, format!("node {name} lives and did not say how it is")))
        }
        "alive" => None,
        "down" => Some((Tone::Bad, format!("node {name} is down"))),
        "suspect" => Some((Tone::Warning, format!("node {name} is suspected to be down"))),
        _ => Some((Tone::Warning, format!("node {name} was not heard of yet"))),
    }
}

fn troubles_in(cluster: &Cluster) -> Vec<(Tone, String)> {
    let mut troubles = Vec::new();
    let mut warn = |text: String| troubles.push((Tone::Warning, text));
    if cluster.nodes == 0 {
        warn("the cluster is not founded yet".to_owned());
    } else if cluster.leader.is_none() {
        warn("no leader is known: reads and writes go on, but no node can join or leave".to_owned());
    }
    if cluster.nodes > 0 && cluster.copies < cluster.replication_factor {
        let (copies, wanted) = (cluster.copies, cluster.replication_factor);
        warn(format!("records have {copies} of {wanted} copies: there are fewer nodes than copies"));
    }
    let missing = cluster.under_replicated.records;
    if missing > 0 {
        let at_least = if cluster.under_replicated.is_exact { "" } else { "at least " };
        warn(format!("{at_least}{} records are not on all their owners", grouped(missing)));
    }
    troubles
}

fn print_cluster(cluster: &Cluster, console: &mut Console<'_>) -> io::Result<()> {
    let heading = console.paint(Tone::Strong, "cluster");
    let name = cluster.cluster_id.as_deref().map_or_else(|| "without a name".to_owned(), harmless);
    console.line(format_args!("{heading}  {name}"))?;
    let exactly = if cluster.under_replicated.is_exact { " (exact)" } else { "" };
    let rows = [
        ("nodes up", format!("{} of {}", cluster.nodes_up, cluster.nodes)),
        ("leader", cluster.leader.as_deref().map_or_else(|| "none".to_owned(), harmless)),
        ("epoch", cluster.epoch.to_string()),
        ("active version", cluster.active_version.map_or_else(|| "none".to_owned(), |version| version.to_string())),
        ("copies", cluster.copies.to_string()),
        ("under-replicated", format!("{}{exactly}", shortfall(cluster.under_replicated))),
        ("hints pending", grouped(cluster.hints_pending)),
    ];
    rows.iter().try_for_each(|(name, value)| console.line(format_args!("    {name:<17} {value}")))
}

/// The members of an object on one line.
fn words(object: &Value) -> String {
    let members = object.as_object().into_iter().flatten();
    let members = members.filter(|(_, value)| !value.is_object());
    members.map(|(name, value)| format!("{name} {}", plain(value))).collect::<Vec<_>>().join("  ")
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => harmless(text),
        Value::Number(number) => number.as_u64().map_or_else(|| number.to_string(), grouped),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}
