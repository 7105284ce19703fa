//! What is wrong with settings, in words that name the setting, where it came from, and what would be accepted.

use super::{ALL, Origin, Setting};
use std::fmt;
use std::path::PathBuf;

/// Settings that a node does not start with: everything that is wrong, found before a socket opens.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused(pub Vec<Problem>);

impl std::error::Error for Refused {}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, problem) in self.0.iter().enumerate() {
            if position > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

/// One thing that is wrong with the settings.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The file that `--config` names cannot be read.
    #[error("cannot read the settings file {path}: {reason}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The file is not TOML.
    #[error("the settings file {path} is not TOML: {reason}")]
    NotToml {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// A name that no setting has.
    #[error("there is no setting {name} ({origin}){}; `stemedb config` lists all settings", hint(nearest))]
    Unknown {
        /// As it was written.
        name: String,
        /// Where it was written.
        origin: Origin,
        /// The setting that is spelt most like it, as it would be written there.
        nearest: Option<String>,
    },
    /// A value that the setting does not take.
    #[error("{key} cannot be {value} ({origin}): expected {expected}")]
    Wrong {
        /// Which setting.
        key: &'static str,
        /// As it was written.
        value: String,
        /// Where it was written.
        origin: Origin,
        /// What would be accepted.
        expected: String,
    },
    /// A value that contradicts another setting.
    #[error("{key} ({origin}) {reason}")]
    Contradiction {
        /// Which setting.
        key: &'static str,
        /// Where it was written.
        origin: Origin,
        /// What it contradicts, and what to do.
        reason: String,
    },
}

fn hint(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}

/// The setting whose name, as `spelling` writes it, is closest to `name`: at most a third of it may differ.
pub(super) fn nearest(name: &str, spelling: impl Fn(&Setting) -> String) -> Option<String> {
    let names = ALL.iter().map(spelling).map(|known| (distance(name, &known), known));
    names.min().filter(|(distance, _)| *distance <= name.chars().count().div_ceil(3)).map(|(_, known)| known)
}

/// How many characters must be inserted, removed or replaced to make `b` of `a`. Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (above, from) in a.chars().enumerate() {
        let mut diagonal = above;
        let mut left = above + 1;
        for (cell, to) in row.iter_mut().skip(1).zip(b.chars()) {
            let replaced = diagonal + usize::from(from != to);
            diagonal = *cell;
            left = replaced.min(left + 1).min(*cell + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = above + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[test]
fn the_distance_counts_edits() {
    for (a, b, edits) in [("", "abc", 3), ("kitten", "sitting", 3), ("bind_addr", "bind_adr", 1), ("same", "same", 0)] {
        assert_eq!((distance(a, b), distance(b, a)), (edits, edits), "{a} {b}");
    }
}
