//! A running node: opened, listening, and stopped in order.
//!
//! [`Node`] joins the store, its loops and the HTTP interface; it holds no rule of the database. [`serve`] is what
//! `stemedb serve` does around it: a runtime, logging, signals and the two addresses on standard output.
//!
//! The runtime's tasks answer requests; the gate's loops verify signatures; one writer changes the store; one caretaker
//! does what is due. On a machine each loop has a thread of its own. A stop ends them from the outside in: no new
//! requests, those in flight answered, the gate drained, the last commit made, the log sealed.

mod daemon;
mod damaged;
mod database;
mod date;
mod gate;
mod joining;
mod lanes;
mod listen;
pub(crate) mod local;
mod lock;
mod maintenance;
mod opening;
mod reserve;
mod state;
mod verify;
mod writer;

pub use daemon::{Daemon, serve, serve_in};
pub use verify::verify;

use crate::advertise::UnknownHost;
use crate::cluster_key::ClusterKeyError;
pub use crate::founding_file::KeptError;
use crate::identity::{Identity, IdentityError};
use crate::metrics::Metrics;
use crate::rpc::NoCertificate;
use crate::settings::Settings;
use crate::world::{Worker, Workers, World};
use ::cluster::ClusterId;
use database::{LocalDatabase, Shared};
use gate::Waiting;
use joining::{Doors, Joined, Papers, Parts};
use lanes::Lanes;
use listen::Listeners;
use local::Local;
pub use lock::KeepKeys;
use lock::Lock;
use maintenance::Caretaker;
use model::AgentId;
use reserve::Reserve;
use state::{ClockWord, NodeState};
use std::error::Error;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use storage::store::{Appender, Store, StoreError};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use writer::{Writer, millis};

/// The most reads that block on the disk at once; with the bytes of a page it bounds the memory that queries take.
const READS_IN_FLIGHT_MAX: usize = 16;
/// The most submissions that wait at the gate; `write.queue_max` bounds their records.
const GATE_JOBS_MAX: usize = 8192;
/// The most jobs that wait for the writer after the gate: enough to fill two commits.
const WRITER_JOBS_MAX: usize = 2048;

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on. Stop what listens there, or set another one.
    #[error("cannot listen on {address} ({setting}): stop what listens there, or set another address")]
    Listen {
        /// The setting.
        setting: &'static str,
        /// Its value.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The node's identity: see there.
    #[error("the node has no identity")]
    Identity(#[from] IdentityError),
    /// The store: see there.
    #[error("the store cannot be opened")]
    Store(#[from] StoreError),
    /// The system gives no threads, no randomness, no address or no event queue. Look at its limits.
    #[error("the system gives no {what}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// What it said.
        #[source]
        source: io::Error,
    },
    /// There is no cluster key: see there.
    #[error("the node has no cluster key")]
    Key(#[from] ClusterKeyError),
    /// The host to advertise is not known: see there.
    #[error("the node does not know where others reach it")]
    Advertise(#[from] UnknownHost),
    /// The node cannot show who it is: see there.
    #[error("the node has no certificate")]
    Certificate(#[from] NoCertificate),
    /// What the node kept of its founding: see there.
    #[error("the node does not know which cluster it is in")]
    Kept(#[from] KeptError),
    /// The node belongs to another cluster than it should. Correct the setting, or the folder.
    #[error("cluster.id: the node in this data_dir belongs to cluster {is}, not to {wanted}")]
    OtherCluster {
        /// What the setting says.
        wanted: ClusterId,
        /// What the node kept.
        is: ClusterId,
    },
    /// The node belongs to a cluster of several nodes, and is to run without its key.
    #[error(
        "cluster_key_file: the node in this data_dir belongs to a cluster of several nodes; name the file with its key"
    )]
    NeedsKey,
    /// A node with the key of a cluster founds none by itself: it may have lost its disk, and its cluster may be there.
    #[error(
        "seeds: this node has a cluster key and belongs to no cluster yet; name nodes of the cluster that it is to join, \
         or of those that it is to found with (bootstrap_expect). To begin with one node, start it once without a key"
    )]
    NothingToJoin,
    /// Two metrics share a name: a fault in this program.
    #[error("the metrics contradict each other")]
    Metrics(#[from] prometheus::Error),
}

/// A node that runs, on the runtime that it was started in.
///
/// Dropped without [`Node::shutdown`], it goes on until the runtime ends.
#[derive(Debug)]
pub struct Node {
    stopping: watch::Sender<bool>,
    servers: tokio::task::JoinHandle<()>,
    tasks: JoinSet<()>,
    loops: Vec<Worker>,
    lock: Option<Lock>,
    state: Arc<NodeState>,
    drain: Duration,
    name: String,
    client_addr: SocketAddr,
    admin_addr: SocketAddr,
}

impl Node {
    /// Starts a node in this world, on the runtime of the caller, and returns once it listens. It may still be rebuilding
    /// its index; `/v1/ready` tells. The store is opened in place: that blocks for as long as recovery takes.
    ///
    /// # Errors
    ///
    /// [`StartError`]; then nothing runs any more.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with timers.
    pub async fn start_in(settings: &Settings, world: World) -> Result<Self, StartError> {
        let system = |what| move |source| StartError::System { what, source };
        let papers = Papers::read(settings, &world)?;
        let listeners = Listeners::bind(settings, world.network.as_ref()).await?;
        let (client_addr, admin_addr) = listeners.addresses().map_err(system("address"))?;

        let doors = match papers {
            Some(papers) => Some(Doors::open(papers, settings, &world, client_addr).await?),
            None => None,
        };
        let World { disk, clock, workers, .. } = &world;
        let state = Arc::new(NodeState::new(Arc::clone(clock), Metrics::new()?));
        if matches!(workers, Workers::Threads) {
            state.metrics.add_process()?;
        }
        let (wal_dir, db_dir) = (settings.wal_folder(), settings.db_folder());
        let mut secret = [0; 32];
        world.entropy.fill(&mut secret).map_err(system("randomness"))?;
        let identity = Identity::load_or_create(disk.as_ref(), &settings.data_dir, &wal_dir, secret)?;
        let set_key = opening::set_key(&identity, doors.as_ref().map(|doors| &doors.key));
        let setup = opening::setup(settings, &world, &state, set_key)?;
        let engine = setup.engine;
        let (appender, reader, report) = Store::open(setup)?;
        opening::tell(&report);
        if settings.accept_clock_jump {
            appender.clock().accept_jump(clock.wall_ms(), millis(clock.monotonic()));
            state.set_clock_word(ClockWord::Right);
        }
        workers.settle().await;

        let for_operators = appender.maintenance();
        let (loops, local) = start_loops(settings, &world, &state, identity.agent(), appender)?;
        let (stopping, stop) = watch::channel(false);
        let parts = Parts { settings, world: &world, identity: &identity, local: local.clone() };
        let Joined { cluster, tasks, lock } = match doors {
            Some(doors) => doors.join(parts, &state.metrics, stop.clone())?,
            None => {
                let alone = joining::alone(parts, client_addr)?;
                workers.settle().await;
                alone
            }
        };
        let database = Shared(Arc::new(LocalDatabase {
            identity: api::database::Identity {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                node_id: identity.name(),
            },
            engine: engine.as_str(),
            cluster,
            reader,
            writer: local.writer,
            maintenance: Mutex::new(for_operators),
            lanes: local.lanes,
            compactions: Lanes::new(1, workers.clone()),
            started: clock.monotonic(),
            write_deadline: Duration::from_millis(settings.write_deadline_ms),
            state: Arc::clone(&state),
            disk: Arc::clone(disk),
            wal_dir,
            db_dir,
        }));
        let servers = tokio::spawn(listeners.serve(Arc::new(database), settings, clock, stop));
        // The last quarter of the deadline is for the last commit and the seal.
        let drain = Duration::from_millis(settings.shutdown_deadline_ms / 4 * 3);
        let name = identity.name();
        Ok(Self { stopping, servers, tasks, loops, lock, state, drain, name, client_addr, admin_addr })
    }

    /// The node's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where clients connect.
    pub fn client_addr(&self) -> SocketAddr {
        self.client_addr
    }

    /// Where operators connect.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin_addr
    }

    /// Reads the file with the cluster's key again, and goes by it from now on. Calls and packets under way are not disturbed.
    ///
    /// # Errors
    ///
    /// [`KeepKeys`]: nothing has changed.
    pub async fn reread_cluster_key(&self) -> Result<(), KeepKeys> {
        self.lock.as_ref().ok_or(KeepKeys::Alone)?.change().await
    }

    /// Waits until the node cannot go on, its disk having failed for one. It still wants a [`Node::shutdown`] then.
    pub fn failed(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut fatal = self.state.watch_fatal();
        async move {
            if fatal.wait_for(Option::is_some).await.is_err() {
                std::future::pending::<()>().await; // the node is gone, and did not fail
            }
        }
    }

    /// Stops the node: requests in flight are answered, the log is sealed. Returns why it had to stop, if it had to.
    ///
    /// Requests that are not answered when three quarters of `shutdown_deadline_ms` have passed are cut off; how long the
    /// loops then take to finish is up to the disk.
    pub async fn shutdown(self) -> Option<String> {
        self.stopping.send_replace(true);
        let Self { mut servers, mut tasks, loops, state, drain, .. } = self;
        if tokio::time::timeout(drain, &mut servers).await.is_err() {
            tracing::warn!("requests were still in flight at the shutdown deadline and are cut off");
            servers.abort();
            servers.await.ok(); // it was cancelled, as asked
        }
        tasks.shutdown().await;
        for worker in loops {
            worker.ended().await;
        }
        state.fatal()
    }
}

/// Starts the loops of a node: those of the gate, the writer and the caretaker. Returns them and the way to the store.
fn start_loops(
    settings: &Settings,
    world: &World,
    state: &Arc<NodeState>,
    eraser: AgentId,
    appender: Appender,
) -> Result<(Vec<Worker>, Local), StartError> {
    let World { disk, workers, .. } = world;
    let (wal_dir, db_dir) = (settings.wal_folder(), settings.db_folder());
    let (reader, stamper) = (appender.reader(), appender.stamper());
    let (spares, wanted_spares) = mpsc::channel(1);
    let (writer_queue, writer_jobs) = mpsc::channel(WRITER_JOBS_MAX);
    let (gate_queue, submissions) = mpsc::channel(GATE_JOBS_MAX);
    let caretaker = Caretaker {
        maintenance: appender.maintenance(),
        state: Arc::clone(state),
        writer: writer_queue.downgrade(),
        disk: Arc::clone(disk),
        workers: workers.clone(),
        wal_dir: wal_dir.clone(),
        db_dir: db_dir.clone(),
        scrub_bytes_per_second: settings.scrub_bytes_per_second,
        healed: std::collections::BTreeSet::new(),
    };
    let writer = Writer {
        clock_word: ClockWord::Unheard,
        appender,
        reader: reader.clone(),
        state: Arc::clone(state),
        eraser,
        reserve: Reserve::new(Arc::clone(disk), vec![wal_dir, db_dir], settings.disk_free_bytes_min),
        spares,
        workers: workers.clone(),
    };
    let waiting = Waiting::new(submissions);
    let mut loops = vec![
        start(workers, "writer", state, writer.work(writer_jobs))?,
        start(workers, "caretaker", state, caretaker.work(wanted_spares))?,
    ];
    for _ in 0..workers.parallelism() {
        loops.push(start(workers, "gate", state, gate::work(waiting.clone(), writer_queue.clone()))?);
    }
    let queued_max = usize::try_from(settings.write_queue_max).unwrap_or(Semaphore::MAX_PERMITS);
    let local = Local {
        reader,
        gate: gate_queue,
        queued: Arc::new(Semaphore::new(queued_max)),
        queued_max,
        writer: writer_queue,
        lanes: Lanes::new(READS_IN_FLIGHT_MAX, workers.clone()),
        stamper,
        state: Arc::clone(state),
    };
    Ok((loops, local))
}

/// Starts a loop of the node. If it panics the node stops: without it, it would answer and never acknowledge.
fn start(
    workers: &Workers,
    name: &'static str,
    state: &Arc<NodeState>,
    work: impl Future<Output = ()> + Send + 'static,
) -> Result<Worker, StartError> {
    let state = Arc::clone(state);
    let panicked = move || state.stop_for_good(format!("the {name} thread panicked"));
    workers.start(name, work, panicked).map_err(|source| StartError::System { what: "thread", source })
}

/// An error and its causes in one line.
fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source()).map(ToString::to_string);
    causes.collect::<Vec<_>>().join(": ")
}
