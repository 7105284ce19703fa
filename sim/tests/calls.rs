//! Calls between nodes over simulated streams: cut inside a stream and mended, on a bad day, and the same twice.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use cluster::control::Versions;
use cluster::membership::ClusterKey;
use cluster::{ClusterId, Epoch, NodeId};
use model::{Home, RecordId, Stamp};
use node::metrics::Metrics;
use node::rpc::{CallError, Caller, Credentials, Peers, Server, Service, Sink};
use node::world::World;
use proto::{
    BequeathReply, BequeathRequest, BodiesPage, BodiesRequest, ConfirmReply, ConfirmRequest, Element, ElementsPage,
    ElementsRequest, FetchReply, FetchRequest, GreetReply, GreetRequest, ProposeReply, ProposeRequest, RaftReply,
    RaftRequest, Record, Refusal, Report, ReportRequest, Role, RootsReply, RootsRequest, ScanPage, ScanRequest,
    StoreReply, StoreRequest, TableReply, TableRequest, Verdict,
};
use sim::chance::Chance;
use sim::world::{Cuts, Forecast, Surroundings};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;
use turmoil::{Builder, Sim};

const MS: Duration = Duration::from_millis(1);
const PORT: u16 = 18182;
const NODES: u64 = 3;

/// What happened, and when.
type Log = Arc<Mutex<Vec<String>>>;

fn note(log: &Log, what: &str) {
    let at = turmoil::sim_elapsed().unwrap_or_default();
    log.lock().unwrap().push(format!("{} ms: {what}", at.as_millis()));
}

/// Answers what these tests ask.
struct Echo;

fn no<T>() -> Result<T, Refusal> {
    Err(Refusal::Refused("not in this test".to_owned()))
}

impl Service for Echo {
    async fn catch_up(&self, _: Caller) {}

    async fn raft(&self, _: Caller, request: RaftRequest) -> Result<RaftReply, Refusal> {
        Ok(RaftReply { payload: request.payload })
    }

    async fn greet(&self, _: Caller, _: GreetRequest) -> Result<GreetReply, Refusal> {
        no()
    }

    async fn table(&self, _: Caller, request: TableRequest) -> Result<TableReply, Refusal> {
        Ok(TableReply { epoch: request.newer_than, state: None })
    }

    async fn propose(&self, _: Caller, _: ProposeRequest) -> Result<ProposeReply, Refusal> {
        no()
    }

    async fn report(&self, _: Caller, _: ReportRequest) -> Result<Report, Refusal> {
        no()
    }

    async fn raised(&self, _: Caller, _: proto::RaisedRequest) -> Result<proto::RaisedReply, Refusal> {
        no()
    }

    async fn bequeath(&self, _: Caller, _: BequeathRequest) -> Result<BequeathReply, Refusal> {
        no()
    }

    async fn store(&self, _: Caller, request: StoreRequest) -> Result<StoreReply, Refusal> {
        let verdicts = request.records.iter().map(|record| Verdict::Created(record.stamp)).collect();
        Ok(StoreReply { verdicts, takes_next: 1 })
    }

    async fn confirm(&self, _: Caller, _: ConfirmRequest) -> Result<ConfirmReply, Refusal> {
        no()
    }

    async fn fetch(&self, _: Caller, _: FetchRequest) -> Result<FetchReply, Refusal> {
        no()
    }

    async fn scan(&self, _: Caller, _: ScanRequest, _: Sink<ScanPage>) -> Result<(), Refusal> {
        no()
    }

    async fn roots(&self, _: Caller, _: RootsRequest) -> Result<RootsReply, Refusal> {
        no()
    }

    async fn elements(
        &self,
        _: Caller,
        request: ElementsRequest,
        mut pages: Sink<ElementsPage>,
    ) -> Result<(), Refusal> {
        for number in 0..request.until.to_bits() {
            pages.push(Element { stamp: Stamp::from_bits(number), id: RecordId([1; 32]), leaf: [2; 16] }).await?;
        }
        Ok(pages.finish().await?)
    }

    async fn bodies(&self, _: Caller, _: BodiesRequest, _: Sink<BodiesPage>) -> Result<(), Refusal> {
        no()
    }
}

fn name(number: u64) -> String {
    format!("node-{number}")
}

/// Nodes that answer, each in a world of its own, and on the first of them a task.
fn simulate<F>(seed: u64, forecast: Forecast, task: impl Fn(Peers, Log) -> F + Clone + 'static) -> (Sim<'static>, Log)
where
    F: Future<Output = ()> + 'static,
{
    let chance = Chance::of(seed);
    let mut sim = Builder::new()
        .rng_seed(seed)
        .simulation_duration(600 * 1000 * MS)
        .min_message_latency(MS)
        .max_message_latency(3 * MS)
        .tcp_capacity(4096)
        .build();
    let addresses: Vec<IpAddr> = (1..=NODES).map(|number| sim.lookup(name(number))).collect();
    let (cuts, log) = (Cuts::default(), Log::default());
    for number in 1..=NODES {
        let surroundings = Surroundings::new(&chance.branch("host", number));
        surroundings.weather.set(forecast);
        let index = usize::try_from(number - 1).unwrap();
        let world = surroundings.world(addresses[index], &cuts, 0, Versions::SHIPPED);
        let (addresses, log, task) = (addresses.clone(), Arc::clone(&log), task.clone());
        sim.host(name(number), move || {
            let life = live(number, world.clone(), addresses.clone(), Arc::clone(&log), task.clone());
            async move {
                life.await;
                Ok(())
            }
        });
    }
    (sim, log)
}

async fn live<F>(number: u64, world: World, addresses: Vec<IpAddr>, log: Log, task: impl Fn(Peers, Log) -> F)
where
    F: Future<Output = ()> + 'static,
{
    let key = ClusterKey([9; 32]);
    let credentials = Arc::new(Credentials::new(NodeId(number), &key, Some(ClusterId([7; 16]))));
    credentials.introduce((1..=NODES).map(NodeId));
    let everywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT));
    let server = Server::bind(world.network.as_ref(), everywhere).await.unwrap();
    let peers = Peers::new(&world, Arc::clone(&credentials));
    for (number, address) in (1..).zip(addresses) {
        peers.set_address(NodeId(number), SocketAddr::new(address, PORT));
    }
    let (_stop, stopped) = watch::channel(false);
    let serving = server.serve(Arc::new(Echo), credentials, Metrics::new().unwrap().connections_refused, stopped);
    if number == 1 {
        tokio::task::spawn_local(task(peers, log));
    }
    serving.await;
}

fn record(number: u64) -> Record {
    let (id, archive) = (RecordId([1; 32]), vec![1; 500].into());
    Record { format: 1, kind: 1, id, home: Home::GLOBAL, stamp: Stamp::from_bits(number), archive }
}

fn pass(sim: &mut Sim<'static>, time: Duration) {
    let until = sim.elapsed() + time;
    while sim.elapsed() < until {
        sim.step().unwrap();
    }
}

/// Reads streams without end, and says what becomes of them.
async fn read_streams(peers: Peers, log: Log) {
    let to = NodeId(2);
    loop {
        let request = ElementsRequest { home: Home::GLOBAL, after: None, until: Stamp::MAX };
        match peers.elements(to, request, 5000 * MS).await {
            Ok(mut pages) => {
                note(&log, "opened");
                let broken = loop {
                    match pages.next().await {
                        Ok(Some(_)) => sleep(20 * MS).await,
                        Ok(None) => panic!("a stream without end has ended"),
                        Err(error) => break error,
                    }
                };
                note(&log, &format!("broken: {}", kind(&broken)));
            }
            Err(error) => note(&log, &format!("not opened: {}", kind(&error))),
        }
        sleep(100 * MS).await;
    }
}

fn kind(error: &CallError) -> &'static str {
    match error {
        CallError::Unreachable(_) => "unreachable",
        CallError::Deadline => "deadline",
        CallError::StaleEpoch { .. }
        | CallError::BehindEpoch { .. }
        | CallError::WrongCluster { .. }
        | CallError::WrongKey
        | CallError::WrongNode { .. }
        | CallError::WrongProtocol { .. }
        | CallError::Overloaded { .. }
        | CallError::Refused(_)
        | CallError::Malformed(_) => "refused",
    }
}

#[test]
fn a_cut_inside_a_stream_is_noticed_and_after_it_the_peer_is_found_again() {
    for seed in 0..3 {
        let (mut sim, log) = simulate(seed, Forecast::default(), read_streams);
        pass(&mut sim, 1000 * MS);
        assert_eq!(log.lock().unwrap().len(), 1, "{log:?}");
        sim.partition(name(1), name(2));
        pass(&mut sim, 4000 * MS);
        let noticed = log.lock().unwrap().clone();
        assert!(noticed[1].contains("broken: unreachable"), "{noticed:?}");
        let at: u64 = noticed[1].split_once(' ').unwrap().0.parse().unwrap();
        assert!((1000..3500).contains(&at), "keep-alive notices within two seconds and a bit: {noticed:?}");
        sim.repair(name(1), name(2));
        pass(&mut sim, 3000 * MS);
        assert!(log.lock().unwrap().last().unwrap().contains("opened"), "{log:?}");
    }
}

/// Stores records one by one, several at a time, and says what becomes of each.
async fn store_records(peers: Peers, log: Log) {
    for number in 0..200 {
        let (peers, log) = (peers.clone(), Arc::clone(&log));
        tokio::task::spawn_local(async move {
            let to = NodeId(2 + number % 2);
            let what = match peers.store(to, Role::Owned, Epoch(0), vec![record(number)], 500 * MS).await {
                Ok(stored) => {
                    assert_eq!(stored.verdicts, [Verdict::Created(Stamp::from_bits(number))]);
                    "stored"
                }
                Err(error) => kind(&error),
            };
            note(&log, &format!("{number} {what}"));
        });
        sleep(3 * MS).await;
    }
}

fn bad_day(seed: u64) -> Vec<String> {
    let tenth = 100_000;
    let forecast = Forecast {
        lost_in_a_million: tenth,
        doubled_in_a_million: tenth,
        late_in_a_million: tenth,
        lateness_max: 50 * MS,
    };
    let (mut sim, log) = simulate(seed, forecast, store_records);
    pass(&mut sim, 3000 * MS);
    log.lock().unwrap().clone()
}

#[test]
fn on_a_bad_day_every_store_ends_and_is_stored_or_late() {
    for seed in 0..5 {
        let log = bad_day(seed);
        assert_eq!(log.len(), 200);
        assert!(log.iter().all(|line| line.ends_with("stored") || line.ends_with("deadline")), "{log:?}");
        assert!(log.iter().any(|line| line.ends_with("deadline")), "the weather does something");
        assert!(log.iter().filter(|line| line.ends_with("stored")).count() > 100, "{log:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_day() {
    assert_eq!(bad_day(7), bad_day(7));
    assert_ne!(bad_day(7), bad_day(8));
}
