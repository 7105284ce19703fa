//! A host that a node runs on: what outlives the node's processes, and what each of them does from start to end.

use super::stall::stall;
use crate::world::{Cuts, Surroundings};
use ::cluster::control::Versions;
use node::cluster_key::KeyFile;
use node::serve::Node;
use node::settings::{Settings, Zone};
use std::error::Error;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// What there is of a node's process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Process {
    /// None: never started, killed, or without power.
    Off,
    /// It was started and does not listen yet.
    Starting,
    /// It listens.
    Up,
    /// It ended by itself, because it could not start or go on: why.
    Ended(String),
    /// It ended in order, as it was asked to.
    Stopped,
}

/// A host. Shared by whoever drives the simulation and the processes on it.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) address: IpAddr,
    pub(super) surroundings: Surroundings,
    settings: Settings,
    cuts: Cuts,
    state: Mutex<State>,
    /// Something was asked of the process.
    asked: Notify,
}

#[derive(Debug)]
struct State {
    process: Process,
    /// How many processes there were.
    lives: u64,
    stop: bool,
    stall: Duration,
    /// Whether the process is started with `--accept-clock-jump`.
    accepts_clock: bool,
    /// Where its operator says that it stands, if not where its settings do.
    zone: Option<Zone>,
    /// What the file with the cluster's key says.
    keys: String,
    /// Whether the process is to read it again.
    reread: bool,
    /// What the next process speaks.
    speaks: Versions,
}

impl Host {
    pub(super) fn new(
        address: IpAddr,
        surroundings: Surroundings,
        settings: Settings,
        cuts: Cuts,
        keys: &KeyFile,
    ) -> Self {
        let state = State {
            process: Process::Off,
            lives: 0,
            stop: false,
            stall: Duration::ZERO,
            accepts_clock: false,
            zone: None,
            keys: keys.print(),
            reread: false,
            speaks: Versions::SHIPPED,
        };
        Self { address, surroundings, settings, cuts, state: Mutex::new(state), asked: Notify::new() }
    }

    pub(super) fn process(&self) -> Process {
        self.state().process.clone()
    }

    /// Notes what has become of the process; nothing is asked of it any more.
    pub(super) fn set(&self, process: Process) {
        let mut state = self.state();
        (state.process, state.stop, state.stall, state.reread) = (process, false, Duration::ZERO, false);
    }

    /// Makes the next process start with its clock accepted as it is.
    pub(super) fn accept_clock(&self) {
        self.state().accepts_clock = true;
    }

    /// Makes the next processes start in a zone.
    pub(super) fn set_zone(&self, zone: Zone) {
        self.state().zone = Some(zone);
    }

    /// Puts another build on the host, which the next process is of.
    pub(super) fn install(&self, speaks: Versions) {
        self.state().speaks = speaks;
    }

    /// Asks the process to stop in order.
    pub(super) fn ask_to_stop(&self) {
        self.state().stop = true;
        self.asked.notify_one();
    }

    /// Puts a file with the cluster's key in place of the one there is, and has the process read it again.
    pub(super) fn give_keys(&self, keys: &KeyFile) {
        let mut state = self.state();
        (state.keys, state.reread) = (keys.print(), true);
        self.asked.notify_one();
    }

    /// Makes the process stall.
    pub(super) fn ask_to_stall(&self, time: Duration) {
        self.state().stall = time;
        self.asked.notify_one();
    }

    /// One process, from its start to its end; nothing if the host is off.
    pub(super) async fn live(self: Arc<Self>) {
        let (life, accept_clock_jump, zone, speaks) = {
            let mut state = self.state();
            if state.process != Process::Starting {
                return;
            }
            state.lives += 1;
            (state.lives, std::mem::take(&mut state.accepts_clock), state.zone.clone(), state.speaks)
        };
        let zone = zone.or_else(|| self.settings.zone.clone());
        let settings = Settings { accept_clock_jump, zone, ..self.settings.clone() };
        self.install_keys();
        let world = self.surroundings.world(self.address, &self.cuts, life, speaks);
        let end = match Node::start_in(&settings, world).await {
            Err(error) => Process::Ended(chain(&error)),
            Ok(node) => {
                self.state().process = Process::Up;
                tokio::select! {
                    biased;
                    () = node.failed() => {}
                    () = self.obey(&node) => {}
                }
                node.shutdown().await.map_or(Process::Stopped, Process::Ended)
            }
        };
        tracing::info!(target: "sim", ?end, "the process ended");
        self.set(end);
    }

    /// Does what is asked of the process until it is asked to stop.
    async fn obey(&self, node: &Node) {
        loop {
            self.asked.notified().await;
            let (stop, time, reread) = {
                let mut state = self.state();
                (state.stop, std::mem::take(&mut state.stall), std::mem::take(&mut state.reread))
            };
            if stop {
                return;
            }
            if reread {
                self.install_keys();
                let kept = node.reread_cluster_key().await.err().map(|error| chain(&error));
                tracing::info!(target: "sim", kept, "the cluster key was read again");
            }
            stall(time);
        }
    }

    fn install_keys(&self) {
        let keys = self.state().keys.clone();
        self.settings.cluster_key_file.iter().for_each(|file| {
            self.surroundings.disk.install(file, keys.as_bytes()).ok(); // a node without its key does not start
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error and its causes in one line.
fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source()).map(ToString::to_string);
    causes.collect::<Vec<_>>().join(": ")
}
