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
/// About 10 us a signature from 256 on by few keys, 19 us if every key is another. If all hold, one multiscalar multiplication decides; if not, groups of 32 are
/// tried, and the members of a failing group one by one. Wrong with a chance of at most 2^-128 a batch.
pub fn verify_batch(items: &[Item<'_>]) -> Vec<bool> {
    verify_batch_with(items, &mut KeyCache::default())
}

/// [`verify_batch`] with public keys that an earlier batch decoded; the cache changes the cost and nothing else.
pub fn verify_batch_with(items: &[Item<'_>], keys: &mut KeyCache) -> Vec<bool> {
    verdicts(items, keys).into_iter().map(|verdict| verdict == Verdict::Good).collect()
}

/// [`verify_batch`], telling keys that may not sign from signatures that do not hold.
pub(super) fn verdicts(items: &[Item<'_>], cache: &mut KeyCache) -> Vec<Verdict> {
    let mut keys: Vec<Option<EdwardsPoint>> = Vec::new();
    let mut numbers: BTreeMap<AgentId, usize> = BTreeMap::new();
    let number = |item: &Item<'_>| {
        *numbers.entry(item.agent).or_insert_with_key(|agent| {
            keys.push(cache.usable_key(agent));
            keys.len() - 1
        })
    };
    let numbers: Vec<_> = items.iter().map(number).collect();
    let mut verdicts = vec![Verdict::BadSignature; items.len()];
    let mut candidates = Vec::with_capacity(items.len());
    for ((item, number), verdict) in items.iter().zip(numbers).zip(&mut verdicts) {
        match keys.get(number) {
            Some(Some(key)) => {
                let parts = parts(&item.agent, item.message, &item.signature);
                candidates.extend(parts.map(|parts| Candidate { item, number, key, parts, verdict }));
            }
            Some(None) | None => *verdict = Verdict::WeakKey,
        }
    }
    settle(&mut candidates, keys.len());
    verdicts
}

/// A signature of which only the equation is still to be checked.
struct Candidate<'i> {
    item: &'i Item<'i>,
    /// Of its key among the distinct keys of the batch, from 0.
    number: usize,
    key: &'i EdwardsPoint,
    parts: Parts,
    verdict: &'i mut Verdict,
}

/// Sets the verdict of those whose equation holds.
fn settle(candidates: &mut [Candidate<'_>], keys: usize) {
    if candidates.len() > SECOND_TRY && all_hold(candidates, keys) {
        candidates.iter_mut().for_each(|candidate| *candidate.verdict = Verdict::Good);
        return;
    }
    for group in candidates.chunks_mut(SECOND_TRY) {
        let all = group.len() >= BATCH_MIN && all_hold(group, keys);
        for candidate in group {
            if all || equation_holds(candidate.key, &candidate.parts) {
                *candidate.verdict = Verdict::Good;
            }
        }
    }
}

/// `[8](sum(z R) + sum(z k A) - sum(z S) B) = 0`, with one term for each distinct A.
fn all_hold(candidates: &[Candidate<'_>], keys: usize) -> bool {
    let coefficients = coefficients(candidates);
    let mut base = Scalar::ZERO;
    let mut terms = vec![None; keys];
    for (Candidate { number, key, parts, .. }, z) in candidates.iter().zip(&coefficients) {
        base -= z * parts.response;
        if let Some(term) = terms.get_mut(*number) {
            let (sum, _) = term.get_or_insert((Scalar::ZERO, *key));
            *sum += z * parts.challenge;
        }
    }
    let (sums, keys): (Vec<_>, Vec<_>) = terms.into_iter().flatten().unzip();
    EdwardsPoint::vartime_multiscalar_mul(
        iter::once(&base).chain(&sums).chain(&coefficients),
        iter::once(&ED25519_BASEPOINT_POINT)
            .chain(keys)
            .chain(candidates.iter().map(|candidate| &candidate.parts.commitment)),
    )
    .mul_by_cofactor()
    .is_identity()
}

/// A 128-bit coefficient for each, out of BLAKE3 over all of them.
fn coefficients(candidates: &[Candidate<'_>]) -> Vec<Scalar> {
    let mut transcript = Vec::with_capacity(candidates.len() * 128);
    for Candidate { item, parts, .. } in candidates {
        transcript.extend_from_slice(&item.agent.0);
        transcript.extend_from_slice(&item.signature.0);
        transcript.extend_from_slice(parts.challenge.as_bytes());
    }
    let mut stream = vec![0; candidates.len() * 16];
    blake3::Hasher::new_derive_key(CONTEXT).update(&transcript).finalize_xof().fill(&mut stream);
    let (coefficients, _) = stream.as_chunks::<16>();
    coefficients.iter().map(|bytes| Scalar::from(u128::from_le_bytes(*bytes))).collect()
}
