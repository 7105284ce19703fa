//! The second copy of an erasure, for when the first is damaged.
//!
//! An erasure is written twice, in two batches, one after the other. It never looks far: nothing but a seal and a few
//! frames of the log's own can come to lie in between.

use super::Erasure;
use super::error::ReadError;
use super::read::Lookup;
use super::shared::Shared;
use crate::index::entry::IdEntry;
use crate::log::{Frame, Item};
use model::RecordId;
use std::ops::ControlFlow;

/// Within how many frames and damages from the first copy the second is looked for.
const COPY_WITHIN: usize = 64;

impl Shared {
    /// What is known of an id whose frame, the one that `entry` names, is damaged.
    ///
    /// # Errors
    ///
    /// [`ReadError::Log`] if the disk refuses.
    pub(super) fn lookup_damaged(&self, id: &RecordId, entry: &IdEntry) -> Result<Lookup, ReadError> {
        let mut found = Lookup::Damaged(entry.position);
        if !entry.erased {
            return Ok(found);
        }
        let mut left = COPY_WITHIN;
        self.log.scan(entry.position, &mut |item| {
            left -= 1;
            if let Item::Frame(_, Frame::Erased { home, stamp, id: erased, signatures, eraser, erased_at: at }) = item
                && erased == *id
            {
                found = Lookup::Erased(Erasure { id: erased, home, stamp, signatures, eraser, at });
                left = 0;
            }
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(found)
    }
}
