//! How this node does among others: what it may be asked, what keeps it from serving, and what is missing where.
//!
//! It keeps account and never acts; the rules are those of [`cluster::reconcile::fitness`].

use super::Cluster;
use super::greeting::{Heard, standing};
use super::versions::REFUSED_MS_MAX;
use crate::serve::local::ClockWord;
use ::cluster::accounting::{Accounting, Shortfall, View};
use ::cluster::founding::Standing;
use ::cluster::frontier::Frontier;
use ::cluster::placement::Table;
use ::cluster::reconcile::fitness::{self, Fitness};
use ::cluster::reconcile::parting::{Found, Parting};
use ::cluster::reconcile::session::Summary;
use ::cluster::reconcile::shared_homes;
use ::cluster::reconcile::taking::Taking;
use ::cluster::{Epoch, Millis, NodeId};
use model::{Home, Stamp};
use proto::{Greeting, HomeHints, HomeShortfall, Homes, PeerLag};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::watch;

const FITNESS: fitness::Settings = fitness::Settings { stall_max: Millis(1_000), alone_after: Millis(3_000) };
/// How long what a node said of its clock counts.
const CLOCK_WORD_MS_MAX: u64 = 30_000;
/// How long it counts that a node has met no other owner: about as long as it takes from one comparison to the next.
const UNMET_WORD_MS_MAX: u64 = 1_000;

/// The account of one node. Shared and locked for moments only.
#[derive(Debug)]
pub(crate) struct Health(Mutex<Account>);

#[derive(Debug)]
struct Account {
    started: Millis,
    fitness: Fitness,
    frontier: Frontier,
    /// Who has said that it has met no other owner since it started, and when.
    unmet: BTreeMap<NodeId, Millis>,
    /// What keeps the founding from going on, for operators.
    founding: Option<String>,
    /// Why others do not reach this node at the address that it advertises.
    unreachable: Option<String>,
    /// Where another process was met that has this node's id, and when.
    twin: Option<(SocketAddr, Millis)>,
    /// Which versions others take, where most of those that were asked refused this node, and when.
    foreign: Option<((u32, u32), Millis)>,
    /// How far ahead of this node's clock others are, in milliseconds, and when they said so.
    clocks: BTreeMap<NodeId, (i64, Millis)>,
    accounting: Accounting,
    taking: Taking,
    epoch: Epoch,
    parting: Parting,
    /// Held by whatever stores records that were routed by the table of `epoch`.
    under_way: UnderWay,
    /// The same of earlier tables.
    earlier: Vec<Weak<()>>,
    /// This node was removed from its cluster.
    removed: watch::Sender<Option<Bequeathed>>,
    /// The oldest fence up to which the last comparisons went.
    fences: BTreeMap<NodeId, Stamp>,
}

/// How far a node that was removed is with handing over what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bequeathed {
    /// It does not know yet what it holds.
    Unknown,
    /// So many homes are not known to be safe.
    Left(usize),
    /// Everything is with every owner.
    All,
}

/// Records are on their way into this node's store that were routed by the table which counted when this was taken.
pub(crate) type UnderWay = Arc<()>;

impl Account {
    /// What is stored from now on is told from what is under way.
    fn begin_anew(&mut self) {
        let earlier = std::mem::take(&mut self.under_way);
        self.earlier.push(Arc::downgrade(&earlier));
    }
}

impl Health {
    /// Of a node that starts `now`, when a new stamp would be `stamp`.
    pub(crate) fn new(me: NodeId, now: Millis, stamp: Stamp) -> Self {
        Self(Mutex::new(Account {
            started: now,
            fitness: Fitness::start(FITNESS, now, stamp),
            frontier: Frontier::new(me),
            unmet: BTreeMap::new(),
            founding: None,
            unreachable: None,
            twin: None,
            foreign: None,
            clocks: BTreeMap::new(),
            accounting: Accounting::new(me),
            taking: Taking::default(),
            epoch: Epoch(0),
            parting: Parting::default(),
            under_way: UnderWay::default(),
            earlier: Vec::new(),
            removed: watch::Sender::default(),
            fences: BTreeMap::new(),
        }))
    }

    /// Another table counts, or the same once more.
    pub(super) fn retable(&self, table: &Table, me: NodeId, members: &BTreeSet<NodeId>) {
        let mut account = self.lock();
        account.fitness.retable(table, me);
        account.frontier.retable(table);
        account.accounting.retable(table, members);
        account.taking.retable(table);
        // With whom nothing is compared any more, its last fence would count as the oldest for ever.
        account.fences.retain(|peer, _| !shared_homes(table, me, *peer).is_empty());
        if table.epoch() > account.epoch {
            account.epoch = table.epoch();
            account.begin_anew();
        }
    }

    /// This node was looked at, and is to leave or not; how far it is with that.
    pub(super) fn part(&self, is_spare: bool, is_empty: bool) -> Parting {
        let mut account = self.lock();
        account.earlier.retain(|earlier| earlier.strong_count() > 0);
        let next = account.parting.after(Found { is_spare, is_empty, is_quiet: account.earlier.is_empty() });
        if account.parting == Parting::Open && next == Parting::Shut {
            account.begin_anew();
        }
        account.parting = next;
        next
    }

    /// How far this node is with leaving.
    pub(super) fn parting(&self) -> Parting {
        self.lock().parting
    }

    /// To be held until records that are routed by the present table are in the store. Taken before the table is looked at.
    pub(super) fn under_way(&self) -> UnderWay {
        Arc::clone(&self.lock().under_way)
    }

    /// Looks at the frontiers of this node's homes, or notes something of them.
    pub(super) fn frontier<T>(&self, look: impl FnOnce(&mut Frontier) -> T) -> T {
        look(&mut self.lock().frontier)
    }

    /// Notes something of what was taken of homes in transit.
    pub(super) fn taking(&self, note: impl FnOnce(&mut Taking)) {
        note(&mut self.lock().taking);
    }

    /// Notes which versions others take who refused this node, and when; or that they did not.
    pub(super) fn note_foreign(&self, foreign: Option<((u32, u32), Millis)>) {
        self.lock().foreign = foreign;
    }

    /// The same, if they said so lately.
    pub(super) fn foreign(&self, now: Millis) -> Option<(u32, u32)> {
        self.lock().foreign.filter(|(_, at)| now - *at <= REFUSED_MS_MAX).map(|(range, _)| range)
    }

    fn lock(&self) -> MutexGuard<'_, Account> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cluster {
    /// Time has passed. A node that stood still has to meet others before it is asked again.
    pub(crate) fn tick(&self) {
        let last = self.local.last_stamp().max(self.stamp_now());
        let mut account = self.health.lock();
        if account.fitness.tick(self.now(), self.stamp_now()) {
            tracing::warn!("this node stood still for a while; it compares its copies before it is asked again");
        }
        account.earlier.retain(|earlier| earlier.strong_count() > 0);
        if account.earlier.is_empty() {
            account.taking.quiet(last);
        }
    }

    /// This node has all that others had of these homes before there was a cluster, up to `fence`.
    pub(crate) fn began(&self, homes: &BTreeSet<Home>, fence: Stamp) {
        self.health.lock().fitness.met(homes, fence);
    }

    /// This node has all that another one has of these homes, up to `fence`.
    pub(crate) fn met(&self, peer: NodeId, homes: &BTreeSet<Home>, fence: Stamp) {
        let state = self.control_state();
        let is_read = |home: &&Home| state.table().is_some_and(|table| table.reads(peer, **home));
        let read = homes.iter().filter(is_read).copied().collect();
        let mut account = self.health.lock();
        account.fitness.met(&read, fence);
    }

    /// Another node said since when nothing comes to homes in transit by an earlier table, and what it has closed.
    pub(crate) fn told_since(&self, peer: NodeId, closed: Stamp, since: BTreeMap<Home, Stamp>) {
        self.health.lock().taking.told(peer, closed, since);
    }

    /// Since when nothing comes to a home here by an earlier table.
    pub(crate) fn since(&self, home: Home) -> Stamp {
        self.health.lock().taking.since(home)
    }

    /// The homes in transit that this node owns and has taken from everybody who holds them.
    pub(crate) fn taken(&self) -> BTreeSet<Home> {
        let state = self.control_state();
        state.table().map(|table| self.health.lock().taking.taken(table, self.me)).unwrap_or_default()
    }

    /// This node was removed from its cluster: from now on it serves nothing.
    pub(crate) fn note_removed(&self) {
        let is_news = self.health.lock().removed.send_if_modified(|removed| {
            let is_news = removed.is_none();
            removed.get_or_insert(Bequeathed::Unknown);
            is_news
        });
        if is_news {
            tracing::error!("this node was removed from its cluster; it serves nothing any more");
        }
    }

    /// Returns when this node was removed from its cluster.
    pub(crate) async fn until_removed(&self) {
        let mut removed = self.health.lock().removed.subscribe();
        if removed.wait_for(Option::is_some).await.is_err() {
            std::future::pending().await // the node is gone
        }
    }

    /// How far a node that was removed is with handing over what it holds.
    pub(super) fn note_bequeathed(&self, bequeathed: Bequeathed) {
        self.health.lock().removed.send_replace(Some(bequeathed));
    }

    /// What a node that was removed tells whoever asks it for anything.
    pub(crate) fn removed(&self) -> Option<String> {
        let bequeathed = *self.health.lock().removed.borrow();
        let done = match bequeathed? {
            Bequeathed::Unknown => "what it holds is not handed over yet".to_owned(),
            Bequeathed::Left(homes) => format!("it hands over what it holds, {homes} homes are left"),
            Bequeathed::All => "all that it holds is safe with the others".to_owned(),
        };
        Some(format!(
            "this node was removed from its cluster, and its id never comes back; {done}: then stop it, and start it with an \
             empty data folder if it is to join again"
        ))
    }

    /// Whether a comparison of these homes at `fence` would be the first since this node started or stood still.
    pub(crate) fn wants_to_meet(&self, homes: &BTreeSet<Home>, fence: Stamp) -> bool {
        self.health.lock().fitness.wants(homes, fence)
    }

    /// Another node was asked for claims, and said whether it has met an owner of what it answered for.
    pub(crate) fn note_met(&self, node: NodeId, met: bool) {
        let now = self.now();
        let unmet = &mut self.health.lock().unmet;
        if met {
            unmet.remove(&node);
        } else {
            unmet.insert(node, now);
        }
    }

    /// A comparison that began at `began` is over.
    pub(crate) fn compared(&self, summary: &Summary, began: Millis) {
        let mut account = self.health.lock();
        account.fences.insert(summary.peer, summary.fence);
        account.accounting.compared(summary, began);
    }

    /// Records of these homes were stored here.
    pub(crate) fn changed(&self, homes: impl IntoIterator<Item = Home>) {
        self.health.lock().accounting.changed(homes, self.now());
    }

    /// A member, or this node, holds so many hints.
    pub(crate) fn note_hints(&self, node: NodeId, hints: &[HomeHints], at: Stamp) {
        let by_home = hints.iter().map(|hints| (hints.home, hints.hints)).collect();
        self.health.lock().accounting.hints(node, by_home, at);
    }

    /// The homes that this node counts and what is missing of each, and how far each other owner lags behind this node.
    /// Cost: a sum of every home up to a fence, two look-ups each.
    pub(crate) fn shortfalls_and_lags(&self) -> (Vec<HomeShortfall>, Vec<PeerLag>) {
        let stamp = self.stamp_now();
        let counted = self.account(|accounting, view| (accounting.shortfalls(view), accounting.lags(view, stamp)));
        let (shortfalls, lags) = counted.unwrap_or_default();
        let shortfall = |(home, Shortfall { records, exact })| HomeShortfall { home, records, exact };
        let lag = |(node, lag): (NodeId, Millis)| PeerLag { node: node.0, lag_ms: lag.0 };
        (shortfalls.into_iter().map(shortfall).collect(), lags.into_iter().map(lag).collect())
    }

    /// Adds up, for the cluster as it is now; nothing before there is one, and nothing of a node alone.
    fn account<T>(&self, add_up: impl FnOnce(&Accounting, View<'_>) -> T) -> Option<T> {
        if self.is_alone() {
            return None;
        }
        let (table, members) = (self.table()?, self.member_ids());
        let live: BTreeSet<_> = self.view.borrow().alive.keys().copied().chain([self.me]).collect();
        let fence = self.health.lock().fences.values().min().copied().unwrap_or(Stamp::ZERO);
        let newest = self.newest(fence);
        let view = View { table: &table, members: &members, live: &live, newest: &newest };
        Some(add_up(&self.health.lock().accounting, view))
    }

    /// About the greatest stamp of each home: `fence` if nothing lies after that, else now.
    fn newest(&self, fence: Stamp) -> BTreeMap<Home, Stamp> {
        let reader = self.local.reader();
        let now = self.stamp_now().max(fence);
        let newest = |(home, sum)| {
            let is_older = reader.root(home, fence).is_ok_and(|older| older == sum);
            (home, if is_older { fence } else { now })
        };
        let held = reader.homes().unwrap_or_default().into_iter().map(newest);
        held.chain(reader.going().into_iter().map(|home| (home, now))).collect()
    }

    /// Whether a node may be asked about a home. Of others it is hoped, unless they said lately that they have met nobody.
    pub(crate) fn is_fit(&self, node: NodeId, home: Home) -> bool {
        if node != self.me {
            let unmet = self.health.lock().unmet.get(&node).copied();
            return unmet.is_none_or(|at| (self.now() - at).0 > UNMET_WORD_MS_MAX);
        }
        let reachable: BTreeSet<_> = self.view.borrow().alive.keys().copied().collect();
        let (state, now) = (self.control_state(), self.now());
        let fits = |table| self.health.lock().fitness.is_fit(home, table, self.me, &reachable, now);
        state.table().is_some_and(fits)
    }

    /// How long ago this node met another reader of each of those homes that it is read about, in milliseconds: the longest
    /// of them. None if there is one of which it has met no other since it started or stood still.
    pub(crate) fn fence_age_ms(&self, homes: &Homes) -> Option<u64> {
        if self.is_alone() {
            return Some(0);
        }
        let (table, stamp) = (self.table()?, self.stamp_now());
        let account = self.health.lock();
        let mut read = homes.iter().filter(|home| table.reads(self.me, *home));
        let longest = read.try_fold(Millis(0), |longest, home| {
            Some(longest.max(account.fitness.fence_age(home, &table, self.me, stamp)?))
        });
        longest.map(|age| age.0)
    }

    /// What keeps the founding from going on, if anything does.
    pub(crate) fn set_founding_trouble(&self, trouble: Option<String>) {
        self.health.lock().founding = trouble;
    }

    /// The same, for operators.
    pub(crate) fn founding_trouble(&self) -> Option<String> {
        self.health.lock().founding.clone()
    }

    /// Why others do not reach this node, if they do not.
    pub(crate) fn set_unreachable(&self, why: Option<String>) {
        self.health.lock().unreachable = why;
    }

    /// Another process has this node's id.
    pub(crate) fn note_twin(&self, address: SocketAddr) {
        self.health.lock().twin = Some((address, self.now()));
    }

    /// What makes this node no good member of its cluster, with the setting that is wrong.
    pub(crate) fn wrong_settings(&self) -> Option<String> {
        let (account, now) = (self.health.lock(), self.now());
        let twin = account.twin.filter(|(_, at)| (now - *at).0 <= CLOCK_WORD_MS_MAX).map(|(address, _)| {
            format!(
                "data_dir: another node, at {address}, has this node's id {}; give one of them a folder of its own",
                self.me
            )
        });
        let unreachable = account.unreachable.clone();
        let unreachable =
            || unreachable.map(|why| format!("advertise_host: other nodes do not reach {}: {why}", self.card.rpc));
        drop(account);
        twin.or_else(unreachable).or_else(|| self.other_cluster()).or_else(|| self.refused_by_others())
    }

    /// Whether another node is in another cluster than this one was told to be in.
    fn other_cluster(&self) -> Option<String> {
        let wanted = self.settings.cluster_id?;
        let neighbours = self.neighbours.lock().unwrap_or_else(PoisonError::into_inner);
        let in_another = |(node, greeting): (&NodeId, &Greeting)| match standing(greeting) {
            Standing::Founded(cluster) if cluster != wanted => {
                Some(format!("cluster.id: node {node} is in cluster {cluster}, and this one is to be in {wanted}"))
            }
            Standing::Founded(_) | Standing::Fresh { .. } | Standing::Promised(_) => None,
        };
        neighbours.iter().find_map(in_another)
    }

    /// Takes note of another node's clock.
    pub(crate) fn note_clock(&self, heard: &Heard) {
        let ahead_ms = i64::try_from(heard.greeting.wall_ms).unwrap_or(i64::MAX)
            - i64::try_from(heard.wall_ms).unwrap_or(i64::MAX);
        self.health.lock().clocks.insert(heard.from, (ahead_ms, self.now()));
        let word = if self.clock_found_wrong().is_some() { ClockWord::Wrong } else { ClockWord::Right };
        self.local.note_clock_word(word);
    }

    /// Why this node's clock is not to be trusted: most others find it wrong, or nobody has said anything of it yet though
    /// somebody may. A node that reaches nobody for long may at least be read.
    pub(crate) fn clock_trouble(&self) -> Option<String> {
        self.clock_found_wrong().or_else(|| {
            let started = self.health.lock().started;
            let may_hear = !self.view.borrow().alive.is_empty() || self.now() - started < FITNESS.alone_after;
            (may_hear && self.table().is_some()).then(|| self.local.clock_unheard()).flatten()
        })
    }

    /// Whether most of the others that were heard lately are too far from this node's clock.
    pub(super) fn clock_found_wrong(&self) -> Option<String> {
        let (now, limit_ms) = (self.now(), self.millis(self.settings.clock_offset_max).0);
        let account = self.health.lock();
        let lately = account.clocks.values().filter(|(_, at)| (now - *at).0 <= CLOCK_WORD_MS_MAX);
        let offsets: Vec<i64> = lately.map(|(ahead_ms, _)| *ahead_ms).collect();
        let far: Vec<_> = offsets.iter().filter(|ahead_ms| ahead_ms.unsigned_abs() > limit_ms).collect();
        let worst = far.iter().max_by_key(|ahead_ms| ahead_ms.unsigned_abs())?;
        let (direction, by_ms) = (if **worst > 0 { "behind" } else { "ahead of" }, worst.unsigned_abs());
        (far.len() * 2 > offsets.len())
            .then(|| format!("{direction} most other nodes by {} s; set this machine's clock", by_ms.div_ceil(1_000)))
    }

    /// By how much the slowest clock heard lately is behind this node's, in milliseconds; 0 if none is.
    pub(super) fn behind_ms_max(&self) -> u64 {
        let (now, account) = (self.now(), self.health.lock());
        let lately = account.clocks.values().filter(|(_, at)| (now - *at).0 <= CLOCK_WORD_MS_MAX);
        let behind = lately.map(|(ahead_ms, _)| u64::try_from(-*ahead_ms).unwrap_or(0));
        behind.max().unwrap_or(0)
    }

    /// What a new stamp would be, about.
    pub(crate) fn stamp_now(&self) -> Stamp {
        Stamp::new(self.clock.wall_ms(), 0).unwrap_or(Stamp::MAX)
    }
}
