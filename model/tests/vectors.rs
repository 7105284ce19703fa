//! The vector files for other languages: written by this test, compared with what is in the repository.
//!
//! `UPDATE_VECTORS=1 cargo test -p model --test vectors` writes them anew. They change only when the format does, that
//! is never for records that were once accepted.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod support;

use model::canonical::{canonical_bytes, id_of, signing_message};
use model::{Envelope, Record, acceptance};
use serde_json::{Value, json};
use std::path::PathBuf;
use support::{bodies, refusals};

/// Compares `value` with the file, or writes it if `UPDATE_VECTORS` is set.
fn check(name: &str, value: &Value) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors").join(name);
    let text = format!("{value:#}\n");
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == text,
        "{name} differs from what this code makes; run with UPDATE_VECTORS=1 and look at the difference"
    );
}

fn hex(bytes: &[u8]) -> String {
    let mut out = Vec::new();
    model::hex::push(bytes, &mut out);
    String::from_utf8(out).unwrap()
}

/// The envelope as the API shows it: the body's fields and `signatures`.
fn envelope_json(record: &Record) -> Value {
    let mut json: Value = serde_json::from_slice(&canonical_bytes(record.body())).unwrap();
    let signatures: Vec<_> = record
        .envelope()
        .signed_by()
        .map(|(agent, signature)| json!({"agent_id": agent.to_string(), "signature": signature.to_string()}))
        .collect();
    json["signatures"] = json!(signatures);
    json
}

#[test]
fn accepted_records_are_as_the_vector_file_says() {
    let vectors: Vec<_> = bodies::all()
        .into_iter()
        .map(|(name, body, keys)| {
            let record = acceptance::sign(body, &keys).unwrap();
            let envelope = Envelope::new(record.body().clone(), record.envelope().signatures().to_vec()).unwrap();
            assert_eq!(acceptance::accept(envelope).as_ref(), Ok(&record));
            let canonical = canonical_bytes(record.body());
            json!({
                "name": name,
                "secret_keys": keys.iter().map(|key| hex(&key.to_bytes())).collect::<Vec<_>>(),
                "envelope": envelope_json(&record),
                "canonical": String::from_utf8(canonical.clone()).unwrap(),
                "canonical_hex": hex(&canonical),
                "id": record.id().to_string(),
                "home": record.home().number(),
                "signed": hex(&signing_message(id_of(&canonical))),
            })
        })
        .collect();
    check("records.json", &json!(vectors));
}

#[test]
fn refusals_are_as_the_vector_file_says() {
    let cases = refusals::all();
    assert!(cases.len() >= 40);
    check("refusals.json", &json!(cases));
}
