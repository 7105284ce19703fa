//! One write on its way to as many disks as its home has owners.
//!
//! [`Write`] decides and does nothing else: it never sends, sleeps or reads a clock. The caller hands it [`Input`]s and
//! carries out the [`Output`]s it appends, in order.
//!
//! It wants as many different nodes with the record, as owners or with a hint, as there are owners, and asks the next node
//! whenever one it counted on fails or is late. So an owner that is away is replaced at once, and one that answers after its stand-in counts too.
//! Whoever is leaving a home in transit is sent the record as well, and counts only once nobody else is left to stand in.
//!
//! Invariants: every write replies exactly once and is done exactly once, in this order; a reply counts different nodes
//! that have synced, under whatever table; under one table no node is asked twice; as long as somebody is left to ask,
//! there is a hint, synced or under way, for every owner that failed, is late, or is thought down.

#[cfg(test)]
mod tests;

use crate::id::{Epoch, Millis, NodeId};
use crate::placement::Route;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What a write may cost and must reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Settings {
    /// How many different nodes must have synced before the client has its answer; at least 1.
    pub ack: usize,
    /// How long a node is counted on before the next one is asked.
    pub owner_deadline: Millis,
    /// How long the client waits at most.
    pub write_deadline: Millis,
}

/// Where a write goes, as the coordinator sees it now.
#[derive(Clone, Copy, Debug)]
pub struct Way<'a> {
    /// The table's number.
    pub epoch: Epoch,
    /// Owners and stand-ins under that table, the coordinator itself in its place among them.
    pub route: &'a Route,
    /// Who is thought to be down: asked last.
    pub down: &'a BTreeSet<NodeId>,
}

/// What has happened to a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// This node has synced the record, as owner or as a hint, or had it before.
    Synced(NodeId),
    /// This node will not do it: it refused, or the call to it broke.
    Failed(NodeId),
    /// Somebody refused because there is a newer table.
    StaleEpoch(Epoch),
    /// Time has passed.
    Tick,
}

/// What a write asks the outside world to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send the record to one of its owners.
    Store(NodeId),
    /// Have `holder` keep the record until every owner has it.
    Hint {
        /// Who keeps it.
        holder: NodeId,
    },
    /// Answer the client, once.
    Reply(Outcome),
    /// Get the table of this epoch or a later one, then call [`Write::reroute`].
    Refetch(Epoch),
    /// Nothing follows; the record need not be kept in memory for this write any more.
    Done,
}

/// What the client learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// So many different nodes have it on their disks, at least [`Settings::ack`].
    Durable(usize),
    /// Fewer than asked for in time. The record may still become durable; sending it again is safe.
    Unavailable {
        /// How many different nodes have it on their disks.
        durable: usize,
    },
}

/// The machine of one write. See the module.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Write {
    settings: Settings,
    reply_by: Millis,
    owners: BTreeSet<NodeId>,
    /// Who can still be asked, the next first.
    candidates: VecDeque<NodeId>,
    /// Who was asked and has not answered, and until when it is counted on; `None` once it is late.
    waiting: BTreeMap<NodeId, Option<Millis>>,
    durable: BTreeSet<NodeId>,
    /// Who was asked for a hint, under whatever table: a hint is for the owners of the newest.
    hinted: BTreeSet<NodeId>,
    /// Who is leaving the home and was sent the record, and whether it has synced it. What it has is handed over to the
    /// owners like a hint, so it stands in with that.
    leaving: BTreeMap<NodeId, bool>,
    /// The table that it goes by, or the newer one that it waits for.
    ahead: Epoch,
    replied: bool,
    done: bool,
}

impl Write {
    /// Starts a write: asks the owners, and a stand-in for each that is thought down.
    pub fn start(settings: Settings, way: Way<'_>, now: Millis, out: &mut Vec<Output>) -> Self {
        let mut write = Self {
            settings: Settings { ack: settings.ack.max(1), ..settings },
            reply_by: now + settings.write_deadline,
            owners: BTreeSet::new(),
            candidates: VecDeque::new(),
            waiting: BTreeMap::new(),
            durable: BTreeSet::new(),
            hinted: BTreeSet::new(),
            leaving: BTreeMap::new(),
            ahead: way.epoch,
            replied: false,
            done: false,
        };
        write.reroute(way, now, out);
        write
    }

    /// Goes on under another table: whoever has synced counts, everybody else is asked as if for the first time.
    ///
    /// A way that is not as new as what was asked for is ignored. Deadline and reply stay as they are.
    pub fn reroute(&mut self, way: Way<'_>, now: Millis, out: &mut Vec<Output>) {
        if self.done || way.epoch < self.ahead {
            return;
        }
        self.ahead = way.epoch;
        self.owners = way.route.owners.iter().copied().collect();
        self.candidates = by_hope(way).filter(|node| !self.durable.contains(node)).collect();
        self.waiting.clear();
        let leaving = way.route.leaving.iter().filter(|node| !way.down.contains(node));
        self.leaving = leaving.filter(|node| !self.durable.contains(node)).map(|node| (*node, false)).collect();
        out.extend(self.leaving.keys().map(|node| Output::Store(*node)));
        self.go_on(now, out);
    }

    /// Takes one step. `now` never goes back.
    pub fn handle(&mut self, input: Input, now: Millis, out: &mut Vec<Output>) {
        if self.done {
            return;
        }
        match input {
            Input::Synced(node) if self.leaves(node) => drop(self.leaving.insert(node, true)),
            Input::Failed(node) if self.leaves(node) => {
                self.leaving.remove(&node);
                self.candidates.retain(|candidate| *candidate != node);
            }
            Input::Synced(node) => {
                self.waiting.remove(&node);
                self.candidates.retain(|candidate| *candidate != node);
                self.durable.insert(node);
            }
            Input::Failed(node) => drop(self.waiting.remove(&node)),
            Input::StaleEpoch(epoch) => self.refetch(epoch, out),
            Input::Tick => {}
        }
        self.go_on(now, out);
    }

    /// When the next [`Input::Tick`] is due at the latest; `None` once it is done.
    pub fn wake_at(&self) -> Option<Millis> {
        let answer = (!self.replied).then_some(self.reply_by);
        let last = self.waiting.values().all(Option::is_none).then_some(self.reply_by);
        let next = self.waiting.values().flatten().copied().chain(answer).chain(last).min();
        next.filter(|_| !self.done)
    }

    /// Asks for the newer table, once for each.
    ///
    /// Whoever refused stays counted on until its deadline: if the table is here by then, it is asked again under it.
    fn refetch(&mut self, epoch: Epoch, out: &mut Vec<Output>) {
        if epoch > self.ahead {
            self.ahead = epoch;
            out.push(Output::Refetch(epoch));
        }
    }

    fn go_on(&mut self, now: Millis, out: &mut Vec<Output>) {
        for deadline in self.waiting.values_mut() {
            *deadline = deadline.filter(|deadline| now < *deadline);
        }
        self.ask(now, out);
        self.reply(now, out);
        if self.replied && (self.copies_for_owners() >= self.owners.len() || self.is_exhausted(now)) {
            self.done = true;
            out.push(Output::Done);
        }
    }

    /// Asks the next ones until enough are counted on.
    fn ask(&mut self, now: Millis, out: &mut Vec<Output>) {
        while self.wants_more() {
            let Some(node) = self.candidates.pop_front() else { return };
            let sent = self.leaving.remove(&node);
            if sent == Some(true) {
                self.durable.insert(node);
            } else {
                self.waiting.insert(node, Some(now + self.settings.owner_deadline));
            }
            if self.owners.contains(&node) {
                out.push(Output::Store(node));
            } else {
                self.hinted.insert(node);
                out.extend(sent.is_none().then_some(Output::Hint { holder: node }));
            }
        }
    }

    /// Whether a node was sent the record only because it is leaving the home, and does not count so far.
    fn leaves(&self, node: NodeId) -> bool {
        self.leaving.contains_key(&node)
    }

    /// Whether those counted on are too few, for the owners or for the client.
    fn wants_more(&self) -> bool {
        let in_time = self.waiting.values().flatten().count();
        let owners = self.copies_for_owners() + in_time < self.owners.len();
        let client = !self.replied && self.durable.len() + in_time < self.settings.ack;
        owners || client
    }

    fn reply(&mut self, now: Millis, out: &mut Vec<Output>) {
        let durable = self.durable.len();
        let possible = durable + self.waiting.len() + self.candidates.len();
        let outcome = if durable >= self.settings.ack {
            Outcome::Durable(durable)
        } else if possible < self.settings.ack || now >= self.reply_by {
            Outcome::Unavailable { durable }
        } else {
            return;
        };
        if !std::mem::replace(&mut self.replied, true) {
            out.push(Output::Reply(outcome));
        }
    }

    /// How many have it as an owner or as a hint. Somebody who owned its home under an older table does not count.
    fn copies_for_owners(&self) -> usize {
        self.durable.iter().filter(|node| self.owners.contains(node) || self.hinted.contains(node)).count()
    }

    /// Whether nothing is left to try, and the late have had as long as the client.
    fn is_exhausted(&self, now: Millis) -> bool {
        let all_late = self.waiting.values().all(Option::is_none) && now >= self.reply_by;
        self.candidates.is_empty() && (self.waiting.is_empty() || all_late)
    }
}

/// Everybody, the most hopeful first: owners, stand-ins, those who are leaving, and then those thought down in the same
/// order.
fn by_hope(way: Way<'_>) -> impl Iterator<Item = NodeId> {
    let Route { owners, leaving, stand_ins } = way.route;
    let all = move || owners.iter().chain(stand_ins).chain(leaving).copied();
    let is_down = move |node: &NodeId| way.down.contains(node);
    all().filter(move |node| !is_down(node)).chain(all().filter(is_down))
}
