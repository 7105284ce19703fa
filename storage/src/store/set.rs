//! Reading a home's set: its sum at a fence, its elements in order.
//!
//! It compares nothing and knows no other node; no record is read for it.

use super::change::unreadable;
use super::error::ReadError;
use super::read::Reader;
use super::shared::{Needs, Shared};
use super::sums::AtFence;
use crate::index::Index;
use crate::index::entry::set::{ElementEntry, element, elements_of};
use model::set::{Leaf, SetSum};
use model::{Home, RecordId, Stamp};
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// One element of a home's set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Element {
    /// The record.
    pub id: RecordId,
    /// Its stamp.
    pub stamp: Stamp,
    /// What stands for id, stamp and signatures.
    pub leaf: Leaf,
    /// Whether the record was erased: it has no body to send, and takes none.
    pub erased: bool,
}

impl Reader {
    /// The sum of the elements of `home` with stamps at or before `until`. What a home's owners at rest agree on.
    ///
    /// Cost: none to speak of where `until` is the last stamp of one of the last 64 seconds ([`Stamp::end_of_ms`] of its
    /// last millisecond), counted back from the newest stamp. Else the elements after it are gone over, up to the end of
    /// its second or, where it lies further back or before the last start, up to there; appends wait meanwhile.
    ///
    /// # Errors
    ///
    /// [`ReadError::Rebuilding`] and the others but [`ReadError::TooMany`] and [`ReadError::TooLarge`].
    pub fn root(&self, home: Home, until: Stamp) -> Result<SetSum, ReadError> {
        let at_once = self.shared.index_with(Needs::Postings, |_, _| {
            let is_going = self.shared.dropped(home).is_going();
            Ok(if is_going { None } else { Some(self.shared.sums().at_fence(home, until)) })
        })?;
        match at_once {
            Some(AtFence::Exactly(sum)) => Ok(sum),
            Some(AtFence::Without(..)) | None => {
                let _writer = self.shared.writer();
                self.shared.root_held(home, until)
            }
        }
    }

    /// The elements of `home` behind `after` with stamps at or before `until`, in the order of stamp and id, at most
    /// `limit`. A page shorter than `limit` is the last. What changes while pages are read may be missed or seen twice.
    ///
    /// # Errors
    ///
    /// As [`Reader::root`].
    pub fn elements(
        &self,
        home: Home,
        after: Option<(Stamp, RecordId)>,
        until: Stamp,
        limit: usize,
    ) -> Result<Vec<Element>, ReadError> {
        self.shared.elements_held(home, after, until, limit)
    }

    /// The homes in which this store has elements, each with the sum of all of them; but for those that are
    /// [`Reader::going`]. Cost: none to speak of.
    ///
    /// # Errors
    ///
    /// As [`Reader::root`].
    pub fn homes(&self) -> Result<Vec<(Home, SetSum)>, ReadError> {
        let totals = self.shared.index_with(Needs::Postings, |_, _| Ok(self.shared.sums().totals()))?;
        Ok(totals.into_iter().filter(|(home, _)| !self.shared.dropped(*home).is_going()).collect())
    }

    /// The homes that were dropped and are not out of the index yet. What came since, and what was erased, is found among
    /// their elements at the cost of a look at each; so whoever can, waits until they are out. Cost: none to speak of.
    pub fn going(&self) -> BTreeSet<Home> {
        let sums = self.shared.sums();
        sums.all_dropped().filter(|(_, dropped)| dropped.is_going()).map(|(home, _)| home).collect()
    }
}

impl Shared {
    /// The sum at a fence as the index has it; the writer is held, so that memory and index agree.
    pub(super) fn root_in(&self, index: &dyn Index, home: Home, until: Stamp) -> Result<SetSum, ReadError> {
        let at_fence = self.sums().at_fence(home, until);
        let (mut sum, last) = match at_fence {
            AtFence::Exactly(sum) => return Ok(sum),
            AtFence::Without(sum, last) => (sum, last),
        };
        let Some(first) = until.next() else { return Ok(sum) };
        let from = ElementEntry::key(home, first, &RecordId([0; 32]));
        scan(index, home, &from, last, &mut |element| {
            sum.remove(&self.place.set_key, element.leaf);
            ControlFlow::Continue(())
        })?;
        Ok(sum)
    }
}

/// Visits the elements of `home` from the key `from` on, with stamps at or before `until`.
pub(super) fn scan(
    index: &dyn Index,
    home: Home,
    from: &[u8],
    until: Stamp,
    visit: &mut dyn FnMut(Element) -> ControlFlow<()>,
) -> Result<(), ReadError> {
    let mut broken = None;
    index.scan(&elements_of(home), from, &mut |key, value| match element(key).zip(ElementEntry::decode(value)) {
        Some(((_, stamp, _), _)) if stamp > until => ControlFlow::Break(()),
        Some(((_, stamp, id), ElementEntry { leaf, erased })) => visit(Element { id, stamp, leaf, erased }),
        None => {
            broken = Some(unreadable("s", &key.escape_ascii()));
            ControlFlow::Break(())
        }
    })?;
    broken.map_or(Ok(()), |broken| Err(broken.into()))
}
