//! Chance: a stream of numbers that follows from a seed, and streams of their own that branch off it.
//!
//! Whoever draws has a stream of its own, named by what it is for: so one more draw in one place changes nothing in
//! another. It never asks the system for randomness. Not fit for keys.

use std::time::Duration;

/// A stream of numbers. Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The stream of a seed.
    pub fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// A stream of its own for what `purpose` names, the `number`-th of that name. Drawing from either stream leaves the
    /// other as it is.
    pub fn branch(&self, purpose: &str, number: u64) -> Self {
        let mut branch = Self(self.0 ^ number.wrapping_mul(0xd6e8_feb8_6659_fd93));
        for byte in purpose.bytes() {
            branch.0 = branch.draw() ^ u64::from(byte);
        }
        Self(branch.draw())
    }

    /// The next number; all 64-bit numbers are equally likely.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`; 0 if `limit` is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.draw().checked_rem(limit).unwrap_or(0)
    }

    /// An index into something of `length` elements; 0 if it has none.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(u64::try_from(length).unwrap_or(u64::MAX))).unwrap_or(0)
    }

    /// Whether something happens that happens so many times in a million.
    pub fn happens(&mut self, in_a_million: u32) -> bool {
        self.below(1_000_000) < u64::from(in_a_million)
    }

    /// A time from `least` to `most`, to the microsecond.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = u64::try_from(most.saturating_sub(least).as_micros()).unwrap_or(u64::MAX);
        least + Duration::from_micros(self.below(span.saturating_add(1)))
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let number = self.draw().to_le_bytes();
            chunk.iter_mut().zip(number).for_each(|(slot, byte)| *slot = byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_follows_from_its_seed_and_branches_do_not_disturb_it() {
        let (mut one, mut two) = (Chance::of(7), Chance::of(7));
        let mut branch = two.branch("disk", 1);
        branch.draw();
        assert_eq!([one.draw(), one.draw()], [two.draw(), two.draw()]);
        let first = |purpose, number| Chance::of(7).branch(purpose, number).draw();
        assert_eq!(first("disk", 1), first("disk", 1));
        assert_ne!(first("disk", 1), first("disk", 2));
        assert_ne!(first("disk", 1), first("net", 1));
        assert_ne!(Chance::of(8).branch("disk", 1).draw(), first("disk", 1));
    }

    #[test]
    fn draws_stay_within_their_limits() {
        let mut chance = Chance::of(1);
        let (least, most) = (Duration::from_millis(2), Duration::from_millis(3));
        for _ in 0..1000 {
            assert!(chance.below(3) < 3);
            assert!((least..=most).contains(&chance.between(least, most)));
        }
        assert_eq!((chance.below(0), chance.index(0)), (0, 0));
        assert!(!chance.happens(0) && chance.happens(1_000_000));
        assert_eq!(chance.between(most, least), most);
    }
}
