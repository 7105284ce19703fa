//! Stores to one peer, gathered: whatever waits goes as one message, several of them under way at once.
//!
//! Only what was routed by one placement table travels together. It knows no connection: whoever starts it says how a message
//! is sent. Every submission gets its own verdicts.

use super::error::CallError;
use cluster::Epoch;
use proto::limits::{MESSAGE_BYTES_FULL, STORE_RECORDS_MAX};
use proto::{Record, Role, StoreReply, StoreRequest, Verdict};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

/// The most messages under way at once: enough that one is always on its way while another is being synced.
pub(super) const UNDER_WAY_MAX: usize = 4;
/// The most parcels that wait; whoever brings more waits outside.
const WAITING_MAX: usize = 1024;
/// The most bytes of records that wait or are under way, in units of [`UNIT`].
const UNITS_MAX: u32 = 32 << 10;
/// How finely room for bytes is reckoned.
const UNIT: usize = 1 << 10;
const _: () = assert!(UNITS_MAX as usize * UNIT > proto::limits::MESSAGE_BYTES_MAX, "any parcel finds room");

/// What came of records that were sent to a peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// One for each record, in their order.
    pub verdicts: Vec<Verdict>,
    /// How many records the peer takes next; with 0: wait, then send one.
    pub takes_next: u32,
}

/// Where stores to one peer in one role are brought. Dropped, it sends what waits and ends.
#[derive(Debug)]
pub(super) struct Gather {
    waiting: mpsc::Sender<Parcel>,
    room: Arc<Semaphore>,
}

/// Records that travel in one message, and who waits for them.
#[derive(Debug)]
struct Parcel {
    epoch: Epoch,
    records: Vec<Record>,
    bytes: usize,
    until: Instant,
    answer: oneshot::Sender<Result<Stored, CallError>>,
    _room: OwnedSemaphorePermit,
}

impl Gather {
    /// Starts gathering. `send` sends one message, that was routed by the table of an epoch, and has so much time for it.
    pub(super) fn start<S, F>(role: Role, send: S) -> Self
    where
        S: Fn(Epoch, StoreRequest, Duration) -> F + Clone + Send + 'static,
        F: Future<Output = Result<StoreReply, CallError>> + Send + 'static,
    {
        let (waiting, parcels) = mpsc::channel(WAITING_MAX);
        tokio::spawn(run(role, parcels, send));
        Self { waiting, room: Arc::new(Semaphore::new(UNITS_MAX as usize)) }
    }

    /// Has records synced by the peer, routed by the table of `epoch`. Waits for room if much is under way.
    pub(super) async fn store(
        &self,
        epoch: Epoch,
        records: Vec<Record>,
        deadline: Duration,
    ) -> Result<Stored, CallError> {
        let until = Instant::now() + deadline;
        let bring = async {
            let mut answers = Vec::new();
            for records in split(records) {
                answers.push(self.bring(epoch, records, until).await?);
            }
            let mut stored = Stored::default();
            for answer in answers {
                let Stored { verdicts, takes_next } = answer.await.or(Err(ended()))??;
                stored.verdicts.extend(verdicts);
                stored.takes_next = takes_next;
            }
            Ok(stored)
        };
        timeout_at(until, bring).await.unwrap_or(Err(CallError::Deadline))
    }

    async fn bring(
        &self,
        epoch: Epoch,
        records: Vec<Record>,
        until: Instant,
    ) -> Result<oneshot::Receiver<Result<Stored, CallError>>, CallError> {
        let bytes = records.iter().map(Record::weight).sum::<usize>();
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(UNITS_MAX).min(UNITS_MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(units).await.or(Err(ended()))?;
        let (answer, answered) = oneshot::channel();
        let parcel = Parcel { epoch, records, bytes, until, answer, _room: room };
        self.waiting.send(parcel).await.or(Err(ended()))?;
        Ok(answered)
    }
}

fn ended() -> CallError {
    CallError::Unreachable("this node is stopping, or its message was lost inside it".to_owned())
}

/// Cuts records into parcels that each fit in a message.
fn split(records: Vec<Record>) -> Vec<Vec<Record>> {
    let mut parcels: Vec<Vec<Record>> = Vec::new();
    let mut bytes = 0;
    for record in records {
        let weight = record.weight();
        match parcels.last_mut() {
            Some(parcel) if fits(parcel.len() + 1, bytes + weight) => parcel.push(record),
            _ => {
                parcels.push(vec![record]);
                bytes = 0;
            }
        }
        bytes += weight;
    }
    parcels
}

fn fits(records: usize, bytes: usize) -> bool {
    records <= STORE_RECORDS_MAX && bytes <= MESSAGE_BYTES_FULL
}

/// Sends what is brought, until nobody can bring anything any more and all is answered.
async fn run<S, F>(role: Role, mut parcels: mpsc::Receiver<Parcel>, send: S)
where
    S: Fn(Epoch, StoreRequest, Duration) -> F + Clone + Send + 'static,
    F: Future<Output = Result<StoreReply, CallError>> + Send + 'static,
{
    let mut under_way = JoinSet::new();
    let mut left_over = None;
    loop {
        let first = match left_over.take() {
            Some(parcel) => parcel,
            None => match parcels.recv().await {
                Some(parcel) => parcel,
                None => break,
            },
        };
        while under_way.try_join_next().is_some() {} // those that have ended
        if under_way.len() == UNDER_WAY_MAX {
            under_way.join_next().await;
        }
        // Only now: what came while all messages were under way travels with it.
        let (load, rest) = fill(first, &mut parcels);
        left_over = rest;
        under_way.spawn(deliver(role, load, send.clone()));
    }
    while under_way.join_next().await.is_some() {}
}

/// What goes as one message: the first parcel and as many as fit of those that wait. The one that does not fit is second.
fn fill(first: Parcel, parcels: &mut mpsc::Receiver<Parcel>) -> (Vec<Parcel>, Option<Parcel>) {
    let (epoch, mut records, mut bytes) = (first.epoch, first.records.len(), first.bytes);
    let mut load = vec![first];
    while let Ok(parcel) = parcels.try_recv() {
        (records, bytes) = (records + parcel.records.len(), bytes + parcel.bytes);
        if !fits(records, bytes) || parcel.epoch != epoch {
            return (load, Some(parcel));
        }
        load.push(parcel);
    }
    (load, None)
}

/// Sends one message and gives every parcel its verdicts. Parcels that nobody waits for any more stay behind.
async fn deliver<S, F>(role: Role, load: Vec<Parcel>, send: S)
where
    S: Fn(Epoch, StoreRequest, Duration) -> F,
    F: Future<Output = Result<StoreReply, CallError>>,
{
    let mut load: Vec<Parcel> = load.into_iter().filter(|parcel| !parcel.answer.is_closed()).collect();
    let Some((epoch, until)) = load.iter().map(|parcel| (parcel.epoch, parcel.until)).max_by_key(|(_, until)| *until)
    else {
        return;
    };
    let counts: Vec<usize> = load.iter().map(|parcel| parcel.records.len()).collect();
    let records: Vec<Record> = load.iter_mut().flat_map(|parcel| parcel.records.drain(..)).collect();
    let count = records.len();
    let reply = send(epoch, StoreRequest { role, records }, until.saturating_duration_since(Instant::now())).await;
    let reply = reply.and_then(|reply| match reply.verdicts.len() {
        found if found == count => Ok(reply),
        found => Err(CallError::Malformed(format!("{found} verdicts on {count} records"))),
    });
    let mut verdicts = reply.as_ref().map(|reply| reply.verdicts.clone()).unwrap_or_default().into_iter();
    for (parcel, count) in load.into_iter().zip(counts) {
        let answer = match &reply {
            Ok(StoreReply { takes_next, .. }) => {
                Ok(Stored { verdicts: verdicts.by_ref().take(count).collect(), takes_next: *takes_next })
            }
            Err(error) => Err(error.clone()),
        };
        // Whoever has gone meanwhile does not need it.
        parcel.answer.send(answer).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Home, RecordId, Stamp};
    use std::sync::Mutex;
    use tokio::sync::Semaphore;

    fn record(number: u8, bytes: usize) -> Record {
        Record {
            format: 1,
            kind: 1,
            id: RecordId([number; 32]),
            home: Home::GLOBAL,
            stamp: Stamp::from_bits(u64::from(number)),
            archive: vec![number; bytes].into(),
        }
    }

    /// A peer that answers when it is let, with the stamps it got, and keeps the sizes of the messages.
    #[derive(Clone, Debug)]
    struct Peer {
        lets: Arc<Semaphore>,
        sizes: Arc<Mutex<Vec<usize>>>,
    }

    impl Peer {
        fn new(lets: usize) -> Self {
            Self { lets: Arc::new(Semaphore::new(lets)), sizes: Arc::default() }
        }

        fn gather(&self) -> Arc<Gather> {
            let peer = self.clone();
            Arc::new(Gather::start(Role::Owned, move |_, request, _| peer.clone().answer(request)))
        }

        async fn answer(self, request: StoreRequest) -> Result<StoreReply, CallError> {
            self.sizes.lock().unwrap().push(request.records.len());
            self.lets.acquire().await.unwrap().forget();
            let verdicts = request.records.iter().map(|record| Verdict::Created(record.stamp)).collect();
            Ok(StoreReply { verdicts, takes_next: 7 })
        }

        fn sizes(&self) -> Vec<usize> {
            self.sizes.lock().unwrap().clone()
        }
    }

    const EPOCH: Epoch = Epoch(1);
    const SOON: Duration = Duration::from_secs(60);

    /// Brings one record a store, all at once, and returns the answers.
    async fn stores(gather: &Arc<Gather>, numbers: std::ops::Range<u8>) -> JoinSet<Result<Stored, CallError>> {
        let mut tasks = JoinSet::new();
        for number in numbers {
            let gather = Arc::clone(gather);
            tasks.spawn(async move { gather.store(EPOCH, vec![record(number, 10)], SOON).await });
            tokio::task::yield_now().await;
        }
        until_all_wait().await;
        tasks
    }

    /// Lets every other task run until it waits for something that only the test can give.
    async fn until_all_wait() {
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_waits_goes_as_one_message_and_each_gets_its_own_verdict() {
        let peer = Peer::new(0);
        let gather = peer.gather();
        let tasks = stores(&gather, 0..100).await;
        peer.lets.add_permits(100);
        let mut stamps: Vec<Verdict> = Vec::new();
        for stored in tasks.join_all().await {
            let Stored { mut verdicts, takes_next } = stored.unwrap();
            assert_eq!((verdicts.len(), takes_next), (1, 7));
            stamps.append(&mut verdicts);
        }
        stamps.sort_by_key(|verdict| format!("{verdict:?}"));
        let mut expected: Vec<_> = (0..100).map(|number| Verdict::Created(Stamp::from_bits(number))).collect();
        expected.sort_by_key(|verdict| format!("{verdict:?}"));
        assert_eq!(stamps, expected);
        let sizes = peer.sizes();
        assert_eq!((sizes.len(), sizes.iter().sum()), (UNDER_WAY_MAX + 1, 100), "{sizes:?}");
    }

    #[tokio::test]
    async fn a_long_store_travels_in_parts_and_comes_back_whole() {
        let peer = Peer::new(100);
        let records: Vec<Record> = (0..9).map(|number| record(number, MESSAGE_BYTES_FULL / 3)).collect();
        let stored = peer.gather().store(EPOCH, records, SOON).await.unwrap();
        let expected: Vec<_> = (0..9).map(|number| Verdict::Created(Stamp::from_bits(number))).collect();
        assert_eq!((stored.verdicts, peer.sizes()), (expected, vec![2, 2, 2, 2, 1]));
        let peer = Peer::new(100);
        let many = vec![record(1, 1); STORE_RECORDS_MAX + 1];
        assert_eq!(peer.gather().store(EPOCH, many, SOON).await.unwrap().verdicts.len(), STORE_RECORDS_MAX + 1);
        assert_eq!(peer.sizes(), [STORE_RECORDS_MAX, 1]);
    }

    #[tokio::test]
    async fn what_was_routed_by_different_tables_travels_apart_under_its_own_epoch() {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let book = Arc::clone(&sent);
        let gather = Arc::new(Gather::start(Role::Owned, move |epoch: Epoch, request: StoreRequest, _| {
            book.lock().unwrap().push((epoch.0, request.records.len()));
            let verdicts = request.records.iter().map(|record| Verdict::Created(record.stamp)).collect();
            std::future::ready(Ok(StoreReply { verdicts, takes_next: 1 }))
        }));
        let store = |epoch| gather.store(Epoch(epoch), vec![record(1, 10)], SOON);
        let (one, two, three) = tokio::join!(biased; store(1), store(1), store(2));
        assert!(one.is_ok() && two.is_ok() && three.is_ok());
        let mut sent = sent.lock().unwrap().clone();
        sent.sort_unstable();
        assert_eq!(sent, [(1, 2), (2, 1)]);
    }

    #[tokio::test]
    async fn whoever_waits_too_long_is_told_and_holds_up_nobody() {
        let peer = Peer::new(0);
        let gather = peer.gather();
        let hasty = gather.store(EPOCH, vec![record(1, 10)], Duration::from_millis(1)).await;
        assert_eq!(hasty, Err(CallError::Deadline));
        peer.lets.add_permits(10);
        assert!(gather.store(EPOCH, vec![record(2, 10)], SOON).await.is_ok());
    }

    #[tokio::test]
    async fn much_that_waits_holds_up_whoever_brings_more() {
        let peer = Peer::new(0);
        let gather = peer.gather();
        let large = MESSAGE_BYTES_FULL - UNIT;
        let fitting = UNITS_MAX as usize * UNIT / (large + UNIT);
        let mut tasks = JoinSet::new();
        for _ in 0..fitting + 5 {
            let gather = Arc::clone(&gather);
            tasks.spawn(async move { gather.store(EPOCH, vec![record(1, large)], SOON).await });
        }
        until_all_wait().await;
        assert!(gather.room.available_permits() < large / UNIT);
        peer.lets.add_permits(1000);
        assert!(tasks.join_all().await.iter().all(Result::is_ok));
        assert_eq!(gather.room.available_permits(), UNITS_MAX as usize);
    }

    #[tokio::test]
    async fn a_failure_is_told_to_everybody_in_the_message() {
        let refused = CallError::Refused("no room".to_owned());
        let answer = refused.clone();
        let gather = Arc::new(Gather::start(Role::Hint, move |_, _, _| std::future::ready(Err(answer.clone()))));
        for stored in stores(&gather, 0..9).await.join_all().await {
            assert_eq!(stored, Err(refused.clone()));
        }
        let short = |_, _, _| std::future::ready(Ok(StoreReply { verdicts: Vec::new(), takes_next: 1 }));
        let stored = Gather::start(Role::Hint, short).store(EPOCH, vec![record(1, 1)], SOON).await;
        assert_eq!(stored, Err(CallError::Malformed("0 verdicts on 1 records".to_owned())));
    }
}
