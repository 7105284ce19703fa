//! Commands that look at a cluster: `status` and `node list`.
//!
//! They ask one node, on its admin listener, and show what it says; they never decide whether a node lives.

mod answers;
mod glance;
mod list;
mod watch;

#[cfg(test)]
mod tests;

pub use watch::Watch;

use super::client::Client;
use super::console::{Console, Tone};
use super::failure::Failure;
use answers::{Figures, Nodes, Ready};
use glance::Seen;
use serde_json::{Value, json};

/// How the node and its cluster are.
#[derive(Clone, Debug, clap::Args)]
pub struct Status {
    /// Whether to look again.
    #[command(flatten)]
    pub watch: Watch,
}

impl Status {
    /// Shows what is wrong first, then the cluster, then the node. Where the admin listener is not reached, the listener
    /// for clients tells whether the node lives and is ready.
    ///
    /// # Errors
    ///
    /// [`Failure::Failed`] if the node does not answer or is not ready; while watching it only shows that.
    pub fn run(&self, client: &Client, admin: &Client, json: bool, console: &mut Console<'_>) -> Result<(), Failure> {
        self.watch.run(console, |console| status(client, admin, json, console))
    }
}

fn status(client: &Client, admin: &Client, json: bool, console: &mut Console<'_>) -> Result<(), Failure> {
    let (at, health, unreached) = match admin.get("/v1/health", &[]) {
        Ok(reply) => (admin, reply.taken()?, None),
        Err(why) => (client, client.get("/v1/health", &[])?.taken()?, Some(why)),
    };
    let ready = at.get("/v1/ready", &[])?;
    let parts: Value = serde_json::from_slice(&ready.body).unwrap_or_default();
    let ask = |path: &str| match &unreached {
        None => admin.get(path, &[]).and_then(|reply| reply.taken()),
        Some(why) => Err(Failure::Failed(why.to_string())),
    };
    let (figures, nodes) = (ask("/v1/admin/status"), ask("/v1/admin/nodes"));
    if json {
        let (is_ready, status) = (ready.is_success(), figures.unwrap_or_default());
        let nodes = nodes.ok().and_then(|mut answer| Some(answer.get_mut("nodes")?.take()));
        console
            .json(&json!({"health": health, "is_ready": is_ready, "ready": parts, "status": status, "nodes": nodes}))?;
    } else {
        let seen = Seen {
            url: at.url(),
            health: &health,
            ready: read::<Ready>(parts)?,
            figures: figures.and_then(read::<Figures>),
            nodes: nodes.and_then(read::<Nodes>).map(|nodes| nodes.nodes).unwrap_or_default(),
        };
        seen.print(console)?;
    }
    if ready.is_success() { Ok(()) } else { Err(Failure::Failed("the node is not ready".to_owned())) }
}

/// What there is to do with the nodes of a cluster.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Node {
    /// Shows every node of the cluster: whether it lives, what it holds, how far it is behind
    List(List),
}

/// Every node of the cluster.
#[derive(Clone, Debug, clap::Args)]
pub struct List {
    /// Whether to look again.
    #[command(flatten)]
    pub watch: Watch,
}

impl Node {
    /// Does it, on the admin listener.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the node does not answer or cannot tell.
    pub fn run(&self, admin: &Client, json: bool, console: &mut Console<'_>) -> Result<(), Failure> {
        let Self::List(List { watch }) = self;
        watch.run(console, |console| {
            let answer = admin.get("/v1/admin/nodes", &[])?.taken()?;
            if json { Ok(console.json(&answer)?) } else { Ok(list::print(&read::<Nodes>(answer)?.nodes, console)?) }
        })
    }
}

/// An answer in the shape that this release knows.
fn read<T: serde::de::DeserializeOwned>(answer: Value) -> Result<T, Failure> {
    let strange = |error| Failure::Failed(format!("the answer is not that of a node of this release: {error}"));
    serde_json::from_value(answer).map_err(strange)
}

/// A count, marked if it is only a lower bound.
fn shortfall(shortfall: answers::Shortfall) -> String {
    let count = super::text::grouped(shortfall.records);
    if shortfall.is_exact { count } else { format!("≥ {count}") }
}

/// A node's state, in the colour it deserves.
fn tone_of(state: &str) -> Tone {
    match state {
        "alive" => Tone::Good,
        "down" => Tone::Bad,
        _ => Tone::Warning,
    }
}
