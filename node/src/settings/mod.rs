//! What can be set on a node: one table, from which everything else about settings follows.
//!
//! A [`Settings`] is plain values; it never holds a clock, a socket or a secret. The table below gives each setting its
//! field, key, kind, default and documentation; the TOML reader, the names of environment variables, the flags of
//! `stemedb serve` and the output of `stemedb config` are all read from [`ALL`], so they cannot disagree.
//!
//! [`Sources::load`] also checks what settings say together. What only the disk or the cluster can tell is checked later.
//!
//! Sources, the later winning: the defaults, one TOML file, the environment, flags.

mod check;
mod flags;
mod kind;
mod load;
mod place;
mod print;
mod problem;

pub use flags::Flags;
pub use kind::{Engine, Kind, LogFormat};
pub use load::{COMMAND_VARIABLES, Loaded, Origin, Sources};
pub use place::{Host, Seed, Seeds, Zone};
pub use print::{to_env, to_json, to_toml};
pub use problem::{Problem, Refused};

use cluster::ClusterId;
use kind::{GIB, KIB, MIB, Readable};
use std::net::SocketAddr;
use std::path::PathBuf;

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its name in the TOML file; a dot stands for a section.
    pub key: &'static str,
    /// Its documentation, a line each.
    pub docs: &'static [&'static str],
    /// Its default, spelt as in the environment; empty where it follows from another setting.
    pub default: &'static str,
    /// Which values it takes.
    pub kind: Kind,
    /// Reads a value into the field; `None` if the kind does not take it.
    read: fn(&mut Settings, &str, Kind) -> Option<()>,
    /// The value of the field, spelt as in the environment; empty if it is not set.
    show: fn(&Settings, Kind) -> String,
}

macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $field:ident: $type:ty = $default:literal, $key:literal, $kind:expr;)+) => {
        /// Everything that can be set on a node; see the module for where values come from.
        ///
        /// Times are in milliseconds and sizes in bytes. [`Settings::default`] is what a node runs with when nothing is
        /// set.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Settings {
            $($(#[doc = $doc])+ pub $field: $type,)+
        }

        /// Every setting, in the order in which `stemedb config` prints them.
        pub const ALL: &[Setting] = &[
            $(Setting {
                key: $key,
                docs: &[$($doc),+],
                default: $default,
                kind: $kind,
                read: |settings, text, kind| {
                    settings.$field = <$type as Readable>::read(text, kind)?;
                    Some(())
                },
                show: |settings, kind| settings.$field.show(kind),
            },)+
        ];

        impl Settings {
            /// Values that only stand until the defaults of the table are read over them.
            fn blank() -> Self {
                Self { $($field: <$type as Readable>::BLANK,)+ }
            }
        }
    };
}

settings! {
    /// The folder of everything a node keeps. The claim log is in `wal/` and the index in `db/` below it.
    data_dir: PathBuf = "./data", "data_dir", Kind::Path;
    /// The folder of the claim log, the only one that cannot be rebuilt. Without it: `wal` below data_dir.
    wal_dir: Option<PathBuf> = "", "wal_dir", Kind::Path;
    /// The folder of the index, rebuilt from the claim log at will. Without it: `db` below data_dir.
    db_dir: Option<PathBuf> = "", "db_dir", Kind::Path;
    /// Where clients connect. Only this machine by default; `0.0.0.0:18180` listens on every interface.
    bind_addr: SocketAddr = "127.0.0.1:18180", "bind_addr", Kind::Address;
    /// Where operators connect. It can erase claims: never let it be reached from outside.
    admin_addr: SocketAddr = "127.0.0.1:18181", "admin_addr", Kind::Address;
    /// Where other nodes call this one. It listens only with a cluster key.
    rpc_addr: SocketAddr = "127.0.0.1:18182", "rpc_addr", Kind::Address;
    /// Where other nodes gossip with this one, by UDP. It listens only with a cluster key.
    gossip_addr: SocketAddr = "127.0.0.1:18183", "gossip_addr", Kind::Address;
    /// The host under which others reach this node, at the ports it listens on. Without it: the addresses themselves.
    advertise_host: Option<Host> = "", "advertise_host", Kind::Host;
    /// The gossip addresses of nodes to begin with, comma-separated; this node may be among them. With seeds a node never
    /// founds a cluster alone.
    seeds: Seeds = "", "seeds", Kind::Seeds;
    /// How many fresh nodes found a cluster together. Without it a fresh node with seeds only joins.
    bootstrap_expect: Option<u64> = "", "bootstrap_expect", Kind::Count { min: 2, max: 64 };
    /// The file with the key of the cluster, the same on every node: `stemedb keygen --cluster` makes one and changes it. It
    /// lies outside data_dir, and is read again at SIGHUP.
    cluster_key_file: Option<PathBuf> = "", "cluster_key_file", Kind::Path;
    /// Where this node stands: copies are spread over zones.
    zone: Option<Zone> = "", "zone", Kind::Name;
    /// On how many nodes each claim is kept, where there are as many. It counts when the cluster is founded; `stemedb settings`
    /// changes it later.
    replication_factor: u64 = "2", "replication_factor", Kind::Count { min: 1, max: 7 };
    /// How long a shutdown waits for requests in flight before it ends them.
    shutdown_deadline_ms: u64 = "10s", "shutdown_deadline_ms", Kind::Millis { min: 0, max: 600_000 };
    /// How far clocks may differ: a wall clock further off than this makes the node refuse writes.
    clock_offset_max_ms: u64 = "10s", "clock_offset_max_ms", Kind::Millis { min: 100, max: 3_600_000 };
    /// Goes on although the wall clock jumped or lies behind the stamps already given. Use it once, then remove it.
    accept_clock_jump: bool = "false", "accept_clock_jump", Kind::Switch;
    /// The engine of the index. Changing it rebuilds the index from the claim log at the next start.
    index_engine: Engine = "sled", "index.engine", Kind::Word(Engine::WORDS);
    /// Memory the index may use for its cache.
    index_cache_bytes: u64 = "64MiB", "index.cache_bytes", Kind::Bytes { min: MIB, max: 1024 * GIB };
    /// The size at which a segment of the claim log is sealed and the next one begun.
    log_segment_bytes_max: u64 = "64MiB", "log.segment_bytes_max", Kind::Bytes { min: MIB, max: GIB };
    /// How much must be free on the disks of log and index; with less, writes get 507 and reads go on.
    disk_free_bytes_min: u64 = "256MiB", "disk.free_bytes_min", Kind::Bytes { min: 0, max: 1 << 50 };
    /// How fast the scrubber re-reads the claim log, per second; 0 switches it off.
    scrub_bytes_per_second: u64 = "8MiB", "scrub.bytes_per_second", Kind::Bytes { min: 0, max: 64 * GIB };
    /// How fast this node takes over records that it lacks, of homes that it joins above all, per second.
    repair_bytes_per_second: u64 = "16MiB", "repair.bytes_per_second", Kind::Bytes { min: 64 << 10, max: 64 * GIB };
    /// How much of a sealed segment may be garbage, in percent, before it is rewritten; 100 only after an erasure.
    compaction_garbage_percent: u64 = "50", "compaction.garbage_percent", Kind::Count { min: 1, max: 100 };
    /// The most records that wait to be written; beyond it writes get 503 with `Retry-After`.
    write_queue_max: u64 = "8192", "write.queue_max", Kind::Count { min: 1, max: 1_000_000 };
    /// How long a write may take before it is answered with 503. The record may still become durable.
    write_deadline_ms: u64 = "5s", "write.deadline_ms", Kind::Millis { min: 10, max: 600_000 };
    /// How long an owner may take to sync a write before another node stands in for it.
    write_owner_deadline_ms: u64 = "100ms", "write.owner_deadline_ms", Kind::Millis { min: 1, max: 60_000 };
    /// How long a read waits for the node that it asked before it asks another one as well.
    read_hedge_ms: u64 = "20ms", "read.hedge_ms", Kind::Millis { min: 1, max: 60_000 };
    /// How long a read waits for other nodes at all; then it is answered with 503.
    read_deadline_ms: u64 = "2s", "read.deadline_ms", Kind::Millis { min: 10, max: 600_000 };
    /// The cluster that this node belongs to: with another one it does not start. Without it any will do.
    cluster_id: Option<ClusterId> = "", "cluster.id", Kind::Cluster;
    /// The longest body of a request with one envelope.
    http_body_bytes_max: u64 = "256KiB", "http.body_bytes_max", Kind::Bytes { min: KIB, max: GIB };
    /// The longest line of `POST /v1/records`.
    http_line_bytes_max: u64 = "256KiB", "http.line_bytes_max", Kind::Bytes { min: KIB, max: GIB };
    /// The most lines of `POST /v1/records` that are verified and written together.
    http_batch_lines_max: u64 = "512", "http.batch_lines_max", Kind::Count { min: 1, max: 100_000 };
    /// A batch of `POST /v1/records` is handed over once its lines have this many bytes.
    http_batch_bytes_max: u64 = "1MiB", "http.batch_bytes_max", Kind::Bytes { min: KIB, max: GIB };
    /// How long a batch of `POST /v1/records` that is not full waits for more lines.
    http_batch_linger_ms: u64 = "2ms", "http.batch_linger_ms", Kind::Millis { min: 0, max: 60_000 };
    /// The most batches of one `POST /v1/records` that are under way at once.
    http_batches_in_flight_max: u64 = "4", "http.batches_in_flight_max", Kind::Count { min: 1, max: 64 };
    /// The most connections at once, on either address; further ones wait until one is closed.
    http_connections_max: u64 = "4096", "http.connections_max", Kind::Count { min: 1, max: 1_000_000 };
    /// The most requests under way at once; more get 503 with `Retry-After`. Health and metrics do not count.
    http_inflight_requests_max: u64 = "1024", "http.inflight_requests_max", Kind::Count { min: 1, max: 1_000_000 };
    /// How long a request may take until its answer begins; then it gets 503. Streams are not bound by it.
    http_request_ms_max: u64 = "30s", "http.request_ms_max", Kind::Millis { min: 100, max: 3_600_000 };
    /// How long a client may pause while it sends a body; then it gets 408.
    http_body_pause_ms_max: u64 = "30s", "http.body_pause_ms_max", Kind::Millis { min: 100, max: 3_600_000 };
    /// How many questions a page of an answer holds unless the query says otherwise.
    http_page_default: u64 = "100", "http.page_default", Kind::Count { min: 1, max: 100_000 };
    /// The most questions that a query may ask for in one page.
    http_page_max: u64 = "1000", "http.page_max", Kind::Count { min: 1, max: 100_000 };
    /// How log lines look: for people or one JSON object a line.
    logging_format: LogFormat = "text", "logging.format", Kind::Word(LogFormat::WORDS);
    /// Which log lines are written, as `level` or `target=level`, comma-separated. The library of the control plane is off
    /// unless it is asked for: it tells of every heartbeat; who leads, the node itself says.
    logging_filter: String = "info,openraft=off", "logging.filter", Kind::Text;
}

impl Setting {
    /// The setting of that key.
    pub fn of_key(key: &str) -> Option<&'static Self> {
        ALL.iter().find(|setting| setting.key == key)
    }

    /// Its environment variable: `RUST_LOG` for the log filter, `STEMEDB_` and the key for all others.
    pub fn variable(&self) -> String {
        match self.key {
            "logging.filter" => "RUST_LOG".to_owned(),
            key => format!("STEMEDB_{}", key.replace('.', "_").to_uppercase()),
        }
    }

    /// Its flag, without the leading dashes.
    pub fn flag(&self) -> String {
        self.key.replace(['.', '_'], "-")
    }

    /// Its value in `settings`, spelt as in the environment; empty if it is not set.
    pub fn value(&self, settings: &Settings) -> String {
        (self.show)(settings, self.kind)
    }
}

impl Settings {
    /// The folder of the claim log: `wal_dir`, or `wal` below `data_dir`.
    pub fn wal_folder(&self) -> PathBuf {
        self.wal_dir.clone().unwrap_or_else(|| self.data_dir.join("wal"))
    }

    /// The folder of the index: `db_dir`, or `db` below `data_dir`.
    pub fn db_folder(&self) -> PathBuf {
        self.db_dir.clone().unwrap_or_else(|| self.data_dir.join("db"))
    }
}

impl Default for Settings {
    fn default() -> Self {
        let mut settings = Self::blank();
        for row in ALL.iter().filter(|row| !row.default.is_empty()) {
            let read = (row.read)(&mut settings, row.default, row.kind);
            debug_assert!(read.is_some(), "the default of {} is of its kind", row.key);
        }
        settings
    }
}

#[cfg(test)]
mod tests;
