//! Records for the scenarios: claims, votes and aliases by a few agents, each with several valid envelopes.

use crate::store::Question;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use ed25519_dalek::SigningKey;
use model::record::{Authors, Confidence, Finite, Lifecycle, Meta, Object, Pair, Predicate, SourceClass, Subject};
use model::record::{Validity, Vector, Weight};
use model::{AgentId, Alias, Assertion, Body, Envelope, Record, Signature, Timestamp, Vote, acceptance, canonical};
use sha2::{Digest, Sha512};
use std::sync::LazyLock;

/// How many claims [`claim`] knows; the votes follow.
pub(super) const CLAIMS: usize = 40;
/// Where the votes end; two aliases follow.
pub(super) const VOTES_END: usize = 48;
/// How many records [`record`] knows.
pub(super) const RECORDS: usize = 50;

pub(super) fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n + 1; 32])
}

pub(super) fn agent(n: u8) -> AgentId {
    AgentId(key(n).verifying_key().to_bytes())
}

pub(super) fn question(n: usize) -> Question {
    let subject = ["a", "a/b", "b", "b/c/d"][n % 4];
    let predicate = ["size", "colour"][n / 4 % 2];
    Question { subject: Subject::new(subject).unwrap(), predicate: Predicate::new(predicate).unwrap() }
}

fn signed(body: Body, keys: &[SigningKey]) -> Record {
    acceptance::sign(body, keys).unwrap()
}

fn authors(keys: &[SigningKey]) -> Authors {
    let mut agents: Vec<_> = keys.iter().map(|key| AgentId(key.verifying_key().to_bytes())).collect();
    agents.sort();
    Authors::new(agents).unwrap()
}

fn claim(n: usize) -> Record {
    let number = u8::try_from(n % 3).unwrap();
    let keys = if n.is_multiple_of(5) { vec![key(number), key(9)] } else { vec![key(number)] };
    let Question { subject, predicate } = question(n);
    let assertion = Assertion {
        authors: authors(&keys),
        timestamp: Timestamp::from_ms(n as u64).unwrap(),
        subject,
        predicate,
        object: Object::Number(Finite::new(n as f64).unwrap()),
        confidence: Confidence::new(0.5).unwrap(),
        source_class: SourceClass::Expert,
        lifecycle: Lifecycle::Proposed,
        source_hash: None,
        parent_hash: None,
        epoch: None,
        visual_hash: None,
        vector: Vector::default(),
        validity: Validity::default(),
        meta: Meta::default(),
    };
    signed(Body::Assertion(Box::new(assertion)), &keys)
}

fn vote(n: usize) -> Record {
    let target = record(n % 3).id();
    let keys = [key(u8::try_from(n % 4).unwrap())];
    let vote = Vote {
        authors: authors(&keys),
        timestamp: Timestamp::from_ms(n as u64).unwrap(),
        subject: question(n % 3).subject,
        target,
        weight: Weight::new(1.0).unwrap(),
    };
    signed(Body::Vote(Box::new(vote)), &keys)
}

fn alias(n: usize) -> Record {
    let keys = [key(1)];
    let name = Subject::new(format!("alias {n}")).unwrap();
    let alias = Alias {
        authors: authors(&keys),
        timestamp: Timestamp::from_ms(n as u64).unwrap(),
        pair: Pair::new(name, question(0).subject).unwrap(),
    };
    signed(Body::Alias(Box::new(alias)), &keys)
}

/// The record number `n`, below [`RECORDS`]: claims on eight questions by three agents, then votes, then aliases.
pub(super) fn record(n: usize) -> Record {
    static CLAIMED: LazyLock<Vec<Record>> = LazyLock::new(|| (0..CLAIMS).map(claim).collect());
    static OTHERS: LazyLock<Vec<Record>> =
        LazyLock::new(|| (CLAIMS..VOTES_END).map(vote).chain((VOTES_END..RECORDS).map(alias)).collect());
    CLAIMED.get(n).or_else(|| OTHERS.get(n - CLAIMS)).unwrap().clone()
}

/// How many valid envelopes of each record [`variant`] knows.
pub(super) const VARIANTS: usize = 3;

/// One of the envelopes of the record number `n`: 0 is [`record`], the others bear other valid signatures.
pub(super) fn variant(n: usize, variant: usize) -> Record {
    static SIGNED: LazyLock<Vec<Vec<Record>>> = LazyLock::new(|| {
        (0..RECORDS).map(|n| (1..VARIANTS).map(|nonce| signed_otherwise(&record(n), nonce)).collect()).collect()
    });
    variant.checked_sub(1).map_or_else(|| record(n), |place| SIGNED[n][place].clone())
}

/// Of two variants of a record the one with the smaller signatures.
pub(super) fn smaller(n: usize, a: usize, b: usize) -> usize {
    let signatures = |v| variant(n, v).envelope().signatures().to_vec();
    if signatures(b) < signatures(a) { b } else { a }
}

/// The same record, signed by all of its authors with a nonce of our own choice.
pub(super) fn signed_otherwise(record: &Record, nonce: usize) -> Record {
    let secrets: Vec<(AgentId, Scalar)> = (0..10).map(|n| (agent(n), key(n).to_scalar())).collect();
    let message = canonical::signing_message(record.id());
    let body = record.envelope().body().clone();
    let signatures = body.authors().as_slice().iter().map(|author| {
        let secret = secrets.iter().find(|(agent, _)| agent == author).unwrap().1;
        let nonce = Scalar::from(nonce as u64);
        let commitment = EdwardsPoint::mul_base(&nonce).compress().0;
        let hash = Sha512::new().chain_update(commitment).chain_update(author.0).chain_update(message).finalize();
        let challenge = Scalar::from_bytes_mod_order_wide(&hash.into());
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&commitment);
        bytes[32..].copy_from_slice(&(nonce + challenge * secret).to_bytes());
        Signature(bytes)
    });
    let signatures = signatures.collect();
    acceptance::accept(Envelope::new(body, signatures).unwrap()).unwrap()
}

pub(super) fn records(range: std::ops::Range<usize>) -> Vec<Record> {
    range.map(record).collect()
}
