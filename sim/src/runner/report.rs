//! What came of the seeds of one scenario, as a table for people and as JSON for programs.

use super::replay;
use crate::run::{Figures, Outcome};
use crate::scenario::Scenario;
use comfy_table::Table;
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use std::time::Duration;

/// The most failures that are named.
const NAMED_MAX: usize = 10;
/// The longest time that is told apart from longer ones.
const LONGEST: Duration = Duration::from_secs(3600);

/// The outcomes of a scenario, summed up.
#[derive(Debug)]
pub(super) struct Report {
    scenario: &'static Scenario,
    seeds: usize,
    failures: Vec<(u64, String)>,
    sum: Figures,
    /// The seed with the longest recovery.
    slowest: Option<(Duration, u64)>,
    simulated: Duration,
    took: Duration,
}

impl Report {
    /// Sums up outcomes that took so long on this machine.
    pub(super) fn of(scenario: &'static Scenario, outcomes: &[(u64, Outcome)], took: Duration) -> Self {
        let mut sum = Figures::default();
        for (_, Outcome { figures, .. }) in outcomes {
            sum.recovery.extend(&figures.recovery);
            sum.detection.extend(&figures.detection);
            sum.failover.extend(&figures.failover);
            sum.lag.extend(&figures.lag);
            sum.lost += figures.lost;
            sum.writes += figures.writes;
            sum.acknowledged += figures.acknowledged;
            sum.given_up += figures.given_up;
        }
        let recoveries =
            outcomes.iter().flat_map(|(seed, outcome)| outcome.figures.recovery.iter().map(|time| (*time, *seed)));
        let failure = |(seed, outcome): &(u64, Outcome)| Some((*seed, outcome.failure.as_ref()?.to_string()));
        Self {
            scenario,
            seeds: outcomes.len(),
            failures: outcomes.iter().filter_map(failure).collect(),
            slowest: recoveries.max(),
            sum,
            simulated: outcomes.iter().map(|(_, outcome)| outcome.simulated).sum(),
            took,
        }
    }

    /// Whether everything held in every seed.
    pub(super) fn held(&self) -> bool {
        self.failures.is_empty()
    }

    /// For people.
    pub(super) fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        let Figures { recovery, lost, detection, failover, lag, writes, acknowledged, given_up } = &self.sum;
        table.add_row(["seeds", &format!("{} run, {} failed", self.seeds, self.failures.len())]);
        table.add_row([
            "writes",
            &format!("{writes} begun, {acknowledged} acknowledged, {given_up} given up after four attempts"),
        ]);
        table.add_row(["RPO", &format!("{lost} acknowledged records lost")]);
        for (name, times) in [("RTO", recovery), ("detection", detection), ("fail-over", failover), ("lag", lag)] {
            if let Some(spread) = Spread::of(times) {
                table.add_row([name, &spread.to_string()]);
            }
        }
        if let Some((_, seed)) = self.slowest {
            table.add_row(["longest RTO", &format!("seed {seed}")]);
        }
        let (simulated, took) = (self.simulated.as_secs_f64(), self.took.as_secs_f64());
        let speed = simulated / took.max(f64::EPSILON);
        table.add_row(["time", &format!("{simulated:.0} s simulated in {took:.1} s, {speed:.0} times as fast")]);
        let mut text = format!("{}\n{table}", self.scenario.name);
        for (seed, failure) in self.failures.iter().take(NAMED_MAX) {
            text += &format!("\n  seed {seed}: {failure}\n    replay: {}", replay(self.scenario, *seed));
        }
        if self.failures.len() > NAMED_MAX {
            text += &format!("\n  and {} more", self.failures.len() - NAMED_MAX);
        }
        text
    }

    /// For programs. Times are in milliseconds.
    pub(super) fn json(&self) -> String {
        let failures = self
            .failures
            .iter()
            .map(|(seed, what)| json!({ "seed": seed, "failure": what, "replay": replay(self.scenario, *seed) }));
        json!({
            "scenario": self.scenario.name,
            "seeds": self.seeds,
            "failures": failures.collect::<Vec<_>>(),
            "writes": self.sum.writes,
            "acknowledged": self.sum.acknowledged,
            "given_up": self.sum.given_up,
            "rpo_records": self.sum.lost,
            "rto_ms": Spread::of(&self.sum.recovery).map(Spread::json),
            "rto_slowest_seed": self.slowest.map(|(_, seed)| seed),
            "detection_ms": Spread::of(&self.sum.detection).map(Spread::json),
            "failover_ms": Spread::of(&self.sum.failover).map(Spread::json),
            "lag_ms": Spread::of(&self.sum.lag).map(Spread::json),
            "simulated_s": self.simulated.as_secs_f64(),
            "took_s": self.took.as_secs_f64(),
        })
        .to_string()
    }
}

/// How times are spread.
#[derive(Clone, Copy, Debug)]
struct Spread {
    count: u64,
    p50: u64,
    p90: u64,
    p99: u64,
    max: u64,
}

impl Spread {
    /// Of some times, in whole milliseconds; `None` of none.
    fn of(times: &[Duration]) -> Option<Self> {
        let ms = |time: &Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let mut histogram = Histogram::<u64>::new_with_bounds(1, ms(&LONGEST), 3).ok()?;
        times.iter().for_each(|time| histogram.saturating_record(ms(time)));
        (!histogram.is_empty()).then(|| Self {
            count: histogram.len(),
            p50: histogram.value_at_quantile(0.5),
            p90: histogram.value_at_quantile(0.9),
            p99: histogram.value_at_quantile(0.99),
            max: histogram.max(),
        })
    }

    fn json(self) -> Value {
        let Self { count, p50, p90, p99, max } = self;
        json!({ "count": count, "p50": p50, "p90": p90, "p99": p99, "max": max })
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { count, p50, p90, p99, max } = self;
        write!(f, "p50 {p50} ms, p90 {p90} ms, p99 {p99} ms, max {max} ms, of {count}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Failure;

    fn outcome(failure: Option<Failure>, recovery_ms: u64) -> Outcome {
        let figures = Figures {
            recovery: vec![Duration::from_millis(recovery_ms)],
            writes: 10,
            acknowledged: 9,
            given_up: 1,
            ..Figures::default()
        };
        Outcome { failure, figures, simulated: Duration::from_secs(60) }
    }

    #[test]
    fn a_report_names_each_failure_and_its_replay() {
        let broken = Failure::Broken("it broke".to_owned());
        let outcomes = [(0, outcome(None, 100)), (7, outcome(Some(broken), 300))];
        let report = Report::of(Scenario::named("one_node_power_loss").unwrap(), &outcomes, Duration::from_secs(2));
        assert!(!report.held());
        let table = report.table();
        for part in [
            "2 run, 1 failed",
            "20 begun, 18 acknowledged, 2 given up",
            "p50 100 ms, p90 300 ms",
            "120 s simulated in 2.0 s, 60 times as fast",
            "seed 7: it broke",
            "--scenario one_node_power_loss --seeds 7 ",
        ] {
            assert!(table.contains(part), "{part} is missing in\n{table}");
        }
        let json: Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!((&json["rto_ms"]["max"], &json["detection_ms"]), (&json!(300), &Value::Null));
        assert!(Report::of(Scenario::named("one_node_power_loss").unwrap(), &outcomes[..1], Duration::ZERO).held());
    }
}
