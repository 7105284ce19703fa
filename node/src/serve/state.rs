//! What a node knows about its own condition, shared by everything that reports on it. It decides nothing.

use super::damaged::Damaged;
use crate::clock::Clock;
use crate::metrics::Metrics;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// What others say of this node's wall clock: a clock that was wrong before the node started cannot tell so by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClockWord {
    /// Nothing yet. No stamp is given and no ceiling reserved: a ceiling in the future could not be undone.
    Unheard,
    /// Most of those that were heard last agree with it; or the node is alone; or its operator accepted the clock.
    Right,
    /// Most of them do not agree. As if unheard.
    Wrong,
}

/// Shared by the writer, the maintenance and the HTTP interface.
#[derive(Debug)]
pub(super) struct NodeState {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Metrics,
    pub(super) damaged: Damaged,
    clock_trouble: Mutex<Option<String>>,
    clock_word: Mutex<ClockWord>,
    disk_full: Mutex<bool>,
    fatal: watch::Sender<Option<String>>,
}

impl NodeState {
    pub(super) fn new(clock: Arc<dyn Clock>, metrics: Metrics) -> Self {
        let (fatal, _) = watch::channel(None);
        let clock_trouble = Mutex::new(None);
        let clock_word = Mutex::new(ClockWord::Unheard);
        Self {
            clock,
            metrics,
            damaged: Damaged::default(),
            clock_trouble,
            clock_word,
            disk_full: Mutex::new(false),
            fatal,
        }
    }

    /// The last word on the clock.
    pub(super) fn clock_word(&self) -> ClockWord {
        *self.clock_word.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the last word on the clock; the one before is returned.
    pub(super) fn set_clock_word(&self, word: ClockWord) -> ClockWord {
        std::mem::replace(&mut *self.clock_word.lock().unwrap_or_else(PoisonError::into_inner), word)
    }

    /// What is wrong with the clock, in words; nothing if it can be trusted.
    pub(super) fn clock_trouble(&self) -> Option<String> {
        self.clock_trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes how the clock stands, and logs it when that changes.
    pub(super) fn set_clock_trouble(&self, trouble: Option<String>) {
        let mut known = self.clock_trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*known, &trouble) {
            (None, Some(trouble)) => tracing::error!(%trouble, "the clock cannot be trusted; writes are refused"),
            (Some(_), None) => tracing::info!("the clock can be trusted again"),
            (None, None) | (Some(_), Some(_)) => {}
        }
        *known = trouble;
    }

    /// Whether the last write found the disk full.
    pub(super) fn disk_full(&self) -> bool {
        *self.disk_full.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes whether there is room on the disk, and logs it when that changes.
    pub(super) fn set_disk_full(&self, full: bool) {
        let mut known = self.disk_full.lock().unwrap_or_else(PoisonError::into_inner);
        match (*known, full) {
            (false, true) => tracing::error!("the disk is full; writes are refused until there is room"),
            (true, false) => tracing::info!("there is room on the disk again"),
            (true, true) | (false, false) => {}
        }
        *known = full;
        self.metrics.disk_full.set(i64::from(full));
    }

    /// Stops the node: what the disk holds can no longer be told.
    pub(super) fn stop_for_good(&self, why: String) {
        tracing::error!(%why, "the node stops");
        self.fatal.send_replace(Some(why));
    }

    /// Why the node had to stop, if it had to.
    pub(super) fn fatal(&self) -> Option<String> {
        self.fatal.borrow().clone()
    }

    /// Tells when the node has to stop.
    pub(super) fn watch_fatal(&self) -> watch::Receiver<Option<String>> {
        self.fatal.subscribe()
    }
}
