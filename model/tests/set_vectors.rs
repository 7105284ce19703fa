//! Leaves and sums of a home's set, as a file: `vectors/sets.json`.
//!
//! Each case holds elements, a key, the leaf of each element and the sum of all. `UPDATE_VECTORS=1 cargo test -p model
//! --test set_vectors` writes leaves and sums anew, which would cut every cluster in two: they never change.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "what is wrong in the file fails the test")]

use model::hex;
use model::set::{Leaf, SetKey, SetSum};
use model::{RecordId, Stamp};
use serde_json::{Value as Json, json};
use std::path::PathBuf;

fn bytes<const N: usize>(json: &Json) -> [u8; N] {
    hex::parse(json.as_str().unwrap()).unwrap()
}

fn answered(case: &Json) -> Json {
    let key = SetKey::new(bytes(&case["key"]));
    let mut sum = SetSum::ZERO;
    let elements = case["elements"].as_array().unwrap().iter().map(|element| {
        let stamp: Stamp = element["stamp"].as_str().unwrap().parse().unwrap();
        let leaf = Leaf::of(&RecordId(bytes(&element["id"])), stamp, &bytes(&element["signatures_digest"]));
        sum.add(&key, leaf);
        let mut element = element.clone();
        element["leaf"] = json!(leaf.to_string());
        element
    });
    let elements: Vec<Json> = elements.collect();
    let mut written = Vec::new();
    hex::push(&sum.to_bytes(), &mut written);
    json!({ "key": case["key"], "elements": elements, "sum": String::from_utf8(written).unwrap() })
}

#[test]
fn leaves_and_sums_are_those_of_the_vector_file() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors/sets.json");
    let kept: Vec<Json> = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let cases: Vec<Json> = kept.iter().map(answered).collect();
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(&path, serde_json::to_string_pretty(&cases).unwrap() + "\n").unwrap();
        return;
    }
    assert!(!cases.is_empty());
    assert_eq!(cases, kept);
}
