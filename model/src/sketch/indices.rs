//! At which symbols of a sketch an item is, from one draw to the next.

use super::SYMBOLS_KEPT;

/// The indices of an item below [`SYMBOLS_KEPT`], rising from 0: about `2 ln(SYMBOLS_KEPT/2 + 1)` of them.
///
/// Index `i` is among them with probability `1/(1 + i/2)`, whichever others are. The next one after `i` then lies above `n`
/// with probability `(i+1)(i+2) / ((n+1)(n+2))`, the product of `j/(j+2)` for `j` from `i+1` to `n`; so a number drawn
/// between 0 and 1 says which it is. The paper draws it from an approximation in floating point; here it is exact, in
/// integers, so that it is the same on every machine.
#[derive(Clone, Debug)]
pub(super) struct Indices {
    next: Option<u32>,
    state: u64,
}

impl Indices {
    /// What SplitMix64 adds to its state at each draw.
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

    /// Indices by the draws that follow from `seed`.
    pub(super) fn drawn_from(seed: u64) -> Self {
        Self { next: Some(0), state: seed }
    }

    /// The upper half of the next output of SplitMix64. Source: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number
    /// Generators", OOPSLA 2014.
    fn draw(&mut self) -> u32 {
        self.state = self.state.wrapping_add(Self::STEP);
        let mixed = (self.state ^ self.state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        let [.., a, b, c, d] = (mixed ^ mixed >> 31).to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }
}

impl Iterator for Indices {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let index = self.next?;
        self.next = after(index, self.draw());
        usize::try_from(index).ok()
    }
}

/// The least `n` for which `(n+1)(n+2) / ((i+1)(i+2))` is above `2^32 / (draw+1)`; `None` from [`SYMBOLS_KEPT`] on.
///
/// `(n+1)(n+2)` is above a whole number `q` where `(2n+3)^2` is above `4q+1`. No step rounds: `i` is below 2^10, so the
/// product fits 53 bits, and `4q+1` fits 23.
fn after(index: u32, draw: u32) -> Option<u32> {
    const PAST: u64 = SYMBOLS_KEPT as u64 * (SYMBOLS_KEPT as u64 + 1);
    let index = u64::from(index);
    let least = (((index + 1) * (index + 2)) << 32) / (u64::from(draw) + 1);
    if least >= PAST {
        return None;
    }
    Some((u32::try_from(4 * least + 1).ok()?.isqrt() - 1) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEPT: u32 = 1_024;

    /// [`after`] as its documentation defines it.
    fn after_by_search(index: u32, draw: u32) -> Option<u32> {
        let at = |n: u32| u128::from(n + 1) * u128::from(n + 2);
        (index + 1..KEPT).find(|n| at(*n) * (u128::from(draw) + 1) > at(index) << 32)
    }

    proptest! {
        #[test]
        fn the_next_index_is_the_one_that_the_distribution_says(index in 0..KEPT, draw: u32, shift in 0..32) {
            for draw in [draw, draw >> shift, u32::MAX - (draw >> shift)] {
                prop_assert_eq!(after(index, draw), after_by_search(index, draw));
            }
        }
    }

    #[test]
    fn the_extremes_of_a_draw_give_the_next_index_and_none() {
        for index in 0..KEPT {
            let next = (index + 1 < KEPT).then_some(index + 1);
            assert_eq!((after(index, u32::MAX), after(index, 0)), (next, None), "{index}");
        }
    }

    #[test]
    fn an_index_is_among_them_as_often_as_the_paper_wants() {
        const SEEDS: u32 = 40_000;
        let mut found = [0_u32; SYMBOLS_KEPT];
        (0..SEEDS).for_each(|seed| Indices::drawn_from(u64::from(seed) << 32).for_each(|index| found[index] += 1));
        for (from, to) in [(0, 1), (1, 2), (2, 3), (3, 4), (10, 12), (50, 60), (200, 250), (900, 1_024)] {
            let wanted: f64 = (from..to).map(|index| f64::from(SEEDS) / (1.0 + f64::from(index) / 2.0)).sum();
            let found = f64::from(found[from as usize..to as usize].iter().sum::<u32>());
            assert!((found - wanted).abs() <= 5.0 * wanted.sqrt(), "{from}..{to}: {found} of {wanted}");
        }
        let mean = f64::from(found.iter().sum::<u32>()) / f64::from(SEEDS);
        assert!((12.9..13.1).contains(&mean), "{mean} indices an item");
    }

    #[test]
    fn indices_never_change() {
        let indices = |seed| Indices::drawn_from(seed).collect::<Vec<_>>();
        assert_eq!(indices(0), [0, 1, 3, 27, 28, 89, 157, 379, 432, 874, 896]);
        assert_eq!(indices(1), [0, 1, 2, 3, 6, 10, 12, 13, 19, 37, 42, 67, 87, 130, 180, 274, 673, 839, 930]);
        assert_eq!(indices(u64::MAX), [0, 1, 2, 6, 10, 13, 15, 16, 34, 39, 366]);
    }
}
