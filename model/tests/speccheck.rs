//! The twelve vectors of "Taming the many EdDSAs": exactly 2, 3, 4 and 5 are accepted, alone and in any company.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

use model::acceptance::{Item, verify, verify_batch};
use model::{AgentId, Signature};

const ACCEPTED: [usize; 4] = [2, 3, 4, 5];

struct Vector {
    message: Vec<u8>,
    agent: AgentId,
    signature: Signature,
}

impl Vector {
    fn item(&self) -> Item<'_> {
        Item { agent: self.agent, message: &self.message, signature: self.signature }
    }
}

fn vectors() -> Vec<Vector> {
    let json: Vec<serde_json::Value> = serde_json::from_str(include_str!("../vectors/ed25519-speccheck.json")).unwrap();
    let text = |vector: &serde_json::Value, key: &str| vector[key].as_str().unwrap().to_owned();
    json.iter()
        .map(|vector| Vector {
            message: model::hex::parse::<32>(&text(vector, "message")).unwrap().to_vec(),
            agent: AgentId::from_hex(&text(vector, "pub_key")).unwrap(),
            signature: Signature::from_hex(&text(vector, "signature")).unwrap(),
        })
        .collect()
}

fn check(vectors: &[Vector], chosen: &[usize]) {
    let items: Vec<_> = chosen.iter().map(|index| vectors[*index].item()).collect();
    let expected: Vec<_> = chosen.iter().map(|index| ACCEPTED.contains(index)).collect();
    assert_eq!(verify_batch(&items), expected, "{chosen:?}");
}

#[test]
fn alone_exactly_2_3_4_and_5_are_accepted() {
    for (index, Vector { message, agent, signature }) in vectors().iter().enumerate() {
        assert_eq!(verify(agent, message, signature), ACCEPTED.contains(&index), "{index}");
    }
}

#[test]
fn company_changes_nothing_in_any_of_the_4096_subsets() {
    let vectors = vectors();
    for subset in 0..1 << vectors.len() {
        let chosen: Vec<_> = (0..vectors.len()).filter(|index| subset >> index & 1 == 1).collect();
        check(&vectors, &chosen);
    }
}

#[test]
fn neither_do_order_repetition_and_size() {
    let vectors = vectors();
    for length in [2, 7, 31, 32, 33, 64, 65, 100, 300] {
        for seed in 0..8_u32 {
            let mut draws = blake3::Hasher::new().update(&seed.to_le_bytes()).update(b"order").finalize_xof();
            let only = if seed % 2 == 0 { &[2, 3, 4, 5][..] } else { &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11] };
            let mut bytes = vec![0; length];
            draws.fill(&mut bytes);
            let chosen: Vec<_> = bytes.iter().map(|byte| only[usize::from(*byte) % only.len()]).collect();
            check(&vectors, &chosen);
        }
    }
}
