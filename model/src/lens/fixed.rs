//! Base-two logarithm and power in integers, so that every machine gives the same bytes.
//!
//! Both work bit by bit with multiplications that truncate. They never touch a float. The same steps in any language
//! with 128-bit (or big) integers give the same numbers; `model/vectors/fixed_point.json` has some to compare with,
//! beside references computed to 300 bits.

use std::num::NonZeroU64;

/// One, in the unit of [`exp2_neg`].
pub const EXP2_ONE: u64 = 1 << 63;
/// One, in the unit of [`log2`].
pub const LOG2_ONE: u64 = 1 << 32;

/// `log2(x)` in units of 2^-32, rounded down.
///
/// The mantissa is squared 32 times; each time it reaches 2 it is halved and gives a bit. Truncation loses less than
/// 2^-61, so the result lies at most 2^-32 + 2^-61 below `log2(x)` and never above it. Powers of two are exact. Cost:
/// about 50 ns. Source: Knuth, "The Art of Computer Programming" 1, 1.2.2, exercise 25 and its answer.
pub fn log2(x: NonZeroU64) -> u64 {
    let whole = x.ilog2();
    let mut mantissa = u128::from(x.get()) << (63 - whole); // 1 to 2, one is 2^63
    let mut result = u64::from(whole);
    for _ in 0..32 {
        mantissa = (mantissa * mantissa) >> 63;
        let bit = mantissa >> 64; // 0 or 1: the square is below 4
        mantissa >>= bit;
        result = result << 1 | u64::from(bit != 0);
    }
    result
}

/// `2^-(numerator / denominator)` in units of 2^-63: [`EXP2_ONE`] for a numerator of zero, 0 from 2^-64 down.
///
/// The quotient is taken to 32 binary places, and for each bit that is set the result is multiplied by 2^-(2^-k) and
/// truncated; its whole part shifts. The result differs from the true value by less than 2^-32 times that value, plus
/// 2^-57. Cost: about 50 ns.
pub fn exp2_neg(numerator: u64, denominator: NonZeroU64) -> u64 {
    let whole = numerator / denominator;
    let divisor = u128::from(denominator.get());
    let mut rest = u128::from(numerator % denominator);
    let mut result = u128::from(EXP2_ONE);
    for power in POWERS {
        rest <<= 1;
        if rest >= divisor {
            rest -= divisor;
            result = (result * u128::from(power)) >> 63;
        }
    }
    let shifted = u32::try_from(whole).ok().and_then(|whole| result.checked_shr(whole)).unwrap_or(0);
    u64::try_from(shifted).unwrap_or(EXP2_ONE) // at most EXP2_ONE
}

/// `2^-(2^-k)` for k from 1 to 32, in units of 2^-63, to the nearest.
const POWERS: [u64; 32] = [
    0x5a82_7999_fcef_3242,
    0x6ba2_7e65_6b4e_b57a,
    0x7560_6373_ee92_1c97,
    0x7a92_be8a_9243_6616,
    0x7d41_d96d_b915_019d,
    0x7e9f_0606_7a43_60ba,
    0x7f4f_08ae_3dc7_c426,
    0x7fa7_65ac_a88f_6453,
    0x7fd3_ab29_0e46_d769,
    0x7fe9_d3a8_e07b_f086,
    0x7ff4_e959_7bed_93ab,
    0x7ffa_748d_ff8d_c61f,
    0x7ffd_3a3f_5002_0332,
    0x7ffe_9d1d_bc0a_75aa,
    0x7fff_4e8e_6306_ed59,
    0x7fff_a747_12c3_cdfd,
    0x7fff_d3a3_81b1_fa29,
    0x7fff_e9d1_beed_018a,
    0x7fff_f4e8_defb_81d7,
    0x7fff_fa74_6f5f_012f,
    0x7fff_fd3a_37a7_d0a8,
    0x7fff_fe9d_1bd1_fc58,
    0x7fff_ff4e_8de8_832d,
    0x7fff_ffa7_46f4_22d7,
    0x7fff_ffd3_a37a_09bb,
    0x7fff_ffe9_d1bd_02f2,
    0x7fff_fff4_e8de_80fe,
    0x7fff_fffa_746f_4060,
    0x7fff_fffd_3a37_a028,
    0x7fff_fffe_9d1b_d012,
    0x7fff_ffff_4e8d_e809,
    0x7fff_ffff_a746_f404,
];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    const VECTORS: &str = include_str!("../../vectors/fixed_point.json");

    fn cases(function: &str) -> Vec<Vec<u64>> {
        let file: Value = serde_json::from_str(VECTORS).unwrap();
        let number = |value: &Value| value.as_str().unwrap().parse().unwrap();
        let row = |case: &Value| case.as_array().unwrap().iter().map(number).collect();
        file[function].as_array().unwrap().iter().map(row).collect()
    }

    #[test]
    fn log2_is_the_floor_of_the_reference() {
        for case in cases("log2") {
            let [x, expected, reference_floor] = case[..] else { panic!("three numbers") };
            let value = log2(NonZeroU64::new(x).unwrap());
            assert_eq!(value, expected, "log2({x})");
            assert!(value <= reference_floor && reference_floor - value <= 1, "log2({x})");
        }
    }

    #[test]
    fn exp2_neg_keeps_its_error_bound() {
        for case in cases("exp2_neg") {
            let [numerator, denominator, expected, reference] = case[..] else { panic!("four numbers") };
            let value = exp2_neg(numerator, NonZeroU64::new(denominator).unwrap());
            assert_eq!(value, expected, "2^-({numerator}/{denominator})");
            let bound = (reference >> 32) + (1 << 6);
            assert!(value.abs_diff(reference) <= bound, "2^-({numerator}/{denominator})");
        }
    }

    #[test]
    fn each_power_is_the_square_root_of_the_one_before() {
        for (root, square) in POWERS.iter().skip(1).zip(POWERS) {
            let squared = (u128::from(*root) * u128::from(*root)) >> 63;
            assert!(squared.abs_diff(u128::from(square)) <= 2);
        }
    }

    #[test]
    fn whole_steps_are_exact() {
        let half_life = NonZeroU64::new(1000).unwrap();
        assert_eq!((0..=2).map(|n| exp2_neg(n * 1000, half_life)).collect::<Vec<_>>(), [1 << 63, 1 << 62, 1 << 61]);
        assert_eq!(
            [exp2_neg(63_000, half_life), exp2_neg(64_000, half_life), exp2_neg(u64::MAX, half_life)],
            [1, 0, 0]
        );
        for power in 0..64 {
            assert_eq!(log2(NonZeroU64::new(1 << power).unwrap()), power * LOG2_ONE);
        }
    }
}
