//! The limit: how fast all cores verify signatures under the acceptance rule with nothing else to do.
//!
//! Our own batch verifier beside ed25519-zebra's, which follows nearly the same rule (it leaves out the checks of
//! encodings and of small order) and is the fastest known to us elsewhere. Whichever is faster is the limit.

use super::claims::Signed;
use super::{cores, now, rate};
use model::acceptance::{Item, verify_batch};
use std::convert::Infallible;
use std::hint::black_box;
use std::time::Duration;

/// The batch sizes that are tried.
const BATCHES: [usize; 4] = [256, 512, 1024, 4096];
/// How long each is tried.
const TRIAL: Duration = Duration::from_millis(400);

/// A batch verifier and the size of its batches.
#[derive(Debug, Clone, Copy)]
pub struct Verifier {
    /// `model` or `zebra`.
    pub name: &'static str,
    /// Signatures a batch.
    pub batch: usize,
    verify: fn(&[Signed]) -> bool,
}

/// The fastest verifier over `claims`, and the best rate of each name in signatures per second.
pub fn fastest(claims: &[Signed]) -> (Verifier, Vec<(Verifier, f64)>) {
    let verifiers = [("model", model as fn(&[Signed]) -> bool), ("zebra", zebra)];
    let best: Vec<_> = verifiers
        .into_iter()
        .map(|(name, verify)| {
            let trials =
                BATCHES.map(|batch| Verifier { name, batch, verify }).map(|one| (one, measure(one, claims, TRIAL)));
            trials.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap()
        })
        .collect();
    let (fastest, _) = *best.iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
    (fastest, best)
}

/// Signatures per second on all cores, each going round over a part of `claims` for `time`.
pub fn measure(verifier: Verifier, claims: &[Signed], time: Duration) -> f64 {
    let part = (claims.len() / cores()).max(1);
    let start = now();
    let verified: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = claims
            .chunks(part)
            .take(cores())
            .map(|own| {
                scope.spawn(move || {
                    let batches = own.chunks(verifier.batch).cycle();
                    let in_time = batches.take_while(|_| start.elapsed() < time);
                    in_time
                        .map(|batch| {
                            assert!((verifier.verify)(black_box(batch)), "every claim is signed well");
                            batch.len()
                        })
                        .sum::<usize>()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    rate(verified, start.elapsed())
}

fn model(claims: &[Signed]) -> bool {
    let items: Vec<_> =
        claims.iter().map(|one| Item { agent: one.agent, message: &one.message, signature: one.signature }).collect();
    verify_batch(&items).into_iter().all(|good| good)
}

fn zebra(claims: &[Signed]) -> bool {
    let mut verifier = ed25519_zebra::batch::Verifier::new();
    for Signed { agent, message, signature, .. } in claims {
        let signature = ed25519_zebra::Signature::from_bytes(&signature.0);
        verifier.queue((ed25519_zebra::VerificationKeyBytes::from(agent.0), signature, message));
    }
    verifier.verify(Draws(blake3::Hasher::new().finalize_xof())).is_ok()
}

/// Zebra draws its coefficients from a generator; this one costs little.
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
