//! The acceptance rule after replay: what was accepted is found again byte for byte and accepted again, alone and in any
//! batch, and what was refused is still refused.
//!
//! The signatures are those on which implementations differ: R, the key, or both with a torsion component of every order.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use model::acceptance::{Item, accept, accept_batch, verify, verify_batch};
use model::canonical::{canonical_bytes, id_of, signing_message};
use model::record::{Authors, Confidence, Finite, Lifecycle, Meta, Object, Predicate, SourceClass, Subject};
use model::record::{Validity, Vector};
use model::set::SetKey;
use model::{AgentId, Assertion, Body, Code, Envelope, Record, RecordId, Refusal, Signature, Timestamp};
use sha2::{Digest, Sha512};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use storage::disk::{Crash, Disk, MemoryDisk, StdDisk};
use storage::index::Engine;
use storage::log::{self, Position};
use storage::store::{Appender, OpenReport, Reader, RebuildReason, Settings, Setup, Store};
use storage::stored;

/// When the store is opened and written, in milliseconds since the Unix epoch.
const WALL_MS: u64 = 1_785_000_000_000;
/// Segments that a handful of records fill.
const LOG: log::Settings =
    log::Settings { segment_bytes_max: 16 << 10, batch_bytes_max: 8 << 10, version_max: log::FIRST_VERSION };
/// The second encoding of the identity, y = p + 1, which no strict decoder takes.
const IDENTITY_AGAIN: [u8; 32] = {
    let mut bytes = [0xff; 32];
    bytes[0] = 0xee;
    bytes[31] = 0x7f;
    bytes
};
/// Which of the twelve vectors of the speccheck are accepted.
const ACCEPTED: [usize; 4] = [2, 3, 4, 5];

/// Who signs by hand: the key is `[a]B` and R is `[r]B`, each with a point of the torsion group added.
#[derive(Clone, Copy)]
struct Hand {
    a: Scalar,
    r: Scalar,
    key_torsion: usize,
    r_torsion: usize,
}

impl Hand {
    fn new(key_torsion: usize, r_torsion: usize) -> Self {
        let scalar = |name: u8| {
            let seed = [name, u8::try_from(key_torsion).unwrap(), u8::try_from(r_torsion).unwrap()];
            Scalar::from_bytes_mod_order(*blake3::hash(&seed).as_bytes())
        };
        Self { a: scalar(b'a'), r: scalar(b'r'), key_torsion, r_torsion }
    }

    fn agent(&self) -> AgentId {
        AgentId((EdwardsPoint::mul_base(&self.a) + EIGHT_TORSION[self.key_torsion]).compress().0)
    }

    fn sign(&self, message: &[u8]) -> Signature {
        let commitment = (EdwardsPoint::mul_base(&self.r) + EIGHT_TORSION[self.r_torsion]).compress().0;
        let hash = Sha512::new().chain_update(commitment).chain_update(self.agent().0).chain_update(message).finalize();
        let k = Scalar::from_bytes_mod_order_wide(&hash.into());
        joined(commitment, (self.r + k * self.a).to_bytes())
    }
}

fn joined(r: [u8; 32], s: [u8; 32]) -> Signature {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&r);
    bytes[32..].copy_from_slice(&s);
    Signature(bytes)
}

/// A claim by `hands`, about a subject of its own for each `number`.
fn envelope(number: usize, hands: &[Hand]) -> Envelope {
    let mut hands = hands.to_vec();
    hands.sort_by_key(Hand::agent);
    let body = Body::Assertion(Box::new(Assertion {
        authors: Authors::new(hands.iter().map(Hand::agent).collect()).unwrap(),
        timestamp: Timestamp::from_ms(number as u64).unwrap(),
        subject: Subject::new(format!("odd/{number}")).unwrap(),
        predicate: Predicate::new("size").unwrap(),
        object: Object::Number(Finite::new(1.0).unwrap()),
        confidence: Confidence::new(0.5).unwrap(),
        source_class: SourceClass::Expert,
        lifecycle: Lifecycle::Proposed,
        source_hash: None,
        parent_hash: None,
        epoch: None,
        visual_hash: None,
        vector: Vector::default(),
        validity: Validity::default(),
        meta: Meta::default(),
    }));
    let message = signing_message(id_of(&canonical_bytes(&body)));
    Envelope::new(body, hands.iter().map(|hand| hand.sign(&message)).collect()).unwrap()
}

/// Claims by keys of every torsion, with an R of every torsion; every third has a plain author as well.
fn odd() -> Vec<Envelope> {
    let of_one = |(number, (key_torsion, r_torsion))| {
        let hands = [Hand::new(key_torsion, r_torsion), Hand { key_torsion: 0, ..Hand::new(7, 7) }];
        let authors = if number % 3 == 1 { 2 } else { 1 };
        envelope(number, &hands[..authors])
    };
    let torsions = (0..8).flat_map(|key| (0..8).map(move |r| (key, r)));
    torsions.enumerate().map(of_one).collect()
}

/// The claim with its first signature changed.
fn resigned(envelope: &Envelope, change: impl FnOnce(&mut [u8; 32], &mut [u8; 32])) -> Envelope {
    let mut signatures = envelope.signatures().to_vec();
    let (mut r, mut s) = ([0; 32], [0; 32]);
    r.copy_from_slice(&signatures[0].0[..32]);
    s.copy_from_slice(&signatures[0].0[32..]);
    change(&mut r, &mut s);
    signatures[0] = joined(r, s);
    Envelope::new(envelope.body().clone(), signatures).unwrap()
}

/// S + L: the same number modulo L, spelt as no strict decoder takes it.
fn plus_order(s: &mut [u8; 32]) {
    let order_less_one = (-Scalar::ONE).to_bytes();
    let mut carry = 1;
    for (byte, add) in s.iter_mut().zip(order_less_one) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        [*byte, _] = sum.to_le_bytes();
        carry = sum >> 8;
    }
}

/// How many neighbours [`neighbours`] returns.
const NEIGHBOURS: usize = 6;

/// What is one step away from an accepted claim, and is refused: five bad signatures and a key of small order.
fn neighbours(number: usize, accepted: &Envelope) -> [Envelope; NEIGHBOURS] {
    let small = Hand { a: Scalar::ZERO, ..Hand::new(number % 8, number / 8 % 8) };
    [
        resigned(accepted, |_, s| *s = (Scalar::from_bytes_mod_order(*s) + Scalar::ONE).to_bytes()),
        resigned(accepted, |_, s| plus_order(s)),
        resigned(accepted, |r, _| r[3] ^= 1),
        resigned(accepted, |r, _| *r = EIGHT_TORSION[number % 8].compress().0),
        resigned(accepted, |r, s| (*r, *s) = (IDENTITY_AGAIN, Scalar::ZERO.to_bytes())),
        envelope(number, &[small]),
    ]
}

type Verdict = Result<Record, Refusal>;

/// The verdicts on `envelopes`, which are the same one by one and in batches of several sizes and orders.
fn verdicts(envelopes: &[Envelope]) -> Vec<Verdict> {
    let alone: Vec<Verdict> = envelopes.iter().cloned().map(accept).collect();
    for size in [2, 7, 64, envelopes.len()] {
        let batched: Vec<Verdict> = envelopes.chunks(size).flat_map(|batch| accept_batch(batch.to_vec())).collect();
        assert!(batched == alone, "batches of {size}");
    }
    let mut reversed = accept_batch(envelopes.iter().rev().cloned().collect());
    reversed.reverse();
    assert!(reversed == alone, "reversed");
    let good: Vec<_> = alone.iter().flatten().map(|record| record.envelope().clone()).collect();
    assert!(accept_batch(good).iter().eq(alone.iter().filter(|verdict| verdict.is_ok())), "the good ones alone");
    alone
}

/// The twelve vectors sign other messages than ids, so they never become records: the rule itself must not have changed.
fn check_speccheck() {
    let vectors: Vec<BTreeMap<String, String>> =
        serde_json::from_str(include_str!("../../model/vectors/ed25519-speccheck.json")).unwrap();
    let message = |vector: &BTreeMap<String, String>| model::hex::parse::<32>(&vector["message"]).unwrap();
    let messages: Vec<[u8; 32]> = vectors.iter().map(message).collect();
    let mut items = Vec::new();
    for (vector, message) in vectors.iter().zip(&messages) {
        let agent = AgentId::from_hex(&vector["pub_key"]).unwrap();
        items.push(Item { agent, message, signature: Signature::from_hex(&vector["signature"]).unwrap() });
    }
    let wanted: Vec<bool> = (0..12).map(|number| ACCEPTED.contains(&number)).collect();
    let alone: Vec<bool> = items.iter().map(|item| verify(&item.agent, item.message, &item.signature)).collect();
    assert_eq!(alone, wanted);
    assert_eq!(verify_batch(&items), wanted);
}

/// Where the store is on which the claims are put.
struct World<'a> {
    disk: Arc<dyn Disk>,
    dir: &'a Path,
}

impl World<'_> {
    fn open(&self, engine: Engine) -> (Appender, Reader, OpenReport) {
        let mut settings = Settings::with_log(LOG);
        settings.open_frames_max = u64::MAX;
        let setup = Setup {
            disk: Arc::clone(&self.disk),
            wal_dir: self.dir.join("wal"),
            db_dir: self.dir.join("db"),
            engine,
            settings,
            store_id_seed: [7; 16],
            set_key: SetKey::new([7; 32]),
            wall_ms: WALL_MS,
        };
        Store::open(setup).unwrap()
    }
}

/// Everything in the store, by id: its envelope and its archive.
fn exported(reader: &Reader) -> BTreeMap<RecordId, (Envelope, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let summary = reader.export(Position::START, &mut |record| {
        found.insert(record.id(), (record.to_envelope().unwrap(), record.archive().to_vec()));
        ControlFlow::Continue(())
    });
    assert!(summary.unwrap().damages.is_empty());
    found
}

/// What the rule says of everything, before anything is stored.
struct Judged {
    envelopes: Vec<Envelope>,
    verdicts: Vec<Verdict>,
}

impl Judged {
    /// Odd claims, each followed by its refused neighbours.
    fn new() -> Self {
        let mut envelopes = Vec::new();
        for (number, odd) in odd().into_iter().enumerate() {
            let neighbours = neighbours(number, &odd);
            envelopes.push(odd);
            envelopes.extend(neighbours);
        }
        let verdicts = verdicts(&envelopes);
        for (number, verdicts) in verdicts.chunks(1 + NEIGHBOURS).enumerate() {
            let codes: Vec<_> = verdicts.iter().map(|verdict| verdict.as_ref().err().map(|no| no.code)).collect();
            let bad = Some(Code::BadSignature);
            assert_eq!(codes, [None, bad, bad, bad, bad, bad, Some(Code::WeakKey)], "claim {number}");
        }
        Self { envelopes, verdicts }
    }

    fn records(&self) -> Vec<Record> {
        self.verdicts.iter().flatten().cloned().collect()
    }

    /// Checks that a store holds what was accepted and nothing else, byte for byte, and that the rule says the same of
    /// what comes out of it, among everything that was sent.
    fn check(&self, reader: &Reader) {
        assert!(reader.verify(&mut |_| {}).unwrap().is_sound());
        let mut found = exported(reader);
        let mut replayed = self.envelopes.clone();
        for (envelope, verdict) in replayed.iter_mut().zip(&self.verdicts) {
            let Ok(record) = verdict else { continue };
            let (again, archive) = found.remove(&record.id()).unwrap();
            assert_eq!(&again, record.envelope());
            assert_eq!(canonical_bytes(again.body()), canonical_bytes(record.envelope().body()));
            assert_eq!(stored::encode(record.envelope()).unwrap().1, archive);
            *envelope = again;
        }
        assert!(found.is_empty(), "what was never accepted is there");
        assert!(verdicts(&replayed) == self.verdicts, "another verdict after replay");
        check_speccheck();
    }
}

/// Puts the claims into `world`, which `crash`es twice: after the first time its index is kept, after the second another
/// engine's is made from the log.
fn check_after_replay(world: &World<'_>, engines: [Engine; 2], crash: impl Fn()) {
    let judged = Judged::new();
    let (mut appender, reader, _) = world.open(engines[0]);
    for batch in judged.records().chunks(9) {
        appender.append(batch.to_vec(), WALL_MS).unwrap();
    }
    drop((appender, reader));
    crash();
    let (appender, reader, report) = world.open(engines[0]);
    assert!(!report.recovery.clean);
    judged.check(&reader);
    drop((appender, reader));
    crash();
    let (_appender, reader, report) = world.open(engines[1]);
    assert!(!report.recovery.clean && matches!(report.rebuilt, Some(RebuildReason::OtherEngine { .. })));
    judged.check(&reader);
}

#[test]
fn on_a_disk_that_loses_what_was_not_synced_the_verdicts_are_the_same_after_replay() {
    let dir = tempfile::tempdir().unwrap();
    let disk = MemoryDisk::new();
    let world = World { disk: Arc::new(disk.clone()), dir: dir.path() };
    check_after_replay(&world, [Engine::Sled, Engine::Fjall], || disk.crash(Crash::DropUnsynced));
}

#[test]
fn in_real_folders_the_verdicts_are_the_same_after_replay() {
    for engines in [[Engine::Sled, Engine::Fjall], [Engine::Fjall, Engine::Sled]] {
        let dir = tempfile::tempdir().unwrap();
        check_after_replay(&World { disk: Arc::new(StdDisk), dir: dir.path() }, engines, || {});
    }
}
