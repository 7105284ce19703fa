//! The planner: from the present table and the nodes there are to the next table.
//!
//! It never looks at load or at who is alive, and it moves nothing; an executor makes a plan true.
//!
//! A plan is the cheapest flow from homes to nodes, where keeping a copy costs nothing and moving one costs 1:
//!
//! ```text
//! home --copies--> zone of that home --at most what the spread allows--> node --share--> end
//! ```

use super::flow::{Edge, Network, Vertex};
use super::route::by_preference;
use super::{Table, homes};
use crate::id::{Epoch, NodeId};
use model::Home;
use std::collections::BTreeMap;
use std::num::NonZeroU8;

/// The most copies of a home that a table can have.
pub const COPIES_MAX: u8 = 15;

/// The most nodes that one table can name.
pub const NODES_MAX: usize = 1_024;

/// A node that can store homes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// Its id.
    pub id: NodeId,
    /// What fails together with it: a rack, a building. Nodes with equal texts share a zone.
    pub zone: String,
}

/// Why there is no plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Nobody could own anything.
    #[error("no node to store anything on")]
    NoNodes,
    /// The same id was given twice.
    #[error("node {0} is listed twice")]
    Twice(NodeId),
    /// More than [`NODES_MAX`] nodes.
    #[error("{0} nodes, but one table holds at most {NODES_MAX}")]
    Nodes(usize),
    /// More than [`COPIES_MAX`] copies.
    #[error("{0} copies, but a home has at most {COPIES_MAX}")]
    Copies(u8),
}

/// Plans who stores which home.
///
/// First, as few copies of a home in one zone as the zones allow. Within that, balanced: two nodes whose zones do not
/// bound them differ by at most one home, and so do two nodes of one zone. Within that, the fewest copies move from
/// `current`, and owners that stay keep their order. A fresh plan follows each home's preference, so that what a node
/// stores is shared with all the others. The plan's epoch is the next one after `current`, or 1.
///
/// `nodes` come in any order; `copies` counts the first. Each home gets `min(copies, nodes.len())` distinct nodes. Ties go
/// to the node that the home prefers (see [`super::stand_ins`]), then to the lower id. Cost: of the order of 257 times the
/// nodes for each copy that moves; three nodes take a few milliseconds.
///
/// # Errors
///
/// [`PlanError`] if there are no nodes, too many of them or of copies, or one twice.
pub fn plan(current: Option<&Table>, nodes: &[Member], copies: NonZeroU8) -> Result<Table, PlanError> {
    if copies.get() > COPIES_MAX {
        return Err(PlanError::Copies(copies.get()));
    }
    let copies = usize::from(copies.get()).min(nodes.len());
    let mut layout = Layout::new(current, &zones(nodes, copies)?, copies);
    layout.keep();
    layout.fill();
    Ok(layout.table(Epoch(current.map_or(0, |table| table.epoch().0) + 1)))
}

/// A zone: its nodes, ascending, and the most copies of one home that it may hold.
struct Zone {
    nodes: Vec<NodeId>,
    copies_max: usize,
}

fn zones(nodes: &[Member], copies: usize) -> Result<Vec<Zone>, PlanError> {
    let mut seen = BTreeMap::new();
    for node in nodes {
        if seen.insert(node.id, &node.zone).is_some() {
            return Err(PlanError::Twice(node.id));
        }
    }
    match seen.len() {
        0 => return Err(PlanError::NoNodes),
        1..=NODES_MAX => {}
        many => return Err(PlanError::Nodes(many)),
    }
    let mut zones = BTreeMap::<_, Vec<_>>::new();
    seen.into_iter().for_each(|(id, zone)| zones.entry(zone).or_default().push(id));
    let most = spread(zones.values().map(Vec::len), copies);
    Ok(zones.into_values().map(|nodes| Zone { copies_max: nodes.len().min(most), nodes }).collect())
}

/// The least number such that every home finds its copies with at most so many in any one zone.
fn spread(sizes: impl Iterator<Item = usize> + Clone, copies: usize) -> usize {
    let room = |most: usize| sizes.clone().map(|size| size.min(most)).sum::<usize>();
    (1..copies).find(|most| room(*most) >= copies).unwrap_or(copies)
}

/// Nodes that share a number of copies evenly: each has `each`, and `more` of them one more.
struct Share {
    nodes: Vec<NodeId>,
    each: usize,
    more: usize,
}

/// How many copies each node has: all the same, but for zones that are full before.
fn shares(zones: &[Zone], copies: usize) -> Vec<Share> {
    let homes = usize::from(Home::COUNT);
    let mut left = copies * homes;
    let mut open: Vec<_> = zones.iter().collect();
    let mut shares = Vec::new();
    loop {
        let nodes = open.iter().map(|zone| zone.nodes.len()).sum::<usize>();
        let is_full = |zone: &&Zone| zone.nodes.len() * left > zone.copies_max * homes * nodes;
        let (full, rest) = open.iter().partition::<Vec<&Zone>, _>(|zone| is_full(zone));
        if full.is_empty() {
            shares.push(share(open.iter().flat_map(|zone| &zone.nodes), left));
            return shares;
        }
        for zone in full {
            shares.push(share(zone.nodes.iter(), zone.copies_max * homes));
            left -= zone.copies_max * homes;
        }
        open = rest;
    }
}

fn share<'a>(nodes: impl Iterator<Item = &'a NodeId>, copies: usize) -> Share {
    let nodes: Vec<_> = nodes.copied().collect();
    Share {
        each: copies.checked_div(nodes.len()).unwrap_or(0),
        more: copies.checked_rem(nodes.len()).unwrap_or(0),
        nodes,
    }
}

/// A copy that a home may have: on which node, and the edges from the home to it.
struct Choice {
    node: NodeId,
    way: Vec<Edge>,
}

/// The network of a plan.
struct Layout<'a> {
    current: Option<&'a Table>,
    copies: usize,
    network: Network,
    end: Vertex,
    /// From each node to the end, directly and by way of what is left over when a share is divided.
    shares: BTreeMap<NodeId, [Vec<Edge>; 2]>,
    sources: Vec<Vertex>,
    /// For each home every node, the preferred first.
    choices: Vec<Vec<Choice>>,
}

impl<'a> Layout<'a> {
    fn new(current: Option<&'a Table>, zones: &[Zone], copies: usize) -> Self {
        let mut network = Network::default();
        let end = network.vertex();
        let mut vertices = BTreeMap::new();
        let mut ends = BTreeMap::new();
        for share in shares(zones, copies) {
            let rest = network.vertex();
            let rest_to_end = network.edge(rest, end, share.more, 0);
            for node in share.nodes {
                let vertex = network.vertex();
                let direct = network.edge(vertex, end, share.each, 0);
                let over = network.edge(vertex, rest, 1, 0);
                vertices.insert(node, vertex);
                ends.insert(node, [vec![direct], vec![over, rest_to_end]]);
            }
        }
        let mut layout = Self { current, copies, network, end, shares: ends, sources: Vec::new(), choices: Vec::new() };
        homes().for_each(|home| layout.add_home(home, zones, &vertices));
        layout
    }

    fn add_home(&mut self, home: Home, zones: &[Zone], vertices: &BTreeMap<NodeId, Vertex>) {
        let source = self.network.vertex();
        let zone_of = |node: &NodeId| zones.iter().position(|zone| zone.nodes.binary_search(node).is_ok());
        let mut entries = BTreeMap::new();
        let mut choices = Vec::new();
        for node in by_preference(home, vertices.keys().copied()) {
            let Some((zone, vertex)) = zone_of(&node).zip(vertices.get(&node)) else { continue };
            let (entry, into) = *entries.entry(zone).or_insert_with(|| {
                let entry = self.network.vertex();
                let copies_max = zones.get(zone).map_or(0, |zone| zone.copies_max);
                (entry, self.network.edge(source, entry, copies_max, 0))
            });
            let moves = self.current.is_some_and(|table| !table.owns(node, home));
            let edge = self.network.edge(entry, *vertex, 1, i64::from(moves));
            choices.push(Choice { node, way: vec![into, edge] });
        }
        self.sources.push(source);
        self.choices.push(choices);
    }

    /// Keeps what can be kept at no cost: every copy in place, as far as shares and zones have room.
    fn keep(&mut self) {
        let Some(current) = self.current else { return };
        for (home, choices) in homes().zip(&self.choices) {
            let owned = current.owners(home).iter().filter_map(|owner| choices.iter().find(|c| c.node == *owner));
            let network = &mut self.network;
            let ends = |choice: &Choice| self.shares.get(&choice.node).into_iter().flatten();
            let mut send =
                |choice: &Choice| ends(choice).any(|end| network.send_along(&[&choice.way[..], end].concat()));
            owned.filter(|choice| send(choice)).take(self.copies).for_each(drop);
        }
    }

    /// Gives every home the copies that it has not yet.
    fn fill(&mut self) {
        for (source, choices) in self.sources.iter().zip(&self.choices) {
            for _ in self.taken(choices).count()..self.copies {
                assert!(self.network.send(*source, self.end), "shares and zones have room for every copy");
            }
        }
    }

    fn table(&self, epoch: Epoch) -> Table {
        let owners = homes().zip(&self.choices).map(|(home, choices)| self.owners(home, choices)).collect();
        #[expect(clippy::expect_used, reason = "the flow gives every home its copies, each on another node")]
        Table::new(epoch, owners).expect("a plan is a table")
    }

    fn taken<'b>(&self, choices: &'b [Choice]) -> impl Iterator<Item = NodeId> {
        let is_taken = |choice: &&'b Choice| choice.way.last().is_some_and(|edge| self.network.flows(*edge));
        choices.iter().filter(is_taken).map(|choice| choice.node)
    }

    /// Those who stay in the order they have, then the new ones in the home's order.
    fn owners(&self, home: Home, choices: &[Choice]) -> Vec<NodeId> {
        let before = self.current.map_or(&[][..], |table| table.owners(home));
        let place = |node: &NodeId| before.iter().position(|owner| owner == node).unwrap_or(usize::MAX);
        let mut owners: Vec<_> = self.taken(choices).collect();
        owners.sort_by_key(place);
        owners
    }
}

#[cfg(test)]
mod tests;
