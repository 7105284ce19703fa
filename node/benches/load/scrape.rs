//! `GET /metrics`, as far as the benchmarks need it: the difference of a histogram between two moments.

use super::wire::{Connection, get};

/// A histogram without labels: observations, their sum, and how many were at most each bound.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Counted {
    /// How many observations.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
    /// Upper bounds, ascending, and how many observations were at or below each.
    pub buckets: Vec<(f64, f64)>,
}

/// Reads the histogram `name` of the node at `url`.
pub fn histogram(url: &str, name: &str) -> Counted {
    let mut connection = Connection::to(url);
    let (status, answer) = connection.ask(&get(url, "/metrics"));
    assert_eq!(status, 200);
    parse(&String::from_utf8_lossy(answer), name)
}

fn parse(text: &str, name: &str) -> Counted {
    let mut found = Counted::default();
    for rest in text.lines().filter_map(|line| line.strip_prefix(name)) {
        let value = rest.split_whitespace().last().and_then(|value| value.parse().ok()).unwrap_or(f64::NAN);
        if rest.starts_with("_count") {
            found.count = value;
        } else if rest.starts_with("_sum") {
            found.sum = value;
        } else if let Some((bound, _)) = rest.strip_prefix("_bucket{le=\"").and_then(|rest| rest.split_once('"')) {
            found.buckets.push((bound.parse().unwrap_or(f64::INFINITY), value));
        }
    }
    found
}

impl Counted {
    /// What was observed after `earlier`.
    pub fn since(&self, earlier: &Self) -> Self {
        let buckets = self.buckets.iter().zip(&earlier.buckets).map(|((bound, now), (_, then))| (*bound, now - then));
        Self { count: self.count - earlier.count, sum: self.sum - earlier.sum, buckets: buckets.collect() }
    }

    /// The mean.
    pub fn mean(&self) -> f64 {
        self.sum / self.count
    }

    /// The bound of the first bucket below which the `share` of the observations lies.
    pub fn at_most(&self, share: f64) -> f64 {
        let enough = self.buckets.iter().find(|(_, below)| *below >= self.count * share);
        enough.map_or(f64::INFINITY, |(bound, _)| *bound)
    }
}
