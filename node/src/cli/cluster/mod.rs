//! Commands about a cluster: `status`, `node`, and `settings`.
//!
//! They ask one node, on its admin listener, and show what it says; they never decide whether a node lives.

mod answers;
mod change;
mod glance;
mod list;
mod settings;
mod watch;

#[cfg(test)]
mod tests;

pub use change::{Activation, How, One, Two};
pub use settings::{Set, Settings};
pub use watch::Watch;

use super::client::Client;
use super::console::{Console, Tone};
use super::failure::Failure;
use answers::{Candidate, Figures, Nodes, Ready};
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
    let Answers { url, health, is_ready, parts, figures, nodes } = Answers::of(client, admin)?;
    if json {
        let (status, nodes) = (figures.unwrap_or_default(), nodes.ok());
        let nodes = nodes.and_then(|mut answer| Some(answer.get_mut("nodes")?.take()));
        console
            .json(&json!({"health": health, "is_ready": is_ready, "ready": parts, "status": status, "nodes": nodes}))?;
    } else {
        Answers { url, health, is_ready, parts, figures, nodes }.seen()?.print(console)?;
    }
    if is_ready { Ok(()) } else { Err(Failure::Failed("the node is not ready".to_owned())) }
}

/// Shows the cluster that a node is in: what is wrong first, then the nodes.
///
/// # Errors
///
/// [`Failure`] if the node does not answer.
pub(super) fn overview(admin: &Client, console: &mut Console<'_>) -> Result<(), Failure> {
    Ok(Answers::of(admin, admin)?.seen()?.print_cluster(console)?)
}

/// What a node said of itself and of its cluster.
struct Answers {
    url: String,
    health: Value,
    is_ready: bool,
    parts: Value,
    figures: Result<Value, Failure>,
    nodes: Result<Value, Failure>,
}

impl Answers {
    /// Asks the admin listener; where it is not reached, the listener for clients says what it can.
    fn of(client: &Client, admin: &Client) -> Result<Self, Failure> {
        let (at, health, unreached) = match admin.get("/v1/health", &[]) {
            Ok(reply) => (admin, reply.taken()?, None),
            Err(why) => (client, client.get("/v1/health", &[])?.taken()?, Some(why)),
        };
        let ready = at.get("/v1/ready", &[])?;
        let ask = |path: &str| match &unreached {
            None => admin.get(path, &[]).and_then(|reply| reply.taken()),
            Some(why) => Err(Failure::Failed(why.to_string())),
        };
        Ok(Self {
            url: at.url().to_owned(),
            health,
            is_ready: ready.is_success(),
            parts: serde_json::from_slice(&ready.body).unwrap_or_default(),
            figures: ask("/v1/admin/status"),
            nodes: ask("/v1/admin/nodes"),
        })
    }

    fn seen(self) -> Result<Seen, Failure> {
        Ok(Seen {
            url: self.url,
            health: self.health,
            ready: read::<Ready>(self.parts)?,
            figures: self.figures.and_then(read::<Figures>),
            nodes: self.nodes.and_then(read::<Nodes>).map(|nodes| nodes.nodes).unwrap_or_default(),
        })
    }
}

/// What there is to do with the nodes of a cluster.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Node {
    /// Shows every node of the cluster: whether it lives, what it holds, how far it is behind; and who waits to join
    List(List),
    /// Makes a node that waits a member; it takes its share of the data
    Join(One),
    /// Has a member give all that it holds to the others, and then removes it
    Drain(One),
    /// Stops a drain; the member takes its share again
    Keep(One),
    /// Removes a dead member for ever; others make the copies anew that it had
    Remove(One),
    /// Removes a dead member, and has a node that waits take its place
    Replace(Two),
    /// Lets nothing further move; what is under way arrives
    Pause,
    /// Lets data move again
    Resume,
    /// Makes a version of formats and protocol the active one, for ever; every member must speak it
    Activate(Activation),
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
        let at_once = How { plan: false, no_wait: true };
        let (body, how) = match self {
            Self::List(List { watch }) => return watch.run(console, |console| list(admin, json, console)),
            Self::Join(One { node, how }) => (change::of_one("join", node), *how),
            Self::Drain(One { node, how }) => (change::of_one("drain", node), *how),
            Self::Keep(One { node, how }) => (change::of_one("keep", node), *how),
            Self::Remove(One { node, how }) => (change::of_one("remove", node), *how),
            Self::Replace(Two { old, new, how }) => (change::of_two(old, new), *how),
            Self::Pause => (change::of_all("pause"), at_once),
            Self::Resume => (change::of_all("resume"), at_once),
            Self::Activate(Activation { version, plan }) => {
                let how = How { plan: *plan, ..at_once };
                return change::activate(admin, *version, how, json, console);
            }
        };
        change::make(admin, body, how, json, console)
    }
}

/// Every node, and whoever waits to be one.
fn list(admin: &Client, json: bool, console: &mut Console<'_>) -> Result<(), Failure> {
    let mut nodes = admin.get("/v1/admin/nodes", &[])?.taken()?;
    let mut cluster = admin.get("/v1/admin/cluster", &[])?.taken()?;
    let candidates = cluster.get_mut("candidates").map(Value::take).unwrap_or_else(|| json!([]));
    if json {
        if let Some(fields) = nodes.as_object_mut() {
            fields.insert("candidates".to_owned(), candidates);
        }
        return Ok(console.json(&nodes)?);
    }
    list::print(&read::<Nodes>(nodes)?.nodes, console)?;
    Ok(list::print_candidates(&read::<Vec<Candidate>>(candidates)?, console)?)
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
