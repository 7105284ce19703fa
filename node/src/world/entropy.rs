//! Where a node takes randomness from: the system's in a machine, a seed in a simulation.

use std::fmt::Debug;
use std::io;

/// A source of random bytes, fit for keys.
pub trait Entropy: Debug + Send + Sync + 'static {
    /// Fills `bytes`.
    ///
    /// # Errors
    ///
    /// What the system says if it has none.
    fn fill(&self, bytes: &mut [u8]) -> io::Result<()>;
}

/// The system's randomness.
#[derive(Debug)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
        getrandom::fill(bytes).map_err(io::Error::other)
    }
}
