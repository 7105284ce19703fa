//! Everything that a node has from outside: disk, clock, network, randomness, and how work that blocks is run.
//!
//! Nothing else in this crate opens a socket, reads a clock, draws a random number or starts a thread; so the same node
//! runs on a machine and in a simulation.

mod courier;
mod entropy;
mod network;
mod sockets;
mod workers;

pub use courier::{Courier, Fate, Reliable, carry};
pub use entropy::{Entropy, SystemEntropy};
pub use network::{Datagrams, Listener, Network, Pending, Stream};
pub use sockets::Sockets;
pub use workers::{Broken, Pace, Worker, Workers};

use crate::clock::{Clock, SystemClock};
use ::cluster::control::Versions;
use std::sync::Arc;
use storage::disk::{Disk, StdDisk};
use storage::index::Engine;

/// A node's surroundings. Clones are the same world.
#[derive(Clone, Debug)]
pub struct World {
    /// The disk of log, identity and control plane.
    pub disk: Arc<dyn Disk>,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// The sockets.
    pub network: Arc<dyn Network>,
    /// What becomes of messages to other nodes.
    pub courier: Arc<dyn Courier>,
    /// The randomness.
    pub entropy: Arc<dyn Entropy>,
    /// How work that blocks is run.
    pub workers: Workers,
    /// The index engine, whatever the settings say: a simulation keeps its index in memory.
    pub engine: Option<Engine>,
    /// The versions of formats and protocol that the node speaks: those of its build, unless it plays another one.
    pub speaks: Versions,
}

impl World {
    /// The machine that the process runs on.
    pub fn machine() -> Self {
        Self {
            disk: Arc::new(StdDisk),
            clock: Arc::new(SystemClock::start()),
            network: Arc::new(Sockets),
            courier: Arc::new(Reliable),
            entropy: Arc::new(SystemEntropy),
            workers: Workers::Threads,
            engine: None,
            speaks: Versions::SHIPPED,
        }
    }
}
