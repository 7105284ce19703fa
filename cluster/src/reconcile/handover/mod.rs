//! Records of homes that moved away, on their way to whoever owns them now: a former owner keeps a home until every current
//! owner has confirmed that it has all of it.
//!
//! [`Handover`] decides and does nothing else: it never reads a record, sends or forgets one itself. It looks over and over
//! which homes are held here and owned by others alone ([`super::strays`]), compares each with one owner after the other, who
//! is sent what it lacks, and drops it when none lacks anything.
//!
//! Invariants: a home is dropped only if under one table, the newest that this node knows, each of its owners was found, in
//! a comparison that began after this node looked what it holds, to lack nothing of that; and only as far as this node
//! holds just that still. Another table, or another look that finds something else, begins a home anew. At most
//! [`Settings::homes_max`] homes are under way at a time; nothing expires.

#[cfg(test)]
mod tests;

use crate::id::{Epoch, Millis, NodeId};
use crate::placement::Table;
use crate::reconcile::strays;
use model::Home;
use model::set::SetSum;
use std::collections::{BTreeMap, BTreeSet};

/// What handing over may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The most homes that are compared or dropped at a time, at least 1.
    pub homes_max: usize,
    /// The pause between two looks at what is held.
    pub look_every: Millis,
    /// The pause of a home after a comparison or a drop that came to nothing. It doubles each time.
    pub pause_min: Millis,
    /// The longest such pause.
    pub pause_max: Millis,
}

/// What has happened to a handover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A look is over: the homes of which this node holds records as an owner would, each with the sum of its set.
    Held(BTreeMap<Home, SetSum>),
    /// A look could not be had now.
    Unknown,
    /// A comparison is over.
    Compared {
        /// The number of the call.
        call: u64,
        /// Whether the owner has all that this node holds of the home, synced.
        has_all: bool,
    },
    /// A drop is over, one way or the other.
    Dropped {
        /// The number of the call.
        call: u64,
        /// Whether the home is dropped.
        done: bool,
    },
    /// This node is thought to be back: worth a comparison at once.
    Up(NodeId),
    /// Time has passed.
    Tick,
}

/// What a handover asks the outside world to do. Each is answered once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Look which homes this node holds records of.
    Look,
    /// Compare a home with an owner, up to the last stamp there is, and send it what it lacks.
    Compare {
        /// The number of the call.
        call: u64,
        /// The home.
        home: Home,
        /// The owner.
        with: NodeId,
        /// By which table.
        epoch: Epoch,
    },
    /// Drop a home, if this node goes by the table of that epoch still and holds just this of it still.
    Drop {
        /// The number of the call.
        call: u64,
        /// The home.
        home: Home,
        /// By which table.
        epoch: Epoch,
        /// The sum of its set.
        held: SetSum,
    },
}

/// A home that is held and owned by others alone.
#[derive(Clone, Debug)]
struct Stray {
    /// What was found at the look from which on confirmations count.
    held: SetSum,
    confirmed: BTreeSet<NodeId>,
    /// The number of the call that is under way, and with whom it is, if it is a comparison.
    call: Option<(u64, Option<NodeId>)>,
    /// Not before this.
    due: Millis,
    failures: u32,
    /// With whom the last comparison came to nothing: the others have their turn first.
    failed: Option<NodeId>,
}

impl Stray {
    fn new(held: SetSum, now: Millis) -> Self {
        Self { held, confirmed: BTreeSet::new(), call: None, due: now, failures: 0, failed: None }
    }

    fn succeeded(&mut self) {
        (self.failures, self.failed) = (0, None);
    }

    fn put_off(&mut self, with: Option<NodeId>, now: Millis, settings: &Settings) {
        let pause = Millis(settings.pause_min.0.saturating_mul(1 << self.failures.min(32)));
        self.failures = self.failures.saturating_add(1);
        (self.due, self.failed) = (now + pause.min(settings.pause_max), with);
    }
}

/// The machine of a node that hands over what is not its own. See the module.
#[derive(Clone, Debug)]
pub struct Handover {
    settings: Settings,
    me: NodeId,
    table: Table,
    strays: BTreeMap<Home, Stray>,
    /// When the next look is due; `None` while one is under way.
    look_at: Option<Millis>,
    calls: u64,
    /// The calls that were not answered yet, whether or not they count still.
    running: BTreeSet<u64>,
}

impl Handover {
    /// A handover by `me` under `table` that begins at once.
    pub fn start(settings: Settings, me: NodeId, table: Table, now: Millis, out: &mut Vec<Output>) -> Self {
        let (strays, running) = (BTreeMap::new(), BTreeSet::new());
        let mut handover = Self { settings, me, table, strays, look_at: Some(now), calls: 0, running };
        handover.go_on(now, out);
        handover
    }

    /// Another table counts: what was confirmed under the old one counts no more. Older tables are ignored.
    pub fn retable(&mut self, table: Table, now: Millis, out: &mut Vec<Output>) {
        if table.epoch() <= self.epoch() {
            return;
        }
        self.table = table;
        // What is held is looked at anew; what was begun counts no more, whatever comes of it.
        self.strays.clear();
        self.look_at = self.look_at.map(|_| now);
        self.go_on(now, out);
    }

    /// The epoch of the table that it goes by.
    pub fn epoch(&self) -> Epoch {
        self.table.epoch()
    }

    /// How many homes are held that others alone own, by the last look.
    pub fn strays(&self) -> usize {
        self.strays.len()
    }

    /// Takes one step. `now` never goes back.
    pub fn handle(&mut self, input: Input, now: Millis, out: &mut Vec<Output>) {
        match input {
            Input::Held(held) => self.held(held, now),
            Input::Unknown => self.look_at = Some(now + self.settings.look_every),
            Input::Compared { call, has_all } => self.compared(call, has_all, now),
            Input::Dropped { call, done } => self.dropped(call, done, now),
            Input::Up(node) => {
                let waiting = self.strays.values_mut().filter(|stray| stray.failed == Some(node));
                waiting.for_each(|stray| stray.due = stray.due.min(now));
            }
            Input::Tick => {}
        }
        self.go_on(now, out);
    }

    /// When the next [`Input::Tick`] is due at the latest; `None` if nothing is before an answer.
    pub fn wake_at(&self) -> Option<Millis> {
        let idle = self.strays.values().filter(|stray| stray.call.is_none()).map(|stray| stray.due);
        idle.min().filter(|_| self.has_room()).into_iter().chain(self.look_at).min()
    }

    fn held(&mut self, held: BTreeMap<Home, SetSum>, now: Millis) {
        self.look_at = Some(now + self.settings.look_every);
        let astray = strays(&self.table, self.me, held.keys().copied());
        let before = std::mem::take(&mut self.strays);
        let kept = |home: &Home, sum: SetSum| before.get(home).filter(|stray| stray.held == sum).cloned();
        let found = held.into_iter().filter(|(home, _)| astray.contains(home));
        self.strays =
            found.map(|(home, sum)| (home, kept(&home, sum).unwrap_or_else(|| Stray::new(sum, now)))).collect();
    }

    /// The home of which this call is under way; none if it does not count any more.
    fn answered(&mut self, call: u64) -> Option<(Home, &mut Stray, Option<NodeId>)> {
        self.running.remove(&call);
        let mut strays = self.strays.iter_mut();
        let (home, stray) = strays.find(|(_, stray)| stray.call.is_some_and(|(number, _)| number == call))?;
        let (_, with) = stray.call.take()?;
        Some((*home, stray, with))
    }

    fn compared(&mut self, call: u64, has_all: bool, now: Millis) {
        let settings = self.settings;
        let Some((_, stray, Some(with))) = self.answered(call) else { return };
        if has_all {
            stray.confirmed.insert(with);
            stray.succeeded();
        } else {
            stray.put_off(Some(with), now, &settings);
        }
    }

    fn dropped(&mut self, call: u64, done: bool, now: Millis) {
        let settings = self.settings;
        let Some((home, stray, _)) = self.answered(call) else { return };
        if done {
            self.strays.remove(&home);
        } else {
            // Something came since: only another look tells what has to be confirmed.
            stray.confirmed.clear();
            stray.put_off(None, now, &settings);
            self.look_at = self.look_at.map(|_| now);
        }
    }

    fn has_room(&self) -> bool {
        self.running.len() < self.settings.homes_max.max(1)
    }

    fn go_on(&mut self, now: Millis, out: &mut Vec<Output>) {
        if self.look_at.is_some_and(|at| at <= now) {
            self.look_at = None;
            out.push(Output::Look);
        }
        while self.has_room() {
            let due = self.strays.iter_mut().filter(|(_, stray)| stray.call.is_none() && stray.due <= now);
            let Some((home, stray)) = due.min_by_key(|(home, stray)| (stray.due, **home)) else { return };
            self.calls += 1;
            let (call, home, epoch, held) = (self.calls, *home, self.table.epoch(), stray.held);
            let with = next_owner(&self.table, home, stray);
            stray.call = Some((call, with));
            self.running.insert(call);
            out.push(match with {
                Some(with) => Output::Compare { call, home, with, epoch },
                None => Output::Drop { call, home, epoch, held },
            });
        }
    }
}

/// The owner that is to be compared with next; `None` if all have confirmed.
fn next_owner(table: &Table, home: Home, stray: &Stray) -> Option<NodeId> {
    #[cfg(feature = "planted")]
    if planted::is(planted::Bug::FormerOwnerDropsTooEarly) {
        return None;
    }
    let missing = table.owners(home).iter().copied().filter(|owner| !stray.confirmed.contains(owner));
    missing.min_by_key(|owner| stray.failed == Some(*owner))
}
