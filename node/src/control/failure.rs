//! Why the control plane of this node came to an end.
//!
//! openraft stops for good at the first error of its storage and keeps only the text; the error itself is kept here.

use super::types::StorageError;
use super::wire::WireError;
use crate::world::Broken;
use openraft::error::Fatal;
use openraft::{AnyError, ErrorSubject, ErrorVerb, StorageIOError};
use std::sync::{Arc, OnceLock};
use storage::control::ControlLogError;

/// Why the control plane of this node has stopped.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The control log could not be written or read; [`ControlLogError`] says what to do. With a full disk: start the
    /// control plane again once there is room. Otherwise stop the node.
    #[error("the control log failed")]
    Log(#[source] ControlLogError),
    /// The control log holds what this release does not understand. Upgrade the node.
    #[error("the control log holds what this release does not understand: upgrade the node")]
    Kept(#[source] WireError),
    /// The cluster carries out a command, or holds a state, that this release does not understand. Upgrade the node.
    #[error("the cluster is ahead of this release: upgrade the node")]
    Ahead(#[source] cluster::WireError),
    /// Work on the control log panicked. Stop the node.
    #[error("work on the control log panicked")]
    Broken(#[source] Broken),
    /// openraft panicked. Stop the node.
    #[error("the control plane panicked")]
    Panicked,
}

/// The first failure. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Failures(Arc<OnceLock<Arc<Failure>>>);

impl Failures {
    /// Keeps the failure, if it is the first, and gives openraft what it takes.
    pub(super) fn note(&self, subject: ErrorSubject<u64>, verb: ErrorVerb, failure: Failure) -> StorageError {
        let error = StorageIOError::new(subject, verb, AnyError::new(&failure));
        self.0.get_or_init(|| Arc::new(failure));
        StorageError::IO { source: error }
    }

    /// The failure behind what openraft says.
    pub(super) fn cause(&self, fatal: &Fatal<u64>) -> Arc<Failure> {
        self.0.get().cloned().unwrap_or_else(|| {
            tracing::error!(%fatal, "the control plane stopped");
            Arc::new(Failure::Panicked)
        })
    }
}
