//! Stamps from the appender's clock for others than the appender, and the ceiling below which they are given.
//!
//! A [`Stamper`] never writes and never waits for a sync. A ceiling is logged ahead of the stamps; only those at or below
//! one that is durable are given without the writer. So no stamp is given twice, none at or below one given before, also
//! across a crash: a restart goes on above the ceiling.

use super::append::Appender;
use super::error::AppendError;
use crate::log::Frame;
use model::Stamp;
use model::clock::{Clock, ClockError};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Gives stamps from the clock of a store. Cheap to clone; any number of threads.
#[derive(Debug, Clone)]
pub struct Stamper {
    clock: Arc<Mutex<Clock>>,
}

/// Why no stamp is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StampError {
    /// The next stamp lies above the durable ceiling. Have the writer call [`Appender::reserve`], and ask again.
    #[error("the next stamp lies above the durable ceiling; reserve a higher one and ask again")]
    NeedsCeiling,
    /// The clock gives no stamp. Put it right.
    #[error("the clock gives no stamp")]
    Clock(#[from] ClockError),
}

impl Stamper {
    /// The next stamp: above every one that this node gave or took over, and above every moment that
    /// [`super::Reader::now`] handed out. `wall_ms` is milliseconds since the Unix epoch. Cost: a lock that is held for
    /// nanoseconds.
    ///
    /// # Errors
    ///
    /// [`StampError`]; no stamp was given.
    pub fn stamp(&self, wall_ms: u64) -> Result<Stamp, StampError> {
        let given = self.clock.lock().unwrap_or_else(PoisonError::into_inner).below_ceiling(wall_ms)?;
        given.ok_or(StampError::NeedsCeiling)
    }

    /// The greatest stamp that this node gave or took over.
    pub fn last(&self) -> Stamp {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner).last()
    }

    /// Whether little is left below the ceiling: time to have the writer call [`Appender::reserve`].
    pub fn is_low(&self, wall_ms: u64) -> bool {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner).due_ceiling(wall_ms).is_some()
    }
}

impl Appender {
    /// Gives stamps of this store's clock to others.
    pub fn stamper(&self) -> Stamper {
        Stamper { clock: Arc::clone(&self.shared().clock) }
    }

    /// Logs a higher ceiling for the clock if little is left below the present one, so that a [`Stamper`] need not wait
    /// for it. [`Appender::merge`] does so by the way. Cost: one sync then, else nothing.
    ///
    /// # Errors
    ///
    /// As [`Appender::append`]; then the ceiling is as before.
    pub fn reserve(&mut self, wall_ms: u64) -> Result<(), AppendError> {
        let is_due = self.clock().due_ceiling(wall_ms).is_some();
        if is_due { self.log_ceiling(|clock| clock.next_ceiling(wall_ms), wall_ms) } else { Ok(()) }
    }

    /// Lets the time of queries go on while nobody writes: logs a new ceiling if the last one lies more than a minute
    /// behind `wall_ms`. To be called now and then. Cost: one sync then, else nothing.
    ///
    /// # Errors
    ///
    /// As [`Appender::append`]; then the time stands still as before.
    pub fn keep_time(&mut self, wall_ms: u64) -> Result<(), AppendError> {
        let is_behind = self.shared().moment().is_behind(wall_ms);
        if is_behind { self.log_ceiling(|clock| clock.next_ceiling(wall_ms), wall_ms) } else { Ok(()) }
    }

    /// Logs `until` as the ceiling, if the present one lies below that and it does not lie ahead of the wall clock, so that
    /// [`super::Reader::close`] may go so far. Cost: one sync then, else nothing.
    ///
    /// # Errors
    ///
    /// As [`Appender::append`]; then the ceiling is as before.
    pub fn raise_ceiling(&mut self, until: Stamp, wall_ms: u64) -> Result<(), AppendError> {
        self.log_ceiling(|clock| Some(until).filter(|_| clock.ceiling() < until && until.ms() <= wall_ms), wall_ms)
    }

    fn log_ceiling(&mut self, choose: impl FnOnce(&Clock) -> Option<Stamp>, wall_ms: u64) -> Result<(), AppendError> {
        let shared = Arc::clone(self.shared());
        let mut writer = shared.writer();
        shared.must_be_ready()?;
        let Some(ceiling) = self.begin_ceiling(choose, wall_ms) else { return Ok(()) };
        self.write(&mut writer, &[Frame::Ceiling { ceiling }], &BTreeSet::new())?;
        shared.clock().reserved(ceiling);
        Ok(())
    }

    /// Announces a ceiling to the time of queries; `None` if there is none to be had.
    fn begin_ceiling(&self, choose: impl FnOnce(&Clock) -> Option<Stamp>, wall_ms: u64) -> Option<Stamp> {
        let shared = self.shared();
        let mut clock = shared.clock();
        let ceiling = choose(&clock)?;
        let mut moment = shared.moment();
        let floor = moment.begin(clock.last(), wall_ms);
        clock.raise(floor);
        moment.stamped(Stamp::ZERO, ceiling);
        Some(ceiling)
    }
}
