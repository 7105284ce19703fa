//! What a run is judged by.

/// A machine told that another is down.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    /// When, in microseconds since the start.
    pub(crate) at: u64,
    /// Who says so.
    pub(crate) by: usize,
    /// Who is said to be down.
    pub(crate) about: usize,
    /// Whether that machine was running at that moment.
    pub(crate) running: bool,
}

/// Counts and moments of a run.
#[derive(Debug, Default)]
pub(crate) struct Measures {
    /// How long machines ran, summed, in microseconds.
    pub(crate) machine_us: u64,
    /// Packets sent.
    pub(crate) packets: u64,
    /// Their bytes, seals included.
    pub(crate) bytes: u64,
    /// How often a machine found that it had been given up.
    pub(crate) renewals: u64,
    /// All verdicts since they were last taken.
    pub(crate) verdicts: Vec<Verdict>,
}

impl Measures {
    pub(crate) fn verdict(&mut self, at: u64, by: usize, about: usize, running: bool) {
        self.verdicts.push(Verdict { at, by, about, running });
    }

    /// The hours that machines ran, summed.
    pub(crate) fn node_hours(&self) -> f64 {
        self.machine_us as f64 / 3.6e9
    }
}

/// The value below which so many of a thousand lie.
pub(crate) fn percentile(values: &mut [u64], per_mille: usize) -> u64 {
    values.sort_unstable();
    let rank = (values.len() * per_mille).div_ceil(1000).max(1);
    values[rank - 1]
}
