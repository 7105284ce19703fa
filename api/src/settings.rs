//! The limits of the HTTP interface. Plain values; nothing here reads a file or the environment.

/// Every limit that a request can meet, with its default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The longest body of a request with one envelope, in bytes. Default 262,144: twice the longest canonical body.
    pub body_bytes_max: usize,
    /// The longest line of `POST /v1/records`, in bytes, its end not counted. Default 262,144.
    pub line_bytes_max: usize,
    /// The most lines that are handed to the database at once. Default 512.
    pub batch_lines_max: usize,
    /// A batch is handed over once its lines have this many bytes. Default 1,048,576.
    pub batch_bytes_max: usize,
    /// How long a batch that is not full waits for more lines, in milliseconds. Default 2.
    pub batch_linger_ms: u64,
    /// The most batches of one `POST /v1/records` that are under way at once. Default 4.
    pub batches_in_flight_max: usize,
    /// The most requests under way at once; more get 503. Default 1,024. Health, readiness and metrics do not count.
    pub inflight_requests_max: usize,
    /// How long a request may take until its answer begins, in milliseconds; then 503. Default 30,000. Streams, erasure
    /// and compaction are not bound by it.
    pub request_ms_max: u64,
    /// How long a client may pause while it sends a body, in milliseconds; then 408. Default 30,000.
    pub body_pause_ms_max: u64,
    /// How many questions a page answers unless `limit` says otherwise. Default 100.
    pub page_default: usize,
    /// The most questions that `limit` may ask for. Default 1,000.
    pub page_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            body_bytes_max: 256 * 1024,
            line_bytes_max: 256 * 1024,
            batch_lines_max: 512,
            batch_bytes_max: 1024 * 1024,
            batch_linger_ms: 2,
            batches_in_flight_max: 4,
            inflight_requests_max: 1024,
            request_ms_max: 30_000,
            body_pause_ms_max: 30_000,
            page_default: 100,
            page_max: 1000,
        }
    }
}
