//! The closed time: at or below it this store takes nothing more from anyone but another owner.
//!
//! It costs no write. What is closed never lies above the durable ceiling of the clock, and a store that is opened has
//! closed everything up to the ceiling that it finds: so it has closed whatever it ever said it had, and a little more,
//! which does no harm but that a record on its way is stamped anew. It never says what is equal elsewhere.
//!
//! Invariants: the closed time only rises, also across a crash; once [`Reader::close`] has returned F, the elements at or
//! below F change only by what [`super::Appender::merge`] takes from owners; nothing is stamped at or below it.

use super::Reader;
use super::shared::Shared;
use model::Stamp;
use std::sync::atomic::Ordering;

impl Reader {
    /// Closes what lies at or below `until`, as far as the durable ceiling allows. Returns up to where it is closed now.
    ///
    /// Waits for an append or a merge that is under way, so what these were to store at or below it is there: a sum or a
    /// list that is read from now on has it. Cost: nothing else; [`super::Appender::raise_ceiling`] is what writes.
    pub fn close(&self, until: Stamp) -> Stamp {
        let shared = &self.shared;
        let _writer = shared.writer();
        let before = shared.closed();
        let mut clock = shared.clock();
        // What a stopped log holds shows at the next start only: until then nothing more can be said of it.
        if shared.moment().is_stranded() {
            return before;
        }
        let closed = until.min(clock.ceiling()).max(before);
        clock.raise(closed);
        shared.closed.store(closed.to_bits(), Ordering::Release);
        closed
    }

    /// Up to where it is closed. Cost: none.
    pub fn closed(&self) -> Stamp {
        self.shared.closed()
    }
}

impl Shared {
    /// Up to where it is closed.
    pub(super) fn closed(&self) -> Stamp {
        Stamp::from_bits(self.closed.load(Ordering::Acquire))
    }
}
