//! A host that a node runs on: what outlives the node's processes, and what each of them does from start to end.

use super::stall::stall;
use crate::world::{Cuts, Surroundings};
use node::serve::Node;
use node::settings::Settings;
use std::error::Error;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// The key of the simulated cluster, as operators give it to every node.
const CLUSTER_KEY: &str = "5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e\n";

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
}

impl Host {
    pub(super) fn new(address: IpAddr, surroundings: Surroundings, settings: Settings, cuts: Cuts) -> Self {
        let state = State { process: Process::Off, lives: 0, stop: false, stall: Duration::ZERO, accepts_clock: false };
        Self { address, surroundings, settings, cuts, state: Mutex::new(state), asked: Notify::new() }
    }

    pub(super) fn process(&self) -> Process {
        self.state().process.clone()
    }

    /// Notes what has become of the process; nothing is asked of it any more.
    pub(super) fn set(&self, process: Process) {
        let mut state = self.state();
        (state.process, state.stop, state.stall) = (process, false, Duration::ZERO);
    }

    /// Makes the next process start with its clock accepted as it is.
    pub(super) fn accept_clock(&self) {
        self.state().accepts_clock = true;
    }

    /// Asks the process to stop in order.
    pub(super) fn ask_to_stop(&self) {
        self.state().stop = true;
        self.asked.notify_one();
    }

    /// Makes the process stall.
    pub(super) fn ask_to_stall(&self, time: Duration) {
        self.state().stall = time;
        self.asked.notify_one();
    }

    /// One process, from its start to its end; nothing if the host is off.
    pub(super) async fn live(self: Arc<Self>) {
        let (life, accept_clock_jump) = {
            let mut state = self.state();
            if state.process != Process::Starting {
                return;
            }
            state.lives += 1;
            (state.lives, std::mem::take(&mut state.accepts_clock))
        };
        let settings = Settings { accept_clock_jump, ..self.settings.clone() };
        let key_file = self.settings.cluster_key_file.as_deref();
        key_file.into_iter().for_each(|file| {
            self.surroundings.disk.install(file, CLUSTER_KEY.as_bytes()).ok(); // a node without its key does not start
        });
        let world = self.surroundings.world(self.address, &self.cuts, life);
        let end = match Node::start_in(&settings, world).await {
            Err(error) => Process::Ended(chain(&error)),
            Ok(node) => {
                self.state().process = Process::Up;
                tokio::select! {
                    biased;
                    () = node.failed() => {}
                    () = self.obey() => {}
                }
                node.shutdown().await.map_or(Process::Stopped, Process::Ended)
            }
        };
        tracing::info!(target: "sim", ?end, "the process ended");
        self.set(end);
    }

    /// Does what is asked of the process until it is asked to stop.
    async fn obey(&self) {
        loop {
            self.asked.notified().await;
            let (stop, time) = {
                let mut state = self.state();
                (state.stop, std::mem::take(&mut state.stall))
            };
            if stop {
                return;
            }
            stall(time);
        }
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
