//! How fast the acceptance rule is: one by one, in batches, and beside ed25519-zebra's batch verifier.
//!
//! Time per signature is what matters; criterion prints it as elements a second. Few keys: 8 agents sign everything;
//! many: every signature has its own agent. Messages are the 48 bytes that records are signed over.

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ed25519_dalek::{Signer, SigningKey};
use model::acceptance::{Item, KeyCache, verify, verify_batch_with};
use model::canonical::signing_message;
use model::{AgentId, RecordId, Signature};
use std::convert::Infallible;
use std::hint::black_box;

struct Signed {
    agent: AgentId,
    message: [u8; 48],
    signature: Signature,
}

/// `count` signatures of different ids by `agents` agents in turn.
fn signed(count: usize, agents: usize) -> Vec<Signed> {
    let seed = |number: usize| *blake3::hash(&number.to_le_bytes()).as_bytes();
    let keys: Vec<_> = (0..agents).map(|agent| SigningKey::from_bytes(&seed(agent))).collect();
    keys.iter()
        .cycle()
        .take(count)
        .enumerate()
        .map(|(number, key)| {
            let message = signing_message(RecordId(seed(number + agents)));
            let signature = Signature(key.sign(&message).to_bytes());
            Signed { agent: AgentId(key.verifying_key().to_bytes()), message, signature }
        })
        .collect()
}

fn batch(all: &[Signed], keys: &mut KeyCache) -> bool {
    let items: Vec<_> =
        all.iter().map(|one| Item { agent: one.agent, message: &one.message, signature: one.signature }).collect();
    verify_batch_with(black_box(&items), keys).iter().all(|good| *good)
}

/// Zebra draws its coefficients from a generator; this one costs as little as ours.
struct Draws(blake3::OutputReader);

impl rand_core::TryRng for Draws {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(bytes);
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Draws {}

fn zebra(all: &[Signed]) -> bool {
    let mut verifier = ed25519_zebra::batch::Verifier::new();
    for Signed { agent, message, signature } in all {
        let signature = ed25519_zebra::Signature::from_bytes(&signature.0);
        verifier.queue((ed25519_zebra::VerificationKeyBytes::from(agent.0), signature, message));
    }
    verifier.verify(Draws(blake3::Hasher::new().finalize_xof())).is_ok()
}

fn one_by_one(c: &mut Criterion) {
    let all = signed(64, 64);
    let mut next = all.iter().cycle();
    let mut group = c.benchmark_group("one by one");
    group.throughput(Throughput::Elements(1));
    group.bench_function("model", |b| {
        b.iter_batched(
            || next.next(),
            |one| one.is_some_and(|one| verify(&one.agent, &one.message, black_box(&one.signature))),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn batches(c: &mut Criterion) {
    for (name, agents_max) in [("few keys", 8), ("many keys", usize::MAX)] {
        let mut group = c.benchmark_group(name);
        for size in [8, 64, 256, 1024] {
            let all = signed(size, size.min(agents_max));
            group.throughput(Throughput::Elements(size as u64));
            group.bench_function(BenchmarkId::new("model", size), |b| {
                b.iter(|| assert!(batch(&all, &mut KeyCache::default())));
            });
            group.bench_function(BenchmarkId::new("model, keys known", size), |b| {
                let mut keys = KeyCache::new(size);
                b.iter(|| assert!(batch(&all, &mut keys)));
            });
            group.bench_function(BenchmarkId::new("zebra", size), |b| b.iter(|| assert!(zebra(black_box(&all)))));
        }
        group.finish();
    }
}

/// What an attacker gets: batches in which one signature, or every one, is forged.
fn forged(c: &mut Criterion) {
    let mut group = c.benchmark_group("forged");
    for count in [1, 256] {
        let mut all = signed(256, 8);
        all.iter_mut().take(count).for_each(|one| one.message[40] ^= 1);
        group.throughput(Throughput::Elements(256));
        group.bench_function(BenchmarkId::new("of 256", count), |b| {
            b.iter(|| assert!(!batch(&all, &mut KeyCache::default())));
        });
    }
    group.finish();
}

fn settings() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .measurement_time(std::time::Duration::from_secs(1))
        .warm_up_time(std::time::Duration::from_millis(300))
}

criterion_group! { name = verification; config = settings(); targets = one_by_one, batches, forged }
criterion_main!(verification);
