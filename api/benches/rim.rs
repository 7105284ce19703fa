//! How fast envelopes are read and printed: one core, no signature checked.

use api::json::{envelope_json, parse_envelope};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

/// A claim as `stemedb import` makes them, 600 bytes.
fn claim() -> String {
    let (agent, signature) = ("8a".repeat(32), "74".repeat(64));
    format!(
        r#"{{"authors":["{agent}"],"confidence":0.8,"kind":"assertion","lifecycle":"proposed","meta":{{"package":"countryinfo","version":"1.0.1"}},"object":{{"type":"Text","value":"La Paz"}},"predicate":"capital","source_class":"community","subject":"geo://country/BO","timestamp":1785000000000,"v":1,"signatures":[{{"agent_id":"{agent}","signature":"{signature}"}}]}}"#
    )
}

fn rim(criterion: &mut Criterion) {
    let text = claim();
    let Ok(envelope) = parse_envelope(text.as_bytes(), None) else { return };
    let mut group = criterion.benchmark_group("rim");
    group.throughput(Throughput::Elements(1));
    group.bench_function("read", |bencher| bencher.iter(|| parse_envelope(black_box(text.as_bytes()), None)));
    group.bench_function("print", |bencher| bencher.iter(|| envelope_json(black_box(&envelope))));
    group.bench_function("serde_json_tree", |bencher| {
        bencher.iter(|| serde_json::from_slice::<serde_json::Value>(black_box(text.as_bytes())));
    });
    group.finish();
}

criterion_group!(benches, rim);
criterion_main!(benches);
