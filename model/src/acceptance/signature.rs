//! One signature. Nothing here knows about batches; they must agree with this file.

use super::key::{decode_canonical, usable_key};
use crate::id::{AgentId, Signature};
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use sha2::{Digest, Sha512};

/// What the rule says of one signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It holds.
    Good,
    /// The key may not sign anything.
    WeakKey,
    /// It does not hold.
    BadSignature,
}

/// The parts of a signature that passed every check but the equation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts {
    /// R, decoded.
    pub(super) commitment: EdwardsPoint,
    /// S, below L.
    pub(super) response: Scalar,
    /// k, the hash of R, A and the message, modulo L.
    pub(super) challenge: Scalar,
}

/// Whether `signature` is one of `message` by `agent` under the acceptance rule. About 45 us.
pub fn verify(agent: &AgentId, message: &[u8], signature: &Signature) -> bool {
    verdict(agent, message, signature) == Verdict::Good
}

/// [`verify`], telling a key that may not sign from a signature that does not hold.
pub(super) fn verdict(agent: &AgentId, message: &[u8], signature: &Signature) -> Verdict {
    let Some(key) = usable_key(agent) else { return Verdict::WeakKey };
    match parts(agent, message, signature) {
        Some(parts) if equation_holds(&key, &parts) => Verdict::Good,
        _ => Verdict::BadSignature,
    }
}

/// Decodes a signature; `None` if R or S is not canonical or R is no point.
pub(super) fn parts(agent: &AgentId, message: &[u8], signature: &Signature) -> Option<Parts> {
    let (r, s) = signature.0.split_first_chunk::<32>()?;
    let response = Option::from(Scalar::from_canonical_bytes(s.try_into().ok()?))?;
    let commitment = decode_canonical(r)?;
    let hash = Sha512::new().chain_update(r).chain_update(agent.0).chain_update(message).finalize();
    let challenge = Scalar::from_bytes_mod_order_wide(&hash.into());
    Some(Parts { commitment, response, challenge })
}

/// `[8](R + kA - SB) = 0`.
pub(super) fn equation_holds(key: &EdwardsPoint, parts: &Parts) -> bool {
    let difference = EdwardsPoint::vartime_double_scalar_mul_basepoint(&parts.challenge, &-key, &parts.response);
    (parts.commitment - difference).mul_by_cofactor().is_identity()
}
