//! Many signatures at once, by a random linear combination of their equations.
//!
//! It says what [`super::signature`] says of each, faster; it never says more. Coefficients are derived from the batch
//! itself, so the answer stays a pure function of the bytes.
//!
//! With T = R + kA - SB for each signature, the batch holds if `[8] sum(z T) = 0`, with 128-bit z. A signature that does
//! not hold has `[8]T` of prime order L, so whatever the others are at most one z in 2^128 hides it: wrong with a chance
//! of at most 2^-128 a batch tried, and then towards accepting. z comes out of BLAKE3 over every A, R, S and k of the
//! batch (Fiat-Shamir), so it is fixed only after them.
//!
//! Sources: Bernstein, Duif, Lange, Schwabe and Yang, "High-speed high-security signatures", 2012, section 5; Bellare,
//! Garay and Rabin, "Fast batch verification", Eurocrypt 1998.

use super::key::KeyCache;
use super::signature::{Parts, Verdict, equation_holds, parts};
use crate::id::{AgentId, Signature};
use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{IsIdentity, VartimeMultiscalarMul};
use std::collections::BTreeMap;
use std::iter;

/// One signature to check.
#[derive(Clone, Copy, Debug)]
pub struct Item<'m> {
    /// Who is said to have signed.
    pub agent: AgentId,
    /// What.
    pub message: &'m [u8],
    /// The signature.
    pub signature: Signature,
}

/// After a batch failed, so many are tried together before each is tried alone.
const SECOND_TRY: usize = 32;
/// Below this many, one by one is as fast.
const BATCH_MIN: usize = 3;
/// Separates these coefficients from every other use of BLAKE3.
const CONTEXT: &str = "stemedb v1 batch verification coefficients";

/// Checks each signature: exactly what [`super::verify`] says of it, in the same order.
///
/// About 12 us a signature from 256 on. If all hold, one multiscalar multiplication decides; if not, groups of 32 are
/// tried, and the members of a failing group one by one. Wrong with a chance of at most 2^-128 a batch.
pub fn verify_batch(items: &[Item<'_>]) -> Vec<bool> {
    let verdicts = verdicts(items, &mut KeyCache::default());
    verdicts.into_iter().map(|verdict| verdict == Verdict::Good).collect()
}

/// [`verify_batch`], telling keys that may not sign from signatures that do not hold.
pub(super) fn verdicts(items: &[Item<'_>], cache: &mut KeyCache) -> Vec<Verdict> {
    let mut verdicts = vec![Verdict::BadSignature; items.len()];
    let mut keys: BTreeMap<AgentId, Option<EdwardsPoint>> = BTreeMap::new();
    let mut candidates = Vec::with_capacity(items.len());
    for (place, item) in items.iter().enumerate() {
        let key = *keys.entry(item.agent).or_insert_with_key(|agent| cache.usable_key(agent));
        let parts = parts(&item.agent, item.message, &item.signature);
        match (key, parts) {
            (None, _) => set(&mut verdicts, place, Verdict::WeakKey),
            (Some(_), None) => {}
            (Some(key), Some(parts)) => candidates.push(Candidate { place, item, key, parts }),
        }
    }
    for good in good_ones(&candidates) {
        set(&mut verdicts, good.place, Verdict::Good);
    }
    verdicts
}

fn set(verdicts: &mut [Verdict], place: usize, verdict: Verdict) {
    if let Some(slot) = verdicts.get_mut(place) {
        *slot = verdict;
    }
}

/// A signature of which only the equation is still to be checked.
struct Candidate<'i> {
    place: usize,
    item: &'i Item<'i>,
    key: EdwardsPoint,
    parts: Parts,
}

/// Those whose equation holds.
fn good_ones<'c>(candidates: &'c [Candidate<'c>]) -> Vec<&'c Candidate<'c>> {
    if candidates.len() > SECOND_TRY && all_hold(candidates) {
        return candidates.iter().collect();
    }
    candidates
        .chunks(SECOND_TRY)
        .flat_map(|group| {
            let all = group.len() >= BATCH_MIN && all_hold(group);
            group.iter().filter(move |candidate| all || equation_holds(&candidate.key, &candidate.parts))
        })
        .collect()
}

/// `[8](sum(z R) + sum(z k A) - sum(z S) B) = 0`, with one term for each distinct A.
fn all_hold(candidates: &[Candidate<'_>]) -> bool {
    let coefficients = coefficients(candidates);
    let mut base = Scalar::ZERO;
    let mut by_key: BTreeMap<AgentId, (Scalar, EdwardsPoint)> = BTreeMap::new();
    for (candidate, z) in candidates.iter().zip(&coefficients) {
        base -= z * candidate.parts.response;
        let (sum, _) = by_key.entry(candidate.item.agent).or_insert((Scalar::ZERO, candidate.key));
        *sum += z * candidate.parts.challenge;
    }
    let (sums, keys): (Vec<_>, Vec<_>) = by_key.into_values().unzip();
    let commitments: Vec<_> = candidates.iter().map(|candidate| candidate.parts.commitment).collect();
    EdwardsPoint::vartime_multiscalar_mul(
        iter::once(&base).chain(&sums).chain(&coefficients),
        iter::once(&ED25519_BASEPOINT_POINT).chain(&keys).chain(&commitments),
    )
    .mul_by_cofactor()
    .is_identity()
}

/// A 128-bit coefficient for each, out of BLAKE3 over all of them.
fn coefficients(candidates: &[Candidate<'_>]) -> Vec<Scalar> {
    let mut transcript = Vec::with_capacity(candidates.len() * 160);
    for Candidate { item, parts, .. } in candidates {
        transcript.extend_from_slice(&item.agent.0);
        transcript.extend_from_slice(&item.signature.0);
        transcript.extend_from_slice(parts.challenge.as_bytes());
    }
    let mut stream = blake3::Hasher::new_derive_key(CONTEXT).update(&transcript).finalize_xof();
    let mut coefficient = [0; 16];
    let next = |_: &Candidate<'_>| {
        stream.fill(&mut coefficient);
        Scalar::from(u128::from_le_bytes(coefficient))
    };
    candidates.iter().map(next).collect()
}
