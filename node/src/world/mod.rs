//! Everything that a node has from outside: disk, clock, network, randomness.
//!
//! Nothing else in this crate opens a socket, reads a clock, draws a random number or starts a thread; so the same node
//! runs on a machine and in a simulation.

mod entropy;
mod network;
mod sockets;

pub use entropy::{Entropy, SystemEntropy};
pub use network::{Datagrams, Listener, Network, Pending, Stream};
pub use sockets::Sockets;

use crate::clock::{Clock, SystemClock};
use std::sync::Arc;
use storage::disk::{Disk, StdDisk};

/// A node's surroundings. Clones are the same world.
#[derive(Clone, Debug)]
pub struct World {
    /// The disk of log, identity and control plane.
    pub disk: Arc<dyn Disk>,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// The sockets.
    pub network: Arc<dyn Network>,
    /// The randomness.
    pub entropy: Arc<dyn Entropy>,
}

impl World {
    /// The machine that the process runs on.
    pub fn machine() -> Self {
        Self {
            disk: Arc::new(StdDisk),
            clock: Arc::new(SystemClock::start()),
            network: Arc::new(Sockets),
            entropy: Arc::new(SystemEntropy),
        }
    }
}
