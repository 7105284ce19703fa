//! A running node: opened, listening, and stopped in order.
//!
//! [`Node`] joins the store, its threads and the HTTP interface; it holds no rule of the database. [`serve`] is what
//! `stemedb serve` does around it: logging, signals and the two addresses on standard output.
//!
//! Threads: the runtime's workers answer requests; the gate's verify signatures; one writer changes the store; one
//! caretaker does what is due. A stop ends them from the outside in: no new requests, those in flight answered, the gate
//! drained, the last commit made, the log sealed.

mod database;
mod gate;
mod lanes;
mod listen;
mod maintenance;
mod query;
mod reserve;
mod state;
mod verify;
mod writer;

pub use verify::verify;

use crate::cli::failure::Failure;
use crate::clock::{Clock, SystemClock};
use crate::identity::{Identity, IdentityError};
use crate::metrics::Metrics;
use crate::settings::{Engine, LogFormat, Settings};
use crate::timed_disk::TimedDisk;
use database::{LocalDatabase, Shared};
use gate::Waiting;
use lanes::Lanes;
use listen::Listeners;
use maintenance::Caretaker;
use reserve::Reserve;
use state::NodeState;
use std::error::Error;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, mpsc as blocking};
use std::thread::JoinHandle;
use std::time::Duration;
use storage::disk::{Disk, StdDisk};
use storage::store::{self, Store, StoreError};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, mpsc, watch};
use tracing_subscriber::EnvFilter;
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
    /// The system gives no threads, no randomness or no event queue. Look at its limits.
    #[error("the system gives no {what}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// What it said.
        #[source]
        source: io::Error,
    },
    /// Two metrics share a name: a fault in this program.
    #[error("the metrics contradict each other")]
    Metrics(#[from] prometheus::Error),
}

/// A node that runs.
#[derive(Debug)]
pub struct Node {
    runtime: Runtime,
    stopping: watch::Sender<bool>,
    servers: tokio::task::JoinHandle<()>,
    threads: Vec<JoinHandle<()>>,
    state: Arc<NodeState>,
    drain: Duration,
    name: String,
    client_addr: SocketAddr,
    admin_addr: SocketAddr,
}

impl Node {
    /// Starts a node and returns once it listens. It may still be rebuilding its index; `/v1/ready` tells.
    ///
    /// # Errors
    ///
    /// [`StartError`]; then nothing runs any more.
    pub fn start(settings: &Settings) -> Result<Self, StartError> {
        Self::start_on(settings, Arc::new(StdDisk), Arc::new(SystemClock::start()))
    }

    /// [`Node::start`] with the log on another disk and time from another clock: what tests of faults need. The identity
    /// and the index stay on the machine's own disk.
    ///
    /// # Errors
    ///
    /// As [`Node::start`].
    pub fn start_on(settings: &Settings, disk: Arc<dyn Disk>, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let system = |what| move |source| StartError::System { what, source };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(system("runtime"))?;
        let listeners = runtime.block_on(Listeners::bind(settings))?;
        let (client_addr, admin_addr) = listeners.addresses().map_err(system("address"))?;

        let state = Arc::new(NodeState::new(Arc::clone(&clock), Metrics::new()?));
        let wal_dir = settings.wal_folder();
        let identity = Identity::load_or_create(&settings.data_dir, &wal_dir, random()?)?;
        let setup = setup(settings, disk, &state)?;
        let (mut appender, reader, report) = Store::open(setup)?;
        tell(&report);
        if settings.accept_clock_jump {
            appender.clock().accept_jump(clock.wall_ms(), millis(clock.monotonic()));
        }

        let maintenance = [appender.maintenance(), appender.maintenance()];
        let [for_caretaker, for_operators] = maintenance;
        let (spares, wanted_spares) = blocking::sync_channel(1);
        let (writer_queue, writer_jobs) = mpsc::channel(WRITER_JOBS_MAX);
        let queued_max = usize::try_from(settings.write_queue_max).unwrap_or(Semaphore::MAX_PERMITS);
        let (gate_queue, submissions) = mpsc::channel(GATE_JOBS_MAX);
        let caretaker = Caretaker {
            maintenance: for_caretaker,
            state: Arc::clone(&state),
            writer: writer_queue.downgrade(),
            wal_dir: wal_dir.clone(),
            db_dir: settings.db_folder(),
            scrub_bytes_per_second: settings.scrub_bytes_per_second,
        };
        let writer = Writer {
            appender,
            reader: reader.clone(),
            state: Arc::clone(&state),
            eraser: identity.agent(),
            reserve: Reserve::new(vec![wal_dir.clone(), settings.db_folder()], settings.disk_free_bytes_min),
            spares,
        };
        let waiting = Waiting::new(submissions);
        let mut threads = vec![
            spawn("writer", &state, move || writer.work(writer_jobs))?,
            spawn("caretaker", &state, move || caretaker.work(&wanted_spares))?,
        ];
        for _ in 0..std::thread::available_parallelism().map_or(1, NonZeroUsize::get) {
            let (waiting, queue) = (waiting.clone(), writer_queue.clone());
            threads.push(spawn("gate", &state, move || gate::work(&waiting, &queue))?);
        }

        let database = Shared(Arc::new(LocalDatabase {
            identity: api::database::Identity {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                node_id: identity.name(),
            },
            engine: settings.index_engine.as_str(),
            reader,
            gate: gate_queue,
            queued: Semaphore::new(queued_max),
            queued_max,
            writer: writer_queue,
            maintenance: Mutex::new(for_operators),
            lanes: Lanes::new(READS_IN_FLIGHT_MAX),
            compactions: Lanes::new(1),
            started: clock.monotonic(),
            write_deadline: Duration::from_millis(settings.write_deadline_ms),
            state: Arc::clone(&state),
            wal_dir,
            db_dir: settings.db_folder(),
        }));
        let (stopping, stop) = watch::channel(false);
        let servers = runtime.spawn(listeners.serve(Arc::new(database), settings, stop));
        // The last quarter of the deadline is for the last commit and the seal.
        let drain = Duration::from_millis(settings.shutdown_deadline_ms / 4 * 3);
        let name = identity.name();
        Ok(Self { runtime, stopping, servers, threads, state, drain, name, client_addr, admin_addr })
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

    /// What waits for the end: from now on SIGTERM and SIGINT no longer end the process by themselves.
    fn end(&self) -> io::Result<impl FnOnce() + '_> {
        let _entered = self.runtime.enter();
        let mut terminated = signal(SignalKind::terminate())?;
        let mut interrupted = signal(SignalKind::interrupt())?;
        let mut fatal = self.state.watch_fatal();
        let end = async move {
            tokio::select! {
                biased;
                _ = fatal.wait_for(Option::is_some) => {}
                _ = terminated.recv() => {}
                _ = interrupted.recv() => {}
            }
        };
        Ok(|| self.runtime.block_on(end))
    }

    /// Stops the node: requests in flight are answered, the log is sealed. Returns why it had to stop, if it had to.
    pub fn stop(self) -> Option<String> {
        self.stopping.send_replace(true);
        let Self { runtime, servers, threads, state, drain, .. } = self;
        let drained = runtime.block_on(async { tokio::time::timeout(drain, servers).await.is_ok() });
        if !drained {
            tracing::warn!("requests were still in flight at the shutdown deadline and are cut off");
        }
        runtime.shutdown_timeout(drain / 3);
        for thread in threads {
            thread.join().ok(); // a panic was noted by the thread itself
        }
        state.fatal()
    }
}

/// Runs a node until it is told to stop. Standard output gets its two addresses, standard error the log.
///
/// # Errors
///
/// [`Failure::Failed`] if it could not start, or had to stop because its disk failed.
pub fn serve(settings: Settings) -> Result<(), Failure> {
    start_logging(&settings)?;
    let node = Node::start(&settings).map_err(|error| Failure::of("the node did not start", &error))?;
    let wait_for_the_end = node.end().map_err(|error| Failure::of("signals cannot be had", &error))?;
    let mut out = io::stdout().lock();
    writeln!(out, "StemeDB {} node {}", env!("CARGO_PKG_VERSION"), node.name())?;
    writeln!(out, "  clients  http://{}  (described at /docs)", node.client_addr())?;
    writeln!(out, "  admin    http://{}", node.admin_addr())?;
    writeln!(out, "  data     {} ({} index)", settings.data_dir.display(), settings.index_engine.as_str())?;
    out.flush()?;
    drop(out);
    wait_for_the_end();
    tracing::info!("stopping");
    end_at_the_deadline(&settings)?;
    match node.stop() {
        None => Ok(()),
        Some(why) => Err(Failure::Failed(format!("the node had to stop: {why}"))),
    }
}

/// Ends the process when the shutdown deadline has passed, whatever is still being written down: everything acknowledged
/// is on disk, and the next start checks the index.
fn end_at_the_deadline(settings: &Settings) -> Result<(), Failure> {
    let deadline = Duration::from_millis(settings.shutdown_deadline_ms);
    let watchdog = std::thread::Builder::new().name("deadline".to_owned()).spawn(move || {
        std::thread::park_timeout(deadline);
        tracing::warn!("the shutdown deadline has passed; what is left is done by the next start");
        std::process::exit(0);
    });
    watchdog.map(drop).map_err(|error| Failure::of("the system gives no thread", &error))
}

fn start_logging(settings: &Settings) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&settings.logging_filter)
        .map_err(|error| Failure::Usage(format!("logging.filter: {error}")))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).log_internal_errors(false);
    let started = match settings.logging_format {
        LogFormat::Text => lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    started.map_err(|error| Failure::Failed(format!("logging does not start: {error}")))
}

/// What opening the store takes.
fn setup(settings: &Settings, disk: Arc<dyn Disk>, state: &NodeState) -> Result<store::Setup, StartError> {
    let disk = TimedDisk::new(disk, Arc::clone(&state.clock), state.metrics.fsync_latency.clone());
    let [seed, _] = halves(random()?);
    Ok(store::Setup {
        disk: Arc::new(disk),
        wal_dir: settings.wal_folder(),
        db_dir: settings.db_folder(),
        engine: engine(settings.index_engine),
        settings: store_settings(settings),
        store_id_seed: seed,
        wall_ms: state.clock.wall_ms(),
    })
}

fn engine(setting: Engine) -> storage::index::Engine {
    match setting {
        Engine::Sled => storage::index::Engine::Sled,
        Engine::Fjall => storage::index::Engine::Fjall,
    }
}

/// The part of the settings that the store wants. Their limits were checked when they were read.
fn store_settings(settings: &Settings) -> store::Settings {
    let log = storage::log::Settings {
        segment_bytes_max: u32::try_from(settings.log_segment_bytes_max).unwrap_or(u32::MAX),
        ..storage::log::Settings::default()
    };
    store::Settings {
        index: storage::index::Settings {
            cache_bytes: settings.index_cache_bytes,
            ..storage::index::Settings::default()
        },
        clock_offset_ms_max: settings.clock_offset_max_ms,
        garbage_percent_max: u8::try_from(settings.compaction_garbage_percent).unwrap_or(100),
        ..store::Settings::with_log(log)
    }
}

/// What the operator should know of how the store opened.
fn tell(report: &store::OpenReport) {
    let recovery = &report.recovery;
    if recovery.damages.is_empty() {
        tracing::info!(%recovery, "opened the log");
    } else {
        tracing::error!(%recovery, "opened the log; what is damaged was copied aside and is not served");
    }
    if report.checking {
        tracing::info!("the index is compared with the log, since the last stop was not clean");
    }
}

/// Starts a thread of the node. If it panics the node stops: without it, it would answer and never acknowledge.
fn spawn(
    name: &'static str,
    state: &Arc<NodeState>,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, StartError> {
    let (thread, state) = (std::thread::Builder::new().name(name.to_owned()), Arc::clone(state));
    let guarded = move || {
        if catch_unwind(AssertUnwindSafe(work)).is_err() {
            state.stop_for_good(format!("the {name} thread panicked"));
        }
    };
    thread.spawn(guarded).map_err(|source| StartError::System { what: "thread", source })
}

fn random() -> Result<[u8; 32], StartError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| StartError::System { what: "randomness", source: io::Error::other(error) })?;
    Ok(bytes)
}

fn halves(bytes: [u8; 32]) -> [[u8; 16]; 2] {
    let mut halves = [[0; 16]; 2];
    halves.as_flattened_mut().copy_from_slice(&bytes);
    halves
}

/// An error and its causes in one line.
fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source()).map(ToString::to_string);
    causes.collect::<Vec<_>>().join(": ")
}
