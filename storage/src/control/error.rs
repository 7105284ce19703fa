//! What can go wrong with the control log, and what to do then.

use std::io;

/// Why the control log could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ControlLogError {
    /// There is no room. Nothing of it was acknowledged. Free some space, then open the log again.
    #[error("the disk is full: free some space, then open the control log again")]
    DiskFull(#[source] io::Error),
    /// A write or a sync failed, now or before, so what the disk holds is unknown. Stop the node and look at the disk.
    #[error("the control log stopped after a failed write or sync: stop the node and check the disk")]
    Stopped(#[source] Option<io::Error>),
    /// What was acknowledged is not there any more, so this node might vote twice. Remove the node and add it anew.
    #[error("{file} is damaged at byte {at}: this node must not vote any more, remove it and add it as a new one")]
    Damaged {
        /// The file.
        file: &'static str,
        /// Where in it.
        at: u64,
    },
    /// One of the files is missing although the other proves that it was there. As if it were damaged.
    #[error("{0} is missing: this node must not vote any more, remove it and add it as a new one")]
    Missing(&'static str),
    /// A newer release wrote it. Upgrade the node.
    #[error("{file} has version {version}, which this release does not know: upgrade the node")]
    Version {
        /// The file.
        file: &'static str,
        /// Its version.
        version: u16,
    },
    /// An entry or a snapshot is longer than it may be. Refuse it.
    #[error("{bytes} bytes are more than the {bytes_max} that fit")]
    TooLarge {
        /// Its length in bytes.
        bytes: usize,
        /// The longest that fits.
        bytes_max: usize,
    },
    /// An entry does not follow the one before. An error of the caller.
    #[error("entry {found} does not follow: {expected} would")]
    Gap {
        /// The index that would follow.
        expected: u64,
        /// The index that came.
        found: u64,
    },
    /// Another process has the log open. Stop it first.
    #[error("another process has the control log open: stop it first")]
    Locked,
    /// The disk refused to open, list or read. Check the disk and try again.
    #[error("cannot {what}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
}

impl ControlLogError {
    /// For a read, with what was tried.
    pub(super) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }

    /// For a write or a sync.
    pub(super) fn write(source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::StorageFull { Self::DiskFull(source) } else { Self::Stopped(Some(source)) }
    }
}
