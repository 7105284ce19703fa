//! Envelopes: a batch gives each the verdict and the refusal that it gets alone.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod support;

use ed25519_dalek::SigningKey;
use model::acceptance::{self, KeyCache, accept, accept_batch, accept_batch_with};
use model::canonical::{OPAQUE_BYTES_MAX, canonical_bytes, id_of, signing_message};
use model::home::Home;
use model::record::{Authors, BODY_BYTES_MAX, Meta, Object, Opaque, Text};
use model::{AgentId, Body, Code, Envelope, Signature};
use proptest::prelude::*;
use support::{bodies, key};

fn claim(keys: &[SigningKey], text: &str) -> Body {
    Body::Assertion(Box::new(bodies::assertion(keys, Object::Text(Text::new(text).unwrap()))))
}

fn signed(body: Body, keys: &[SigningKey]) -> Envelope {
    acceptance::sign(body, keys).unwrap().into_envelope()
}

/// The envelope with one signature bent at `place` by `bits`.
fn bent(envelope: &Envelope, place: usize, byte: usize, bits: u8) -> Envelope {
    let mut signatures = envelope.signatures().to_vec();
    signatures[place].0[byte] ^= bits;
    Envelope::new(envelope.body().clone(), signatures).unwrap()
}

/// A body of a kind nobody knows, as another node would hand it over.
fn opaque(keys: &[SigningKey], named: &Authors, fill: usize) -> Envelope {
    let authors = bodies::authors(keys);
    let list: Vec<_> = named.as_slice().iter().map(|agent| format!("\"{agent}\"")).collect();
    let canonical =
        format!(r#"{{"authors":[{}],"kind":"new","note":"{}"}}"#, list.join(","), "x".repeat(fill)).into_bytes();
    let message = signing_message(id_of(&canonical));
    let sign = |agent: &AgentId| {
        let key = keys.iter().find(|key| key.verifying_key().to_bytes() == agent.0).unwrap();
        Signature(ed25519_dalek::Signer::sign(key, &message).to_bytes())
    };
    let signatures = authors.as_slice().iter().map(sign).collect();
    Envelope::new(Body::Opaque(Box::new(Opaque { home: Home::GLOBAL, authors, canonical })), signatures).unwrap()
}

fn envelope() -> impl Strategy<Value = Envelope> {
    let keys = |count: u8| (1..=count).map(key).collect::<Vec<_>>();
    prop_oneof![
        4 => (1_u8..6, "[a-z]{0,8}").prop_map(move |(count, text)| signed(claim(&keys(count), &text), &keys(count))),
        2 => (1_u8..6, any::<prop::sample::Index>(), 0_usize..64, 1_u8..=255).prop_map(move |(count, place, byte, bits)| {
            bent(&signed(claim(&keys(count), "x"), &keys(count)), place.index(count.into()), byte, bits)
        }),
        1 => (1_u8..6).prop_map(move |count| signed(Body::Vote(Box::new(bodies::vote(&keys(count), 0.5))), &keys(count))),
        1 => (1_u8..6).prop_map(move |count| {
            signed(Body::Alias(Box::new(bodies::alias(&keys(count), "a", "b"))), &keys(count))
        }),
        1 => (1_u8..4, 1_u8..4).prop_map(move |(count, named)| opaque(&keys(count), &bodies::authors(&keys(named)), 0)),
        1 => Just(weak()),
        1 => Just(too_large()),
    ]
}

/// A claim by an honest key and by the identity, which signs everything.
fn weak() -> Envelope {
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut body = bodies::assertion(&[key(1)], Object::Boolean(true));
    body.authors = Authors::new(vec![AgentId(identity), body.authors.as_slice()[0]]).unwrap();
    let body = Body::Assertion(Box::new(body));
    let message = signing_message(id_of(&canonical_bytes(&body)));
    let mut anything = [0; 64];
    anything[0] = 1;
    let honest = Signature(ed25519_dalek::Signer::sign(&key(1), &message).to_bytes());
    Envelope::new(body, vec![Signature(anything), honest]).unwrap()
}

fn too_large() -> Envelope {
    Envelope::new(claim(&[key(1)], &"\u{1}".repeat(30_000)), vec![Signature([0; 64])]).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_batch_says_of_each_what_it_hears_alone(envelopes in prop::collection::vec(envelope(), 0..80)) {
        let alone: Vec<_> = envelopes.iter().cloned().map(accept).collect();
        prop_assert_eq!(&accept_batch(envelopes.clone()), &alone);
        let mut keys = KeyCache::new(3);
        for chunk in envelopes.chunks(7).zip(alone.chunks(7)) {
            prop_assert_eq!(&accept_batch_with(chunk.0.to_vec(), &mut keys), chunk.1);
        }
    }
}

#[test]
fn the_first_signature_that_fails_is_named() {
    let keys = [key(1), key(2), key(3)];
    let good = signed(claim(&keys, "x"), &keys);
    let refusal = accept(bent(&bent(&good, 2, 40, 1), 1, 0, 1)).unwrap_err();
    assert_eq!((refusal.code, &*refusal.field), (Code::BadSignature, "signatures[1].signature"));
    let refusal = accept(weak()).unwrap_err();
    assert_eq!((refusal.code, &*refusal.field), (Code::WeakKey, "signatures[0].agent_id"));
}

#[test]
fn a_body_over_its_limit_is_refused_whoever_signs_it() {
    let refusal = accept(too_large()).unwrap_err();
    assert_eq!((refusal.code, &*refusal.field), (Code::TooLarge, "body"));
    assert_eq!(acceptance::sign(too_large().body().clone(), &[key(1)]).unwrap_err(), refusal);

    let text = |length| claim(&[key(1)], &"\u{1}".repeat(length));
    let most = (BODY_BYTES_MAX - canonical_bytes(&text(0)).len()) / 6;
    let Body::Assertion(mut exact) = text(most) else { unreachable!() };
    let missing = BODY_BYTES_MAX - canonical_bytes(&text(most)).len();
    exact.subject = model::record::Subject::new(format!("{}{}", exact.subject, "x".repeat(missing))).unwrap();
    assert_eq!(canonical_bytes(&Body::Assertion(exact.clone())).len(), BODY_BYTES_MAX);
    assert!(acceptance::sign(Body::Assertion(exact.clone()), &[key(1)]).is_ok());
    exact.meta = Meta::new(vec![(String::new(), String::new())]).unwrap();
    assert!(acceptance::sign(Body::Assertion(exact), &[key(1)]).is_err());
}

#[test]
fn a_body_of_unknown_kind_is_kept_if_it_names_those_who_signed_it() {
    let keys = [key(1), key(2)];
    assert!(accept(opaque(&keys, &bodies::authors(&keys), 0)).is_ok());
    let refusal = accept(opaque(&keys, &bodies::authors(&[key(1)]), 0)).unwrap_err();
    assert_eq!((refusal.code, &*refusal.field), (Code::BadSignature, "authors"));
    let refusal = accept(opaque(&keys, &bodies::authors(&keys), OPAQUE_BYTES_MAX)).unwrap_err();
    assert_eq!((refusal.code, &*refusal.field), (Code::TooLarge, "body"));
}

#[test]
fn signing_takes_the_authors_keys_in_any_order_and_no_others() {
    let keys = [key(1), key(2), key(3)];
    let body = claim(&keys, "x");
    let record = acceptance::sign(body.clone(), &keys).unwrap();
    let reversed: Vec<_> = keys.iter().rev().cloned().collect();
    assert_eq!(acceptance::sign(body.clone(), &reversed).as_ref(), Ok(&record));
    assert_eq!(accept(record.clone().into_envelope()), Ok(record));
    let code = |keys: &[SigningKey]| acceptance::sign(body.clone(), keys).unwrap_err().code;
    assert_eq!(code(&keys[..2]), Code::MissingSignature);
    assert_eq!(code(&[key(1), key(2), key(9)]), Code::MissingSignature);
    assert_eq!(code(&[key(1), key(2), key(3), key(4)]), Code::ExtraSignature);
}
