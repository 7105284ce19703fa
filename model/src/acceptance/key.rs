//! Public keys: decoding, the ban on weak ones, and a bounded cache. Nothing here looks at a message.

use crate::id::AgentId;
use crate::refusal::{Code, Refusal};
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Checks that a public key may sign: it decodes, re-encodes to the same bytes and is not of small order.
///
/// A key of small order signs every message at once. Cost: about 5 us.
///
/// # Errors
///
/// [`Code::WeakKey`] on `agent_id`.
pub fn check_key(agent: &AgentId) -> Result<(), Refusal> {
    usable_key(agent).map(|_| ()).ok_or_else(|| refusal("agent_id"))
}

pub(super) fn refusal(field: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal::new(Code::WeakKey, field, "an Ed25519 public key in canonical encoding and not of small order")
}

/// The point of a key that may sign.
pub(super) fn usable_key(agent: &AgentId) -> Option<EdwardsPoint> {
    decode_canonical(&agent.0).filter(|point| !point.is_small_order())
}

/// Decodes a point whose bytes are its own encoding.
///
/// Decided on the bytes, which saves the inversion of encoding it again: an encoding is canonical if y < p and the sign
/// is not set where x is 0, that is where y is 1 or -1.
pub(super) fn decode_canonical(bytes: &[u8; 32]) -> Option<EdwardsPoint> {
    if is_canonical(bytes) { CompressedEdwardsY(*bytes).decompress() } else { None }
}

/// y = 1 with the sign set.
const ONE_SIGNED: [u8; 32] = point_bytes(0x01, 0x00, 0x80);
/// y = p - 1 = -1 with the sign set.
const MINUS_ONE_SIGNED: [u8; 32] = point_bytes(0xec, 0xff, 0xff);

const fn point_bytes(low: u8, middle: u8, high: u8) -> [u8; 32] {
    let mut bytes = [middle; 32];
    let [first, .., last] = &mut bytes;
    *first = low;
    *last = high;
    bytes
}

/// p = 2^255 - 19, so y >= p means `ed` to `ff`, thirty times `ff`, `7f`.
fn is_canonical(bytes: &[u8; 32]) -> bool {
    let [low, middle @ .., high] = bytes;
    let beyond_p = *low >= 0xed && high & 0x7f == 0x7f && middle.iter().all(|byte| *byte == 0xff);
    !beyond_p && *bytes != ONE_SIGNED && *bytes != MINUS_ONE_SIGNED
}

/// Decoded keys that may sign, kept from batch to batch. It saves time and never changes a verdict.
///
/// About 200 bytes a key. When full it is emptied: what is in use comes back with the next batch.
#[derive(Clone, Debug)]
pub struct KeyCache {
    points: BTreeMap<AgentId, EdwardsPoint>,
    keys_max: usize,
}

impl KeyCache {
    /// A cache of at most `keys_max` keys; with 0 it keeps none.
    pub fn new(keys_max: usize) -> Self {
        Self { points: BTreeMap::new(), keys_max }
    }

    /// The point of a key that may sign, from the cache or decoded.
    pub(super) fn usable_key(&mut self, agent: &AgentId) -> Option<EdwardsPoint> {
        if let Some(point) = self.points.get(agent) {
            return Some(*point);
        }
        let point = usable_key(agent)?;
        if self.points.len() >= self.keys_max {
            self.points.clear();
        }
        if self.keys_max > 0 {
            self.points.insert(*agent, point);
        }
        Some(point)
    }
}

impl Default for KeyCache {
    /// Keeps nothing.
    fn default() -> Self {
        Self::new(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
    use curve25519_dalek::traits::IsIdentity;

    fn agrees_with_encoding_it_again(bytes: &[u8; 32]) {
        let point = CompressedEdwardsY(*bytes).decompress();
        let same = point.filter(|point| point.compress().0 == *bytes);
        assert_eq!(decode_canonical(bytes), same, "{bytes:02x?}");
    }

    #[test]
    fn canonical_means_that_encoding_it_again_gives_the_same_bytes() {
        for sign in [0x00, 0x80] {
            for low in 0..=255 {
                agrees_with_encoding_it_again(&point_bytes(low, 0xff, 0x7f | sign));
                agrees_with_encoding_it_again(&point_bytes(low, 0x00, sign));
            }
        }
        for seed in 0..1000_u32 {
            agrees_with_encoding_it_again(blake3::hash(&seed.to_le_bytes()).as_bytes());
        }
    }

    #[test]
    fn the_eight_points_of_small_order_are_weak_keys() {
        for point in curve25519_dalek::constants::EIGHT_TORSION {
            assert!(point.mul_by_cofactor().is_identity());
            assert_eq!(check_key(&AgentId(point.compress().0)).unwrap_err().code, Code::WeakKey);
        }
        assert_eq!(check_key(&AgentId(ED25519_BASEPOINT_POINT.compress().0)), Ok(()));
    }

    #[test]
    fn a_cache_never_outgrows_its_limit_and_never_changes_an_answer() {
        let mut cache = KeyCache::new(3);
        for round in 0..40_u32 {
            let agent = AgentId(*blake3::hash(&(round % 7).to_le_bytes()).as_bytes());
            assert_eq!(cache.usable_key(&agent), usable_key(&agent));
            assert!(cache.points.len() <= 3);
        }
    }
}
