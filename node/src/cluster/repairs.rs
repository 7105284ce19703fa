//! Comparing this node's copies with those of the other owners, always, and taking from them what is missing here.
//!
//! It carries out what [`cluster::reconcile`] decides. Every owner takes for itself: two that compare with each other end
//! with the same, and nothing travels twice. Who owns a home no more gives, in sessions of the same kind
//! ([`super::handovers`]).

use super::Cluster;
use super::ask::own_refusal;
use crate::rpc::CallError;
use ::cluster::frontier::Take;
use ::cluster::reconcile::schedule::{self, Schedule};
use ::cluster::reconcile::session::{Direction, Input, Output, Roots, Session, Settings, Summary};
use ::cluster::reconcile::{Element, shared_homes};
use ::cluster::{Epoch, Millis, NodeId};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use model::set::{Leaf, SetSum};
use model::{Home, RecordId, Stamp};
use proto::{BodiesRequest, ElementsRequest, Held, RootsRequest, State, StoreRequest};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use storage::store::Source;

/// How far back a fence lies: long enough that no write is under way to it.
pub(super) const FENCE_BACK_MS: u64 = 2_000;
/// How finely fences lie, so that the sums up to them are at hand.
const FENCE_GRAIN_MS: u64 = 1_000;
/// The longest extra pause between two sessions with one peer.
const JITTER_MS_MAX: u64 = 100;
/// How often it is looked who shares homes, and whether this node stood still.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How many records are stored in one step: what a client's write may have to wait for.
const STORED_AT_ONCE: usize = 32;
/// How long a call of a session may take.
const CALL_DEADLINE: Duration = Duration::from_secs(2);

const SCHEDULE: schedule::Settings =
    schedule::Settings { period: Millis(1_000), sessions_max: 4, pause_max: Millis(2_000) };
const SESSION: Settings = Settings { page_elements: 4_096, piece_elements: 512, patience: Millis(5_000) };

/// Compares until the node stops.
pub(crate) async fn run(cluster: Arc<Cluster>, mut jitter: impl FnMut(u64) -> u64) {
    let (mut machine, mut sessions) = (Schedule::new(SCHEDULE), FuturesUnordered::new());
    let (mut known, mut alive, mut wanted_at) = (BTreeSet::new(), BTreeSet::new(), Stamp::ZERO);
    let mut next_look = cluster.now();
    loop {
        let mut inputs = Vec::new();
        if cluster.now() >= next_look {
            next_look = cluster.now() + cluster.millis(LOOK_EVERY);
            cluster.tick();
            let peers = cluster.sharing();
            if peers != known {
                known = peers;
                inputs.push(schedule::Input::Peers(known.clone()));
            }
            let up: BTreeSet<NodeId> = cluster.view.borrow().alive.keys().copied().collect();
            inputs.extend(up.difference(&alive).map(|node| schedule::Input::Up(*node)));
            // Until they have met, owners are of little use: not a moment is lost once a fence counts.
            let fence = cluster.fence();
            if fence > wanted_at {
                wanted_at = fence;
                let wanted = up.iter().filter(|node| cluster.wants_to_meet(&cluster.shared_with(**node), fence));
                inputs.extend(wanted.copied().map(schedule::Input::Wanted));
            }
            alive = up;
            inputs.push(schedule::Input::Tick);
        }
        let mut due = Vec::new();
        for input in inputs {
            machine.handle(input, cluster.now(), Millis(jitter(JITTER_MS_MAX)), &mut due);
        }
        sessions.extend(due.into_iter().map(|peer| session(Arc::clone(&cluster), peer)));
        let wake = machine.wake_at().map_or(next_look, |at| at.min(next_look)).max(next_look);
        tokio::select! {
            biased;
            Some(summary) = sessions.next() => {
                let summary: Summary = summary;
                let input = schedule::Input::Finished { peer: summary.peer, complete: summary.complete };
                let mut due = Vec::new();
                machine.handle(input, cluster.now(), Millis(jitter(JITTER_MS_MAX)), &mut due);
                sessions.extend(due.into_iter().map(|peer| session(Arc::clone(&cluster), peer)));
            }
            () = cluster.sleep_until(Some(wake)) => {}
        }
    }
}

/// One session with one peer.
async fn session(cluster: Arc<Cluster>, peer: NodeId) -> Summary {
    let began = cluster.now();
    let summary = compare(&cluster, peer).await;
    cluster.compared(&summary, began);
    let end = if summary.complete { "complete" } else { "partial" };
    cluster.local.metrics().repair_rounds.with_label_values(&[end]).inc();
    summary
}

async fn compare(cluster: &Arc<Cluster>, peer: NodeId) -> Summary {
    let (epoch, homes) = (cluster.epoch(), cluster.shared_with(peer));
    compare_by(cluster, peer, Terms { epoch, homes, fence: cluster.fence(), direction: Direction::Pull }).await
}

/// What a session compares, and which way records go.
pub(super) struct Terms {
    /// The table by which the peer owns the homes.
    pub(super) epoch: Epoch,
    pub(super) homes: BTreeSet<Home>,
    pub(super) fence: Stamp,
    pub(super) direction: Direction,
}

/// Holds a session with a peer.
pub(super) async fn compare_by(cluster: &Arc<Cluster>, peer: NodeId, terms: Terms) -> Summary {
    let (Terms { epoch, homes, fence, direction }, mut out) = (terms, Vec::new());
    let mut machine = Session::start(SESSION, direction, peer, homes, fence, cluster.now(), &mut out);
    let mut settled = BTreeMap::new();
    let mut work: FuturesUnordered<BoxFuture<'static, Input>> = FuturesUnordered::new();
    loop {
        for output in std::mem::take(&mut out) {
            let this = Arc::clone(cluster);
            match output {
                Output::ReadRoots { fence, homes } => {
                    work.push(Box::pin(async move {
                        this.close_and_sum(fence, homes).await.map_or(Input::Failed, Input::OwnRoots)
                    }));
                }
                Output::AskRoots { fence, homes } => {
                    work.push(Box::pin(async move { or_failed(this.peer_roots((peer, epoch), fence, homes).await) }));
                }
                Output::ReadList { fence, home, after, limit } => {
                    work.push(Box::pin(async move { this.own_page(home, after, fence, limit).await }));
                }
                Output::AskList { fence, home, after, limit } => {
                    work.push(Box::pin(
                        async move { or_failed(this.peer_page(peer, home, after, fence, limit).await) },
                    ));
                }
                Output::Pull { home, ids } => {
                    let settled = settled.get(&home).copied();
                    work.push(Box::pin(async move {
                        or_failed(this.pull((peer, settled), epoch, ids).await.map(Input::Pulled))
                    }));
                }
                Output::Push { ids, .. } => {
                    work.push(Box::pin(async move { or_failed(this.push(peer, epoch, ids).await.map(Input::Pushed)) }));
                }
                Output::Same { homes, fence, closed } if cluster.epoch() == epoch && direction == Direction::Pull => {
                    cluster.had_the_same(peer, fence, closed, &homes);
                }
                // What was met by an older table may have been lost and regained since; and only who takes has all.
                Output::Met { homes, fence } if cluster.epoch() == epoch && direction == Direction::Pull => {
                    cluster.met(peer, &homes, fence);
                }
                Output::Same { .. } | Output::Met { .. } => {}
                Output::Finished(summary) => return summary,
            }
        }
        let input = tokio::select! {
            biased;
            Some(input) = work.next() => input,
            () = cluster.sleep_until(machine.wake_at()) => Input::Tick,
        };
        if let Input::PeerRoots(roots) = &input {
            settled.clone_from(&roots.settled);
            cluster.keep_up(roots.closed).await;
        }
        machine.handle(input, cluster.now(), &mut out);
    }
}

fn or_failed(input: Result<Input, CallError>) -> Input {
    input.unwrap_or(Input::Failed)
}

impl Cluster {
    /// Who shares homes with this node and is not thought to be down.
    fn sharing(&self) -> BTreeSet<NodeId> {
        let Some(table) = self.table() else { return BTreeSet::new() };
        let others = self.member_ids().into_iter().filter(|node| *node != self.me);
        others.filter(|node| !shared_homes(&table, self.me, *node).is_empty()).collect()
    }

    /// The homes that are compared with a node.
    fn shared_with(&self, node: NodeId) -> BTreeSet<Home> {
        self.table().map(|table| shared_homes(&table, self.me, node)).unwrap_or_default()
    }

    /// The last stamp that is compared now.
    fn fence(&self) -> Stamp {
        let ms = self.clock.wall_ms().saturating_sub(FENCE_BACK_MS);
        Stamp::end_of_ms((ms / FENCE_GRAIN_MS * FENCE_GRAIN_MS).saturating_sub(1))
    }

    /// What a peer that goes by the table of `epoch` has of these homes.
    async fn peer_roots(
        &self,
        (peer, epoch): (NodeId, Epoch),
        fence: Stamp,
        homes: BTreeSet<Home>,
    ) -> Result<Input, CallError> {
        let request = RootsRequest { fence, homes: homes.into_iter().collect() };
        let reply = self.peers.roots(peer, request, CALL_DEADLINE).await?;
        if self.epoch() == epoch {
            self.told_since(peer, reply.closed, reply.sums.iter().map(|sum| (sum.home, sum.since)).collect());
        }
        let mut roots = Roots { closed: reply.closed, ..Roots::default() };
        for proto::HomeSum { home, sum, count, stable, settled, since: _ } in reply.sums {
            roots.sums.insert(home, SetSum { sum: u128::from_le_bytes(sum), count });
            roots.stable.extend(stable.map(|stable| (home, stable)));
            roots.settled.extend(settled.map(|settled| (home, settled)));
        }
        Ok(Input::PeerRoots(roots))
    }

    async fn own_page(&self, home: Home, after: Option<(Stamp, RecordId)>, fence: Stamp, limit: usize) -> Input {
        match self.local.read(move |reader| reader.elements(home, after, fence, limit)).await {
            Ok(Ok(elements)) => {
                let last = elements.len() < limit;
                let element = |element: storage::store::Element| Element {
                    stamp: element.stamp,
                    id: element.id,
                    leaf: element.leaf,
                };
                Input::OwnPage { elements: elements.into_iter().map(element).collect(), last }
            }
            Ok(Err(_)) | Err(_) => Input::Failed,
        }
    }

    async fn peer_page(
        &self,
        peer: NodeId,
        home: Home,
        after: Option<(Stamp, RecordId)>,
        until: Stamp,
        limit: usize,
    ) -> Result<Input, CallError> {
        let mut pages = self.peers.elements(peer, ElementsRequest { home, after, until }, CALL_DEADLINE).await?;
        let mut elements: Vec<Element> = Vec::new();
        while elements.len() < limit {
            let Some(page) = pages.next().await? else { return Ok(Input::PeerPage { elements, last: true }) };
            let element =
                |element: proto::Element| Element { stamp: element.stamp, id: element.id, leaf: Leaf(element.leaf) };
            elements.extend(page.elements.into_iter().map(element));
        }
        elements.truncate(limit);
        Ok(Input::PeerPage { elements, last: false })
    }

    /// Takes records from a peer, of a home that both own by the table of `epoch` and that is `settled` there. What it does
    /// not have whole is left for another time, or for another peer.
    pub(super) async fn pull(
        self: &Arc<Self>,
        (peer, settled): (NodeId, Option<Stamp>),
        epoch: Epoch,
        ids: BTreeSet<RecordId>,
    ) -> Result<BTreeSet<RecordId>, CallError> {
        let mut pages =
            self.peers.bodies(peer, BodiesRequest { ids: ids.into_iter().collect() }, CALL_DEADLINE).await?;
        let mut pulled = BTreeSet::new();
        while let Some(page) = pages.next().await? {
            let held = page.found.into_iter().filter_map(|found| match found.state {
                State::Held(held) => Some(held),
                State::Erased(_) | State::Absent | State::Damaged => None,
            });
            let mut held = held.peekable();
            while held.peek().is_some() {
                pulled.extend(self.take_over((peer, settled), epoch, held.by_ref().take(STORED_AT_ONCE)).await?);
            }
        }
        Ok(pulled)
    }

    /// Stores records that a peer sent, and rests. Returns which of them are here then.
    async fn take_over(
        &self,
        (peer, settled): (NodeId, Option<Stamp>),
        epoch: Epoch,
        held: impl Iterator<Item = Held>,
    ) -> Result<Vec<RecordId>, CallError> {
        let source = |held: &Held| match self.health.frontier(|frontier| frontier.take(peer, held.record.home, settled))
        {
            Take::Merge { settled } if !held.hint => Source::Owner { settled },
            Take::Follow { until } if !held.hint => Source::Followed { until },
            Take::Merge { .. } | Take::Follow { .. } | Take::AsFromAnyone => Source::Other,
        };
        let (sources, records): (Vec<_>, Vec<_>) = held.map(|held| (source(&held), held.record)).unzip();
        self.local.metrics().repair_bodies.inc_by(records.len() as u64);
        let ids: Vec<_> = records.iter().map(|record| record.id).collect();
        let bytes = records.iter().map(|record| record.archive.len() as u64).sum();
        let began = self.now();
        let stored = self.store_here(epoch, StoreRequest { role: proto::Role::Owned, records }, Some(sources)).await;
        let stored = stored.map_err(own_refusal)?;
        let here = ids.into_iter().zip(stored.verdicts).filter(|(_, verdict)| verdict.is_synced());
        let now = self.now();
        let free_at = self.pace.lock().unwrap_or_else(PoisonError::into_inner).take(bytes, now - began, now);
        if free_at > now {
            self.sleep_until(Some(free_at)).await;
        }
        Ok(here.map(|(id, _)| id).collect())
    }
}
