//! What a node holds that was removed, on its way to the others; and the other side, which keeps it for its owners.
//!
//! It carries out what [`cluster::reconcile::bequest`] decides. A node that was removed is never asked for anything: it names
//! what it holds, and brings what not every owner has. It forgets nothing of it.

use super::health::Bequeathed;
use super::replays::broken;
use super::{Cluster, parcel};
use crate::rpc::CallError;
use ::cluster::placement::homes as all_homes;
use ::cluster::reconcile::bequest::{Bequest, Input, Output, Settings};
use ::cluster::{Millis, NodeId};
use futures_util::future::join_all;
use model::{Home, RecordId, Stamp};
use proto::limits::{CONFIRM_IDS_MAX, MESSAGE_BYTES_FULL, STORE_RECORDS_MAX};
use proto::{BequeathReply, BequeathRequest, Bequest as Named, Refusal, Role, StoreRequest, Verdict};
use std::collections::BTreeSet;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use storage::store::{Lookup, ReadError, Reader};

/// How long a member may take for one answer: it asks all owners meanwhile, or syncs what it was brought.
const CALL_DEADLINE: Duration = Duration::from_secs(5);
/// How often it is looked who is there.
const LOOK_EVERY: Millis = Millis(500);
/// How many ids are named at once.
const NAMED_MAX: usize = 1_024;

const SETTINGS: Settings = Settings { pause_min: Millis(500), pause_max: Millis(30_000) };

const _: () = assert!(NAMED_MAX <= CONFIRM_IDS_MAX);

/// Waits until this node is removed, and hands over what it holds, until it stops.
pub(crate) async fn run(cluster: Arc<Cluster>) {
    cluster.until_removed().await;
    let mut out = Vec::new();
    let mut machine = Bequest::start(SETTINGS, cluster.now());
    machine.handle(Input::Heirs(cluster.heirs()), cluster.now(), &mut out);
    loop {
        let mut inputs = Vec::new();
        for output in std::mem::take(&mut out) {
            match output {
                Output::Find => inputs.push(cluster.homes_held().await),
                Output::Give { home, to } => inputs.push(match cluster.bequeath(home, to).await {
                    Ok(left) => Input::Given { left },
                    Err(error) => {
                        tracing::debug!(home = home.number(), %to, %error, "a home could not be handed over");
                        Input::Failed
                    }
                }),
                Output::Over => {
                    cluster.note_bequeathed(Bequeathed::All);
                    tracing::warn!("all that this node holds is safe with the owners; it can be stopped for good");
                    return pending().await;
                }
            }
        }
        if let Some(left) = machine.left() {
            cluster.note_bequeathed(Bequeathed::Left(left));
        }
        inputs.push(Input::Heirs(cluster.heirs()));
        for input in inputs {
            machine.handle(input, cluster.now(), &mut out);
        }
        if out.is_empty() {
            let look_at = cluster.now() + LOOK_EVERY;
            cluster.sleep_until(Some(machine.wake_at().map_or(look_at, |at| at.min(look_at)))).await;
            machine.handle(Input::Tick, cluster.now(), &mut out);
        }
    }
}

impl Cluster {
    /// Who can be told what this node holds: whom it knows as a member, and who is there.
    fn heirs(&self) -> BTreeSet<NodeId> {
        let view = self.view.borrow();
        self.member_ids().into_iter().filter(|node| *node != self.me && view.alive.contains_key(node)).collect()
    }

    async fn homes_held(&self) -> Input {
        match self.local.read(homes_held).await {
            Ok(Ok(homes)) => Input::Found(homes),
            Ok(Err(_)) | Err(_) => Input::Failed,
        }
    }

    /// Names all of a home to a member and brings it what is not safe. How many records are not safe yet.
    async fn bequeath(&self, home: Home, to: NodeId) -> Result<u64, CallError> {
        let (mut left, mut at) = (0, Some(Place::First));
        while let Some(place) = at {
            let read = self.local.read(move |reader| page(reader, home, place)).await;
            let (ids, next) = read.map_err(broken)?.map_err(broken)?;
            at = next;
            if ids.is_empty() {
                continue;
            }
            let request = BequeathRequest { home, what: Named::Ids(ids.clone()) };
            let safe = self.peers.bequeath(to, request, CALL_DEADLINE).await?.safe;
            let lacking: Vec<_> = ids.into_iter().zip(safe).filter(|(_, safe)| !safe).map(|(id, _)| id).collect();
            left += u64::try_from(lacking.len()).unwrap_or(u64::MAX);
            self.bring(home, to, lacking).await?;
        }
        Ok(left)
    }

    /// Brings records to a member. What cannot be read here is passed over: it stays among what is left.
    async fn bring(&self, home: Home, to: NodeId, mut ids: Vec<RecordId>) -> Result<(), CallError> {
        while !ids.is_empty() {
            let read = self.local.read(move |reader| pack(reader, ids)).await;
            let (records, rest) = read.map_err(broken)?.map_err(broken)?;
            ids = rest;
            if !records.is_empty() {
                self.peers.bequeath(to, BequeathRequest { home, what: Named::Records(records) }, CALL_DEADLINE).await?;
            }
        }
        Ok(())
    }

    /// Takes what a node says that was removed: keeps its records for the owners, or says which of its ids all owners have.
    pub(super) async fn inherit(&self, from: NodeId, request: BequeathRequest) -> Result<BequeathReply, Refusal> {
        match request.what {
            Named::Ids(ids) => Ok(BequeathReply { safe: self.with_every_owner(request.home, &ids).await }),
            Named::Records(records) => {
                tracing::info!(%from, home = request.home.number(), records = records.len(), "records that not every \
                    owner has came from a node that was removed");
                let stored = self.store_here(self.epoch(), StoreRequest { role: Role::Hint, records }, None).await?;
                Ok(BequeathReply { safe: stored.verdicts.iter().map(Verdict::is_synced).collect() })
            }
        }
    }

    /// Which of these records of a home every owner has synced.
    async fn with_every_owner(&self, home: Home, ids: &[RecordId]) -> Vec<bool> {
        let owners = self.table().map(|table| table.owners(home).to_vec()).unwrap_or_default();
        let places: BTreeSet<_> = ids.iter().map(|id| (home, *id)).collect();
        let ask = owners.iter().map(|owner| self.confirm_at(*owner, places.clone()));
        let confirmed: Vec<_> = join_all(ask).await.into_iter().map(Result::unwrap_or_default).collect();
        let is_safe = |id: &RecordId| !owners.is_empty() && confirmed.iter().all(|confirmed| confirmed.contains(id));
        ids.iter().map(is_safe).collect()
    }
}

/// Where a page of what is held of a home begins.
#[derive(Clone, Copy, Debug)]
enum Place {
    First,
    /// Behind a record that is held as an owner's.
    Held(Stamp, RecordId),
    /// At the first hint, or behind one.
    Hints(Option<RecordId>),
}

/// Some of what is held of a home, and where the next page begins.
fn page(reader: &Reader, home: Home, at: Place) -> Result<(Vec<RecordId>, Option<Place>), ReadError> {
    let after = match at {
        Place::First => None,
        Place::Held(stamp, id) => Some((stamp, id)),
        Place::Hints(after) => {
            let page = reader.hinted(home, after, NAMED_MAX)?;
            let whole = page.hints.iter().map(|hint| hint.record.id());
            let ids = whole.chain(page.damaged.iter().map(|(_, id)| *id)).collect();
            return Ok((ids, page.next.map(|(_, id)| Place::Hints(Some(id)))));
        }
    };
    let elements = reader.elements(home, after, Stamp::MAX, NAMED_MAX)?;
    let next = match elements.last() {
        Some(last) if elements.len() == NAMED_MAX => Place::Held(last.stamp, last.id),
        _ => Place::Hints(None),
    };
    let ids = elements.iter().filter(|element| !element.erased).map(|element| element.id).collect();
    Ok((ids, Some(next)))
}

/// The first of these records that fit in a message, and the others.
fn pack(reader: &Reader, ids: Vec<RecordId>) -> Result<(Vec<proto::Record>, Vec<RecordId>), ReadError> {
    let (mut records, mut bytes) = (Vec::new(), 0);
    let mut ids = ids.into_iter();
    while bytes < MESSAGE_BYTES_FULL && records.len() < STORE_RECORDS_MAX {
        let Some(id) = ids.next() else { break };
        let held = match reader.get(&id)? {
            Lookup::Found(record) => Some(record),
            Lookup::Absent => reader.hint(&id)?,
            Lookup::Erased(_) | Lookup::Damaged(_) => None,
        };
        if let Some(record) = held.map(|record| parcel::to_wire(&record)) {
            bytes += record.weight();
            records.push(record);
        }
    }
    Ok((records, ids.collect()))
}

/// The homes of which this node holds anything, for itself or for others.
fn homes_held(reader: &Reader) -> Result<BTreeSet<Home>, ReadError> {
    let mut homes: BTreeSet<_> = reader.homes()?.into_iter().map(|(home, _)| home).chain(reader.going()).collect();
    for home in all_homes().filter(|home| !homes.contains(home)).collect::<Vec<_>>() {
        let page = reader.hinted(home, None, 1)?;
        if !(page.hints.is_empty() && page.damaged.is_empty()) {
            homes.insert(home);
        }
    }
    Ok(homes)
}
