//! How fresh nodes make one cluster, and never two; and how a fresh node comes to belong to one that is there.
//!
//! [`Founding`] decides and does nothing else: it knows no address, no file and no Raft. Fresh nodes tell each other how they
//! stand. Who sees exactly as many fresh nodes as it expects writes down a **promise** to that list; who has heard the same
//! promise from everybody on it has a founded cluster.
//!
//! Invariants: a node promises once in its life, and announces a promise only once it is on disk; a cluster is founded only
//! if all on its list have promised that list, so two founded lists share nobody; nobody promises a list while it hears
//! of a node that is not on it; nobody founds who has heard of another list or another cluster since its start;
//! nobody founds who only joins, and nobody joins who has promised to found.

mod kept;
#[cfg(test)]
mod tests;
mod trouble;

pub use kept::{Kept, List};
pub use trouble::Trouble;

use crate::id::{ClusterId, Millis, NodeId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How many nodes one founding remembers. What a further one says is ignored.
pub const HEARD_MAX: usize = 256;

/// What a node knows of the founding before it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Settings {
    /// How many nodes found together. With 1 a node founds alone: only without seeds, key and cluster id. With 0 it founds
    /// nothing, and waits to be admitted to a cluster.
    pub bootstrap_expect: usize,
    /// How often everybody is asked, and the state of things is judged anew.
    pub ask_every: Millis,
    /// How long exactly the expected nodes must be in sight before a promise, so that one too many has time to show.
    pub settle: Millis,
    /// After how long without a word a fresh node does not count any more.
    pub forget_after: Millis,
    /// After how long without a word, or without progress, an operator should know.
    pub silence_max: Millis,
}

/// How a node stands, as it tells the others. It only ever goes down this list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Standing {
    /// It belongs to nothing.
    Fresh {
        /// With how many nodes it would found, itself included; 0 if it only joins.
        expect: usize,
    },
    /// It has promised to found with exactly these.
    Promised(List),
    /// It belongs to this cluster.
    Founded(ClusterId),
}

/// What happens to a founding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A node told how it stands, asking or asked.
    Heard {
        /// Who.
        from: NodeId,
        /// How it stands.
        standing: Standing,
    },
    /// A member of this cluster says that this node is one too.
    Admitted(ClusterId),
    /// Somebody told of this node: it is worth asking.
    Named(NodeId),
    /// What was last to be persisted is on disk.
    Persisted,
    /// Time has passed.
    Tick,
}

/// What a founding asks the outside world to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Sync this, in the place of what was kept before, then hand in [`Input::Persisted`].
    Persist(Kept),
    /// Ask everybody at the configured seeds how they stand, and tell how this node stands.
    AskSeeds,
    /// The same for a node that was heard of.
    Ask(NodeId),
    /// Start Raft with exactly this list. Comes again after every restart; doing it twice is harmless.
    Start(List),
    /// Belong to this cluster, whose Raft others have started. Comes again after every restart.
    Join(ClusterId),
    /// What an operator should know has changed.
    Trouble(Trouble),
}

/// The machine of one node's founding. See the module.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Founding {
    me: NodeId,
    settings: Settings,
    kept: Kept,
    /// What is on its way to the disk.
    pending: Option<Kept>,
    /// What others told, their furthest standing, and when they last said a word.
    heard: BTreeMap<NodeId, (Standing, Millis)>,
    /// Whom others told of.
    named: BTreeSet<NodeId>,
    /// Since when, in this life, it stands as it does.
    since: Millis,
    ask_at: Millis,
    /// The fresh nodes in sight, and since when exactly these.
    in_sight: (BTreeSet<NodeId>, Millis),
    trouble: Option<Trouble>,
}

impl Founding {
    /// A founding from what is on the disk. If that is a founded cluster, the first output is its [`Output::Start`]; if it is
    /// one that was joined, its [`Output::Join`].
    pub fn start(me: NodeId, settings: Settings, kept: Kept, now: Millis, out: &mut Vec<Output>) -> Self {
        let mut founding = Self {
            me,
            settings,
            kept,
            pending: None,
            heard: BTreeMap::new(),
            named: BTreeSet::new(),
            since: now,
            ask_at: now,
            in_sight: (BTreeSet::new(), now),
            trouble: None,
        };
        founding.begin(out);
        if !founding.is_over() {
            founding.handle(Input::Tick, now, out);
        }
        founding
    }

    /// How this node stands, durably.
    pub fn standing(&self) -> Standing {
        match &self.kept {
            Kept::Nothing => Standing::Fresh { expect: self.settings.bootstrap_expect },
            Kept::Promise(list) => Standing::Promised(list.clone()),
            Kept::Founded(list) => Standing::Founded(list.cluster()),
            Kept::Joined(cluster) => Standing::Founded(*cluster),
        }
    }

    /// Whom this node knows of: what [`Input::Named`] is made of on the other side.
    pub fn known(&self) -> impl Iterator<Item = NodeId> {
        let promised = self.kept.list().into_iter().flat_map(List::nodes);
        let known: BTreeSet<_> = promised.chain(self.heard.keys().copied()).chain(self.named.iter().copied()).collect();
        known.into_iter().filter(|node| *node != self.me)
    }

    /// What keeps it from founding, if anything does that an operator should know.
    pub fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// When the next [`Input::Tick`] is due; `None` once the node belongs to a cluster.
    pub fn wake_at(&self) -> Option<Millis> {
        (!self.is_over()).then_some(self.ask_at)
    }

    /// Takes one step. `now` never goes back.
    pub fn handle(&mut self, input: Input, now: Millis, out: &mut Vec<Output>) {
        match input {
            Input::Heard { from, standing } => self.hear(from, standing, now),
            Input::Admitted(cluster) => self.admitted(cluster, out),
            Input::Named(node) => self.name(node),
            Input::Persisted => self.persisted(now, out),
            Input::Tick => {}
        }
        if self.is_over() {
            return;
        }
        if now >= self.ask_at {
            self.ask(now, out);
        }
        self.look_round(now);
        if self.pending.is_none() {
            self.decide(now, out);
        }
    }

    fn is_over(&self) -> bool {
        self.kept.cluster().is_some()
    }

    /// Who has promised to found belongs to those it promised it to, whatever others say.
    fn admitted(&mut self, cluster: ClusterId, out: &mut Vec<Output>) {
        if self.kept == Kept::Nothing && self.pending.is_none() {
            let kept = Kept::Joined(cluster);
            out.push(Output::Persist(kept.clone()));
            self.pending = Some(kept);
        }
    }

    /// Says what is to be done if the node belongs to a cluster.
    fn begin(&self, out: &mut Vec<Output>) {
        match &self.kept {
            Kept::Founded(list) => out.push(Output::Start(list.clone())),
            Kept::Joined(cluster) => out.push(Output::Join(*cluster)),
            Kept::Nothing | Kept::Promise(_) => {}
        }
    }

    fn hear(&mut self, from: NodeId, standing: Standing, now: Millis) {
        if from == self.me || (self.heard.len() >= HEARD_MAX && !self.heard.contains_key(&from)) {
            return;
        }
        let (furthest, last) = self.heard.entry(from).or_insert_with(|| (standing.clone(), now));
        *last = now;
        if standing.rank() >= furthest.rank() {
            *furthest = standing;
        }
    }

    fn name(&mut self, node: NodeId) {
        if self.named.len() < HEARD_MAX {
            self.named.insert(node);
        }
    }

    /// What was pending is on disk: from now on it is announced, at once.
    fn persisted(&mut self, now: Millis, out: &mut Vec<Output>) {
        let Some(kept) = self.pending.take() else { return };
        self.kept = kept;
        self.since = now;
        self.ask(now, out);
        self.begin(out);
        if self.is_over() {
            self.trouble = None;
        }
    }

    fn ask(&mut self, now: Millis, out: &mut Vec<Output>) {
        self.ask_at = now + self.settings.ask_every;
        out.push(Output::AskSeeds);
        out.extend(self.known().map(Output::Ask));
    }

    /// Notes which fresh nodes are in sight, this one included.
    fn look_round(&mut self, now: Millis) {
        let since = now - self.settings.forget_after;
        let is_fresh = |(standing, last): &(Standing, Millis)| {
            matches!(standing, Standing::Fresh { expect: 1.. }) && *last >= since
        };
        let fresh = self.heard.iter().filter(|(_, heard)| is_fresh(heard)).map(|(node, _)| *node);
        let in_sight: BTreeSet<_> = fresh.chain([self.me]).collect();
        if in_sight != self.in_sight.0 {
            self.in_sight = (in_sight, now);
        }
    }

    fn decide(&mut self, now: Millis, out: &mut Vec<Output>) {
        let decision = match &self.kept {
            Kept::Nothing => self.promise(now).map(|list| list.map(Kept::Promise)),
            Kept::Promise(list) => self.found(list, now).map(|found| found.then(|| Kept::Founded(list.clone()))),
            Kept::Founded(_) | Kept::Joined(_) => Ok(None),
        };
        let trouble = decision.as_ref().err().cloned();
        if trouble != self.trouble {
            out.extend(trouble.clone().map(Output::Trouble));
            self.trouble = trouble;
        }
        if let Ok(Some(kept)) = decision {
            out.push(Output::Persist(kept.clone()));
            self.pending = Some(kept);
        }
    }

    /// The list that a fresh node can promise now, if there is one.
    fn promise(&self, now: Millis) -> Result<Option<List>, Trouble> {
        let expect = self.settings.bootstrap_expect;
        #[cfg(feature = "planted")]
        if planted::is(planted::Bug::WipedFounderFoundsAgain) && self.clusters().next().is_some() {
            return Ok((expect > 0).then(|| List::new([self.me].into())));
        }
        if let Some(cluster) = self.clusters().next() {
            return Err(Trouble::Exists { cluster, me: self.me });
        }
        if expect == 0 {
            return if now < self.since + self.settings.silence_max { Ok(None) } else { Err(Trouble::NoCluster) };
        }
        self.agree_on(expect)?;
        let lists: BTreeSet<_> = self.promises().map(|(_, list)| list).collect();
        if let Some(list) = lists.first().copied() {
            return self.adopt(list, lists.len()).map(Some);
        }
        let (in_sight, since) = &self.in_sight;
        if in_sight.len() > expect {
            return Err(Trouble::TooMany { expect, fresh: in_sight.clone() });
        }
        if in_sight.len() == expect {
            return Ok((now >= *since + self.settings.settle).then(|| List::new(in_sight.clone())));
        }
        if now < self.since + self.settings.silence_max {
            return Ok(None);
        }
        Err(Trouble::TooFew { expect, fresh: in_sight.clone() })
    }

    /// Whether somebody else's promise can be this node's too.
    fn adopt(&self, list: &List, lists: usize) -> Result<List, Trouble> {
        let expect = self.settings.bootstrap_expect;
        if lists > 1 {
            return Err(Trouble::TwoLists(list.clone()));
        }
        if !list.contains(self.me) || list.len() != expect {
            return Err(Trouble::LeftOut { expect, list: list.clone() });
        }
        if self.heard.keys().any(|node| !list.contains(*node) && self.in_sight.0.contains(node)) {
            let known = self.in_sight.0.iter().copied().chain(list.nodes()).collect();
            return Err(Trouble::TooMany { expect, fresh: known });
        }
        Ok(list.clone())
    }

    /// Whether everybody on the list of this node's promise has promised it.
    fn found(&self, list: &List, now: Millis) -> Result<bool, Trouble> {
        if self.promises().any(|(_, other)| other != list) {
            return Err(Trouble::TwoLists(list.clone()));
        }
        if let Some(cluster) = self.clusters().find(|cluster| *cluster != list.cluster()) {
            return Err(Trouble::Exists { cluster, me: self.me });
        }
        let promised: BTreeSet<_> = self.promises().map(|(node, _)| node).chain([self.me]).collect();
        if self.clusters().next().is_some() || list.nodes().all(|node| promised.contains(&node)) {
            return Ok(true);
        }
        self.agree_on(list.len())?;
        let missing = self.silent(list, now);
        if !missing.is_empty() {
            return Err(Trouble::Missing { list: list.clone(), missing });
        }
        if now < self.since + self.settings.silence_max {
            return Ok(false);
        }
        let fresh = list.nodes().filter(|node| !promised.contains(node)).collect();
        Err(Trouble::Unpromised { list: list.clone(), fresh })
    }

    /// Nobody in sight may expect another number.
    fn agree_on(&self, expect: usize) -> Result<(), Trouble> {
        let other = self.heard.iter().find_map(|(node, (standing, _))| match standing {
            Standing::Fresh { expect: theirs @ 1.. } if *theirs != expect && self.in_sight.0.contains(node) => {
                Some(Trouble::Expectations { expect, node: *node, theirs: *theirs })
            }
            Standing::Fresh { .. } | Standing::Promised(_) | Standing::Founded(_) => None,
        });
        other.map_or(Ok(()), Err)
    }

    /// Who on the list has not said a word for too long.
    fn silent(&self, list: &List, now: Millis) -> BTreeSet<NodeId> {
        let last = |node| self.heard.get(&node).map_or(self.since, |(_, last)| *last);
        let is_silent = |node: &NodeId| *node != self.me && now - last(*node) >= self.settings.silence_max;
        list.nodes().filter(is_silent).collect()
    }

    fn promises(&self) -> impl Iterator<Item = (NodeId, &List)> {
        self.heard.iter().filter_map(|(node, (standing, _))| match standing {
            Standing::Promised(list) => Some((*node, list)),
            Standing::Fresh { .. } | Standing::Founded(_) => None,
        })
    }

    fn clusters(&self) -> impl Iterator<Item = ClusterId> {
        self.heard.values().filter_map(|(standing, _)| match standing {
            Standing::Founded(cluster) => Some(*cluster),
            Standing::Fresh { .. } | Standing::Promised(_) => None,
        })
    }
}

impl Standing {
    fn rank(&self) -> u8 {
        match self {
            Self::Fresh { .. } => 0,
            Self::Promised(_) => 1,
            Self::Founded(_) => 2,
        }
    }
}
