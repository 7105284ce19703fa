//! Authors of claims. Keys follow from a number, so that every run signs the same.

use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use ed25519_dalek::SigningKey;
use model::record::{
    Assertion, Authors, Confidence, Lifecycle, Meta, Note, Object, Predicate, SourceClass, Subject, Text, Validity,
    Vector,
};
use model::{AgentId, Body, Envelope, Record, Signature, Timestamp, acceptance, canonical};
use sha2::{Digest as _, Sha512};

/// Somebody who signs claims.
#[derive(Clone, Debug)]
pub struct Author(SigningKey);

impl Author {
    /// The author of that number.
    pub fn numbered(number: u64) -> Self {
        let mut secret = [0xA5; 32];
        secret.iter_mut().zip(number.to_be_bytes()).for_each(|(slot, byte)| *slot = byte);
        Self(SigningKey::from_bytes(&secret))
    }

    /// A signed claim that `subject` has `predicate` `value`, made at `timestamp_ms`.
    ///
    /// # Panics
    ///
    /// If the texts or the time are not as a claim wants them: the caller made them up.
    #[expect(clippy::expect_used, reason = "texts and times are made up by the scenario")]
    pub fn claim(&self, subject: &str, predicate: &str, value: &str, timestamp_ms: u64) -> Record {
        let agent = AgentId(self.0.verifying_key().to_bytes());
        let assertion = Assertion {
            authors: Authors::new(vec![agent]).expect("one author"),
            timestamp: Timestamp::from_ms(timestamp_ms).expect("a time of this century"),
            subject: Subject::new(subject).expect("a subject"),
            predicate: Predicate::new(predicate).expect("a predicate"),
            object: Object::Text(Text::new(value).expect("a text")),
            confidence: Confidence::new(0.8).expect("a confidence"),
            source_class: SourceClass::Expert,
            lifecycle: Lifecycle::Approved,
            source_hash: None,
            parent_hash: None,
            epoch: None,
            visual_hash: None,
            vector: Vector::default(),
            validity: Validity::default(),
            meta: Meta::default(),
        };
        let body = Body::Assertion(Box::new(assertion));
        acceptance::sign(body, std::slice::from_ref(&self.0)).expect("a body with its author's key")
    }
    /// A signed note about `subject`, of the kind that the next version brings.
    ///
    /// # Panics
    ///
    /// As [`Author::claim`].
    #[expect(clippy::expect_used, reason = "texts and times are made up by the scenario")]
    pub fn note(&self, subject: &str, text: &str, timestamp_ms: u64) -> Record {
        let note = Note {
            authors: Authors::new(vec![AgentId(self.0.verifying_key().to_bytes())]).expect("one author"),
            timestamp: Timestamp::from_ms(timestamp_ms).expect("a time of this century"),
            subject: Subject::new(subject).expect("a subject"),
            text: Text::new(text).expect("a text"),
        };
        let body = Body::Opaque(Box::new(note.into_opaque()));
        acceptance::sign(body, std::slice::from_ref(&self.0)).expect("a body with its author's key")
    }

    /// A claim of this author once more: the same body and id, and another signature, as valid as the first.
    ///
    /// Ed25519 lets the signer choose the nonce; everybody takes it from the key and the message, this one from `nonce`.
    ///
    /// # Panics
    ///
    /// If the claim is not by this author.
    #[expect(clippy::expect_used, reason = "the claim is of the scenario's own making")]
    pub fn sign_again(&self, claim: &Record, nonce: u64) -> Record {
        let (nonce, public) = (Scalar::from(nonce) + Scalar::ONE, self.0.verifying_key());
        let commitment = EdwardsPoint::mul_base(&nonce).compress().to_bytes();
        let message = canonical::signing_message(claim.id());
        let challenge = Sha512::new().chain_update(commitment).chain_update(public).chain_update(message).finalize();
        let answer = nonce + Scalar::from_bytes_mod_order_wide(&challenge.into()) * self.0.to_scalar();
        let mut signature = [0; 64];
        signature.iter_mut().zip(commitment.into_iter().chain(answer.to_bytes())).for_each(|(slot, byte)| *slot = byte);
        let envelope = Envelope::new(claim.envelope().body().clone(), vec![Signature(signature)]);
        acceptance::accept(envelope.expect("one signature for one author")).expect("a valid signature")
    }
}

#[test]
fn a_claim_can_be_signed_twice() {
    let author = Author::numbered(1);
    let claim = author.claim("a://b", "c", "d", 1);
    let again = author.sign_again(&claim, 7);
    assert_eq!((again.id(), again.envelope().body()), (claim.id(), claim.envelope().body()));
    assert_ne!(again.envelope().signatures(), claim.envelope().signatures());
}
