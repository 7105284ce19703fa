//! How this node does among others: what it may be asked, what keeps it from serving, and what is missing where.
//!
//! It keeps account and never acts; the rules are those of [`cluster::reconcile::fitness`].

use super::Cluster;
use super::greeting::{Heard, standing};
use ::cluster::accounting::{Accounting, Shortfall, View};
use ::cluster::founding::Standing;
use ::cluster::reconcile::fitness::{self, Fitness};
use ::cluster::reconcile::session::Summary;
use ::cluster::{Millis, NodeId};
use model::{Home, Stamp};
use proto::{Greeting, HomeHints, HomeShortfall, Homes, PeerLag};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

const FITNESS: fitness::Settings = fitness::Settings { stall_max: Millis(1_000), alone_after: Millis(3_000) };
/// How long what a node said of its clock counts.
const CLOCK_WORD_MS_MAX: u64 = 30_000;

/// The account of one node. Shared and locked for moments only.
#[derive(Debug)]
pub(crate) struct Health(Mutex<Account>);

#[derive(Debug)]
struct Account {
    fitness: Fitness,
    /// What keeps the founding from going on, for operators.
    founding: Option<String>,
    /// Why others do not reach this node at the address that it advertises.
    unreachable: Option<String>,
    /// Where another process was met that has this node's id, and when.
    twin: Option<(SocketAddr, Millis)>,
    /// How far ahead of this node's clock others are, in milliseconds, and when they said so.
    clocks: BTreeMap<NodeId, (i64, Millis)>,
    accounting: Accounting,
    /// The oldest fence up to which the last comparisons went.
    fences: BTreeMap<NodeId, Stamp>,
}

impl Health {
    /// Of a node that starts `now`, when a new stamp would be `stamp`.
    pub(crate) fn new(me: NodeId, now: Millis, stamp: Stamp) -> Self {
        Self(Mutex::new(Account {
            fitness: Fitness::start(FITNESS, now, stamp),
            founding: None,
            unreachable: None,
            twin: None,
            clocks: BTreeMap::new(),
            accounting: Accounting::new(me),
            fences: BTreeMap::new(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Account> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cluster {
    /// Time has passed. A node that stood still has to meet others before it is asked again.
    pub(crate) fn tick(&self) {
        if self.health.lock().fitness.tick(self.now(), self.stamp_now()) {
            tracing::warn!("this node stood still for a while; it compares its copies before it is asked again");
        }
    }

    /// This node has all that another owner has of these homes, up to `fence`.
    pub(crate) fn met(&self, homes: &BTreeSet<Home>, fence: Stamp) {
        self.health.lock().fitness.met(homes, fence);
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

    /// The homes that this node counts, and what is missing of each.
    pub(crate) fn shortfalls(&self) -> Vec<HomeShortfall> {
        let shortfall = |(home, Shortfall { records, exact })| HomeShortfall { home, records, exact };
        let counted = self.account(|accounting, view| accounting.shortfalls(view)).unwrap_or_default();
        counted.into_iter().map(shortfall).collect()
    }

    /// How far each other owner lags behind this node.
    pub(crate) fn lags(&self) -> Vec<PeerLag> {
        let stamp = self.stamp_now();
        let lags = self.account(|accounting, view| accounting.lags(view, stamp)).unwrap_or_default();
        lags.into_iter().map(|(node, lag)| PeerLag { node: node.0, lag_ms: lag.0 }).collect()
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
        let homes = reader.homes().unwrap_or_default();
        let newest = |(home, sum)| {
            let is_older = reader.root(home, fence).is_ok_and(|older| older == sum);
            (home, if is_older { fence } else { self.stamp_now().max(fence) })
        };
        homes.into_iter().map(newest).collect()
    }

    /// Whether a node may be asked about a home; of others it is hoped, and their answers tell.
    pub(crate) fn is_fit(&self, node: NodeId, home: Home) -> bool {
        if node != self.me {
            return true;
        }
        let reachable: BTreeSet<_> = self.view.borrow().alive.keys().copied().collect();
        let table = self.table();
        table.is_some_and(|table| self.health.lock().fitness.is_fit(home, &table, self.me, &reachable, self.now()))
    }

    /// How long ago this node met another owner of each of those homes that it owns, in milliseconds: the longest of them.
    /// None if it is not fit for one of them.
    pub(crate) fn fence_age_ms(&self, homes: &Homes) -> Option<u64> {
        if self.is_alone() {
            return Some(0);
        }
        let (table, stamp) = (self.table()?, self.stamp_now());
        let mut longest = 0;
        for home in homes.iter().filter(|home| table.owns(self.me, *home)) {
            if !self.is_fit(self.me, home) {
                return None;
            }
            let age = self.health.lock().fitness.fence_age(home, stamp);
            longest = longest.max(age.map_or(0, |age| age.0));
        }
        Some(longest)
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
        let unreachable = account.unreachable.as_ref();
        let unreachable =
            || unreachable.map(|why| format!("advertise_host: other nodes do not reach {}: {why}", self.card.rpc));
        twin.or_else(unreachable).or_else(|| self.other_cluster())
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
    }

    /// Why this node's clock is not to be trusted: most of the others that were heard lately are too far from it.
    pub(crate) fn clock_trouble(&self) -> Option<String> {
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

    /// What a new stamp would be, about.
    pub(crate) fn stamp_now(&self) -> Stamp {
        Stamp::new(self.clock.wall_ms(), 0).unwrap_or(Stamp::MAX)
    }
}
