//! A stream of random numbers from a seed, so that a run with the same seed is the same run.
//!
//! It never draws from the system: the seed is passed in. Source: BLAKE3 as an extendable output function, keyed with the
//! seed; as unpredictable as the seed is.

use rand_core::{Infallible, TryRng};

/// Random numbers from a seed and a purpose.
#[derive(Debug)]
pub(super) struct Chance(blake3::OutputReader);

impl Chance {
    /// The stream of `seed` for one purpose. Streams for different purposes have nothing in common.
    pub(super) fn new(seed: &[u8; 32], purpose: &str) -> Self {
        Self(blake3::Hasher::new_keyed(seed).update(purpose.as_bytes()).finalize_xof())
    }

    /// The next `N` bytes.
    pub(super) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill(&mut bytes);
        bytes
    }
}

impl TryRng for Chance {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(self.bytes()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(self.bytes()))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_stream_for_each_purpose() {
        let first: [u8; 16] = Chance::new(&[7; 32], "nonces").bytes();
        assert_eq!(first, Chance::new(&[7; 32], "nonces").bytes());
        assert_ne!(first, Chance::new(&[7; 32], "choices").bytes::<16>());
        assert_ne!(first, Chance::new(&[8; 32], "nonces").bytes::<16>());
    }
}
