//! What a node says about itself.

use model::lens::Lens;
use serde::Serialize;
use utoipa::ToSchema;

/// Who a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The version of the program, as in `0.1.0`.
    pub version: String,
    /// The node's name, for ever.
    pub node_id: String,
}

/// One thing that must hold before a node should get traffic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Part {
    /// Its name: `log`, `index`, `clock`, `disk`.
    #[schema(examples("index"))]
    pub name: String,
    /// Whether it holds.
    pub ok: bool,
    /// How it stands, for people.
    #[schema(examples("rebuilding from the log, 41 %"))]
    pub detail: String,
}

/// Figures for an operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Status {
    /// The version of the program.
    #[schema(examples("0.1.0"))]
    pub version: String,
    /// The node's name, for ever.
    pub node_id: String,
    /// What must hold before the node should get traffic.
    pub parts: Vec<Part>,
    /// The index engine in use.
    #[schema(examples("sled"))]
    pub index_engine: String,
    /// Records stored, erased ones not counted.
    pub records: u64,
    /// Records erased.
    pub erased: u64,
    /// Frames that were found damaged and are not served.
    pub damaged: u64,
    /// Segments of the log.
    pub segments: u64,
    /// Bytes of the log on disk.
    pub log_bytes: u64,
    /// Bytes of the index on disk.
    pub index_bytes: u64,
    /// Seconds since the node started.
    pub uptime_s: u64,
}

/// What a compaction did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Compaction {
    /// Segments rewritten.
    pub segments: u64,
    /// Their bytes before.
    pub bytes_before: u64,
    /// Their bytes after.
    pub bytes_after: u64,
}

/// Something that the HTTP interface saw, for the metrics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Observation<'a> {
    /// A request was answered.
    Request {
        /// The route's pattern, `/v1/records/{id}`; `unmatched` where there is none. Never the path itself.
        route: &'a str,
        /// The status of the answer.
        status: u16,
        /// How long it took to begin the answer, in seconds.
        seconds: f64,
    },
    /// A query was resolved.
    Query {
        /// By which lens.
        lens: Lens,
        /// How long that took, in seconds.
        seconds: f64,
    },
}
