//! Which records this node knows of and cannot read any more, until it has them whole again.
//!
//! The scrubber finds them, the cluster heals them. What there is no room for is found again by the next pass.

use model::{Home, RecordId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many are known at most.
const DAMAGED_MAX: usize = 65_536;

/// The damaged records of a node.
#[derive(Debug, Default)]
pub(crate) struct Damaged(Mutex<BTreeMap<RecordId, Lost>>);

#[derive(Debug)]
struct Lost {
    home: Home,
    /// How often others were asked for it.
    asked: u32,
}

impl Damaged {
    /// Takes note of records that cannot be read.
    pub(super) fn note(&self, found: impl IntoIterator<Item = (Home, RecordId)>) {
        let mut all = self.lock();
        for (home, id) in found {
            if all.len() < DAMAGED_MAX {
                all.entry(id).or_insert(Lost { home, asked: 0 });
            }
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// Up to `limit` of some homes, those first that others were asked for least. They count as asked for.
    pub(crate) fn to_ask(&self, limit: usize, is_meant: impl Fn(Home) -> bool) -> BTreeSet<RecordId> {
        let mut all = self.lock();
        let mut wanted: Vec<_> = all.iter_mut().filter(|(_, lost)| is_meant(lost.home)).collect();
        wanted.sort_by_key(|(id, lost)| (lost.asked, **id));
        wanted.truncate(limit);
        let ask = |(id, lost): (&RecordId, &mut Lost)| {
            lost.asked = lost.asked.saturating_add(1);
            *id
        };
        wanted.into_iter().map(ask).collect()
    }

    /// These are here whole.
    pub(crate) fn healed<'i>(&self, ids: impl IntoIterator<Item = &'i RecordId>) {
        let mut all = self.lock();
        for id in ids {
            all.remove(id);
        }
    }

    /// Keeps those of some homes only.
    pub(crate) fn retain(&self, holds: impl Fn(Home) -> bool) {
        self.lock().retain(|_, lost| holds(lost.home));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<RecordId, Lost>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[test]
fn who_was_asked_for_least_is_next_and_there_is_an_end_to_what_is_known() {
    let (here, there) = (Home::GLOBAL, Home::of_bytes(b"elsewhere"));
    let ids: Vec<_> = (0..4_u8).map(|byte| RecordId([byte; 32])).collect();
    let damaged = Damaged::default();
    damaged.note(ids.iter().map(|id| (here, *id)));
    let ask = |limit| damaged.to_ask(limit, |home| home == here).into_iter().collect::<Vec<_>>();
    assert_eq!([ask(3), ask(3)], [ids[..3].to_vec(), vec![ids[0], ids[1], ids[3]]]);
    damaged.healed(&ids[..3]);
    damaged.note([(there, ids[0])]);
    assert_eq!((ask(9), damaged.count()), (vec![ids[3]], 2));
    damaged.retain(|home| home == there);
    assert_eq!(damaged.count(), 1);
    damaged.note((0..=DAMAGED_MAX as u64).map(|number| {
        let mut bytes = [7; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        (here, RecordId(bytes))
    }));
    assert_eq!(damaged.count(), DAMAGED_MAX);
}
