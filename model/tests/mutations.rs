//! Signatures bent in every way we know: single, batch and an independent library must say the same of each.
//!
//! The oracle is ed25519-zebra (ZIP 215) with the two demands that our rule adds: A and R re-encode to the same bytes,
//! and A is not of small order. `MUTATIONS=1000000` tries more than the usual 100,000.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use ed25519_dalek::{Signer, SigningKey};
use model::acceptance::{Item, verify, verify_batch};
use model::{AgentId, Signature};
use sha2::{Digest, Sha512};
use std::collections::BTreeSet;

/// L, little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// A stream of choices that a seed fixes.
struct Draws(blake3::OutputReader);

impl Draws {
    fn new(seed: u64) -> Self {
        Self(blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof())
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill(&mut bytes);
        bytes
    }

    fn below(&mut self, limit: usize) -> usize {
        u32::from_le_bytes(self.bytes()) as usize % limit
    }

    fn scalar(&mut self) -> Scalar {
        Scalar::from_bytes_mod_order_wide(&self.bytes())
    }

    fn torsion(&mut self) -> EdwardsPoint {
        EIGHT_TORSION[self.below(8)]
    }
}

#[derive(Clone, Debug)]
struct Case {
    agent: [u8; 32],
    message: Vec<u8>,
    r: [u8; 32],
    s: [u8; 32],
}

impl Case {
    fn signature(&self) -> Signature {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&self.r);
        bytes[32..].copy_from_slice(&self.s);
        Signature(bytes)
    }

    fn item(&self) -> Item<'_> {
        Item { agent: AgentId(self.agent), message: &self.message, signature: self.signature() }
    }

    /// A signature by hand: `[a]B + torsion` signs with `R = [r]B + torsion`, both encoded as told.
    fn by_hand(a: Scalar, r: Scalar, key_torsion: EdwardsPoint, r_torsion: EdwardsPoint, message: Vec<u8>) -> Self {
        let agent = (EdwardsPoint::mul_base(&a) + key_torsion).compress().0;
        let commitment = (EdwardsPoint::mul_base(&r) + r_torsion).compress().0;
        let hash = Sha512::new().chain_update(commitment).chain_update(agent).chain_update(&message).finalize();
        let k = Scalar::from_bytes_mod_order_wide(&hash.into());
        Self { agent, message, r: commitment, s: (r + k * a).to_bytes() }
    }
}

/// y + p for y < 19, or the sign of x = 0: other bytes for the same point, if there are any.
fn other_encoding(bytes: [u8; 32]) -> [u8; 32] {
    let mut other = bytes;
    if bytes[1..31].iter().all(|byte| *byte == 0) && bytes[31] & 0x7f == 0 && bytes[0] < 19 {
        other = [0xff; 32];
        other[0] = 0xed + bytes[0];
        other[31] = 0x7f | bytes[31] & 0x80;
    } else {
        other[31] ^= 0x80;
    }
    other
}

fn bent(draws: &mut Draws, keys: &[SigningKey]) -> Case {
    let message = draws.bytes::<48>().to_vec();
    let key = &keys[draws.below(keys.len())];
    let honest = key.sign(&message).to_bytes();
    let mut case = Case {
        agent: key.verifying_key().to_bytes(),
        message,
        r: honest[..32].try_into().unwrap(),
        s: honest[32..].try_into().unwrap(),
    };
    let bit = |draws: &mut Draws, bytes: &mut [u8]| {
        let place = draws.below(bytes.len() * 8);
        bytes[place / 8] ^= 1 << (place % 8);
    };
    match draws.below(12) {
        0 => {}
        1 => bit(draws, &mut case.agent),
        2 => bit(draws, &mut case.r),
        3 => bit(draws, &mut case.s),
        4 => bit(draws, &mut case.message),
        5 => case.s = plus_order(case.s),
        6 | 7 => {
            let (a, r, at, rt) = (draws.scalar(), draws.scalar(), draws.torsion(), draws.torsion());
            case = Case::by_hand(a, r, at, rt, case.message);
        }
        8 => case = Case::by_hand(Scalar::ZERO, draws.scalar(), draws.torsion(), draws.torsion(), case.message),
        9 => case = Case::by_hand(draws.scalar(), Scalar::ZERO, draws.torsion(), draws.torsion(), case.message),
        10 => {
            case.r = other_encoding(draws.torsion().compress().0);
            case.s = draws.scalar().to_bytes();
        }
        _ => {
            case.agent = other_encoding(draws.torsion().compress().0);
            case.r = ED25519_BASEPOINT_POINT.compress().0;
            case.s = Scalar::ONE.to_bytes();
        }
    }
    if draws.below(20) == 0 {
        case.r = other_encoding(case.r);
    }
    case
}

/// S + L, if it fits.
fn plus_order(s: [u8; 32]) -> [u8; 32] {
    let mut carry = 0;
    let mut sum = [0; 32];
    for (place, byte) in sum.iter_mut().enumerate() {
        let total = u16::from(s[place]) + u16::from(ORDER[place]) + carry;
        [*byte, _] = total.to_le_bytes();
        carry = total >> 8;
    }
    sum
}

/// What ed25519-zebra says, with the two demands added.
fn oracle(case: &Case) -> bool {
    let point = |bytes: [u8; 32]| CompressedEdwardsY(bytes).decompress().filter(|point| point.compress().0 == bytes);
    let strict = point(case.r).is_some() && point(case.agent).is_some_and(|point| !point.is_small_order());
    let signature = ed25519_zebra::Signature::from_bytes(&case.signature().0);
    strict
        && ed25519_zebra::VerificationKey::try_from(case.agent)
            .is_ok_and(|key| key.verify(&signature, &case.message).is_ok())
}

#[test]
fn on_100_000_bent_signatures_single_batch_and_oracle_agree() {
    let wanted: usize = std::env::var("MUTATIONS").map_or(100_000, |count| count.parse().unwrap());
    let keys: Vec<_> = (1..=5).map(|byte| SigningKey::from_bytes(&[byte; 32])).collect();
    let (mut accepted, mut refused, mut seed) = (0, 0, 0);
    let mut distinct = BTreeSet::new();
    while accepted + refused < wanted {
        seed += 1;
        let mut draws = Draws::new(seed);
        let length = 1 + draws.below(200);
        let cases: Vec<_> = (0..length).map(|_| bent(&mut draws, &keys)).collect();
        let oracle: Vec<_> = cases.iter().map(oracle).collect();
        let single: Vec<_> =
            cases.iter().map(|case| verify(&AgentId(case.agent), &case.message, &case.signature())).collect();
        assert_eq!(single, oracle, "seed {seed}: {:?}", first_difference(&cases, &single, &oracle));
        let batch = verify_batch(&cases.iter().map(Case::item).collect::<Vec<_>>());
        assert_eq!(batch, single, "seed {seed}: {:?}", first_difference(&cases, &batch, &single));
        let good: Vec<_> = cases.iter().zip(&single).filter(|(_, good)| **good).map(|(case, _)| case.item()).collect();
        assert!(verify_batch(&good).iter().all(|good| *good), "seed {seed}: the good ones among themselves");
        accepted += good.len();
        refused += cases.len() - good.len();
        distinct.extend(cases.iter().map(|case| case.signature()));
    }
    assert!(accepted > wanted / 5 && refused > wanted / 5, "{accepted} accepted, {refused} refused");
    assert!(distinct.len() > wanted * 9 / 10);
}

fn first_difference(cases: &[Case], a: &[bool], b: &[bool]) -> Option<Case> {
    cases.iter().zip(a.iter().zip(b)).find(|(_, (a, b))| a != b).map(|(case, _)| case.clone())
}
