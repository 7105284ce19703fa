//! What this node does when another one calls it.
//!
//! It reads and writes this node's own store and nothing else: a call never leads to a call, but for a newer table, and of a
//! node that was removed, which nobody calls.

use super::ask::{fetch, verdict};
use super::replays::synced;
use super::scan;
use super::{Cluster, parcel};
use crate::rpc::{Caller, Service, Sink};
use ::cluster::{Epoch, NodeKey};
use model::set::SetSum;
use model::{Envelope, Home, RecordId, Stamp};
use proto::limits::{FETCH_IDS_MAX, MESSAGE_BYTES_FULL, PAGE_ELEMENTS_MAX};
use proto::{
    BequeathReply, BequeathRequest, BodiesPage, BodiesRequest, ConfirmReply, ConfirmRequest, Element, ElementsPage,
    ElementsRequest, FetchReply, FetchRequest, Found, GreetReply, GreetRequest, Held, HomeSum, ProposeReply,
    ProposeRequest, RaftReply, RaftRequest, Reachable, Refusal, Report, ReportRequest, RootsReply, RootsRequest,
    ScanEnd, ScanPage, ScanRequest, StoreReply, StoreRequest, TableReply, TableRequest, Verdict,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use storage::store::{Incoming, ReadError, Reader, Source};

/// How many records a node takes at once from another's hints, while it has room.
const TAKES_NEXT: u32 = 512;

/// The service of a cluster's node.
#[derive(Clone, Debug)]
pub(crate) struct Calls(pub(crate) Arc<Cluster>);

impl Service for Calls {
    async fn catch_up(&self, caller: Caller) {
        let members = self.0.member_ids();
        // Who knows no member yet has just joined, and has nobody else to ask.
        let may_ask = members.is_empty() || members.contains(&caller.node);
        let first = may_ask.then_some(caller.node);
        self.0.refetch(caller.epoch, first).await;
    }

    async fn raft(&self, _: Caller, request: RaftRequest) -> Result<RaftReply, Refusal> {
        self.0.raft_here(request).await
    }

    async fn greet(&self, caller: Caller, request: GreetRequest) -> Result<GreetReply, Refusal> {
        let shown = NodeKey(request.greeting.key);
        let own = shown.node() == caller.node && request.greeting.node == caller.node.0;
        if !own || caller.key.is_some_and(|key| key != shown) {
            return Err(Refusal::Refused("a node greets under its own id and key".to_owned()));
        }
        self.0.greeted(caller.node, &request.greeting);
        let reachable = if request.call_back { self.0.call_back(&request.greeting).await } else { Reachable::NotAsked };
        let membership = self.0.membership(caller.node);
        Ok(GreetReply { greeting: self.0.greeting(), reachable, membership })
    }

    async fn table(&self, _: Caller, request: TableRequest) -> Result<TableReply, Refusal> {
        let state = self.0.control_state();
        let epoch = state.table().map_or(0, |table| table.epoch().0);
        let newer = epoch > request.newer_than;
        Ok(TableReply { epoch, state: newer.then(|| state.encode().into()) })
    }

    async fn propose(&self, _: Caller, request: ProposeRequest) -> Result<ProposeReply, Refusal> {
        self.0.propose_here(request).await
    }

    async fn report(&self, _: Caller, _: ReportRequest) -> Result<Report, Refusal> {
        Ok(self.0.report())
    }

    #[cfg(feature = "next")]
    async fn raised(&self, _: Caller, _: proto::RaisedRequest) -> Result<proto::RaisedReply, Refusal> {
        Ok(proto::RaisedReply { version: self.0.version().map(|version| version.0) })
    }

    async fn bequeath(&self, caller: Caller, request: BequeathRequest) -> Result<BequeathReply, Refusal> {
        let this = Arc::clone(&self.0);
        let inherited = tokio::spawn(async move { this.inherit(caller.node, request).await });
        inherited.await.unwrap_or_else(|_| Err(Refusal::Refused("the node is stopping".to_owned())))
    }

    async fn store(&self, caller: Caller, request: StoreRequest) -> Result<StoreReply, Refusal> {
        let this = Arc::clone(&self.0);
        // What was begun is finished, whether or not the caller still waits.
        let stored = tokio::spawn(async move { this.store_here(caller.epoch, request, None).await });
        stored.await.unwrap_or_else(|_| Err(Refusal::Refused("the node is stopping".to_owned())))
    }

    async fn confirm(&self, _: Caller, request: ConfirmRequest) -> Result<ConfirmReply, Refusal> {
        Ok(ConfirmReply { synced: self.0.read(move |reader| synced(reader, &request.ids)).await? })
    }

    async fn fetch(&self, _: Caller, request: FetchRequest) -> Result<FetchReply, Refusal> {
        let found = self.0.read(move |reader| {
            let (mut found, mut bytes) = (Vec::new(), 0);
            for id in request.ids.into_iter().take(FETCH_IDS_MAX) {
                let next = Found { id, state: fetch(reader, &id)? };
                bytes += next.weight();
                if bytes > MESSAGE_BYTES_FULL && !found.is_empty() {
                    break;
                }
                found.push(next);
            }
            Ok(found)
        });
        Ok(FetchReply { found: found.await? })
    }

    async fn scan(&self, _: Caller, request: ScanRequest, mut pages: Sink<ScanPage>) -> Result<(), Refusal> {
        let fence_age_ms = self.0.fence_age_ms(&request.homes);
        let stable_at = self.0.stable_at(&request.homes);
        let scanned = self.0.local.read_until(move |reader, abandoned| scan::scan(reader, &request, abandoned)).await;
        let scanned = scanned.map_err(|error| Refusal::Refused(error.to_string()))?;
        let scanned = scanned.map_err(|error| Refusal::Refused(error.told().to_string()))?;
        let mut last = None;
        for found in scanned.found {
            let held = |held: scan::Held| Held { record: parcel::to_wire(&held.record), hint: held.hint };
            last = Some(found.question.clone());
            pages.question(wire(found.question), found.claims.into_iter().map(held), found.damaged).await?;
        }
        let more = scanned.looked_to.is_some();
        // The last question says how far this node looked, though nothing may be known of it.
        if let Some(end) = scanned.looked_to.filter(|end| last.as_ref() != Some(end)) {
            pages.question(wire(end), [], None).await?;
        }
        Ok(pages.end(ScanEnd { more, fence_age_ms, stable_at }).await?)
    }

    async fn roots(&self, caller: Caller, request: RootsRequest) -> Result<RootsReply, Refusal> {
        let since: BTreeMap<Home, Stamp> = request.homes.iter().map(|home| (home, self.0.since(home))).collect();
        let roots = self.0.close_and_sum(request.fence, request.homes.iter().collect()).await;
        let roots = roots.ok_or_else(|| Refusal::Refused("its homes cannot be summed now".to_owned()))?;
        // Who goes by another table counts other owners: what it has in common with this node says nothing to it.
        self.0.must_go_by(caller.epoch)?;
        let sums = self.0.health.frontier(|frontier| {
            let sum = |(home, sum): (Home, SetSum)| HomeSum {
                home,
                sum: sum.sum.to_le_bytes(),
                count: sum.count,
                stable: roots.stable.get(&home).copied(),
                settled: frontier.settled(home),
                since: since.get(&home).copied().unwrap_or(Stamp::ZERO),
            };
            roots.sums.into_iter().map(sum).collect()
        });
        Ok(RootsReply { sums, closed: roots.closed })
    }

    async fn elements(
        &self,
        _: Caller,
        request: ElementsRequest,
        mut pages: Sink<ElementsPage>,
    ) -> Result<(), Refusal> {
        let ElementsRequest { home, mut after, until } = request;
        loop {
            let page = self.0.read(move |reader| reader.elements(home, after, until, PAGE_ELEMENTS_MAX)).await?;
            let is_last = page.len() < PAGE_ELEMENTS_MAX;
            after = page.last().map(|element| (element.stamp, element.id)).or(after);
            for element in page {
                pages.push(Element { stamp: element.stamp, id: element.id, leaf: element.leaf.0 }).await?;
            }
            if is_last {
                return Ok(pages.finish().await?);
            }
        }
    }

    async fn bodies(&self, _: Caller, request: BodiesRequest, mut pages: Sink<BodiesPage>) -> Result<(), Refusal> {
        for ids in request.ids.chunks(FETCH_IDS_MAX) {
            let ids = ids.to_vec();
            let found = self.0.read(move |reader| {
                let found = |id: RecordId| Ok(Found { id, state: fetch(reader, &id)? });
                ids.into_iter().map(found).collect::<Result<Vec<_>, ReadError>>()
            });
            for found in found.await? {
                pages.push(found).await?;
            }
        }
        Ok(pages.finish().await?)
    }
}

impl Cluster {
    /// Verifies records of another node and stores them, if this node goes by the table that they were routed by when they
    /// are about to be written: one rule for all, whoever sent them. `sources` says of each from whom it is, where that is
    /// known to be an owner that holds it.
    pub(super) async fn store_here(
        &self,
        epoch: Epoch,
        request: StoreRequest,
        sources: Option<Vec<Source>>,
    ) -> Result<StoreReply, Refusal> {
        let StoreRequest { role, records } = request;
        let _permit = self.local.permit(records.len()).await.map_err(|error| Refusal::Refused(error.to_string()))?;
        let mut verdicts: Vec<Option<Verdict>> = vec![None; records.len()];
        let mut envelopes: Vec<Envelope> = Vec::with_capacity(records.len());
        let mut places = Vec::with_capacity(records.len());
        for ((place, record), slot) in records.iter().enumerate().zip(&mut verdicts) {
            match parcel::envelope(record) {
                Ok(envelope) => {
                    envelopes.push(envelope);
                    places.push(place);
                }
                Err(error) => *slot = Some(Verdict::Refused(error.to_string())),
            }
        }
        let verified = self.local.verify(envelopes).await.map_err(|error| Refusal::Refused(error.to_string()))?;
        let mut incoming = Vec::with_capacity(verified.len());
        let mut stored = Vec::with_capacity(verified.len());
        for (place, verified) in places.into_iter().zip(verified) {
            let (Some(sent), Some(slot)) = (records.get(place), verdicts.get_mut(place)) else { continue };
            match verified {
                Ok(record) if record.id() == sent.id && record.home() == sent.home => {
                    let source = sources.as_ref().and_then(|sources| sources.get(place).copied());
                    let (role, source) = (parcel::store_role(role), source.unwrap_or(Source::Other));
                    incoming.push(Incoming { record, stamp: sent.stamp, role, source });
                    stored.push(place);
                }
                Ok(_) => *slot = Some(Verdict::Refused("the record has another id or home than it says".to_owned())),
                Err(refusal) => *slot = Some(Verdict::Refused(refusal.to_string())),
            }
        }
        let _under_way = self.must_go_by(epoch)?;
        self.must_take(role)?;
        if role == proto::Role::Owned {
            let home_of = |place: &usize| records.get(*place).map(|record| record.home);
            if let Some(home) = stored.iter().filter_map(home_of).find(|home| !self.keeps(*home)) {
                return Err(Refusal::Refused(format!(
                    "this node does not own home {home} by the table of epoch {}",
                    epoch.0
                )));
            }
            self.changed(incoming.iter().map(|incoming| incoming.record.home()));
        }
        let merged = self.local.merge(incoming).await.map_err(|error| Refusal::Refused(error.to_string()))?;
        for (place, merged) in stored.into_iter().zip(merged) {
            if let Some(slot) = verdicts.get_mut(place) {
                *slot = Some(verdict(merged));
            }
        }
        let not_stored = || Verdict::Refused("it was not stored".to_owned());
        let verdicts = verdicts.into_iter().map(|verdict| verdict.unwrap_or_else(not_stored)).collect();
        Ok(StoreReply { verdicts, takes_next: TAKES_NEXT })
    }

    /// Runs a read of this node's store for another node.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let read = self.local.read(read).await.map_err(|error| Refusal::Refused(error.to_string()))?;
        read.map_err(|error| refusal(&error))
    }
}

fn refusal(error: &ReadError) -> Refusal {
    Refusal::Refused(error.to_string())
}

fn wire(question: api::database::Question) -> proto::Question {
    proto::Question { subject: question.subject, predicate: question.predicate }
}
