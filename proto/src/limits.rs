//! How long messages and lists may be. A reader refuses what is longer; a writer never makes it.
//!
//! They are part of the format: a limit may rise only with a new protocol version.

use model::canonical::OPAQUE_BYTES_MAX;

/// The longest message that is read, in bytes. Only a message with one very long record comes near.
pub const MESSAGE_BYTES_MAX: usize = 2 << 20;
/// A message takes no further record once its records have this many bytes.
pub const MESSAGE_BYTES_FULL: usize = 256 << 10;
/// A page of a stream takes nothing more once it has this many bytes.
pub const PAGE_BYTES_FULL: usize = 64 << 10;
/// The longest archive of a record, in bytes: the longest body, and what signatures and structure add.
pub const ARCHIVE_BYTES_MAX: usize = OPAQUE_BYTES_MAX + (256 << 10);
/// The most records of one store.
pub const STORE_RECORDS_MAX: usize = 1024;
/// The most ids of one confirmation.
pub const CONFIRM_IDS_MAX: usize = 4096;
/// The most ids of one fetch.
pub const FETCH_IDS_MAX: usize = 256;
/// The most ids whose bodies are asked for at once.
pub const BODIES_IDS_MAX: usize = 4096;
/// The most records in one piece of a question, and ids found in one page.
pub const PAGE_RECORDS_MAX: usize = 1024;
/// The most questions that one scan asks for.
pub const SCAN_QUESTIONS_MAX: u32 = 100_000;
/// The most elements of one page.
pub const PAGE_ELEMENTS_MAX: usize = 4096;
/// The longest message of Raft, in bytes.
pub const RAFT_BYTES_MAX: usize = 1 << 20;
/// The longest control state, in bytes.
pub const STATE_BYTES_MAX: usize = 1 << 20;
/// The longest command to the control plane, or what comes of it, in bytes.
pub const COMMAND_BYTES_MAX: usize = 64 << 10;
/// The most nodes in any list.
pub const NODES_MAX: usize = 1024;
/// The longest text for people, in bytes.
pub const TEXT_BYTES_MAX: usize = 1024;
/// The most texts for people in any list.
pub const TEXTS_MAX: usize = 64;
/// The longest name of a zone or a release, in bytes.
pub const NAME_BYTES_MAX: usize = 64;

const _: () = {
    assert!(MESSAGE_BYTES_FULL + ARCHIVE_BYTES_MAX < MESSAGE_BYTES_MAX, "a record fits in a message that is not full");
    assert!(RAFT_BYTES_MAX < MESSAGE_BYTES_MAX && STATE_BYTES_MAX < MESSAGE_BYTES_MAX, "they fit in a message");
};
