//! The one acceptance rule: which envelopes are records.
//!
//! A pure function of the bytes. It never depends on what else was checked at the same time, on a random number or on
//! what was accepted before: one by one and in batches it gives the same verdict and the same refusal. Everything goes
//! through it: ingest, replication, repair, replay, import.
//!
//! The rule for a signature (R, S) of a message M by a key A: A and R decode and re-encode to the same bytes; A is not
//! of small order; S < L; and `[8]SB = [8]R + [8]kA` with `k = SHA-512(R || A || M)`. The cofactor is what makes a batch
//! agree with single verification. ed25519-dalek's `verify_batch` is never called: it has none.
//!
//! Sources: RFC 8032; ZIP 215; Chalkias, Garillot and Nikolaenko, "Taming the many EdDSAs", SSR 2020; de Valence, "It's
//! 255:19AM. Do you know what your validation criteria are?", 2020.

mod batch;
mod key;
mod opaque;
mod signature;
mod signing;

pub use batch::{Item, verify_batch, verify_batch_with};
pub use key::{KeyCache, check_key};
pub use signature::verify;
pub use signing::sign;

use crate::canonical;
use crate::id::{AgentId, RecordId, Signature};
use crate::record::{Body, Envelope, Record};
use crate::refusal::{Code, Refusal};
use batch::verdicts;
use signature::Verdict;

/// Accepts an envelope as a record.
///
/// Cost: about 43 us a signature; [`accept_batch`] is two to four times as fast from a few hundred on.
///
/// # Errors
///
/// [`Code::TooLarge`] on `body`; [`Code::WeakKey`] on `signatures[i].agent_id` or [`Code::BadSignature`] on
/// `signatures[i].signature` for the first signature that fails; [`Code::BadSignature`] on `authors` for a body of
/// unknown kind that does not name the authors it came with.
pub fn accept(envelope: Envelope) -> Result<Record, Refusal> {
    let id = name(&envelope, &mut Vec::new())?;
    let message = canonical::signing_message(id);
    judge(id, envelope, |agent, signature| signature::verdict(agent, &message, signature))
}

/// Accepts each of a batch of envelopes: the verdicts and refusals of [`accept`], in the same order.
///
/// Sound but for a chance of 2^-128; see [`verify_batch`]. 256 to 1,024 are a good size. A bad signature costs its
/// neighbours a second check: one among 256 doubles the time, and when all are bad it takes 1.4 times as long as one by
/// one.
pub fn accept_batch(envelopes: Vec<Envelope>) -> Vec<Result<Record, Refusal>> {
    accept_batch_with(envelopes, &mut KeyCache::default())
}

/// [`accept_batch`] with public keys that an earlier batch decoded; the cache changes the cost and nothing else.
pub fn accept_batch_with(envelopes: Vec<Envelope>, keys: &mut KeyCache) -> Vec<Result<Record, Refusal>> {
    let mut canonical = Vec::new();
    let names: Vec<_> = envelopes.iter().map(|envelope| name(envelope, &mut canonical)).collect();
    let messages: Vec<_> = names.iter().map(|id| id.as_ref().ok().map(|id| canonical::signing_message(*id))).collect();
    let named = envelopes.iter().zip(&messages).filter_map(|(envelope, message)| Some((envelope, message.as_ref()?)));
    let items: Vec<_> = named
        .flat_map(|(envelope, message)| {
            envelope.signed_by().map(move |(agent, signature)| Item { agent: *agent, message, signature: *signature })
        })
        .collect();
    let mut verdicts = verdicts(&items, keys).into_iter();
    let mut next = || verdicts.next().unwrap_or(Verdict::BadSignature);
    let judged = envelopes.into_iter().zip(names).map(|(envelope, name)| {
        let id = name?;
        let own: Vec<_> = envelope.signatures().iter().map(|_| next()).collect();
        let mut own = own.into_iter();
        judge(id, envelope, |_, _| own.next().unwrap_or(Verdict::BadSignature))
    });
    judged.collect()
}

/// The id of an envelope whose body may be accepted. `canonical` is only a buffer.
fn name(envelope: &Envelope, canonical: &mut Vec<u8>) -> Result<RecordId, Refusal> {
    canonical.clear();
    canonical::write_body(envelope.body(), canonical);
    canonical::check_size(envelope.body(), canonical)?;
    if let Body::Opaque(opaque) = envelope.body() {
        opaque::check_authors(opaque)?;
    }
    Ok(canonical::id_of(canonical))
}

/// Makes the record, or refuses by the first signature that fails.
fn judge(
    id: RecordId,
    envelope: Envelope,
    mut verdict: impl FnMut(&AgentId, &Signature) -> Verdict,
) -> Result<Record, Refusal> {
    for (position, (agent, signature)) in envelope.signed_by().enumerate() {
        match verdict(agent, signature) {
            Verdict::Good => {}
            Verdict::WeakKey => return Err(key::refusal(format!("signatures[{position}].agent_id"))),
            Verdict::BadSignature => {
                return Err(Refusal::new(
                    Code::BadSignature,
                    format!("signatures[{position}].signature"),
                    "the Ed25519 signature of this agent over `stemedb-v1-sign:` and the 32 bytes of the id",
                ));
            }
        }
    }
    Ok(Record::verified(id, envelope))
}
