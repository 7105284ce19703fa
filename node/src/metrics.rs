//! The metrics of one node: every name, help text and bucket in one place. Never a process-wide registry, so that
//! several nodes can live in one process.

use api::database::{Ack, Observation};
use model::lens::Lens;
use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};
use std::time::Duration;

/// Upper bounds for latencies, in seconds: from 50 us, doubling, to 6.5 s.
const LATENCY_BUCKETS: [f64; 18] = [
    0.000_05, 0.000_1, 0.000_2, 0.000_4, 0.000_8, 0.001_6, 0.003_2, 0.006_4, 0.012_8, 0.025_6, 0.051_2, 0.102_4,
    0.204_8, 0.409_6, 0.819_2, 1.638_4, 3.276_8, 6.553_6,
];
/// Upper bounds for the number of records in one commit.
const COMMIT_BUCKETS: [f64; 12] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0];

/// Everything a node counts.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Assertions stored since the node started.
    pub assertions: IntCounter,
    /// Seconds a query took inside the database, by lens.
    query_latency: HistogramVec,
    /// Seconds from the arrival of a write to its acknowledgement, by `ack`.
    write_latency: HistogramVec,
    /// Seconds one `fdatasync` of the log took.
    pub fsync_latency: Histogram,
    /// Records made durable by one commit.
    pub commit_records: Histogram,
    http_requests: IntCounterVec,
    http_latency: HistogramVec,
    /// Bytes on disk, by part: `log` and `index`.
    pub disk_bytes: IntGaugeVec,
    /// Whole passes of the scrubber over the log.
    pub scrub_passes: IntCounter,
    /// Bytes that the scrubber has read.
    pub scrub_bytes: IntCounter,
    /// Damaged places that are known and not served.
    pub scrub_damaged: IntGauge,
    /// How many records cannot be read.
    damaged_records: IntGauge,
    /// How many were healed.
    pub healed_records: IntCounter,
    /// What the present pass has met so far; not exported.
    scrub_damaged_this_pass: IntGauge,
    /// 1 while writes are refused because the disk is full.
    pub disk_full: IntGauge,
    /// 1 if the node is ready for traffic.
    pub ready: IntGauge,
    /// Other nodes as gossip sees them, by state: `alive` and `down`.
    pub members: IntGaugeVec,
    /// Gossip packets that were dropped, by reason.
    pub gossip_refused: IntCounterVec,
    /// Connections of other nodes, or of strangers, that were turned away before a call was heard, by reason.
    pub connections_refused: IntCounterVec,
    /// The keys of the cluster that this node holds, by use (`used`, `taken`) and name.
    pub cluster_keys: IntGaugeVec,
    /// Seconds that each other owner lags behind this node, by peer.
    replication_lag: GaugeVec,
    /// Records of homes that this node counts which are on fewer live nodes than wanted.
    under_replicated: IntGauge,
    /// How long ago that was up to which nothing changes any more of what this node keeps; without a series while unknown.
    stable_age: GaugeVec,
    /// Hints that this node holds for others.
    hints_pending: IntGauge,
    strays: IntGauge,
    /// 1 if this node leads the control plane.
    raft_is_leader: IntGauge,
    /// Comparisons with another owner that came to their end, by whether everything was compared: `complete`, `partial`.
    pub repair_rounds: IntCounterVec,
    /// Bodies that comparisons fetched.
    pub repair_bodies: IntCounter,
}

/// How a node's copies stand among others at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copies {
    /// For each other owner, how many milliseconds it lags behind this node.
    pub lag_ms: Vec<(String, u64)>,
    /// Records on too few live nodes; a lower bound if not everything could be counted.
    pub under_replicated: u64,
    /// How many milliseconds ago that was up to which nothing changes any more of what this node keeps, if it knows.
    pub stable_age_ms: Option<u64>,
    /// Hints that this node holds.
    pub hints: u64,
    /// Whether this node leads the control plane.
    pub is_leader: bool,
}

impl Metrics {
    /// A fresh registry with every metric at zero.
    ///
    /// # Errors
    ///
    /// Only if two metrics share a name, which a test rules out.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let latency = |name, help| HistogramOpts::new(name, help).buckets(LATENCY_BUCKETS.to_vec());
        let commit = HistogramOpts::new("stemedb_commit_records", "Records made durable by one commit of the log.");
        let metrics = Self {
            assertions: IntCounter::new("stemedb_assertions_total", "Assertions stored since the node started.")?,
            query_latency: HistogramVec::new(
                latency("stemedb_query_latency_seconds", "Seconds a query took inside the database, by lens."),
                &["lens"],
            )?,
            write_latency: HistogramVec::new(
                latency("stemedb_write_latency_seconds", "Seconds from a write's arrival to its acknowledgement."),
                &["ack"],
            )?,
            fsync_latency: Histogram::with_opts(latency(
                "stemedb_wal_fsync_latency_seconds",
                "Seconds one fdatasync of the claim log took.",
            ))?,
            commit_records: Histogram::with_opts(commit.buckets(COMMIT_BUCKETS.to_vec()))?,
            http_requests: IntCounterVec::new(
                Opts::new("stemedb_http_requests_total", "HTTP requests answered, by route and status."),
                &["route", "status"],
            )?,
            http_latency: HistogramVec::new(
                latency("stemedb_http_latency_seconds", "Seconds until an HTTP answer began, by route."),
                &["route"],
            )?,
            disk_bytes: IntGaugeVec::new(
                Opts::new("stemedb_disk_bytes", "Bytes on disk, by part: log and index."),
                &["part"],
            )?,
            scrub_passes: IntCounter::new("stemedb_scrub_passes_total", "Whole passes of the scrubber over the log.")?,
            scrub_bytes: IntCounter::new("stemedb_scrub_bytes_total", "Bytes that the scrubber has read.")?,
            scrub_damaged: IntGauge::new("stemedb_scrub_damaged", "Damaged places of the log, known and not served.")?,
            scrub_damaged_this_pass: IntGauge::new("scrub_damaged_this_pass", "Not exported.")?,
            damaged_records: IntGauge::new(
                "stemedb_damaged_records",
                "Records that this node cannot read and is asking other owners for.",
            )?,
            healed_records: IntCounter::new(
                "stemedb_healed_records_total",
                "Damaged records that were fetched from another owner and written again.",
            )?,
            disk_full: IntGauge::new("stemedb_disk_full", "1 while writes are refused for lack of room, else 0.")?,
            ready: IntGauge::new("stemedb_ready", "1 if the node is ready for traffic, else 0.")?,
            members: IntGaugeVec::new(
                Opts::new("stemedb_members", "Other nodes as this one sees them, by state."),
                &["state"],
            )?,
            gossip_refused: IntCounterVec::new(
                Opts::new("stemedb_gossip_refused_total", "Gossip packets that were dropped, by reason."),
                &["reason"],
            )?,
            connections_refused: IntCounterVec::new(
                Opts::new(
                    "stemedb_rpc_connections_refused_total",
                    "Connections that showed no node's certificate, or came when there were too many, by reason.",
                ),
                &["reason"],
            )?,
            cluster_keys: IntGaugeVec::new(
                Opts::new(
                    "stemedb_cluster_key",
                    "1 for each key of the cluster that this node holds, by use and name.",
                ),
                &["use", "key"],
            )?,
            replication_lag: GaugeVec::new(
                Opts::new("replication_lag_seconds", "Seconds that another owner lags behind this node, by peer."),
                &["peer"],
            )?,
            under_replicated: IntGauge::new(
                "stemedb_under_replicated_records",
                "Records of the homes this node counts that are on fewer live nodes than wanted, at least.",
            )?,
            stable_age: GaugeVec::new(
                Opts::new("stemedb_stable_age_seconds", "Age of the time up to which nothing changes here any more."),
                &[],
            )?,
            hints_pending: IntGauge::new("stemedb_hints_pending", "Hints that this node holds for others.")?,
            strays: IntGauge::new(
                "stemedb_strays_homes",
                "Homes that this node holds records of, does not own, and has not handed over yet.",
            )?,
            raft_is_leader: IntGauge::new("stemedb_raft_is_leader", "1 if this node leads the control plane, else 0.")?,
            repair_rounds: IntCounterVec::new(
                Opts::new("stemedb_repair_rounds_total", "Comparisons with another owner, by how they ended."),
                &["end"],
            )?,
            repair_bodies: IntCounter::new("stemedb_repair_bodies_total", "Bodies that comparisons fetched.")?,
            registry,
        };
        metrics.own().into_iter().try_for_each(|collector| metrics.registry.register(collector))?;
        Ok(metrics)
    }

    fn own(&self) -> Vec<Box<dyn Collector>> {
        vec![
            Box::new(self.assertions.clone()),
            Box::new(self.query_latency.clone()),
            Box::new(self.write_latency.clone()),
            Box::new(self.fsync_latency.clone()),
            Box::new(self.commit_records.clone()),
            Box::new(self.http_requests.clone()),
            Box::new(self.http_latency.clone()),
            Box::new(self.disk_bytes.clone()),
            Box::new(self.scrub_passes.clone()),
            Box::new(self.scrub_bytes.clone()),
            Box::new(self.scrub_damaged.clone()),
            Box::new(self.damaged_records.clone()),
            Box::new(self.healed_records.clone()),
            Box::new(self.disk_full.clone()),
            Box::new(self.ready.clone()),
            Box::new(self.members.clone()),
            Box::new(self.gossip_refused.clone()),
            Box::new(self.connections_refused.clone()),
            Box::new(self.cluster_keys.clone()),
            Box::new(self.replication_lag.clone()),
            Box::new(self.under_replicated.clone()),
            Box::new(self.stable_age.clone()),
            Box::new(self.hints_pending.clone()),
            Box::new(self.strays.clone()),
            Box::new(self.raft_is_leader.clone()),
            Box::new(self.repair_rounds.clone()),
            Box::new(self.repair_bodies.clone()),
        ]
    }

    /// The names of the node's own metrics, as documents and alerts spell them, in order.
    pub fn names(&self) -> Vec<String> {
        let described = self.own().into_iter().flat_map(|collector| {
            collector.desc().into_iter().map(|description| description.fq_name.clone()).collect::<Vec<_>>()
        });
        let mut names: Vec<_> = described.collect();
        names.sort();
        names
    }

    /// Adds what the system counts of this process, all of it: for a node that has a process of its own.
    ///
    /// # Errors
    ///
    /// If that was done before.
    pub fn add_process(&self) -> Result<(), prometheus::Error> {
        self.registry.register(Box::new(ProcessCollector::for_self()))
    }

    /// Counts what the HTTP interface saw.
    pub fn observe(&self, observation: Observation<'_>) {
        match observation {
            Observation::Request { route, status, seconds } => {
                self.http_requests.with_label_values(&[route, &status.to_string()]).inc();
                self.http_latency.with_label_values(&[route]).observe(seconds);
            }
            Observation::Query { lens, seconds } => self.query(lens, seconds),
        }
    }

    fn query(&self, lens: Lens, seconds: f64) {
        self.query_latency.with_label_values(&[lens.as_str()]).observe(seconds);
    }

    /// Counts an acknowledged write that took `elapsed`.
    pub fn write(&self, ack: Ack, elapsed: Duration) {
        self.write_latency.with_label_values(&[ack.as_str()]).observe(elapsed.as_secs_f64());
    }

    /// Notes how many damaged places a stretch of scrubbing met; the gauge shows the count of the last whole pass, or more
    /// if the present one has met more already.
    pub fn scrub_damaged_found(&self, places: usize, pass_finished: bool) {
        let places = i64::try_from(places).unwrap_or(i64::MAX);
        let this_pass = self.scrub_damaged_this_pass.get().saturating_add(places);
        self.scrub_damaged_this_pass.set(if pass_finished { 0 } else { this_pass });
        if pass_finished || this_pass > self.scrub_damaged.get() {
            self.scrub_damaged.set(this_pass);
        }
    }

    /// Notes how many records cannot be read.
    pub fn set_damaged(&self, records: usize) {
        self.damaged_records.set(i64::try_from(records).unwrap_or(i64::MAX));
    }

    /// Notes how this node's copies stand. A peer that is not named any more is not shown any more.
    pub fn set_copies(&self, copies: &Copies) {
        self.replication_lag.reset();
        for (peer, lag_ms) in &copies.lag_ms {
            let seconds = Duration::from_millis(*lag_ms).as_secs_f64();
            self.replication_lag.with_label_values(&[peer]).set(seconds);
        }
        self.under_replicated.set(i64::try_from(copies.under_replicated).unwrap_or(i64::MAX));
        self.stable_age.reset();
        if let Some(age_ms) = copies.stable_age_ms {
            self.stable_age.with_label_values::<&str>(&[]).set(Duration::from_millis(age_ms).as_secs_f64());
        }
        self.hints_pending.set(i64::try_from(copies.hints).unwrap_or(i64::MAX));
        self.raft_is_leader.set(i64::from(copies.is_leader));
    }

    /// Notes how many homes this node holds and does not own.
    pub fn set_strays(&self, homes: usize) {
        self.strays.set(i64::try_from(homes).unwrap_or(i64::MAX));
    }

    /// Everything in Prometheus' text format, version 0.0.4.
    pub fn text(&self) -> String {
        let mut text = String::new();
        match TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text) {
            Ok(()) => text,
            Err(error) => {
                tracing::error!(%error, "metrics could not be printed");
                String::new()
            }
        }
    }
}

#[test]
fn every_metric_is_documented() {
    let document = include_str!("../../docs/metrics.md");
    for name in Metrics::new().unwrap().names() {
        assert!(document.contains(&format!("| `{name}` |")), "{name} is missing in docs/metrics.md");
    }
}
