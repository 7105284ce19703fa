//! What must be in a store, as a map, and the comparison of every way of reading with it.

use super::records::{CLAIMS, RECORDS, VARIANTS, VOTES_END, agent, question, record, smaller, variant};
use super::world::{SET_KEY, START_MS};
use crate::log::Position;
use crate::store::{Appended, Claims, Element, Lookup, Merged, Question, Reader, Role, Selector};
use crate::stored::StoredRecord;
use model::set::{Leaf, SetSum};
use model::{Home, RecordId, Stamp, canonical};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

/// What must be in a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Expected {
    /// By number, the stamp.
    pub(super) kept: BTreeMap<usize, Stamp>,
    /// By number, which [`variant`] is kept, if it is not the first.
    pub(super) signed: BTreeMap<usize, usize>,
    /// By number.
    pub(super) erased: BTreeSet<usize>,
    /// What is kept for others: by number, stamp and variant.
    pub(super) hints: BTreeMap<usize, (Stamp, usize)>,
    /// Dropped with their homes, and not come back.
    pub(super) gone: BTreeSet<usize>,
    /// At or below it an append changes no signatures.
    pub(super) closed: Stamp,
}

impl Expected {
    /// Takes note of what an append answered.
    pub(super) fn note(&mut self, numbers: &[usize], answers: &[Appended]) {
        assert_eq!(numbers.len(), answers.len());
        for (n, answer) in numbers.iter().zip(answers) {
            match answer {
                Appended::Created { stamp } => {
                    assert_eq!(self.kept.insert(*n, *stamp), None, "created twice");
                    self.gone.remove(n);
                }
                Appended::Exists { stamp } => {
                    assert_eq!(self.kept.get(n), Some(stamp));
                    if *stamp > self.closed {
                        self.sign(*n, 0);
                    }
                }
                Appended::Erased => assert!(self.erased.contains(n)),
                Appended::TooLarge => panic!("{n} is too large"),
            }
        }
    }

    /// Takes note of what a merge answered. `entries` names number, variant, stamp and role of each.
    pub(super) fn note_merge(&mut self, entries: &[(usize, usize, Stamp, Role)], answers: &[Merged]) {
        assert_eq!(entries.len(), answers.len());
        let before = self.clone();
        for (entry, _) in entries.iter().zip(answers).filter(|(_, answer)| **answer != Merged::Ahead) {
            self.merge(*entry);
        }
        let mut named = BTreeSet::new();
        for ((n, _, stamp, role), answer) in entries.iter().zip(answers) {
            let (was, is) = match role {
                Role::Owned => (before.kept.contains_key(n), self.kept.get(n).copied()),
                Role::Hint => (before.hints.contains_key(n), self.hints.get(n).map(|(stamp, _)| *stamp)),
            };
            match answer {
                Merged::Created { stamp } => {
                    assert!(named.insert((*n, *role)) && !was, "{n} was created twice");
                    assert_eq!(Some(*stamp), is);
                }
                Merged::Exists { stamp } => {
                    assert!(!named.insert((*n, *role)) || was, "{n} did not exist");
                    assert_eq!(Some(*stamp), is);
                }
                Merged::Erased => assert!(self.erased.contains(n)),
                Merged::Ahead => assert!(stamp.ms() > START_MS, "{n} is not ahead"),
                Merged::TooLarge => panic!("{n} is too large"),
            }
        }
    }

    /// The rule of merging.
    fn merge(&mut self, (n, variant, stamp, role): (usize, usize, Stamp, Role)) {
        if self.erased.contains(&n) {
            return;
        }
        match role {
            Role::Owned => {
                let new = !self.kept.contains_key(&n);
                self.gone.remove(&n);
                let kept = self.kept.entry(n).or_insert(stamp);
                *kept = stamp.min(*kept);
                if new {
                    self.signed.insert(n, variant);
                }
                self.sign(n, variant);
            }
            Role::Hint => {
                let kept = self.hints.entry(n).or_insert((stamp, variant));
                *kept = (stamp.min(kept.0), smaller(n, kept.1, variant));
            }
        }
    }

    /// The record is known, and comes with these signatures.
    fn sign(&mut self, n: usize, variant: usize) {
        let kept = smaller(n, self.variant_of(n), variant);
        self.signed.insert(n, kept);
        self.signed.retain(|_, variant| *variant != 0);
    }

    /// Which variant of a record is kept.
    pub(super) fn variant_of(&self, n: usize) -> usize {
        self.signed.get(&n).copied().unwrap_or(0)
    }

    /// Takes note of a home that was dropped.
    pub(super) fn drop_home(&mut self, home: Home) {
        let gone: Vec<usize> = self.kept.keys().copied().filter(|n| record(*n).home() == home).collect();
        self.kept.retain(|n, _| !gone.contains(n));
        self.signed.retain(|n, _| !gone.contains(n));
        self.gone.extend(gone);
    }

    /// Takes note of an erasure.
    pub(super) fn erase(&mut self, n: usize) {
        self.kept.remove(&n);
        self.signed.remove(&n);
        self.hints.remove(&n);
        self.gone.remove(&n);
        self.erased.insert(n);
    }

    /// The records `range`, all of which must be there, with whatever stamp.
    pub(super) fn of(range: std::ops::Range<usize>, reader: &Reader) -> Self {
        let expected = Self::found(reader);
        assert!(range.eq(expected.kept.keys().copied()));
        expected
    }

    /// What reads by id find, and what is kept for others.
    pub(super) fn found(reader: &Reader) -> Self {
        let mut found = Self::default();
        for n in 0..RECORDS {
            match reader.get(&record(n).id()).unwrap() {
                Lookup::Found(record) => {
                    found.kept.insert(n, record.stamp());
                    found.signed.insert(n, which(n, &record));
                }
                Lookup::Erased(_) => drop(found.erased.insert(n)),
                Lookup::Absent => {}
                Lookup::Damaged(position) => panic!("{n} at {position} is damaged"),
            }
            if let Some(hint) = reader.hint(&record(n).id()).unwrap() {
                found.hints.insert(n, (hint.stamp(), which(n, &hint)));
            }
        }
        found.signed.retain(|_, variant| *variant != 0);
        found
    }

    /// Checks that everything acknowledged is there, that nothing erased is, and that all ways of reading agree on what
    /// else is: writes that failed may have happened, and then a stamp or the signatures may be smaller.
    pub(super) fn check_at_least(&self, reader: &Reader) {
        let found = Self::found(reader);
        for (n, stamp) in &self.kept {
            let kept = found.kept.get(n).is_some_and(|kept| kept <= stamp);
            let is_there = kept && smaller(*n, found.variant_of(*n), self.variant_of(*n)) == found.variant_of(*n);
            assert!(is_there || found.erased.contains(n), "{n} was acknowledged and is lost");
        }
        for (n, (stamp, variant)) in &self.hints {
            let kept = found.hints.get(n);
            let is_there = kept.is_some_and(|kept| kept.0 <= *stamp && smaller(*n, kept.1, *variant) == kept.1);
            assert!(is_there || found.erased.contains(n), "{n} was acknowledged as a hint and is lost");
        }
        assert!(self.erased.is_subset(&found.erased), "an erasure was lost");
        let back: Vec<_> = self.gone.iter().filter(|n| found.kept.contains_key(n)).collect();
        assert!(back.is_empty(), "{back:?} were dropped and are back");
        found.check(reader);
    }

    /// Checks every way of reading against what is expected. While a home is being dropped, queries and counts may go on to
    /// know what is to go.
    pub(super) fn check(&self, reader: &Reader) {
        self.check_ids(reader);
        check_sets(reader, &self.elements(reader));
        self.check_hints(reader);
        self.check_export(reader);
        if reader.shared.sums().going().is_some() {
            return;
        }
        self.check_queries(reader);
        let counts = reader.counts();
        let kept = |range: std::ops::Range<usize>| self.kept.range(range).count() as u64;
        let (claims, votes, aliases) = (kept(0..CLAIMS), kept(CLAIMS..VOTES_END), kept(VOTES_END..RECORDS));
        assert_eq!((counts.assertions, counts.votes, counts.aliases), (claims, votes, aliases));
        assert_eq!(counts.records(), self.kept.len() as u64);
        assert_eq!(counts.erased, self.erased.len() as u64);
    }

    fn check_ids(&self, reader: &Reader) {
        for n in 0..RECORDS {
            let wanted = variant(n, self.variant_of(n));
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
    }

    /// The elements that the sets must have.
    pub(super) fn elements(&self, reader: &Reader) -> BTreeSet<(Home, Element)> {
        let kept = self.kept.iter().map(|(n, stamp)| {
            let record = variant(*n, self.variant_of(*n));
            let digest = canonical::signatures_digest(record.envelope().signatures());
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

    fn check_hints(&self, reader: &Reader) {
        assert_eq!(reader.counts().hints, self.hints.len() as u64);
        let mut wanted: Vec<_> = self.hints.iter().map(|(n, (stamp, v))| (*n, *stamp, variant(*n, *v))).collect();
        wanted.sort_by_key(|(_, _, record)| (record.home(), record.id()));
        for limit in [2, 99] {
            let mut found = Vec::new();
            let mut next = None;
            loop {
                let page = reader.hints(next, limit).unwrap();
                assert!(page.damaged.is_empty() && page.hints.len() <= limit);
                found.extend(page.hints);
                next = page.next;
                if next.is_none() {
                    break;
                }
            }
            assert_eq!(found.len(), wanted.len());
            for (hint, (n, stamp, record)) in found.iter().zip(&wanted) {
                assert_eq!((hint.home, hint.record.stamp()), (record.home(), *stamp), "{n}");
                assert_eq!(&hint.record.to_envelope().unwrap(), record.envelope(), "{n}");
                assert_eq!(reader.hint(&record.id()).unwrap().as_ref(), Some(&hint.record));
            }
        }
        let latest = wanted.iter().map(|(_, stamp, _)| *stamp).max().unwrap_or_default();
        for as_of in [Stamp::MAX, Stamp::from_bits(latest.to_bits().saturating_sub(1))] {
            let of = |wants: &dyn Fn(usize) -> bool| -> Vec<RecordId> {
                let there = wanted.iter().filter(|(n, stamp, _)| *stamp <= as_of && wants(*n));
                there.map(|(_, _, record)| record.id()).collect()
            };
            let ids = |claims: Claims| -> Vec<RecordId> { claims.records.iter().map(|record| record.id()).collect() };
            for q in 0..8 {
                let Question { subject, predicate } = question(q);
                let claims = reader.hint_claims(&subject, &predicate, as_of, 99, u64::MAX).unwrap();
                assert_eq!(ids(claims), of(&|n| n < CLAIMS && question(n) == question(q)));
            }
            for target in 0..3 {
                let home = record(target).home();
                let votes = reader.hint_votes(home, &record(target).id(), as_of, 99, u64::MAX).unwrap();
                assert_eq!(ids(votes), of(&|n| (CLAIMS..VOTES_END).contains(&n) && n % 3 == target));
            }
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

/// Which variant of a record this is.
fn which(n: usize, found: &StoredRecord) -> usize {
    let envelope = found.to_envelope().unwrap();
    (0..VARIANTS).find(|v| variant(n, *v).envelope() == &envelope).unwrap()
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
    let going = reader.going();
    homes.retain(|home, _| !going.contains(home));
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
