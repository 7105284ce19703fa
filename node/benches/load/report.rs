//! Figures on their way to a reader: a table for people, or one JSON object for programs.

use serde::Serialize;
use std::fmt;

/// What a figure must reach.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// At least so much.
    AtLeast(f64),
    /// At most so much.
    AtMost(f64),
}

impl Target {
    fn met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(limit) => value >= limit,
            Self::AtMost(limit) => value <= limit,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(limit) => write!(f, ">= {limit}"),
            Self::AtMost(limit) => write!(f, "<= {limit}"),
        }
    }
}

/// One figure: the median of its rounds and how far they spread.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    section: &'static str,
    name: String,
    median: f64,
    least: f64,
    most: f64,
    rounds: usize,
    unit: &'static str,
    target: Option<Target>,
    met: Option<bool>,
}

/// All figures of a run, in the order in which they were measured.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Report {
    notes: Vec<String>,
    figures: Vec<Figure>,
}

impl Report {
    /// Adds a sentence about how it was measured.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Adds a figure measured once or in several rounds.
    pub fn add(&mut self, section: &'static str, name: impl Into<String>, rounds: &[f64], unit: &'static str) {
        self.push(section, name.into(), rounds, unit, None);
    }

    /// Adds a figure that has a target; the median counts.
    pub fn judge(
        &mut self,
        section: &'static str,
        name: impl Into<String>,
        rounds: &[f64],
        unit: &'static str,
        target: Target,
    ) {
        self.push(section, name.into(), rounds, unit, Some(target));
    }

    fn push(
        &mut self,
        section: &'static str,
        name: String,
        rounds: &[f64],
        unit: &'static str,
        target: Option<Target>,
    ) {
        let median = median(rounds);
        self.figures.push(Figure {
            section,
            name,
            median,
            least: rounds.iter().copied().fold(f64::INFINITY, f64::min),
            most: rounds.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            rounds: rounds.len(),
            unit,
            target,
            met: target.map(|target| target.met(median)),
        });
    }

    /// Prints it: as JSON if `json`, else as tables.
    #[expect(clippy::print_stdout, reason = "a benchmark reports to a person")]
    pub fn print(&self, json: bool) {
        if json {
            println!("{}", serde_json::to_string_pretty(self).unwrap());
        } else {
            println!("{self}");
        }
    }
}

/// The middle one, or the lower of the two in the middle.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.notes.iter().try_for_each(|note| writeln!(f, "{note}"))?;
        let mut section = "";
        for figure in &self.figures {
            if figure.section != section {
                section = figure.section;
                writeln!(f, "\n{section}")?;
            }
            write!(f, "  {:<58} {:>12} {:<12}", figure.name, Rounded(figure.median), figure.unit)?;
            if figure.rounds > 1 {
                write!(f, " ({} to {})", Rounded(figure.least), Rounded(figure.most))?;
            }
            if let (Some(target), Some(met)) = (figure.target, figure.met) {
                write!(f, "  {target}: {}", if met { "met" } else { "MISSED" })?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// A number with about three digits that mean something.
struct Rounded(f64);

impl fmt::Display for Rounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.0.abs() {
            size if size >= 100.0 => format!("{:.0}", self.0),
            size if size >= 10.0 => format!("{:.1}", self.0),
            _ => format!("{:.2}", self.0),
        };
        f.pad(&text)
    }
}
