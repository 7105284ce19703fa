//! The stored form, frozen: the rkyv archives of these records are the bytes in `vectors/stored.json`, for ever.
//!
//! A difference means that logs already written could not be read. `UPDATE_VECTORS=1` writes the file; that is right only
//! for what is new in it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod support;

use model::canonical::{canonical_bytes, write_archived_alias, write_archived_assertion};
use model::record::{
    ArchivedSignedAlias, ArchivedSignedAssertion, ArchivedSignedOpaque, ArchivedSignedVote, Object, SignedAlias,
    SignedAssertion, SignedOpaque, SignedVote, Text,
};
use model::{Body, Record, Signature, acceptance};
use rkyv::rancor::Error;
use serde_json::{Value, json};
use std::path::PathBuf;
use support::{bodies, key};

fn signed(body: Body) -> (Record, Vec<Signature>) {
    let record = acceptance::sign(body, &[key(1), key(2)]).unwrap();
    let signatures = record.envelope().signatures().to_vec();
    (record, signatures)
}

fn hex(bytes: &[u8]) -> Value {
    let mut out = Vec::new();
    model::hex::push(bytes, &mut out);
    json!(String::from_utf8(out).unwrap())
}

fn assertions() -> [(&'static str, SignedAssertion); 2] {
    let keys = [key(1), key(2)];
    let small = bodies::assertion(&keys, Object::Text(Text::new("96.7 billion").unwrap()));
    [("assertion", small), ("assertion_full", bodies::full(&keys))].map(|(name, assertion)| {
        let (_, signatures) = signed(Body::Assertion(Box::new(assertion.clone())));
        (name, SignedAssertion { assertion, signatures })
    })
}

fn vote() -> SignedVote {
    let vote = bodies::vote(&[key(1), key(2)], -0.25);
    let (_, signatures) = signed(Body::Vote(Box::new(vote.clone())));
    SignedVote { vote, signatures }
}

fn alias() -> SignedAlias {
    let alias = bodies::alias(&[key(1), key(2)], "Tesla_Inc", "wikidata://Q478214");
    let (_, signatures) = signed(Body::Alias(Box::new(alias.clone())));
    SignedAlias { alias, signatures }
}

fn opaque() -> SignedOpaque {
    let authors = bodies::authors(&[key(1), key(2)]);
    let canonical = br#"{"kind":"of another release","v":2}"#.to_vec();
    SignedOpaque { authors, canonical, signatures: vec![Signature([1; 64]), Signature([2; 64])] }
}

#[test]
fn archives_are_the_bytes_they_always_were() {
    let mut stored = json!({
        "vote": hex(&rkyv::to_bytes::<Error>(&vote()).unwrap()),
        "alias": hex(&rkyv::to_bytes::<Error>(&alias()).unwrap()),
        "opaque": hex(&rkyv::to_bytes::<Error>(&opaque()).unwrap()),
    });
    for (name, assertion) in assertions() {
        stored[name] = hex(&rkyv::to_bytes::<Error>(&assertion).unwrap());
    }
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors/stored.json");
    let text = format!("{stored:#}\n");
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), text, "the stored form changed");
}

#[test]
fn what_was_stored_reads_back_at_any_alignment() {
    fn shifted<'b>(archive: &[u8], by: usize, buffer: &'b mut Vec<u8>) -> &'b [u8] {
        buffer.clear();
        buffer.resize(by, 0xff);
        buffer.extend_from_slice(archive);
        &buffer[by..]
    }
    let mut buffer = Vec::new();
    for by in 0..9 {
        for (_, assertion) in assertions() {
            let archive = rkyv::to_bytes::<Error>(&assertion).unwrap();
            let bytes = shifted(&archive, by, &mut buffer);
            let archived = rkyv::access::<ArchivedSignedAssertion, Error>(bytes).unwrap();
            let mut canonical = Vec::new();
            write_archived_assertion(&archived.assertion, &mut canonical);
            assert_eq!(canonical, canonical_bytes(&Body::Assertion(Box::new(assertion.assertion.clone()))));
            assert_eq!(rkyv::deserialize::<SignedAssertion, Error>(archived).unwrap(), assertion);
        }
        let archive = rkyv::to_bytes::<Error>(&vote()).unwrap();
        let archived = rkyv::access::<ArchivedSignedVote, Error>(shifted(&archive, by, &mut buffer)).unwrap();
        assert_eq!(rkyv::deserialize::<SignedVote, Error>(archived).unwrap(), vote());
        let archive = rkyv::to_bytes::<Error>(&alias()).unwrap();
        let archived = rkyv::access::<ArchivedSignedAlias, Error>(shifted(&archive, by, &mut buffer)).unwrap();
        assert!(archived.is_well_formed());
        let mut canonical = Vec::new();
        write_archived_alias(&archived.alias, &mut canonical);
        assert_eq!(canonical, canonical_bytes(&Body::Alias(Box::new(alias().alias))));
        assert_eq!(rkyv::deserialize::<SignedAlias, Error>(archived).unwrap(), alias());
        let archive = rkyv::to_bytes::<Error>(&opaque()).unwrap();
        let archived = rkyv::access::<ArchivedSignedOpaque, Error>(shifted(&archive, by, &mut buffer)).unwrap();
        assert_eq!(rkyv::deserialize::<SignedOpaque, Error>(archived).unwrap(), opaque());
    }
}
