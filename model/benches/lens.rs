//! Lenses over 100 rivals, read in place from their archives, beside decoding the same 100 envelopes from JSON.
//!
//! It ends with the ratios, measured in turns within one run. Signatures are dummies: no lens looks at them.

use criterion::measurement::{Measurement, WallTime};
use criterion::{Criterion, criterion_group, criterion_main};
use model::id::{AgentId, RecordId, Signature};
use model::lens::{Claim, HalfLife, Lens, Terms, resolve};
use model::record::{
    ArchivedSignedAssertion, Assertion, Authors, Confidence, Lifecycle, Meta, Object, Predicate, SignedAssertion,
    SourceClass, Subject, Text, Validity, Vector,
};
use model::time::{Stamp, Timestamp};
use serde::Deserialize;
use std::hint::black_box;
use std::time::Duration;

const RIVALS: u8 = 100;
const NOW_MS: u64 = 1_785_000_000_000;

/// What stands in the log: the id, the stamp and the archive.
type Stored = (RecordId, Stamp, Vec<u8>);

/// The envelope as the API shows it, decoded as far as a lens would need: strings stay borrowed.
#[derive(Deserialize)]
#[expect(dead_code, reason = "decoded to be timed, not to be read")]
struct Envelope<'a> {
    v: u64,
    kind: &'a str,
    #[serde(borrow)]
    authors: Vec<&'a str>,
    timestamp: u64,
    subject: &'a str,
    predicate: &'a str,
    #[serde(borrow)]
    object: TextObject<'a>,
    confidence: f64,
    source_class: &'a str,
    lifecycle: &'a str,
    #[serde(borrow)]
    signatures: Vec<SignedBy<'a>>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "decoded to be timed, not to be read")]
struct TextObject<'a> {
    r#type: &'a str,
    value: &'a str,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "decoded to be timed, not to be read")]
struct SignedBy<'a> {
    agent_id: &'a str,
    signature: &'a str,
}

fn agent(number: u8) -> AgentId {
    AgentId(*blake3::hash(&[number]).as_bytes())
}

/// The claim of the rival `number`: ten values, three tiers, distinct times.
fn rival(number: u8) -> SignedAssertion {
    let tiers = [SourceClass::Observational, SourceClass::Expert, SourceClass::Community];
    SignedAssertion {
        assertion: Assertion {
            authors: Authors::new(vec![agent(number)]).expect("one author"),
            timestamp: Timestamp::from_ms(NOW_MS - u64::from(number) * 86_400_000).expect("a date"),
            subject: Subject::new("geo://country/BO").expect("a subject"),
            predicate: Predicate::new("capital").expect("a predicate"),
            object: Object::Text(Text::new(format!("Capital number {}", number % 10)).expect("a text")),
            confidence: Confidence::new(f64::from(number % 37) / 37.0).expect("a confidence"),
            source_class: *tiers.iter().cycle().nth(usize::from(number)).expect("a tier"),
            lifecycle: Lifecycle::Proposed,
            source_hash: None,
            parent_hash: None,
            epoch: None,
            visual_hash: None,
            vector: Vector::default(),
            validity: Validity::default(),
            meta: Meta::default(),
        },
        signatures: vec![Signature([number; 64])],
    }
}

fn stored(rival: &SignedAssertion, number: u8) -> Stored {
    let bytes = rkyv::to_bytes::<rkyv::rancor::Error>(rival).expect("an archive");
    (RecordId(*blake3::hash(&[number, 1]).as_bytes()), Stamp::end_of_ms(NOW_MS), bytes.to_vec())
}

fn json(rival: &SignedAssertion) -> String {
    let Object::Text(value) = &rival.assertion.object else { unreachable!("rivals state texts") };
    let signatures = rival.assertion.authors.as_slice().iter().zip(&rival.signatures);
    serde_json::json!({
        "v": 1,
        "kind": "assertion",
        "authors": rival.assertion.authors.as_slice().iter().map(AgentId::to_string).collect::<Vec<_>>(),
        "timestamp": rival.assertion.timestamp.ms(),
        "subject": rival.assertion.subject.as_str(),
        "predicate": rival.assertion.predicate.as_str(),
        "object": { "type": "Text", "value": value.as_str() },
        "confidence": rival.assertion.confidence.get(),
        "source_class": rival.assertion.source_class.as_str(),
        "lifecycle": rival.assertion.lifecycle.as_str(),
        "signatures": signatures.map(|(agent, signature)| serde_json::json!({
            "agent_id": agent.to_string(),
            "signature": signature.to_string(),
        })).collect::<Vec<_>>(),
    })
    .to_string()
}

/// What a query does once it holds the bytes: checks each archive, views it in place, resolves.
fn answer(lens: Lens, stored: &[Stored], terms: &Terms) {
    let claims: Vec<_> = stored.iter().map(view).collect();
    black_box(resolve(lens, &claims, terms));
}

fn view((id, received_at, bytes): &Stored) -> Claim<'_> {
    let archived = rkyv::access::<ArchivedSignedAssertion, rkyv::rancor::Error>(bytes).expect("an archive");
    Claim::of(*id, *received_at, archived)
}

fn decode(envelopes: &[String]) {
    for envelope in envelopes {
        black_box(serde_json::from_str::<Envelope<'_>>(envelope).expect("an envelope"));
    }
}

fn rivals(criterion: &mut Criterion) {
    let rivals: Vec<_> = (0..RIVALS).map(rival).collect();
    let stored: Vec<_> = rivals.iter().zip(0..).map(|(rival, number)| stored(rival, number)).collect();
    let envelopes: Vec<_> = rivals.iter().map(json).collect();
    let plain = Terms::at(Stamp::end_of_ms(NOW_MS));
    let fading = Terms { half_life: HalfLife::Class, ..plain };

    let mut group = criterion.benchmark_group("100 rivals");
    for lens in Lens::ALL {
        group.bench_function(lens.as_str(), |bencher| bencher.iter(|| answer(*lens, &stored, &plain)));
    }
    group.bench_function("authority, decay", |bencher| bencher.iter(|| answer(Lens::Authority, &stored, &fading)));
    group.bench_function("serde_json", |bencher| bencher.iter(|| decode(&envelopes)));
    group.finish();

    let decoding = fastest(|| decode(&envelopes));
    for lens in [Lens::Authority, Lens::Skeptic] {
        report(lens, decoding, fastest(|| answer(lens, &stored, &plain)));
    }
}

/// The fastest of 50 rounds of 20 calls: what the code costs when nothing else runs.
fn fastest(mut call: impl FnMut()) -> Duration {
    let clock = WallTime;
    let rounds = (0..50).map(|_| {
        let start = clock.start();
        (0..20).for_each(|_| call());
        clock.end(start) / 20
    });
    rounds.min().unwrap_or_default()
}

#[expect(clippy::print_stdout, reason = "a benchmark reports to a person")]
fn report(lens: Lens, decoding: Duration, answering: Duration) {
    let ratio = decoding.as_secs_f64() / answering.as_secs_f64();
    println!("{}: {answering:?}; serde_json: {decoding:?}; ratio {ratio:.1}", lens.as_str());
}

/// One question with 100,000 claims, each of another author, 1,000 values: resolving alone.
fn crowd(criterion: &mut Criterion) {
    let names: Vec<_> = (0..100_000u32).map(|number| *blake3::hash(&number.to_le_bytes()).as_bytes()).collect();
    let values: Vec<_> = (0..1_000).map(|number| format!("value {number}")).collect();
    let template = stored(&rival(0), 0);
    let base = view(&template);
    let authors: Vec<_> = names.iter().map(|name| [model::id::ArchivedAgentId(*name)]).collect();
    let claims: Vec<_> = authors
        .iter()
        .zip(&names)
        .zip(values.iter().cycle())
        .zip(0u32..)
        .map(|(((authors, name), value), number)| Claim {
            id: RecordId(*name),
            authors,
            value: model::lens::Value::Text(value),
            confidence: number % 1_000_000,
            ..base
        })
        .collect();
    let terms = Terms::at(Stamp::end_of_ms(NOW_MS));
    let mut group = criterion.benchmark_group("100,000 claims");
    group.sample_size(10);
    for lens in Lens::ALL {
        group.bench_function(lens.as_str(), |bencher| bencher.iter(|| resolve(*lens, &claims, &terms)));
    }
    group.finish();
}

criterion_group!(benches, rivals, crowd);
criterion_main!(benches);
