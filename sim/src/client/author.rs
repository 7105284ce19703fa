//! Authors of claims. Keys follow from a number, so that every run signs the same.

use ed25519_dalek::SigningKey;
use model::record::{
    Assertion, Authors, Confidence, Lifecycle, Meta, Object, Predicate, SourceClass, Subject, Text, Validity, Vector,
};
use model::{AgentId, Body, Record, Timestamp, acceptance};

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
}
