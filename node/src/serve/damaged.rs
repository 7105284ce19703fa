//! Which records this node knows of and cannot read, until it has them whole again.
//!
//! The scrubber finds them, the cluster heals them. What there is no room for is found again by a later pass.

use ::cluster::Millis;
use model::{Home, RecordId};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many are known at most.
const DAMAGED_MAX: usize = 65_536;
/// How long a record rests that others were asked for, and how long at most: twice as long each time.
const RESTS: (Millis, Millis) = (Millis(1_000), Millis(60_000));

/// The damaged records of a node.
#[derive(Debug, Default)]
pub(crate) struct Damaged(Mutex<BTreeMap<RecordId, Lost>>);

#[derive(Debug)]
struct Lost {
    home: Home,
    /// When others are asked for it next.
    due: Millis,
    /// How long it rests after that.
    rest: Millis,
}

impl Damaged {
    /// Takes note of records that cannot be read.
    pub(super) fn note(&self, found: impl IntoIterator<Item = (Home, RecordId)>) {
        let mut all = self.lock();
        for (home, id) in found {
            if all.len() < DAMAGED_MAX {
                all.entry(id).or_insert(Lost { home, due: Millis(0), rest: RESTS.0 });
            }
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// Up to `limit` of those that are due, the longest due first. They are due again after a rest.
    pub(crate) fn take_due(&self, now: Millis, limit: usize) -> BTreeMap<RecordId, Home> {
        let mut all = self.lock();
        let mut due: Vec<_> = all.iter_mut().filter(|(_, lost)| lost.due <= now).collect();
        due.sort_by_key(|(id, lost)| (lost.due, **id));
        due.truncate(limit);
        let ask = |(id, lost): (&RecordId, &mut Lost)| {
            lost.due = now + lost.rest;
            lost.rest = (lost.rest + lost.rest).min(RESTS.1);
            (*id, lost.home)
        };
        due.into_iter().map(ask).collect()
    }

    /// These can be read, or are none of this node's any more.
    pub(crate) fn forget<'i>(&self, ids: impl IntoIterator<Item = &'i RecordId>) {
        let mut all = self.lock();
        for id in ids {
            all.remove(id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<RecordId, Lost>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[test]
fn who_was_not_asked_for_is_next_rests_grow_and_there_is_an_end_to_what_is_known() {
    let ids: Vec<_> = (0..4_u8).map(|byte| RecordId([byte; 32])).collect();
    let damaged = Damaged::default();
    damaged.note(ids.iter().map(|id| (Home::GLOBAL, *id)));
    let ask = |now, limit| damaged.take_due(Millis(now), limit).into_keys().collect::<Vec<_>>();
    assert_eq!([ask(1, 3), ask(2, 3), ask(3, 3)], [ids[..3].to_vec(), ids[3..].to_vec(), vec![]]);
    assert_eq!((ask(1_001, 9), ask(1_002, 9)), (ids[..3].to_vec(), ids[3..].to_vec()));
    assert_eq!((ask(3_000, 9), ask(3_001, 9)), (vec![], ids[..3].to_vec()), "two seconds the second time");
    damaged.forget(&ids[..3]);
    assert_eq!((ask(9_000_000, 9), damaged.count()), (ids[3..].to_vec(), 1));
    damaged.note((0..=DAMAGED_MAX as u64).map(|number| {
        let mut bytes = [7; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        (Home::GLOBAL, RecordId(bytes))
    }));
    assert_eq!(damaged.count(), DAMAGED_MAX);
}
