//! `stemedb serve`: a node with a runtime of its own, logging, signals and the two addresses on standard output.
//!
//! It decides when the process ends, and nothing else.

use super::{Node, StartError};
use crate::cli::failure::Failure;
use crate::settings::{LogFormat, Settings};
use crate::world::World;
use std::error::Error;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// A node and the runtime that it runs on.
#[derive(Debug)]
pub struct Daemon {
    runtime: Runtime,
    node: Node,
}

impl Daemon {
    /// Starts a node on this machine and returns once it listens; see [`Node::start_in`].
    ///
    /// # Errors
    ///
    /// [`StartError`]; then nothing runs any more.
    pub fn start(settings: &Settings) -> Result<Self, StartError> {
        Self::start_in(settings, World::machine())
    }

    /// [`Daemon::start`] in another world, on another disk for instance.
    ///
    /// # Errors
    ///
    /// As [`Daemon::start`].
    pub fn start_in(settings: &Settings, world: World) -> Result<Self, StartError> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|source| StartError::System { what: "runtime", source })?;
        let node = runtime.block_on(Node::start_in(settings, world))?;
        Ok(Self { runtime, node })
    }

    /// The node's name.
    pub fn name(&self) -> &str {
        self.node.name()
    }

    /// Where clients connect.
    pub fn client_addr(&self) -> SocketAddr {
        self.node.client_addr()
    }

    /// Where operators connect.
    pub fn admin_addr(&self) -> SocketAddr {
        self.node.admin_addr()
    }

    /// What waits for the end: from now on SIGTERM and SIGINT no longer end the process by themselves, and SIGHUP has the
    /// cluster's key read again.
    fn end(&self) -> io::Result<impl FnOnce() + '_> {
        let _entered = self.runtime.enter();
        let mut terminated = signal(SignalKind::terminate())?;
        let mut interrupted = signal(SignalKind::interrupt())?;
        let mut hung_up = signal(SignalKind::hangup())?;
        let (failed, node) = (self.node.failed(), &self.node);
        let end = async move {
            tokio::pin!(failed);
            loop {
                tokio::select! {
                    biased;
                    () = &mut failed => return,
                    _ = terminated.recv() => return,
                    _ = interrupted.recv() => return,
                    Some(()) = hung_up.recv() => {
                        if let Err(error) = node.reread_cluster_key().await {
                            tracing::error!(error = &error as &dyn Error, "nothing was changed");
                        }
                    }
                }
            }
        };
        Ok(|| self.runtime.block_on(end))
    }

    /// Stops the node, as [`Node::shutdown`] does, and then the runtime. Returns why it had to stop, if it had to.
    pub fn stop(self) -> Option<String> {
        let Self { runtime, node } = self;
        let blocking_calls_max = node.drain / 3;
        let why = runtime.block_on(node.shutdown());
        runtime.shutdown_timeout(blocking_calls_max);
        why
    }
}

/// Runs a node until it is told to stop. Standard output gets its two addresses, standard error the log.
///
/// # Errors
///
/// [`Failure::Failed`] if it could not start, or had to stop because its disk failed.
pub fn serve(settings: Settings) -> Result<(), Failure> {
    serve_in(settings, World::machine())
}

/// [`serve`] in another world: as another build, for instance.
///
/// # Errors
///
/// As [`serve`].
pub fn serve_in(settings: Settings, world: World) -> Result<(), Failure> {
    start_logging(&settings)?;
    let node = Daemon::start_in(&settings, world).map_err(|error| Failure::of("the node did not start", &error))?;
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
