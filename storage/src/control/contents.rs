//! What the frames of a control log come to. It knows no disk.

use super::ControlLogError;
use super::frame::Frame;
use std::collections::BTreeMap;

/// The state that the frames lead to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) vote: Option<Vec<u8>>,
    pub(super) committed: Option<Vec<u8>>,
    pub(super) purged: Option<(u64, Vec<u8>)>,
    pub(super) entries: BTreeMap<u64, Vec<u8>>,
}

impl Contents {
    /// Takes one frame.
    ///
    /// # Errors
    ///
    /// [`ControlLogError::Gap`] if an entry does not follow the last one.
    pub(super) fn apply(&mut self, frame: Frame) -> Result<(), ControlLogError> {
        match frame {
            Frame::Vote(vote) => self.vote = Some(vote),
            Frame::Committed(id) => self.committed = Some(id),
            Frame::Entry(index, entry) => {
                self.check_follows(self.last_index(), index)?;
                self.entries.insert(index, entry);
            }
            Frame::Truncate(from) => drop(self.entries.split_off(&from)),
            Frame::Purge(upto, id) => {
                self.entries = upto.checked_add(1).map_or_else(BTreeMap::new, |next| self.entries.split_off(&next));
                self.purged = Some((upto, id));
            }
        }
        Ok(())
    }

    /// Whether `found` may come after `last`; anything may after nothing.
    pub(super) fn check_follows(&self, last: Option<u64>, found: u64) -> Result<(), ControlLogError> {
        match last.map(|last| last.saturating_add(1)) {
            Some(expected) if expected != found => Err(ControlLogError::Gap { expected, found }),
            Some(_) | None => Ok(()),
        }
    }

    /// The last entry, or the last that was purged if there is none.
    pub(super) fn last_index(&self) -> Option<u64> {
        let last = self.entries.last_key_value().map(|(index, _)| *index);
        last.or_else(|| self.purged.as_ref().map(|(upto, _)| *upto))
    }

    /// The frames that lead to this state from nothing.
    pub(super) fn frames(&self) -> impl Iterator<Item = Frame> + '_ {
        let purge = self.purged.iter().map(|(upto, id)| Frame::Purge(*upto, id.clone()));
        let entries = self.entries.iter().map(|(index, entry)| Frame::Entry(*index, entry.clone()));
        let vote = self.vote.iter().cloned().map(Frame::Vote);
        vote.chain(purge).chain(entries).chain(self.committed.iter().cloned().map(Frame::Committed))
    }
}
