//! What several nodes know of some questions, as one: each claim once, in the form that counts.
//!
//! It asks nobody. Of one id the smaller stamp counts and the bytewise smaller list of signatures, as in every store.

use super::scan::{Found, Held, Scanned};
use ::cluster::NodeId;
use ::cluster::reconcile::Element;
use ::cluster::replication::read::all::repairs;
use api::database::Question;
use model::set::Leaf;
use model::{Home, RecordId, Stamp};
use std::collections::{BTreeMap, BTreeSet};
use storage::stored::StoredRecord;

/// What one node answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) node: NodeId,
    pub(crate) scanned: Scanned,
}

/// What all of them know together.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct United {
    /// In ascending order of the question, up to where all of them looked.
    pub(crate) found: Vec<Found>,
    /// Up to where all of them looked, if there may be more questions after it.
    pub(crate) looked_to: Option<Question>,
    /// Which owners are to be sent which records: they lack them, or have them in another form.
    pub(crate) repairs: BTreeMap<NodeId, Vec<StoredRecord>>,
}

/// One question, as several nodes know it.
#[derive(Debug, Default)]
struct Gathered {
    claims: BTreeMap<NodeId, Vec<Held>>,
    damaged: BTreeMap<NodeId, String>,
}

/// Up to when an answer reaches, and what of it stands fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    /// What is stamped after it is not asked for.
    pub(crate) as_of: Stamp,
    /// Up to when nothing changes any more at the owners, as far as all of them know.
    pub(crate) stable_at: Option<Stamp>,
}

impl Reach {
    /// What others than owners hold, as it counts: at or below what stands fast no owner takes it under its stamp any more,
    /// but under a later one.
    fn loose(self, record: StoredRecord) -> Option<StoredRecord> {
        let Some(stable) = self.stable_at.filter(|stable| record.stamp() <= *stable) else { return Some(record) };
        let later = stable.next().filter(|later| *later <= self.as_of)?;
        Some(record.with_stamp(later))
    }
}

/// Unites what was heard: of the first `limit` questions. `owners` says who ought to hold all claims of a home.
pub(crate) fn unite(heard: Vec<Heard>, limit: usize, reach: Reach, owners: impl Fn(Home) -> Vec<NodeId>) -> United {
    let looked_to = heard.iter().filter_map(|heard| heard.scanned.looked_to.clone()).min();
    let mut questions: BTreeMap<Question, Gathered> = BTreeMap::new();
    for Heard { node, scanned } in heard {
        for Found { question, claims, damaged } in scanned.found {
            if looked_to.as_ref().is_some_and(|end| question > *end) {
                continue; // not everybody looked so far
            }
            let gathered = questions.entry(question).or_default();
            gathered.claims.entry(node).or_default().extend(claims); // a node is heard of its hints and of what it owns
            damaged.map(|position| gathered.damaged.insert(node, position));
        }
    }
    let mut united = United { looked_to, ..United::default() };
    for (question, gathered) in questions {
        if united.found.len() == limit {
            united.looked_to = united.found.last().map(|found| found.question.clone());
            break;
        }
        let owners = owners(Home::of(&question.subject));
        united.add(question, gathered, reach, &owners);
    }
    united
}

impl United {
    fn add(&mut self, question: Question, gathered: Gathered, reach: Reach, owners: &[NodeId]) {
        let Gathered { claims, damaged } = gathered;
        self.repair(&claims, owners);
        // Whoever is whole speaks for those that are not.
        let is_whole = owners.iter().any(|owner| claims.contains_key(owner) && !damaged.contains_key(owner));
        let damaged = damaged.into_values().next().filter(|_| !is_whole);
        let mut best: BTreeMap<RecordId, StoredRecord> = BTreeMap::new();
        for (node, Held { record, hint }) in
            claims.into_iter().flat_map(|(node, held)| held.into_iter().map(move |held| (node, held)))
        {
            let is_owners = !hint && owners.contains(&node);
            let Some(record) = (if is_owners { Some(record) } else { reach.loose(record) }) else { continue };
            let record = match best.remove(&record.id()) {
                Some(other) => better(other, record),
                None => record,
            };
            best.insert(record.id(), record);
        }
        let claims = best.into_values().map(|record| Held { record, hint: false }).collect();
        self.found.push(Found { question, claims, damaged });
    }

    fn repair(&mut self, claims: &BTreeMap<NodeId, Vec<Held>>, owners: &[NodeId]) {
        let element = |held: &Held| element(&held.record);
        let owned = |held: &&Held| !held.hint;
        let mut held: BTreeMap<NodeId, BTreeSet<Element>> =
            claims.iter().map(|(node, claims)| (*node, claims.iter().filter(owned).map(element).collect())).collect();
        // A hint is a form that somebody holds, though not one that its holder must be counted for.
        for (node, claims) in claims.iter().filter(|(node, _)| !owners.contains(node)) {
            held.entry(*node).or_default().extend(claims.iter().map(element));
        }
        for repair in repairs(owners, &held) {
            let of_holder = claims.get(&repair.from).into_iter().flatten();
            let form = of_holder.map(|held| &held.record).find(|record| element_is(record, repair.id, repair.leaf));
            self.repairs.entry(repair.to).or_default().extend(form.cloned());
        }
    }
}

/// One record of two of the same id: the smaller stamp, the smaller signatures.
fn better(one: StoredRecord, other: StoredRecord) -> StoredRecord {
    let stamp = one.stamp().min(other.stamp());
    let smaller = if other.signatures() < one.signatures() { other } else { one };
    smaller.with_stamp(stamp)
}

fn element(record: &StoredRecord) -> Element {
    Element { stamp: record.stamp(), id: record.id(), leaf: leaf(record) }
}

fn element_is(record: &StoredRecord, id: RecordId, leaf_wanted: Leaf) -> bool {
    record.id() == id && leaf(record) == leaf_wanted
}

fn leaf(record: &StoredRecord) -> Leaf {
    let stamp: Stamp = record.stamp();
    Leaf::of(&record.id(), stamp, &record.signatures_digest())
}
