//! A node among others: it coordinates writes and reads, answers other nodes, and keeps its copies equal to theirs.
//!
//! It carries out what the machines of the crate `cluster` decide, over [`Peers`] and this node's own [`Local`] store; it
//! holds no rule of its own. A cluster of one is a cluster like any other, and takes the short ways where there is nobody
//! to ask.

mod answer;
mod ask;
mod bequests;
mod changes;
mod founder;
mod frontiers;
mod greeting;
mod handovers;
mod heals;
mod health;
mod hinted;
mod lifecycle;
mod lookup;
mod parcel;
mod plane;
mod progress;
mod reads;
mod repairs;
mod replays;
mod report;
mod scan;
mod service;
mod tally;
mod union;
mod versions;
mod writes;

pub(crate) use bequests::run as bequeath;
pub(crate) use founder::settings as founding_settings;
pub(crate) use frontiers::run as close;
pub(crate) use greeting::{Card, Heard};
pub(crate) use handovers::run as hand_over;
pub(crate) use heals::run as heal;
pub(crate) use health::{Health, UnderWay};
pub(crate) use lifecycle::{Life, watch_gossip};
pub(crate) use plane::member;
pub(crate) use progress::Progress;
pub(crate) use repairs::run as repair;
pub(crate) use replays::run as replay;
pub(crate) use service::Calls;
pub(crate) use versions::go_by_the_active as go_by;

use crate::clock::Clock;
use crate::control::Control;
use crate::rpc::{Credentials, Peers};
use crate::serve::local::{ClockWord, Local};
use ::cluster::control::{self, State, Versions};
use ::cluster::founding::Standing;
use ::cluster::placement::{Route, Table};
use ::cluster::reconcile::pace::Pace;
use ::cluster::{ClusterId, Epoch, Generation, Millis, NodeId, NodeKey};
use api::database::ReadError;
use model::{Home, Stamp};
use proto::{Greeting, TableRequest};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU16;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use storage::store;
use tokio::sync::{mpsc, watch};

/// What a client is told before there is a cluster.
const NO_CLUSTER: &str = "cluster: not founded yet";

/// How a node deals with others.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// How long a node is counted on to sync a write before the next one is asked.
    pub(crate) owner_deadline: Duration,
    /// How long a client waits for a write at most.
    pub(crate) write_deadline: Duration,
    /// How long a node may be silent before the next one is asked as well.
    pub(crate) read_hedge: Duration,
    /// How long a client waits for a read at most, and for each page of it.
    pub(crate) read_deadline: Duration,
    /// How far clocks may differ.
    pub(crate) clock_offset_max: Duration,
    /// The cluster that this node is to be in, if it was told.
    pub(crate) cluster_id: Option<ClusterId>,
    /// What a cluster that this node founds keeps to.
    pub(crate) founding: control::Settings,
}

/// Who is there, by gossip: advice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// Who is there, with the address at which it takes calls.
    pub(crate) alive: BTreeMap<NodeId, SocketAddr>,
    /// Who was there and is not.
    pub(crate) down: BTreeSet<NodeId>,
    /// Where somebody takes calls who may have this node's id.
    pub(crate) twin: Option<SocketAddr>,
    /// Why nobody is found.
    pub(crate) trouble: Option<String>,
    /// The same, if it is the fault of a setting for certain.
    pub(crate) misfit: Option<String>,
}

/// A node among others. Shared by everything that it has under way.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) me: NodeId,
    /// This node's public key.
    pub(crate) key: NodeKey,
    /// The versions of formats and protocol that it speaks.
    pub(crate) speaks: Versions,
    /// The version that it goes by: active, and its log is of that version. 0 before any.
    pub(crate) goes_by: AtomicU16,
    pub(crate) generation: Generation,
    pub(crate) local: Local,
    pub(crate) peers: Peers,
    pub(crate) credentials: Arc<Credentials>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: Settings,
    /// The newest control state that this node knows, by its own log or because another node told it.
    pub(crate) newest: watch::Sender<Arc<State>>,
    pub(crate) view: watch::Receiver<Arc<View>>,
    pub(crate) card: Card,
    pub(crate) standing: watch::Sender<Standing>,
    /// What other nodes said of themselves, on its way to whoever deals with it.
    pub(crate) heard: mpsc::Sender<Heard>,
    pub(crate) health: Health,
    /// The control plane, once this node takes part in it.
    pub(crate) control: OnceLock<Control>,
    /// The last that each node said of itself.
    pub(crate) neighbours: Mutex<BTreeMap<NodeId, Greeting>>,
    pub(crate) progress: Progress,
    /// How fast this node takes records over.
    pub(crate) pace: Mutex<Pace>,
}

impl Cluster {
    /// Takes note of a control state, if its table is newer than the newest known, or the same and it comes from the log.
    pub(crate) fn learn(&self, state: Arc<State>) {
        let epoch = epoch_of(&state);
        self.newest.send_if_modified(|newest| {
            let is_news = epoch >= epoch_of(newest) && state.history() != newest.history();
            if is_news {
                *newest = state;
            }
            is_news
        });
        self.credentials.learn(epoch);
        self.know_members();
        if let Some(version) = self.control_state().active_version() {
            self.credentials.activate(version);
        }
        if self.control_state().was_removed(self.me) {
            self.note_removed();
        }
        self.learn_addresses();
        if self.is_alone() {
            self.local.note_clock_word(ClockWord::Right);
        }
        let newest = self.control_state();
        if let Some(table) = newest.table() {
            self.health.retable(table, self.me, &self.member_ids());
        }
    }

    /// Has the calls of members taken, and of nobody else.
    fn know_members(&self) {
        let state = self.newest.borrow();
        if let Some(members) = state.members() {
            self.credentials.set_members(members.iter().map(|(node, member)| (*node, member.key)).collect());
            self.credentials.set_removed(state.removed().collect());
        }
    }

    /// Where members are that gossip does not show yet.
    fn learn_addresses(&self) {
        let (state, view) = (self.control_state(), self.view.borrow());
        for (node, member) in state.members().into_iter().flatten() {
            if *node != self.me && !view.alive.contains_key(node) {
                self.peers.set_address(*node, member.rpc);
            }
        }
    }

    /// Whether records that were routed by the table of `epoch` are to be stored here: only by the one that this node goes
    /// by itself. By an older one this node may be no owner any more, by a newer one it may be one without knowing. What is
    /// returned is to be held until they are stored.
    ///
    /// # Errors
    ///
    /// [`proto::Refusal::StaleEpoch`] or [`proto::Refusal::BehindEpoch`].
    pub(crate) fn must_go_by(&self, epoch: Epoch) -> Result<UnderWay, proto::Refusal> {
        let under_way = self.health.under_way();
        if let Some(why) = self.out_of_service() {
            return Err(proto::Refusal::Refused(why));
        }
        let own = self.epoch();
        match epoch.cmp(&own) {
            Ordering::Equal => Ok(under_way),
            #[cfg(feature = "planted")]
            Ordering::Less if planted::is(planted::Bug::StaleEpochAccepted) => Ok(under_way),
            Ordering::Less => Err(proto::Refusal::StaleEpoch(own.0)),
            Ordering::Greater => Err(proto::Refusal::BehindEpoch(own.0)),
        }
    }

    /// Whether records may be stored here in a role: one that is about to leave keeps nothing for others any more. Asked while
    /// what [`Cluster::must_go_by`] returned is held.
    ///
    /// # Errors
    ///
    /// [`proto::Refusal::Refused`].
    pub(crate) fn must_take(&self, role: proto::Role) -> Result<(), proto::Refusal> {
        if role == proto::Role::Owned || self.health.parting().takes_hints() {
            return Ok(());
        }
        Err(proto::Refusal::Refused("this node is about to leave the cluster and keeps nothing for others".to_owned()))
    }

    /// The newest control state that this node knows.
    pub(crate) fn control_state(&self) -> Arc<State> {
        Arc::clone(&self.newest.borrow())
    }

    /// The epoch of the newest table.
    pub(crate) fn epoch(&self) -> Epoch {
        epoch_of(&self.newest.borrow())
    }

    /// Who belongs to the cluster.
    pub(crate) fn member_ids(&self) -> BTreeSet<NodeId> {
        self.newest.borrow().members().map(|members| members.keys().copied().collect()).unwrap_or_default()
    }

    /// Whether this node is the only one.
    pub(crate) fn is_alone(&self) -> bool {
        self.newest.borrow().members().is_some_and(|members| members.len() == 1 && members.contains_key(&self.me))
    }

    /// The newest table.
    pub(crate) fn table(&self) -> Option<Table> {
        self.newest.borrow().table().cloned()
    }

    /// The first table that this node knows; waits until there is one.
    pub(crate) async fn first_table(&self) -> Table {
        let mut newest = self.newest.subscribe();
        loop {
            if let Some(table) = newest.borrow_and_update().table() {
                return table.clone();
            }
            if newest.changed().await.is_err() {
                std::future::pending().await
            }
        }
    }

    /// Whether this node is to hold the records of a home as its own, by the newest table: as one of its owners, or because
    /// every node keeps a copy of [`Home::GLOBAL`].
    pub(crate) fn keeps(&self, home: Home) -> bool {
        #[cfg(feature = "planted")]
        if planted::is(planted::Bug::StaleEpochAccepted) {
            return true;
        }
        home == Home::GLOBAL || self.newest.borrow().table().is_some_and(|table| table.holds(self.me, home))
    }

    /// The ways of the records of homes, in their order, all by one table, and its epoch; empty before there is a table.
    pub(crate) fn ways(&self, homes: impl Iterator<Item = Home>) -> (Epoch, Vec<Route>) {
        let (state, members) = (self.control_state(), self.member_ids());
        let none = || Route { owners: Vec::new(), leaving: Vec::new(), stand_ins: Vec::new() };
        let way = |home| state.table().map_or_else(none, |table| Route::of(home, table, &members));
        (epoch_of(&state), homes.map(way).collect())
    }

    /// Who is thought to be down.
    pub(crate) fn down(&self) -> BTreeSet<NodeId> {
        self.view.borrow().down.clone()
    }

    /// How many copies there are to be of a record: as many as is set, and never more than there are nodes that store any.
    pub(crate) fn copies(&self) -> usize {
        let state = self.newest.borrow();
        let stores = state.table().map_or(1, |table| table.nodes().len());
        let wanted = state.settings().map_or(1, |settings| usize::from(settings.replication_factor.get()));
        wanted.min(stores)
    }

    /// Fetches a table of `epoch` or later: from `first`, or from whoever has it. Whether it is here now.
    pub(crate) async fn refetch(&self, epoch: Epoch, first: Option<NodeId>) -> bool {
        let others = self.member_ids().into_iter().filter(|node| *node != self.me && Some(*node) != first);
        for node in first.into_iter().chain(others) {
            if self.epoch() >= epoch {
                return true;
            }
            let request = TableRequest { newer_than: self.epoch().0 };
            let Ok(reply) = self.peers.table(node, request, self.settings.owner_deadline).await else { continue };
            match reply.state.map(|bytes| State::decode(&bytes)) {
                Some(Ok(state)) => self.learn(Arc::new(state)),
                Some(Err(error)) => {
                    tracing::warn!(%node, error = &error as &dyn Error, "a control state is unreadable")
                }
                None => {}
            }
        }
        self.epoch() >= epoch
    }

    /// Monotonic time.
    pub(crate) fn now(&self) -> Millis {
        self.millis(self.clock.monotonic())
    }

    /// A length of time in whole milliseconds.
    pub(crate) fn millis(&self, time: Duration) -> Millis {
        Millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }

    /// Sleeps until a machine wants to be woken; for ever if it does not.
    pub(crate) async fn sleep_until(&self, wake_at: Option<Millis>) {
        match wake_at {
            // A millisecond more: what is due at a moment is due after it by any clock that counts finer.
            Some(at) => tokio::time::sleep(Duration::from_millis((at - self.now()).0 + 1)).await,
            None => std::future::pending().await,
        }
    }

    /// A time that no stamp which a peer accepts lies after.
    pub(crate) fn ahead_of(&self, now: Stamp) -> Stamp {
        let wall_ms = self.clock.wall_ms().max(now.ms());
        let offset_ms = self.millis(self.settings.clock_offset_max).0;
        Stamp::new(wall_ms.saturating_add(offset_ms), u16::MAX).unwrap_or(Stamp::MAX)
    }

    /// What a call to a node takes lately, in microseconds; nothing to this one.
    pub(crate) fn latency_us(&self, node: NodeId) -> u64 {
        if node == self.me {
            return 0;
        }
        let latency = self.peers.latency(node).unwrap_or_default();
        u64::try_from(latency.as_micros()).unwrap_or(u64::MAX).max(1)
    }

    pub(crate) fn must_be_in_a_cluster(&self) -> Result<(), ReadError> {
        if let Some(what) = self.out_of_service() {
            return Err(ReadError::NotReady { what });
        }
        if self.newest.borrow().table().is_some() { Ok(()) } else { Err(self.no_cluster()) }
    }

    /// What a reader is told before there is a cluster.
    pub(crate) fn no_cluster(&self) -> ReadError {
        ReadError::NotReady { what: NO_CLUSTER.to_owned() }
    }

    /// Whether this node may take queries, and writes, and send them on their way: not by a clock that most others find wrong,
    /// by which a write would be stamped and a query would see too little. The error is what is not ready, for people.
    pub(crate) fn must_coordinate(&self) -> Result<(), String> {
        if let Some(why) = self.out_of_service() {
            return Err(why);
        }
        if self.newest.borrow().table().is_none() {
            return Err(NO_CLUSTER.to_owned());
        }
        self.clock_found_wrong().map_or(Ok(()), |trouble| Err(format!("clock: {trouble}")))
    }
}

fn epoch_of(state: &State) -> Epoch {
    state.table().map_or(Epoch(0), Table::epoch)
}

/// What a client is told of a read of this node's own store that failed; the whole story goes to the log.
pub(crate) fn told(error: &store::ReadError) -> ReadError {
    match error {
        store::ReadError::Rebuilding(progress) => {
            ReadError::NotReady { what: format!("index: rebuilding from the log, {progress}") }
        }
        store::ReadError::Closed => ReadError::NotReady { what: "the node is stopping".to_owned() },
        store::ReadError::TooMany(max) => ReadError::TooManyClaims { max: *max },
        store::ReadError::TooLarge(bytes_max) => ReadError::TooLarge { bytes_max: *bytes_max },
        store::ReadError::Index(_) | store::ReadError::Log(_) | store::ReadError::Archive(_) => {
            tracing::error!(error = error as &dyn Error, "a read failed");
            ReadError::NotReady { what: error.to_string() }
        }
    }
}
