//! What a simulated node has in place of a machine: a disk that takes time and fails, clocks that jump, sockets of
//! turmoil, messages that get lost, and chance that follows from the seed.
//!
//! It outlives the processes that run in it: a disk keeps what a crash leaves, a clock its skew. It decides no fault by
//! itself; scenarios do.

mod clock;
mod disk;
mod journal;
mod network;
mod weather;

pub use clock::{EPOCH_MS, HostClock};
pub use disk::{HostDisk, Timing};
pub use journal::{Durable, GivenUp};
pub use network::{Cuts, HostNetwork};
pub use weather::{Forecast, Weather};

use crate::chance::Chance;
use ::cluster::control::Versions;
use node::world::{Entropy, Workers, World};
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use storage::index::Engine;

/// The surroundings of one host.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Its disk.
    pub disk: HostDisk,
    /// Its clock.
    pub clock: HostClock,
    /// What becomes of its messages.
    pub weather: Weather,
    /// What chance the processes on it get is branched from.
    chance: Chance,
}

impl Surroundings {
    /// Of a host that was never used, with everything in order.
    pub fn new(chance: &Chance) -> Self {
        Self {
            disk: HostDisk::new(chance.branch("disk", 0)),
            clock: HostClock::default(),
            weather: Weather::new(chance.branch("weather", 0)),
            chance: chance.branch("entropy", 0),
        }
    }

    /// The world of the `life`-th process on the host at `address`, a build that speaks `speaks`.
    pub fn world(&self, address: IpAddr, cuts: &Cuts, life: u64, speaks: Versions) -> World {
        let entropy = Seeded(Mutex::new(self.chance.branch("life", life)));
        World {
            disk: Arc::new(self.disk.clone()),
            clock: Arc::new(self.clock.clone()),
            network: Arc::new(HostNetwork::new(address, cuts.clone(), self.weather.clone())),
            courier: Arc::new(self.weather.clone()),
            entropy: Arc::new(entropy),
            workers: Workers::Inline(Arc::new(self.disk.clone())),
            engine: Some(Engine::Memory),
            speaks,
        }
    }
}

/// Randomness that is none.
#[derive(Debug)]
struct Seeded(Mutex<Chance>);

impl Entropy for Seeded {
    fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill(bytes);
        Ok(())
    }
}
