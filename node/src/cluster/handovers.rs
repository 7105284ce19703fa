//! Homes that moved away from this node, on their way to their owners, and then off its disk.
//!
//! It carries out what [`cluster::reconcile::handover`] decides; nothing is dropped unless that says so, and unless, at the
//! moment of the drop, this node goes by the same table still and holds just what was confirmed.

use super::repairs::{Terms, compare_by};
use super::{Cluster, parcel};
use crate::rpc::CallError;
use ::cluster::placement::Table;
use ::cluster::reconcile::handover::{Handover, Input, Output, Settings};
use ::cluster::reconcile::session::Direction;
use ::cluster::reconcile::strays;
use ::cluster::{Epoch, Millis, NodeId};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use model::set::SetSum;
use model::{Home, RecordId, Stamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use storage::store::{Lookup, ReadError, Reader};

/// How long one push of records may take.
const CALL_DEADLINE: Duration = Duration::from_secs(2);
/// How often it is looked whether there is a newer table, or somebody is back.
const LOOK_EVERY: Millis = Millis(200);

const SETTINGS: Settings =
    Settings { homes_max: 2, look_every: Millis(1_000), pause_min: Millis(500), pause_max: Millis(4_000) };

/// Hands over until the node stops.
pub(crate) async fn run(cluster: Arc<Cluster>) {
    let table = cluster.first_table().await;
    let (mut out, mut alive) = (Vec::new(), BTreeSet::new());
    let mut work: FuturesUnordered<BoxFuture<'static, Input>> = FuturesUnordered::new();
    let mut machine = Handover::start(SETTINGS, cluster.me, table, cluster.now(), &mut out);
    loop {
        for output in std::mem::take(&mut out) {
            work.push(carry_out(&cluster, output));
        }
        let look_at = cluster.now() + LOOK_EVERY;
        let wake = machine.wake_at().map_or(look_at, |at| at.min(look_at));
        let input = tokio::select! {
            biased;
            Some(input) = work.next() => input,
            () = cluster.sleep_until(Some(wake)) => Input::Tick,
        };
        machine.handle(input, cluster.now(), &mut out);
        if let Some(table) = cluster.table().filter(|table| table.epoch() > machine.epoch()) {
            machine.retable(table, cluster.now(), &mut out);
        }
        let up: BTreeSet<NodeId> = cluster.view.borrow().alive.keys().copied().collect();
        for node in up.difference(&alive) {
            machine.handle(Input::Up(*node), cluster.now(), &mut out);
        }
        alive = up;
        cluster.local.metrics().set_strays(machine.strays());
    }
}

fn carry_out(cluster: &Arc<Cluster>, output: Output) -> BoxFuture<'static, Input> {
    let this = Arc::clone(cluster);
    match output {
        Output::Look => Box::pin(async move { this.held_astray().await }),
        Output::Compare { call, home, with, epoch } => {
            Box::pin(async move { Input::Compared { call, has_all: this.give(home, with, epoch).await } })
        }
        Output::Drop { call, home, epoch, held } => {
            Box::pin(async move { Input::Dropped { call, done: this.drop_home(home, epoch, held).await } })
        }
    }
}

impl Cluster {
    /// The homes of which this node holds records and which others alone own, with the sums of their sets.
    async fn held_astray(&self) -> Input {
        let (Some(table), me) = (self.table(), self.me) else { return Input::Unknown };
        match self.local.read(move |reader| held(reader, &table, me)).await {
            Ok(Ok(held)) => Input::Held(held),
            Ok(Err(_)) | Err(_) => Input::Unknown,
        }
    }

    /// Sends an owner what it lacks of a home. Whether it has all of it then, synced.
    async fn give(self: &Arc<Self>, home: Home, with: NodeId, epoch: Epoch) -> bool {
        let homes = BTreeSet::from([home]);
        let terms = Terms { epoch, homes, fence: Stamp::MAX, direction: Direction::Push };
        let summary = compare_by(self, with, terms).await;
        let lacks_nothing = summary.homes.get(&home).is_some_and(|difference| difference.missing_there.count() == 0);
        summary.complete && lacks_nothing && self.epoch() == epoch
    }

    /// Sends records to an owner by the table of `epoch`. What was erased here is nothing that it could be sent.
    pub(super) async fn push(
        &self,
        to: NodeId,
        epoch: Epoch,
        ids: BTreeSet<RecordId>,
    ) -> Result<BTreeSet<RecordId>, CallError> {
        let found = self.local.read(move |reader| {
            let found = ids.into_iter().map(|id| Ok((id, reader.get(&id)?)));
            found.collect::<Result<Vec<_>, ReadError>>()
        });
        let broken = |error: &dyn std::fmt::Display| CallError::Refused(error.to_string());
        let found = found.await.map_err(|error| broken(&error))?.map_err(|error| broken(&error))?;
        let (mut records, mut there) = (Vec::new(), BTreeSet::new());
        for (id, found) in found {
            match found {
                Lookup::Found(record) => records.push(parcel::to_wire(&record)),
                Lookup::Erased(_) => drop(there.insert(id)),
                Lookup::Absent | Lookup::Damaged(_) => {}
            }
        }
        if records.is_empty() {
            return Ok(there);
        }
        let sent: Vec<_> = records.iter().map(|record| record.id).collect();
        let stored = self.peers.store(to, proto::Role::Owned, epoch, records, CALL_DEADLINE).await?;
        there
            .extend(sent.into_iter().zip(stored.verdicts).filter(|(_, verdict)| verdict.is_synced()).map(|(id, _)| id));
        Ok(there)
    }

    async fn drop_home(&self, home: Home, epoch: Epoch, held: SetSum) -> bool {
        match self.local.drop_home(home, held, epoch, self.newest.subscribe()).await {
            Ok(true) => {
                tracing::info!(
                    home = home.number(),
                    records = held.count,
                    epoch = epoch.0,
                    "a home that moved away was handed over and dropped"
                );
                true
            }
            Ok(false) => false,
            Err(error) => {
                tracing::warn!(home = home.number(), %error, "a home could not be dropped; it is tried again");
                false
            }
        }
    }
}

/// The homes of which this node holds records and which others alone own by this table, with the sums of their sets.
pub(super) fn held(reader: &Reader, table: &Table, me: NodeId) -> Result<BTreeMap<Home, SetSum>, ReadError> {
    let homes: BTreeMap<_, _> = reader.homes()?.into_iter().collect();
    let astray = strays(table, me, homes.keys().copied()).into_iter();
    let with_records = astray.map(|home| Ok(reader.holds_records(home)?.then_some(home)));
    let with_records = with_records.collect::<Result<Vec<_>, ReadError>>()?;
    Ok(with_records.into_iter().flatten().filter_map(|home| Some((home, *homes.get(&home)?))).collect())
}
