//! From frames to the elements of the homes' sets: a part of [`Changes`].
//!
//! Nothing here decides which frame of a record counts. Invariant: every `i` entry has exactly one `s` entry, of its
//! home and stamp, erased or not; the leaf is that of the signatures in the frame that the `i` entry names.
//!
//! Of a record whose frame is damaged, and which this index never read, the signatures are unknown. Its leaf is made
//! with [`UNREADABLE`] then, which no sound record has: the set differs from that of a replica, which then sends it.

use super::change::{Changes, unreadable};
use super::error::ReadError;
use super::set::Element;
use crate::index::IndexError;
use crate::index::entry::IdEntry;
use crate::index::entry::set::ElementEntry;
use crate::stored::StoredRecord;
use model::set::Leaf;
use model::{Home, RecordId, Stamp};

/// The digest of signatures that cannot be read.
pub(super) const UNREADABLE: [u8; 32] = [0; 32];

/// The BLAKE3 of the signatures of a record, if it can be read.
pub(super) fn digest_of(record: Option<&StoredRecord>) -> [u8; 32] {
    record.map_or(UNREADABLE, StoredRecord::signatures_digest)
}

/// The entry of an element.
pub(super) fn element_of(element: &Element) -> ElementEntry {
    ElementEntry { leaf: element.leaf, erased: element.erased }
}

impl Changes<'_> {
    /// Adds the element of a record that has none. Reads nothing.
    pub(super) fn add_element(&mut self, id: &RecordId, entry: &IdEntry, signatures: &[u8; 32]) {
        let element = ElementEntry { leaf: Leaf::of(id, entry.stamp, signatures), erased: entry.erased };
        self.put_element(id, (entry.home, entry.stamp), element);
    }

    /// Sees to it that the element of a record is this one.
    pub(super) fn set_element(
        &mut self,
        id: &RecordId,
        entry: &IdEntry,
        signatures: &[u8; 32],
    ) -> Result<(), ReadError> {
        let place = (entry.home, entry.stamp);
        let element = ElementEntry { leaf: Leaf::of(id, entry.stamp, signatures), erased: entry.erased };
        match self.element(id, place)? {
            Some(there) if there == element => {}
            Some(there) => {
                self.drop_element(id, place, there);
                self.put_element(id, place, element);
            }
            None => self.put_element(id, place, element),
        }
        Ok(())
    }

    /// Adds the element of a record of which nothing can be read, unless it has one.
    pub(super) fn add_unread_element(&mut self, id: &RecordId, entry: &IdEntry) -> Result<(), ReadError> {
        if self.element(id, (entry.home, entry.stamp))?.is_none() {
            self.add_element(id, entry, &UNREADABLE);
        }
        Ok(())
    }

    /// Takes the element of a record out of its place, from which it is about to go.
    pub(super) fn take_element(&mut self, id: &RecordId, entry: &IdEntry) -> Result<(), ReadError> {
        let place = (entry.home, entry.stamp);
        if let Some(there) = self.element(id, place)? {
            self.drop_element(id, place, there);
        }
        Ok(())
    }

    /// The element of `id` in a home, under a stamp, as these changes leave it.
    fn element(&self, id: &RecordId, (home, stamp): (Home, Stamp)) -> Result<Option<ElementEntry>, ReadError> {
        let value = self.get(&ElementEntry::key(home, stamp, id))?;
        let broken = || -> IndexError { unreadable("s", id) };
        value.map(|value| ElementEntry::decode(&value).ok_or_else(|| broken().into())).transpose()
    }

    fn put_element(&mut self, id: &RecordId, (home, stamp): (Home, Stamp), element: ElementEntry) {
        self.set.add(&self.set_key, home, stamp, element.leaf);
        self.batch.put(ElementEntry::key(home, stamp, id), element.encode());
    }

    /// Takes an element out of its place.
    pub(super) fn drop_element(&mut self, id: &RecordId, (home, stamp): (Home, Stamp), element: ElementEntry) {
        self.set.remove(&self.set_key, home, stamp, element.leaf);
        self.batch.delete(ElementEntry::key(home, stamp, id));
    }
}
