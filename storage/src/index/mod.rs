//! The index: small entries in key order, all of them rebuilt from the claim log at will.
//!
//! Nothing that exists only here may ever be needed: an index that fails, panics or disagrees is set aside and rebuilt.
//!
//! [`Index`] is what the store asks of an engine. [`Engine`] names the three there are; [`entry`] is the only place that
//! knows what keys and values look like. The engines do their own file I/O, on real folders: in a simulation the index
//! is [`Engine::Memory`].

mod engine;
pub mod entry;
mod fjall;
pub mod folder;
mod guard;
mod memory;
mod sled;

#[cfg(test)]
pub(crate) mod conformance;

pub use engine::{Engine, Settings, UnknownEngine};

use std::collections::{BTreeMap, btree_map};
use std::fmt;
use std::io;
use std::ops::{Bound, ControlFlow};

/// An ordered map from byte strings to byte strings, written in atomic batches.
///
/// Calls may come from many threads; a reader sees either all of a batch or, before it is applied, none of it key by key.
/// Dropping an index without [`Index::flush`] may lose the last batches, never half of one.
pub trait Index: Send + Sync + fmt::Debug {
    /// Applies all of `batch` or none of it. Visible to every call that starts after it.
    ///
    /// # Errors
    ///
    /// [`IndexError::Broken`]: whether the batch was applied is unknown.
    fn apply(&self, batch: Batch) -> Result<(), IndexError>;

    /// The value at `key`.
    ///
    /// # Errors
    ///
    /// [`IndexError::Broken`].
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError>;

    /// Visits the entries whose key starts with `prefix` and is at least `from`, in ascending order of their keys, until
    /// `visit` breaks. An empty `from` means from the beginning of the prefix. `visit` must not call the index.
    ///
    /// # Errors
    ///
    /// [`IndexError::Broken`], after any number of visits.
    fn scan(&self, prefix: &[u8], from: &[u8], visit: &mut Visit<'_>) -> Result<(), IndexError>;

    /// Returns once everything applied before is on disk.
    ///
    /// # Errors
    ///
    /// [`IndexError::Broken`].
    fn flush(&self) -> Result<(), IndexError>;
}

/// What a scan hands each entry to: key, then value.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// Why the index cannot be used as it is. The answer to each of them is the same: set its folder aside and rebuild it.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The engine returned an error. Set the folder aside and rebuild; if the disk is full, make room first.
    #[error("the {engine} index failed to {doing}")]
    Broken {
        /// Which engine.
        engine: Engine,
        /// What it was asked to do, as a verb.
        doing: &'static str,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The engine panicked, and the panic was caught. Set the folder aside and rebuild.
    #[error("the {engine} index panicked while it was asked to {doing}: {message}")]
    Panicked {
        /// Which engine.
        engine: Engine,
        /// What it was asked to do, as a verb.
        doing: &'static str,
        /// What it panicked with.
        message: String,
    },
    /// An entry does not say what the log says. Set the folder aside and rebuild.
    #[error("the index disagrees with the log: {0}")]
    Disagrees(String),
}

impl IndexError {
    /// Whether the engine found no room on its disk. What it holds can still be read; whether it takes writes again once
    /// there is room is up to the engine: sled and fjall do not.
    pub fn is_no_room(&self) -> bool {
        let Self::Broken { source, .. } = self else { return false };
        let first: &(dyn std::error::Error + 'static) = source.as_ref();
        let mut chain = std::iter::successors(Some(first), |error| error.source());
        chain.any(|error| {
            error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::StorageFull)
        })
    }
}

/// Changes that are applied together, at most one a key: a later change of a key replaces the earlier one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// The new value, or `None` for a key that goes.
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Batch {
    /// Sets `key` to `value`.
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.changes.insert(key, Some(value));
    }

    /// Removes `key`, if it is there.
    pub fn delete(&mut self, key: Vec<u8>) {
        self.changes.insert(key, None);
    }

    /// What this batch makes of `key`: `None` if it does not change it, `Some(None)` if it removes it.
    pub fn change(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        self.changes.get(key).map(Option::as_deref)
    }

    /// The changes of keys that start with `prefix`, in ascending order of their keys.
    pub fn changes_under(&self, prefix: &[u8]) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        let from = self.changes.range::<[u8], _>((Bound::Included(prefix), Bound::Unbounded));
        from.take_while(move |(key, _)| key.starts_with(prefix)).map(|(key, value)| (key.as_slice(), value.as_deref()))
    }

    /// How many keys change.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

impl IntoIterator for Batch {
    type Item = (Vec<u8>, Option<Vec<u8>>);
    type IntoIter = btree_map::IntoIter<Vec<u8>, Option<Vec<u8>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.changes.into_iter()
    }
}

/// Where a scan over `prefix` from `from` begins.
fn scan_start<'a>(prefix: &'a [u8], from: &'a [u8]) -> &'a [u8] {
    if from > prefix { from } else { prefix }
}
