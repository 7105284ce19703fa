//! Leaves, sums and sketches of a home's set, as files: `vectors/sets.json` and `vectors/sketches.json`.
//!
//! Each case holds elements and a key, and what follows from them. `UPDATE_VECTORS=1 cargo test -p model --test set_vectors`
//! writes that anew, which would cut every cluster in two: it never changes.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "what is wrong in the file fails the test")]

use model::hex;
use model::set::{Leaf, SetKey, SetSum};
use model::sketch::{Item, Sketch, SketchKey, Symbol};
use model::{Home, RecordId, Stamp};
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
    json!({ "key": case["key"], "elements": elements, "sum": hexadecimal(&sum.to_bytes()) })
}

fn sketched(case: &Json) -> Json {
    let key = SketchKey::of(&SetKey::new(bytes(&case["key"])), case["number"].as_u64().unwrap().try_into().unwrap());
    let mut sketch = Sketch::new();
    let elements = case["elements"].as_array().unwrap().iter().map(|element| {
        let home = Home::from_number(element["home"].as_u64().unwrap().try_into().unwrap()).unwrap();
        let stamp = element["stamp"].as_str().unwrap().parse().unwrap();
        let item = Item::of(&key, home, stamp, Leaf(bytes(&element["leaf"])));
        let mut alone = Sketch::new();
        alone.add(&key, item);
        sketch.add(&key, item);
        let (mut element, symbols) = (element.clone(), alone.symbols());
        element["item"] = json!(hexadecimal(&item.to_bytes()));
        element["check"] = json!(hexadecimal(&symbols[0].to_bytes()[Item::LENGTH..Symbol::LENGTH - 1]));
        element["indices"] = (0..symbols.len()).filter(|index| !symbols[*index].is_empty()).collect();
        element
    });
    let elements: Vec<Json> = elements.collect();
    let sent: Vec<u8> = sketch.symbols().iter().flat_map(|symbol| symbol.to_bytes()).collect();
    json!({
        "key": case["key"],
        "number": case["number"],
        "elements": elements,
        "first_symbols": sent.chunks(Symbol::LENGTH).take(8).map(hexadecimal).collect::<Vec<_>>(),
        "blake3_of_symbols": blake3::hash(&sent).to_string(),
    })
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut written = Vec::new();
    hex::push(bytes, &mut written);
    String::from_utf8(written).unwrap()
}

fn check(file: &str, answered: impl Fn(&Json) -> Json) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors").join(file);
    let kept: Vec<Json> = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let cases: Vec<Json> = kept.iter().map(answered).collect();
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(&path, serde_json::to_string_pretty(&cases).unwrap() + "\n").unwrap();
        return;
    }
    assert!(!cases.is_empty());
    assert_eq!(cases, kept);
}

#[test]
fn leaves_and_sums_are_those_of_the_vector_file() {
    check("sets.json", answered);
}

#[test]
fn sketches_are_those_of_the_vector_file() {
    check("sketches.json", sketched);
}
