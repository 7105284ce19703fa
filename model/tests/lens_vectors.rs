//! What lenses answer, as a file for other languages to pass: `vectors/lenses.json`.
//!
//! Each case holds claims, terms and one expected answer a lens; claims are named by their position. The claims and
//! terms are written by hand in the file; `UPDATE_VECTORS=1 cargo test -p model --test lens_vectors` writes the
//! expected answers anew, which is right only together with a new `LENS_VERSION`.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "what is wrong in the file fails the test")]

use model::id::{AgentId, RecordId, Signature};
use model::lens::*;
use model::record::{
    ArchivedSignedAssertion, Assertion, Authors, Confidence, Finite, Lifecycle, Meta, Object, Predicate,
    SignedAssertion, SourceClass, Subject, Text, Validity, Vector,
};
use model::time::{Duration, Stamp, Timestamp};
use rkyv::rancor::Error;
use serde_json::{Value as Json, json};
use std::path::PathBuf;

fn text<'j>(json: &'j Json, key: &str) -> &'j str {
    json[key].as_str().unwrap_or_else(|| panic!("{key} in {json}"))
}

fn timestamp(json: &Json) -> Option<Timestamp> {
    json.as_u64().and_then(Timestamp::from_ms)
}

fn object(json: &Json) -> Object {
    let value = &json["value"];
    match text(json, "type") {
        "Text" => Object::Text(Text::new(value.as_str().unwrap()).unwrap()),
        "Number" => Object::Number(Finite::new(value.as_f64().unwrap()).unwrap()),
        "Boolean" => Object::Boolean(value.as_bool().unwrap()),
        "Reference" => Object::Reference(Subject::new(value.as_str().unwrap()).unwrap()),
        other => panic!("{other}"),
    }
}

/// The archive of a claim, as a node keeps it.
fn archive(claim: &Json) -> Vec<u8> {
    let agents = claim["authors"].as_array().unwrap().iter();
    let authors: Vec<_> = agents.map(|agent| AgentId::from_hex(agent.as_str().unwrap()).unwrap()).collect();
    let stored = SignedAssertion {
        signatures: vec![Signature([0; 64]); authors.len()],
        assertion: Assertion {
            authors: Authors::new(authors).unwrap(),
            timestamp: timestamp(&claim["timestamp"]).unwrap(),
            subject: Subject::new("the same of all").unwrap(),
            predicate: Predicate::new("the same of all").unwrap(),
            object: object(&claim["object"]),
            confidence: Confidence::new(claim["confidence"].as_f64().unwrap()).unwrap(),
            source_class: SourceClass::from_word(text(claim, "source_class")).unwrap(),
            lifecycle: Lifecycle::from_word(text(claim, "lifecycle")).unwrap(),
            source_hash: None,
            parent_hash: claim["parent_hash"].as_str().and_then(RecordId::from_hex),
            epoch: None,
            visual_hash: None,
            vector: Vector::default(),
            validity: Validity::new(timestamp(&claim["valid_from"]), timestamp(&claim["valid_to"])).unwrap(),
            meta: Meta::default(),
        },
    };
    rkyv::to_bytes::<Error>(&stored).unwrap().to_vec()
}

fn terms(json: &Json) -> Terms {
    Terms {
        as_of: text(json, "as_of").parse().unwrap(),
        valid_at: timestamp(&json["valid_at"]),
        half_life: match json["half_life"].as_str() {
            Some("off") => HalfLife::Off,
            Some("class") => HalfLife::Class,
            _ => HalfLife::Every(Duration::from_ms(json["half_life"].as_u64().unwrap()).unwrap()),
        },
        include_inactive: json["include_inactive"].as_bool().unwrap(),
    }
}

fn ranked(ranked: &Ranked) -> Json {
    json!({
        "claim": ranked.claim, "weight": ranked.weight, "effective_tier": ranked.effective_tier.as_str(),
    })
}

fn decision(decision: &Decision) -> Json {
    json!({
        "winner": ranked(&decision.winner),
        "confidence": decision.confidence,
        "runners_up": decision.runners_up.iter().map(ranked).collect::<Vec<_>>(),
        "reason": decision.reason.as_str(),
    })
}

fn conflict(conflict: &Conflict) -> Json {
    let position = |position: &Position| {
        json!({
            "claims": position.claims,
            "authors": position.authors.iter().map(AgentId::to_string).collect::<Vec<_>>(),
            "weight": position.weight,
            "share": position.share,
        })
    };
    let values: Vec<_> = conflict.values.iter().map(position).collect();
    json!({ "values": values, "score": conflict.score, "verdict": conflict.verdict.as_str() })
}

fn excluded(excluded: &Excluded) -> Json {
    match excluded.reason {
        Exclusion::Superseded(by) => json!({ "claim": excluded.claim, "superseded_by": by.to_string() }),
        Exclusion::Inactive(lifecycle) => json!({ "claim": excluded.claim, "inactive": lifecycle.as_str() }),
        Exclusion::NotValid => json!({ "claim": excluded.claim, "not_valid": true }),
    }
}

fn resolution(resolution: &Resolution) -> Json {
    let outcome = match &resolution.outcome {
        Outcome::All(claims) => json!(claims),
        Outcome::Decision(None) => Json::Null,
        Outcome::Decision(Some(decided)) => decision(decided),
        Outcome::Conflict(found) => conflict(found),
        Outcome::Layers(layers) => {
            let layer = |layer: &Layer| {
                let (decision, conflict) = (decision(&layer.decision), conflict(&layer.conflict));
                json!({ "tier": layer.tier.as_str(), "decision": decision, "conflict": conflict })
            };
            let tiers: Vec<_> = layers.tiers.iter().map(layer).collect();
            json!({ "tiers": tiers, "cross_tier": conflict(&layers.cross_tier) })
        }
    };
    json!({ "outcome": outcome, "excluded": resolution.excluded.iter().map(excluded).collect::<Vec<_>>() })
}

/// The case with what this code answers.
fn answered(mut case: Json) -> Json {
    let stored: Vec<_> = case["claims"].as_array().unwrap().iter().map(|claim| (claim, archive(claim))).collect();
    let claims: Vec<_> = stored
        .iter()
        .map(|(claim, bytes)| {
            let archived = rkyv::access::<ArchivedSignedAssertion, Error>(bytes).unwrap();
            let (id, received_at) = (RecordId::from_hex(text(claim, "id")).unwrap(), text(claim, "received_at"));
            Claim::of(id, received_at.parse::<Stamp>().unwrap(), archived)
        })
        .collect();
    let terms = terms(&case["terms"]);
    let answers = Lens::ALL.iter().map(|lens| {
        assert_eq!(Lens::from_word(lens.as_str()), Some(*lens));
        (lens.as_str().to_owned(), resolution(&resolve(*lens, &claims, &terms)))
    });
    let answers = answers.collect();
    case["expected"] = Json::Object(answers);
    case
}

/// The file: a line for each claim and each answer, so that differences read well.
fn written(file: &Json) -> String {
    let lines = |items: Vec<String>| items.join(",\n");
    let case = |case: &Json| {
        let claims = case["claims"].as_array().unwrap().iter().map(Json::to_string).collect();
        let expected = case["expected"].as_object().unwrap().iter();
        let expected = expected.map(|(lens, answer)| format!("{}:{answer}", json!(lens))).collect();
        let (name, terms) = (&case["name"], &case["terms"]);
        let (claims, expected) = (lines(claims), lines(expected));
        format!("{{\"name\":{name},\"terms\":{terms},\"claims\":[\n{claims}],\n\"expected\":{{\n{expected}}}}}")
    };
    let (about, version) = (&file["about"], &file["lens_version"]);
    let cases = lines(file["cases"].as_array().unwrap().iter().map(case).collect());
    format!("{{\"about\":{about},\n\"lens_version\":{version},\n\"cases\":[\n{cases}]}}\n")
}

#[test]
fn lenses_answer_as_the_vector_file_says() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors/lenses.json");
    let file: Json = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let kept = file["cases"].as_array().unwrap();
    let cases: Vec<_> = kept.iter().cloned().map(answered).collect();
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        let anew = json!({ "about": file["about"], "lens_version": LENS_VERSION, "cases": cases });
        std::fs::write(&path, written(&anew)).unwrap();
        return;
    }
    assert_eq!(file["lens_version"], LENS_VERSION);
    assert!(!cases.is_empty());
    for (case, kept) in cases.iter().zip(kept) {
        assert_eq!(case, kept, "the case {:?} is answered otherwise; see the head of this test", text(case, "name"));
    }
}
