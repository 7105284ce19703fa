//! Hints on their way to the owners that they are kept for.
//!
//! It carries out what [`cluster::replication::replay`] decides; a hint is forgotten only when that says so.

use super::Cluster;
use super::ask::own_refusal;
use super::parcel;
use crate::rpc::CallError;
use ::cluster::replication::replay::{Input, Output, Place, Replay, Settings};
use ::cluster::{Epoch, Millis, NodeId};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use model::RecordId;
use proto::{ConfirmRequest, StoreReply, StoreRequest};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use storage::store::{Lookup, ReadError, Reader};

/// How long a call of a replay may take.
const CALL_DEADLINE: Duration = Duration::from_secs(2);
/// How often it is looked whether there is a newer table, or somebody is back.
const LOOK_EVERY: Millis = Millis(200);

const SETTINGS: Settings = Settings {
    window: 1_024,
    store_records: 256,
    patience: Millis(3_000),
    pause_min: Millis(100),
    pause_max: Millis(2_000),
    rest: Millis(500),
    revisit: Millis(2_000),
};

/// What a call came to, for the machine.
type Work = FuturesUnordered<BoxFuture<'static, Input>>;

/// Replays hints until the node stops.
pub(crate) async fn run(cluster: Arc<Cluster>) {
    let table = cluster.first_table().await;
    let (mut out, mut work, mut alive) = (Vec::new(), Work::new(), BTreeSet::new());
    let mut machine = Replay::start(SETTINGS, table, cluster.now(), &mut out);
    loop {
        for output in std::mem::take(&mut out) {
            work.push(carry_out(&cluster, machine.epoch(), output));
        }
        let look_at = cluster.now() + LOOK_EVERY;
        let wake = machine.wake_at().map_or(look_at, |at| at.min(look_at));
        let input = tokio::select! {
            biased;
            Some(input) = work.next() => Some(input),
            () = cluster.sleep_until(Some(wake)) => None,
        };
        machine.handle(input.unwrap_or(Input::Tick), cluster.now(), &mut out);
        if let Some(table) = cluster.table().filter(|table| table.epoch() > machine.epoch()) {
            machine.retable(table, cluster.now(), &mut out);
        }
        let up: BTreeSet<NodeId> = cluster.view.borrow().alive.keys().copied().collect();
        for node in up.difference(&alive) {
            machine.handle(Input::Up(*node), cluster.now(), &mut out);
        }
        alive = up;
    }
}

fn carry_out(cluster: &Arc<Cluster>, epoch: Epoch, output: Output) -> BoxFuture<'static, Input> {
    let this = Arc::clone(cluster);
    match output {
        Output::Read { after, limit } => Box::pin(async move { this.held(after, limit).await }),
        Output::Confirm { call, to, places } => Box::pin(async move {
            let confirmed = this.confirm_at(to, places).await;
            confirmed.map_or(Input::Failed { call, by: to }, |synced| Input::Confirmed { call, by: to, synced })
        }),
        Output::Store { call, to, places } => Box::pin(async move {
            match this.replay_to(to, epoch, places).await {
                Ok((synced, takes_next)) => Input::Stored { call, by: to, synced, takes_next },
                Err(_) => Input::Failed { call, by: to },
            }
        }),
        Output::Discharge(places) => Box::pin(async move {
            if let Err(error) = this.local.discharge(places.into_iter().collect()).await {
                tracing::warn!(%error, "hints that every owner has could not be forgotten; they are asked for again");
            }
            Input::Tick
        }),
    }
}

impl Cluster {
    /// What is held behind a place.
    async fn held(&self, after: Option<Place>, limit: usize) -> Input {
        let held = self.local.read(move |reader| reader.hints(after, limit)).await;
        let Ok(Ok(hints)) = held else { return Input::Held { places: Vec::new(), last: true } };
        let whole = hints.hints.iter().map(|hint| (hint.home, hint.record.id()));
        let mut places: Vec<_> = whole.chain(hints.damaged).collect();
        places.sort_unstable();
        Input::Held { places, last: hints.next.is_none() }
    }

    /// Which of these an owner has synced.
    pub(super) async fn confirm_at(
        &self,
        node: NodeId,
        places: BTreeSet<Place>,
    ) -> Result<BTreeSet<RecordId>, CallError> {
        let ids: Vec<_> = places.into_iter().map(|(_, id)| id).collect();
        let synced = if node == self.me {
            let asked = ids.clone();
            let synced = self.local.read(move |reader| synced(reader, &asked)).await;
            synced.map_err(broken)?.map_err(broken)?
        } else {
            self.peers.confirm(node, ConfirmRequest { ids: ids.clone() }, CALL_DEADLINE).await?.synced
        };
        Ok(ids.into_iter().zip(synced).filter(|(_, synced)| *synced).map(|(id, _)| id).collect())
    }

    /// Sends hints to an owner by the table of `epoch`. Returns what it has synced, and how many records it takes next.
    async fn replay_to(
        &self,
        node: NodeId,
        epoch: Epoch,
        places: BTreeSet<Place>,
    ) -> Result<(BTreeSet<RecordId>, usize), CallError> {
        let hints = self.local.read(move |reader| {
            let hint = |(_, id): &Place| Ok(reader.hint(id)?.map(|record| parcel::to_wire(&record)));
            places.iter().map(hint).collect::<Result<Vec<_>, ReadError>>()
        });
        let records: Vec<_> = hints.await.map_err(broken)?.map_err(broken)?.into_iter().flatten().collect();
        if records.is_empty() {
            return Ok((BTreeSet::new(), 1));
        }
        let ids: Vec<_> = records.iter().map(|record| record.id).collect();
        let StoreReply { verdicts, takes_next } = if node == self.me {
            let request = StoreRequest { role: proto::Role::Owned, records };
            self.store_here(epoch, request, None).await.map_err(own_refusal)?
        } else {
            let stored = self.peers.store(node, proto::Role::Owned, epoch, records, CALL_DEADLINE).await?;
            StoreReply { verdicts: stored.verdicts, takes_next: stored.takes_next }
        };
        let synced =
            ids.into_iter().zip(verdicts).filter(|(_, verdict)| verdict.is_synced()).map(|(id, _)| id).collect();
        Ok((synced, usize::try_from(takes_next).unwrap_or(usize::MAX)))
    }
}

/// Which of these this node has synced as an owner, or knows to be erased.
pub(crate) fn synced(reader: &Reader, ids: &[RecordId]) -> Result<Vec<bool>, ReadError> {
    let has = |id| Ok(!matches!(reader.get(id)?, Lookup::Absent | Lookup::Damaged(_)));
    ids.iter().map(has).collect()
}

pub(super) fn broken(error: impl std::fmt::Display) -> CallError {
    CallError::Refused(error.to_string())
}
