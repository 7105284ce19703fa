//! Signing: making a record out of a body and its authors' keys. Keys are passed in and never kept.

use crate::canonical;
use crate::id::Signature;
use crate::record::{Body, Envelope, Record};
use crate::refusal::{Code, Refusal};
use ed25519_dalek::{Signer, SigningKey};

/// Signs a body with the keys of all its authors, given in any order, and puts the signatures in theirs.
///
/// Deterministic (RFC 8032): the same body and keys give the same bytes. Cost: about 20 us a key.
///
/// # Errors
///
/// [`Code::MissingSignature`] if an author's key is not among them, [`Code::ExtraSignature`] if there are others, and
/// those of [`super::accept`] that concern the body.
pub fn sign(body: Body, keys: &[SigningKey]) -> Result<Record, Refusal> {
    let canonical = canonical::canonical_bytes(&body);
    let id = canonical::id_of(&canonical);
    let message = canonical::signing_message(id);
    let authors = body.authors().as_slice();
    if keys.len() > authors.len() {
        return Err(Refusal::new(Code::ExtraSignature, "signatures", "the keys of the authors and no others"));
    }
    let own = |agent: &[u8; 32]| keys.iter().find(|key| key.verifying_key().as_bytes() == agent);
    let signatures: Option<Vec<_>> =
        authors.iter().map(|agent| Some(Signature(own(&agent.0)?.sign(&message).to_bytes()))).collect();
    let signatures =
        signatures.ok_or_else(|| Refusal::new(Code::MissingSignature, "signatures", "the key of every author"))?;
    let envelope = Envelope::new(body, signatures)?;
    super::name(&envelope, &mut Vec::new())?;
    Ok(Record::verified(id, envelope))
}
