//! A node that is nothing but its calls.

use crate::metrics::Metrics;
use crate::rpc::{CallError, Caller, Credentials, Peers, Server, Service, Sink};
use crate::world::World;
use cluster::membership::ClusterKey;
use cluster::{ClusterId, Epoch, NodeId, NodeKey};
use model::record::{Predicate, Subject};
use model::{Home, RecordId, Stamp};
use prometheus::IntCounterVec;
use proto::{
    BequeathReply, BequeathRequest, Bequest, BodiesPage, BodiesRequest, ConfirmReply, ConfirmRequest, Element,
    ElementsPage, ElementsRequest, FetchReply, FetchRequest, Found, GreetReply, GreetRequest, Greeting, Held, HomeSum,
    Membership, ProposeReply, ProposeRequest, Question, RaftReply, RaftRequest, Reachable, Record, Refusal, Report,
    ReportRequest, RootsReply, RootsRequest, ScanEnd, ScanPage, ScanRequest, Standing, State, StoreReply, StoreRequest,
    TableReply, TableRequest, Verdict,
};
use std::collections::BTreeSet;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinHandle;

pub(super) const HERE: ClusterId = ClusterId([7; 16]);
pub(super) const KEY: ClusterKey = ClusterKey([9; 32]);
/// Longer than anything takes that comes to an end.
/// Before anybody knows a table.
pub(super) const EPOCH: Epoch = Epoch(0);
pub(super) const SOON: Duration = Duration::from_secs(30);
/// Long enough to be sure that something does not come.
pub(super) const AWHILE: Duration = Duration::from_millis(300);

/// What the calls of a node meet.
#[derive(Debug)]
pub(super) struct Fake {
    pub(super) credentials: Arc<Credentials>,
    pub(super) key: NodeKey,
    /// Stores wait for one each.
    pub(super) lets: Semaphore,
    /// The number of records of every store.
    pub(super) stores: Mutex<Vec<usize>>,
    /// How many elements were put into streams.
    pub(super) pushed: AtomicUsize,
    /// How many streams of elements have begun and not ended.
    pub(super) streaming: AtomicUsize,
    /// Something of this has changed.
    pub(super) changed: Notify,
    /// What `catch_up` finds.
    pub(super) newest: Epoch,
}

/// A node that listens.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: NodeId,
    pub(super) peers: Peers,
    pub(super) fake: Arc<Fake>,
    pub(super) address: SocketAddr,
    pub(super) refused: IntCounterVec,
    pub(super) stop: watch::Sender<bool>,
    pub(super) serving: JoinHandle<()>,
}

impl Node {
    pub(super) async fn start(id: u64, key: &ClusterKey, cluster: Option<ClusterId>) -> Self {
        Self::start_in(World::machine(), ([127, 0, 0, 1], 0).into(), Credentials::new(NodeId(id), key, cluster)).await
    }

    pub(super) async fn start_in(world: World, address: SocketAddr, credentials: Credentials) -> Self {
        let key = key(credentials.node());
        Self::start_as(key, world, address, credentials).await
    }

    pub(super) async fn start_as(key: NodeKey, world: World, address: SocketAddr, credentials: Credentials) -> Self {
        credentials.introduce([1, 2, 3].map(NodeId));
        let credentials = Arc::new(credentials);
        let fake = Arc::new(Fake {
            credentials: Arc::clone(&credentials),
            key,
            lets: Semaphore::new(Semaphore::MAX_PERMITS),
            stores: Mutex::default(),
            pushed: AtomicUsize::new(0),
            streaming: AtomicUsize::new(0),
            changed: Notify::new(),
            newest: Epoch(5),
        });
        let server = Server::bind(world.network.as_ref(), address).await.unwrap();
        let address = server.address().unwrap();
        let (stop, stopped) = watch::channel(false);
        let refused = Metrics::new().unwrap().connections_refused;
        let serving = tokio::spawn(server.serve(Arc::clone(&fake), Arc::clone(&credentials), refused.clone(), stopped));
        let (id, peers) = (credentials.node(), Peers::new(&world, credentials));
        Self { id, peers, fake, address, refused, stop, serving }
    }

    /// So many members of one cluster that know each other.
    pub(super) async fn cluster(count: u64) -> Vec<Self> {
        let mut nodes = Vec::new();
        for id in 1..=count {
            nodes.push(Self::start(id, &KEY, Some(HERE)).await);
        }
        for node in &nodes {
            nodes.iter().for_each(|other| node.knows(other));
        }
        nodes
    }

    /// How many connections were turned away for a reason.
    pub(super) fn turned_away(&self, reason: &str) -> u64 {
        self.refused.with_label_values(&[reason]).get()
    }

    pub(super) fn knows(&self, other: &Self) {
        self.peers.set_address(other.id, other.address);
    }

    pub(super) fn learn(&self, epoch: u64) {
        self.fake.credentials.learn(Epoch(epoch));
    }

    pub(super) async fn report_of(&self, other: &Self) -> Result<Report, CallError> {
        self.peers.report(other.id, SOON).await
    }
}

impl Fake {
    /// Waits until something is so.
    pub(super) async fn until(&self, is_so: impl Fn(&Self) -> bool) {
        loop {
            let changed = self.changed.notified();
            if is_so(self) {
                return;
            }
            changed.await;
        }
    }

    pub(super) fn messages(&self) -> usize {
        self.stores.lock().unwrap().len()
    }
}

pub(super) fn record(number: u8) -> Record {
    let (id, archive) = (RecordId([number; 32]), vec![number; 1000].into());
    Record { format: 1, kind: 1, id, home: Home::GLOBAL, stamp: Stamp::from_bits(u64::from(number)), archive }
}

pub(super) fn question(number: u8) -> Question {
    let subject = Subject::new(format!("subject {number:03}")).unwrap();
    Question { subject, predicate: Predicate::new("is").unwrap() }
}

pub(super) fn element(number: u64) -> Element {
    Element { stamp: Stamp::from_bits(number), id: RecordId([1; 32]), leaf: [2; 16] }
}

/// A key that begins as the id of `node` does.
pub(super) fn key(node: NodeId) -> NodeKey {
    let mut key = [7; 32];
    key[..8].copy_from_slice(&node.0.to_be_bytes());
    NodeKey(key)
}

pub(super) fn greeting(node: NodeId, address: SocketAddr) -> Greeting {
    Greeting {
        node: node.0,
        generation: 1,
        standing: Standing::Fresh { expect: 3 },
        protocol_min: 1,
        protocol_max: 1,
        wall_ms: 2,
        epoch: 0,
        rpc: address,
        gossip: address,
        clients: address,
        zone: "a".to_owned(),
        release: "0".to_owned(),
        key: key(node).0,
    }
}

impl Service for Fake {
    async fn catch_up(&self, _: Caller) {
        self.credentials.learn(self.newest);
    }

    async fn raft(&self, _: Caller, request: RaftRequest) -> Result<RaftReply, Refusal> {
        Ok(RaftReply { payload: request.payload })
    }

    async fn greet(&self, caller: Caller, request: GreetRequest) -> Result<GreetReply, Refusal> {
        assert_eq!(caller.node.0, request.greeting.node);
        let greeting = Greeting { key: self.key.0, ..greeting(self.credentials.node(), request.greeting.rpc) };
        Ok(GreetReply { greeting, reachable: Reachable::NotAsked, membership: Membership::None })
    }

    async fn table(&self, _: Caller, request: TableRequest) -> Result<TableReply, Refusal> {
        Ok(TableReply { epoch: request.newer_than + 1, state: Some(vec![1].into()) })
    }

    async fn propose(&self, _: Caller, request: ProposeRequest) -> Result<ProposeReply, Refusal> {
        match request.command.as_slice() {
            b"never" => pending().await,
            b"no" => Err(Refusal::Refused("as asked".to_owned())),
            _ => Ok(ProposeReply::NotLeader(Some(3))),
        }
    }

    async fn report(&self, caller: Caller, ReportRequest: ReportRequest) -> Result<Report, Refusal> {
        Ok(Report {
            node: self.credentials.node().0,
            generation: 1,
            release: String::new(),
            wall_ms: 0,
            uptime_ms: 0,
            epoch: 0,
            leader: Some(caller.node.0),
            term: 0,
            applied: 0,
            problems: Vec::new(),
            homes_owned: 0,
            homes_fit: 0,
            records: 0,
            hints: Vec::new(),
            shortfalls: Vec::new(),
            lags: Vec::new(),
            taken: BTreeSet::new(),
            homes_stray: 0,
            can_leave: false,
        })
    }

    async fn bequeath(&self, _: Caller, request: BequeathRequest) -> Result<BequeathReply, Refusal> {
        let count = match request.what {
            Bequest::Ids(ids) => ids.len(),
            Bequest::Records(records) => records.len(),
        };
        Ok(BequeathReply { safe: vec![true; count] })
    }

    #[cfg(feature = "next")]
    async fn raised(&self, _: Caller, _: proto::RaisedRequest) -> Result<proto::RaisedReply, Refusal> {
        Ok(proto::RaisedReply { version: Some(proto::RaisedRequest::SINCE) })
    }

    async fn store(&self, _: Caller, request: StoreRequest) -> Result<StoreReply, Refusal> {
        self.stores.lock().unwrap().push(request.records.len());
        self.changed.notify_waiters();
        self.lets.acquire().await.unwrap().forget();
        let verdicts = request.records.iter().map(|record| Verdict::Created(record.stamp)).collect();
        Ok(StoreReply { verdicts, takes_next: 100 })
    }

    async fn confirm(&self, _: Caller, request: ConfirmRequest) -> Result<ConfirmReply, Refusal> {
        Ok(ConfirmReply { synced: request.ids.iter().map(|id| id.0[0] % 2 == 0).collect() })
    }

    async fn fetch(&self, _: Caller, request: FetchRequest) -> Result<FetchReply, Refusal> {
        let found = |id: &RecordId| match id.0[0] {
            0 => Found { id: *id, state: State::Absent },
            number => Found { id: *id, state: State::Held(Held { record: record(number), hint: request.hints }) },
        };
        Ok(FetchReply { found: request.ids.iter().map(found).collect() })
    }

    /// As many questions as the limit says, each with as many records as its number.
    async fn scan(&self, _: Caller, request: ScanRequest, mut pages: Sink<ScanPage>) -> Result<(), Refusal> {
        for number in 0..u8::try_from(request.limit).unwrap() {
            let held = |_| Held { record: record(number), hint: false };
            pages.question(question(number), (0..number).map(held), None).await?;
        }
        Ok(pages.end(ScanEnd { more: true, fence_age_ms: Some(7), stable_at: None }).await?)
    }

    async fn roots(&self, _: Caller, request: RootsRequest) -> Result<RootsReply, Refusal> {
        let sum = |home| HomeSum {
            home,
            sum: [3; 16],
            count: request.fence.to_bits(),
            stable: None,
            settled: None,
            since: Stamp::ZERO,
        };
        Ok(RootsReply { sums: request.homes.iter().map(sum).collect(), closed: request.fence })
    }

    /// Element after element up to the fence.
    async fn elements(
        &self,
        _: Caller,
        request: ElementsRequest,
        mut pages: Sink<ElementsPage>,
    ) -> Result<(), Refusal> {
        let _streaming = Streaming::begin(self);
        for number in 0..request.until.to_bits() {
            pages.push(element(number)).await?;
            self.pushed.fetch_add(1, Ordering::SeqCst);
            self.changed.notify_waiters();
        }
        Ok(pages.finish().await?)
    }

    async fn bodies(&self, _: Caller, request: BodiesRequest, mut pages: Sink<BodiesPage>) -> Result<(), Refusal> {
        for id in request.ids {
            if id.0[0] == 255 {
                return Err(Refusal::Refused("as asked".to_owned()));
            }
            pages.push(Found { id, state: State::Damaged }).await?;
        }
        Ok(pages.finish().await?)
    }
}

/// Counts as long as it lives.
struct Streaming<'a>(&'a Fake);

impl<'a> Streaming<'a> {
    fn begin(fake: &'a Fake) -> Self {
        fake.streaming.fetch_add(1, Ordering::SeqCst);
        fake.changed.notify_waiters();
        Self(fake)
    }
}

impl Drop for Streaming<'_> {
    fn drop(&mut self) {
        self.0.streaming.fetch_sub(1, Ordering::SeqCst);
        self.0.changed.notify_waiters();
    }
}
