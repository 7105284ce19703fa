//! What became of the lines of an import: counted, and every refusal kept until it is printed.

use serde_json::{Value, json};

/// A line that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Its number, from 1.
    pub line: u64,
    /// Which rule.
    pub code: String,
    /// Which field.
    pub field: String,
    /// What would be accepted.
    pub expected: String,
}

impl Refused {
    /// For a person.
    pub fn text(&self) -> String {
        let Self { line, code, field, expected } = self;
        match code.as_str() {
            "erased" => format!("line {line}: {expected} ({code})"),
            _ => format!("line {line}: {field}: expected {expected} ({code})"),
        }
    }

    /// For a program.
    pub fn json(&self) -> Value {
        json!({"line": self.line, "code": self.code, "field": self.field, "expected": self.expected})
    }
}

/// How many lines ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// New to the node.
    pub created: u64,
    /// Known to the node before.
    pub existing: u64,
    /// Refused, here or by the node.
    pub refused: u64,
}

impl Summary {
    /// Lines that have an outcome.
    pub fn lines(self) -> u64 {
        self.created + self.existing + self.refused
    }

    /// For a program.
    pub fn json(self) -> Value {
        json!({"created": self.created, "existing": self.existing, "refused": self.refused})
    }
}

/// Counts outcomes; refusals wait in it to be printed.
#[derive(Debug, Default)]
pub struct Report {
    /// The counts so far.
    pub summary: Summary,
    unprinted: Vec<Refused>,
}

impl Report {
    /// Counts a refused line.
    pub fn refuse(&mut self, refused: Refused) {
        self.summary.refused += 1;
        self.unprinted.push(refused);
    }

    /// The refusals since the last time.
    pub fn take_refused(&mut self) -> Vec<Refused> {
        let mut refused = std::mem::take(&mut self.unprinted);
        refused.sort_by_key(|refused| refused.line);
        refused
    }
}
