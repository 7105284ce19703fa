//! The types that Raft is made of here.

use super::runtime::Runtime;
use cluster::control::Outcome;
use openraft::{Config, EmptyNode, SnapshotPolicy};
use std::io::Cursor;
use std::path::PathBuf;
use std::time::Duration;

openraft::declare_raft_types!(
    /// An entry is an encoded [`cluster::control::Command`]; what it came to is nothing for entries of Raft itself.
    ///
    /// A node in Raft's own membership is only a name: its address is found where every other call finds it.
    pub(super) Types:
        D = Vec<u8>,
        R = Option<Outcome>,
        NodeId = u64,
        Node = EmptyNode,
        Entry = openraft::Entry<Types>,
        SnapshotData = Cursor<Vec<u8>>,
        AsyncRuntime = Runtime,
);

pub(super) type Raft = openraft::Raft<Types>;
pub(super) type Entry = openraft::Entry<Types>;
pub(super) type LogId = openraft::LogId<u64>;
pub(super) type Vote = openraft::Vote<u64>;
pub(super) type StorageError = openraft::StorageError<u64>;
pub(super) type SnapshotMeta = openraft::SnapshotMeta<u64, EmptyNode>;
pub(super) type StoredMembership = openraft::StoredMembership<u64, EmptyNode>;

/// The longest command, in bytes of its encoding: fits in a message to another node with room for what Raft adds.
pub const COMMAND_BYTES_MAX: usize = 512 << 10;
/// How many bytes of entries travel in one message, unless the first alone is longer.
pub(super) const ENTRIES_BYTES_MAX: usize = 512 << 10;
/// How many bytes of a snapshot travel in one message.
const CHUNK_BYTES: u64 = 512 << 10;
/// How long one message with a part of a snapshot may take.
const CHUNK_DEADLINE_MS: u64 = 2_000;

/// How the control plane is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The folder of its log.
    pub dir: PathBuf,
    /// How often a leader shows that it is there. 50 ms.
    pub heartbeat: Duration,
    /// The shortest and the longest time, drawn once a life, after which a node takes the leader for gone and stands for
    /// election; the longest is added once more while the leader's lease lasts. 150 to 300 ms.
    pub election: (Duration, Duration),
    /// After how many commands a snapshot is made, and the entries before it dropped. 500.
    pub snapshot_every: u64,
}

impl Settings {
    /// The defaults, with the log in `dir`.
    pub fn in_dir(dir: PathBuf) -> Self {
        let election = (Duration::from_millis(150), Duration::from_millis(300));
        Self { dir, heartbeat: Duration::from_millis(50), election, snapshot_every: 500 }
    }

    /// The same for openraft. Elections are off until somebody allows them.
    pub(super) fn config(&self) -> Config {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Config {
            cluster_name: "control".to_owned(),
            heartbeat_interval: millis(self.heartbeat),
            election_timeout_min: millis(self.election.0),
            election_timeout_max: millis(self.election.1),
            install_snapshot_timeout: CHUNK_DEADLINE_MS,
            snapshot_max_chunk_size: CHUNK_BYTES,
            snapshot_policy: SnapshotPolicy::LogsSinceLast(self.snapshot_every),
            replication_lag_threshold: self.snapshot_every.saturating_mul(2),
            max_in_snapshot_log_to_keep: self.snapshot_every / 5,
            enable_elect: false,
            ..Config::default()
        }
    }
}
