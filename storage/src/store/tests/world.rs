//! What the scenarios share: records to write, a store to write them to, and what must be in it.

use super::super::{
    Appended, Appender, Element, Lookup, Maintenance, OpenReport, Question, Reader, Selector, Settings, Setup, Store,
    StoreError,
};
use crate::disk::MemoryDisk;
use crate::index::Engine;
use crate::log::{self, Position};
use ed25519_dalek::SigningKey;
use model::record::{Authors, Confidence, Finite, Lifecycle, Meta, Object, Pair, Predicate, SourceClass, Subject};
use model::record::{Validity, Vector, Weight};
use model::set::{Leaf, SetKey, SetSum};
use model::{AgentId, Alias, Assertion, Body, Home, Record, RecordId, Stamp, Timestamp, Vote, acceptance, canonical};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::LazyLock;

/// When the scenarios begin, in milliseconds since the Unix epoch.
pub(super) const START_MS: u64 = 1_785_000_000_000;
/// Segments so short that a handful of records fill one.
const LOG: log::Settings = log::Settings { segment_bytes_max: 8 << 10, batch_bytes_max: 4 << 10 };

/// Under which the sums of the sets are made.
pub(super) const SET_KEY: SetKey = SetKey::new([3; 32]);

/// How many claims [`claim`] knows; the votes follow.
pub(super) const CLAIMS: usize = 40;
/// Where the votes end; two aliases follow.
const VOTES_END: usize = 48;
/// How many records [`record`] knows.
pub(super) const RECORDS: usize = 50;

pub(super) fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n + 1; 32])
}

pub(super) fn agent(n: u8) -> AgentId {
    AgentId(key(n).verifying_key().to_bytes())
}

pub(super) fn question(n: usize) -> Question {
    let subject = ["a", "a/b", "b", "b/c/d"][n % 4];
    let predicate = ["size", "colour"][n / 4 % 2];
    Question { subject: Subject::new(subject).unwrap(), predicate: Predicate::new(predicate).unwrap() }
}

fn signed(body: Body, keys: &[SigningKey]) -> Record {
    acceptance::sign(body, keys).unwrap()
}

fn authors(keys: &[SigningKey]) -> Authors {
    let mut agents: Vec<_> = keys.iter().map(|key| AgentId(key.verifying_key().to_bytes())).collect();
    agents.sort();
    Authors::new(agents).unwrap()
}

fn claim(n: usize) -> Record {
    let number = u8::try_from(n % 3).unwrap();
    let keys = if n.is_multiple_of(5) { vec![key(number), key(9)] } else { vec![key(number)] };
    let Question { subject, predicate } = question(n);
    let assertion = Assertion {
        authors: authors(&keys),
        timestamp: Timestamp::from_ms(n as u64).unwrap(),
        subject,
        predicate,
        object: Object::Number(Finite::new(n as f64).unwrap()),
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
    };
    signed(Body::Assertion(Box::new(assertion)), &keys)
}

fn vote(n: usize) -> Record {
    let target = record(n % 3).id();
    let keys = [key(u8::try_from(n % 4).unwrap())];
    let vote = Vote {
        authors: authors(&keys),
        timestamp: Timestamp::from_ms(n as u64).unwrap(),
        subject: question(n % 3).subject,
        target,
        weight: Weight::new(1.0).unwrap(),
    };
    signed(Body::Vote(Box::new(vote)), &keys)
}

fn alias(n: usize) -> Record {
    let keys = [key(1)];
    let name = Subject::new(format!("alias {n}")).unwrap();
    let alias = Alias {
        authors: authors(&keys),
        timestamp: Timestamp::from_ms(n as u64).unwrap(),
        pair: Pair::new(name, question(0).subject).unwrap(),
    };
    signed(Body::Alias(Box::new(alias)), &keys)
}

/// The record number `n`, below [`RECORDS`]: claims on eight questions by three agents, then votes, then aliases.
pub(super) fn record(n: usize) -> Record {
    static CLAIMED: LazyLock<Vec<Record>> = LazyLock::new(|| (0..CLAIMS).map(claim).collect());
    static OTHERS: LazyLock<Vec<Record>> =
        LazyLock::new(|| (CLAIMS..VOTES_END).map(vote).chain((VOTES_END..RECORDS).map(alias)).collect());
    CLAIMED.get(n).or_else(|| OTHERS.get(n - CLAIMS)).unwrap().clone()
}

pub(super) fn records(range: std::ops::Range<usize>) -> Vec<Record> {
    range.map(record).collect()
}

/// Where a store is, and with which engine it is opened.
#[derive(Clone)]
pub(super) struct World {
    pub(super) disk: MemoryDisk,
    pub(super) db_dir: PathBuf,
    pub(super) engine: Engine,
    pub(super) settings: Settings,
    pub(super) set_key: SetKey,
    pub(super) wall_ms: u64,
}

impl World {
    /// A new one, with the index in memory.
    pub(super) fn new() -> Self {
        let mut settings = Settings::with_log(LOG);
        settings.index = crate::index::conformance::SMALL;
        settings.open_frames_max = u64::MAX;
        Self {
            disk: MemoryDisk::new(),
            db_dir: PathBuf::from("unused"),
            engine: Engine::Memory,
            settings,
            set_key: SET_KEY,
            wall_ms: START_MS,
        }
    }

    /// A new one, with the index of an engine below `dir`.
    pub(super) fn on(engine: Engine, dir: &Path) -> Self {
        Self { engine, db_dir: dir.to_path_buf(), ..Self::new() }
    }

    pub(super) fn try_open(&self) -> Result<(Appender, Reader, OpenReport), StoreError> {
        Store::open(Setup {
            disk: Arc::new(self.disk.clone()),
            wal_dir: "/wal".into(),
            db_dir: self.db_dir.clone(),
            engine: self.engine,
            settings: self.settings,
            store_id_seed: [7; 16],
            set_key: self.set_key,
            wall_ms: self.wall_ms,
        })
    }

    pub(super) fn open(&self) -> (Appender, Reader, OpenReport) {
        self.try_open().unwrap()
    }

    /// A store that holds the records `range` and was closed in order.
    pub(super) fn filled(self, range: std::ops::Range<usize>) -> Self {
        let (mut appender, _, _) = self.open();
        for n in range {
            appender.append(vec![record(n)], self.wall_ms).unwrap();
        }
        appender.seal().unwrap();
        self
    }
}

/// What must be in a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Expected {
    /// By number, the stamp.
    pub(super) kept: BTreeMap<usize, Stamp>,
    /// By number.
    pub(super) erased: BTreeSet<usize>,
}

impl Expected {
    /// Takes note of what an append answered.
    pub(super) fn note(&mut self, numbers: &[usize], answers: &[Appended]) {
        assert_eq!(numbers.len(), answers.len());
        for (n, answer) in numbers.iter().zip(answers) {
            match answer {
                Appended::Created { stamp } => assert_eq!(self.kept.insert(*n, *stamp), None, "created twice"),
                Appended::Exists { stamp } => assert_eq!(self.kept.get(n), Some(stamp)),
                Appended::Erased => assert!(self.erased.contains(n)),
                Appended::TooLarge => panic!("{n} is too large"),
            }
        }
    }

    /// The records `range`, all of which must be there, with whatever stamp.
    pub(super) fn of(range: std::ops::Range<usize>, reader: &Reader) -> Self {
        let expected = Self::found(reader);
        assert!(range.eq(expected.kept.keys().copied()));
        expected
    }

    /// What reads by id find.
    pub(super) fn found(reader: &Reader) -> Self {
        let mut found = Self::default();
        for n in 0..RECORDS {
            match reader.get(&record(n).id()).unwrap() {
                Lookup::Found(record) => drop(found.kept.insert(n, record.stamp())),
                Lookup::Erased(_) => drop(found.erased.insert(n)),
                Lookup::Absent => {}
                Lookup::Damaged(position) => panic!("{n} at {position} is damaged"),
            }
        }
        found
    }

    /// Checks that everything acknowledged is there, that nothing erased is, and that all ways of reading agree on what
    /// else is: writes that failed may have happened.
    pub(super) fn check_at_least(&self, reader: &Reader) {
        let found = Self::found(reader);
        for (n, stamp) in &self.kept {
            assert!(found.kept.get(n) == Some(stamp) || found.erased.contains(n), "{n} was acknowledged and is lost");
        }
        assert!(self.erased.is_subset(&found.erased), "an erasure was lost");
        found.check(reader);
    }

    /// Checks every way of reading against what is expected.
    pub(super) fn check(&self, reader: &Reader) {
        for n in 0..RECORDS {
            let wanted = record(n);
            match reader.get(&wanted.id()).unwrap() {
                Lookup::Found(found) => {
                    assert_eq!(self.kept.get(&n), Some(&found.stamp()), "{n}");
                    assert_eq!(&found.to_envelope().unwrap(), wanted.envelope());
                    assert_eq!(found.home(), wanted.home());
                }
                Lookup::Erased(erasure) => {
                    assert!(self.erased.contains(&n), "{n}");
                    assert_eq!(erasure.id, wanted.id());
                }
                Lookup::Absent => assert!(!self.kept.contains_key(&n) && !self.erased.contains(&n), "{n} was lost"),
                Lookup::Damaged(position) => panic!("{n} at {position} is damaged"),
            }
        }
        self.check_queries(reader);
        self.check_export(reader);
        check_sets(reader, &self.elements(reader));
        let counts = reader.counts();
        let kept = |range: std::ops::Range<usize>| self.kept.range(range).count() as u64;
        let (claims, votes, aliases) = (kept(0..CLAIMS), kept(CLAIMS..VOTES_END), kept(VOTES_END..RECORDS));
        assert_eq!((counts.assertions, counts.votes, counts.aliases), (claims, votes, aliases));
        assert_eq!(counts.records(), self.kept.len() as u64);
        assert_eq!(counts.erased, self.erased.len() as u64);
    }

    /// The elements that the sets must have.
    pub(super) fn elements(&self, reader: &Reader) -> BTreeSet<(Home, Element)> {
        let kept = self.kept.iter().map(|(n, stamp)| {
            let digest = canonical::signatures_digest(record(*n).envelope().signatures());
            (*n, *stamp, digest, false)
        });
        let erased = self.erased.iter().map(|n| match reader.get(&record(*n).id()).unwrap() {
            Lookup::Erased(erasure) => (*n, erasure.stamp, erasure.signatures, true),
            Lookup::Found(_) | Lookup::Absent | Lookup::Damaged(_) => panic!("{n} is not erased"),
        });
        let elements = kept.chain(erased).map(|(n, stamp, digest, erased)| {
            let (id, home) = (record(n).id(), record(n).home());
            (home, Element { id, stamp, leaf: Leaf::of(&id, stamp, &digest), erased })
        });
        elements.collect()
    }

    fn check_queries(&self, reader: &Reader) {
        let claims: BTreeSet<usize> = self.kept.keys().copied().filter(|n| *n < CLAIMS).collect();
        let latest = self.kept.values().max().copied().unwrap_or_default();
        for as_of in [Stamp::MAX, latest, Stamp::from_bits(latest.to_bits() - u64::from(latest != Stamp::ZERO))] {
            let visible = |n: &usize| self.kept.get(n).is_some_and(|stamp| *stamp <= as_of);
            for q in 0..8 {
                let Question { subject, predicate } = question(q);
                let found = reader.claims(&subject, &predicate, as_of, 99, u64::MAX).unwrap();
                assert!(found.damaged.is_empty());
                let found: BTreeSet<_> = found.records.iter().map(|record| record.id()).collect();
                let on_it = claims.iter().filter(|n| visible(n) && question(**n) == question(q));
                assert_eq!(found, on_it.map(|n| record(*n).id()).collect());
            }
            for target in 0..3 {
                let found = reader.votes(&record(target).id(), as_of, 99, u64::MAX).unwrap().records;
                let found: BTreeSet<RecordId> = found.iter().map(|record| record.id()).collect();
                let votes = (CLAIMS..VOTES_END).filter(|n| n % 3 == target && visible(n));
                assert_eq!(found, votes.map(|n| record(n).id()).collect());
            }
        }
        let asked = |wanted: &dyn Fn(usize) -> bool| {
            let questions: BTreeSet<Question> = claims.iter().filter(|n| wanted(**n)).map(|n| question(*n)).collect();
            Vec::from_iter(questions)
        };
        let size = question(0).predicate;
        let selections: Vec<(Selector, Vec<Question>)> = vec![
            (Selector::All, asked(&|_| true)),
            (Selector::Predicate(size.clone()), asked(&|n| question(n).predicate == size)),
            (
                Selector::Prefix { prefix: "b".into(), predicate: Some(size.clone()) },
                asked(&|n| question(n).predicate == size && question(n).subject.as_str().starts_with('b')),
            ),
            (
                Selector::Prefix { prefix: "a".into(), predicate: None },
                asked(&|n| question(n).subject.as_str().starts_with('a')),
            ),
            (
                Selector::Subject { subject: question(1).subject, predicate: None },
                asked(&|n| question(n).subject == question(1).subject),
            ),
            (
                Selector::Subject { subject: question(1).subject, predicate: Some(size) },
                asked(&|n| question(n) == question(1)),
            ),
            (Selector::Agent(agent(9)), asked(&|n| n.is_multiple_of(5))),
            (Selector::Agent(agent(1)), asked(&|n| n % 3 == 1)),
            (Selector::Agent(agent(7)), Vec::new()),
        ];
        for (selector, wanted) in selections {
            assert_eq!(reader.questions(&selector, None, 99).unwrap(), wanted, "{selector:?}");
            assert_eq!(paged(reader, &selector), wanted, "{selector:?}, page by page");
        }
    }

    fn check_export(&self, reader: &Reader) {
        let mut exported = BTreeMap::new();
        let summary = reader.export(Position::START, &mut |record| {
            assert_eq!(exported.insert(record.id(), record.stamp()), None, "exported twice");
            ControlFlow::Continue(())
        });
        assert_eq!(summary.unwrap().records, self.kept.len() as u64);
        let kept = self.kept.iter().map(|(n, stamp)| (record(*n).id(), *stamp));
        assert_eq!(exported, kept.collect());
    }
}

/// Checks the sets of all homes: their elements, page by page, and their sums at some fences.
pub(super) fn check_sets(reader: &Reader, wanted: &BTreeSet<(Home, Element)>) {
    let mut homes = BTreeMap::new();
    let stamps: BTreeSet<Stamp> = wanted.iter().map(|(_, element)| element.stamp).collect();
    let second = |stamp: Stamp| Stamp::end_of_ms(stamp.ms() / 1_000 * 1_000 + 999);
    let some = [stamps.first(), stamps.iter().nth(stamps.len() / 2), stamps.last()].into_iter().flatten();
    let fences: BTreeSet<Stamp> = some.flat_map(|stamp| [*stamp, second(*stamp)]).chain([Stamp::MAX]).collect();
    for home in (0..Home::COUNT).map(|number| Home::from_number(number).unwrap()) {
        let mut there: Vec<Element> =
            wanted.iter().filter(|(at, _)| *at == home).map(|(_, element)| *element).collect();
        there.sort_by_key(|element| (element.stamp, element.id));
        for limit in [2, 99] {
            assert_eq!(all_elements(reader, home, Stamp::MAX, limit), there, "home {home}");
        }
        for fence in &fences {
            let below: Vec<Element> = there.iter().filter(|element| element.stamp <= *fence).copied().collect();
            assert_eq!(all_elements(reader, home, *fence, 3), below, "home {home} at {fence}");
            let mut sum = SetSum::ZERO;
            below.iter().for_each(|element| sum.add(&SET_KEY, element.leaf));
            assert_eq!(reader.root(home, *fence).unwrap(), sum, "home {home} at {fence}");
            if *fence == Stamp::MAX && !there.is_empty() {
                homes.insert(home, sum);
            }
        }
    }
    assert_eq!(reader.homes().unwrap().into_iter().collect::<BTreeMap<_, _>>(), homes);
}

/// The elements of a home, so many a page.
pub(super) fn all_elements(reader: &Reader, home: Home, until: Stamp, limit: usize) -> Vec<Element> {
    let mut all: Vec<Element> = Vec::new();
    loop {
        let after = all.last().map(|element| (element.stamp, element.id));
        let page = reader.elements(home, after, until, limit).unwrap();
        let is_last = page.len() < limit;
        all.extend(page);
        if is_last {
            return all;
        }
    }
}

/// All questions, one a page.
fn paged(reader: &Reader, selector: &Selector) -> Vec<Question> {
    let mut all: Vec<Question> = Vec::new();
    while let [question] = reader.questions(selector, all.last(), 1).unwrap().as_slice() {
        all.push(question.clone());
    }
    all
}

/// Works off what maintenance is due to the index.
pub(super) fn settle(maintenance: &mut Maintenance) {
    while maintenance.step().unwrap() {}
}
