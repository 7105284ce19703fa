//! The sources table: how each source is ranked, and when it was published.
//!
//! It fills in what a line leaves out; it never overrides a line.

use crate::cli::failure::Failure;
use jiff::Timestamp as Moment;
use model::Timestamp;
use model::record::{Confidence, Lifecycle, SourceClass};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// What stands in for what a line leaves out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Defaults {
    /// What the source rests on.
    pub source_class: SourceClass,
    /// How sure it is.
    pub confidence: Confidence,
    /// Where its claims stand in their life.
    pub lifecycle: Lifecycle,
    /// When it was published, if known.
    pub timestamp: Option<Timestamp>,
}

/// A source of which nothing is known: community, 0.5, proposed.
const UNKNOWN: Row = Row { source_class: None, confidence: None, lifecycle: None, timestamp: None };

/// Every known source by its name.
#[derive(Clone, Debug, Default)]
pub struct Sources(BTreeMap<String, Defaults>);

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    source_class: Option<String>,
    confidence: Option<f64>,
    lifecycle: Option<String>,
    timestamp: Option<toml::Value>,
}

impl Sources {
    /// Reads a sources table.
    ///
    /// # Errors
    ///
    /// [`Failure::Failed`] if the file cannot be read, [`Failure::Refused`] naming source and field if it is wrong.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::of(format!("cannot read the sources table {}", path.display()), &error))?;
        Self::parse(&text).map_err(|reason| Failure::Refused(format!("sources table {}: {reason}", path.display())))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let rows: BTreeMap<String, Row> = toml::from_str(text).map_err(|error| error.to_string())?;
        let defaults = |(name, row): (String, Row)| match row.defaults() {
            Ok(defaults) => Ok((name, defaults)),
            Err(reason) => Err(format!("{name:?}: {reason}")),
        };
        rows.into_iter().map(defaults).collect::<Result<_, _>>().map(Self)
    }

    /// What stands in for what the lines of `source` leave out.
    pub fn defaults(&self, source: &str) -> Defaults {
        let unknown = || UNKNOWN.defaults().unwrap_or_else(|_| unreachable!("the defaults are well-formed"));
        self.0.get(source).copied().unwrap_or_else(unknown)
    }
}

impl Row {
    fn defaults(&self) -> Result<Defaults, String> {
        let class = self.source_class.as_deref().unwrap_or("community");
        let lifecycle = self.lifecycle.as_deref().unwrap_or("proposed");
        Ok(Defaults {
            source_class: SourceClass::from_word(class).ok_or_else(|| {
                format!("source_class cannot be {class:?}: expected {}", words(SourceClass::ALL, SourceClass::as_str))
            })?,
            confidence: Confidence::new(self.confidence.unwrap_or(0.5))
                .map_err(|refusal| format!("confidence: expected {}", refusal.expected))?,
            lifecycle: Lifecycle::from_word(lifecycle).ok_or_else(|| {
                format!("lifecycle cannot be {lifecycle:?}: expected {}", words(Lifecycle::ALL, Lifecycle::as_str))
            })?,
            timestamp: self.timestamp.as_ref().map(timestamp).transpose()?,
        })
    }
}

fn timestamp(value: &toml::Value) -> Result<Timestamp, String> {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    moment(&text).ok_or_else(|| format!("timestamp cannot be {text}: expected a time as in 2026-07-14T23:44:10Z"))
}

/// The words of an enumeration, for messages.
pub fn words<T: Copy>(all: &[T], word: fn(T) -> &'static str) -> String {
    all.iter().map(|value| word(*value)).collect::<Vec<_>>().join(", ")
}

/// A time in RFC 3339, at or after 1970.
pub fn moment(text: &str) -> Option<Timestamp> {
    let ms = text.parse::<Moment>().ok()?.as_millisecond();
    Timestamp::from_ms(u64::try_from(ms).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_is_not_listed_is_community_at_one_half() {
        let defaults = Sources::default().defaults("somebody");
        assert_eq!(defaults.source_class, SourceClass::Community);
        assert_eq!((defaults.confidence.get(), defaults.lifecycle), (0.5, Lifecycle::Proposed));
        assert_eq!(defaults.timestamp, None);
    }

    #[test]
    fn a_row_gives_class_confidence_and_date() {
        let sources = Sources::parse(
            "['a 1']\nsource_class = 'expert'\nconfidence = 0.9\ntimestamp = '2025-10-03T03:31:31Z'\n\
             [b]\ntimestamp = 1970-01-01T00:00:01Z",
        )
        .unwrap();
        assert_eq!(sources.defaults("a 1").source_class, SourceClass::Expert);
        assert_eq!(sources.defaults("a 1").timestamp.unwrap().ms(), 1_759_462_291_000);
        assert_eq!(sources.defaults("b").timestamp.unwrap().ms(), 1000);
    }

    #[test]
    fn a_wrong_row_names_source_and_field() {
        for (text, part) in [
            ("[a]\nsource_class = 'royal'", "\"a\": source_class cannot be \"royal\": expected regulatory, clinical"),
            ("[a]\nconfidence = 2.0", "\"a\": confidence: expected a number from 0 to 1"),
            ("[a]\ntimestamp = 'soon'", "\"a\": timestamp cannot be soon"),
            ("[a]\nclass = 'expert'", "unknown field `class`"),
        ] {
            let reason = Sources::parse(text).unwrap_err();
            assert!(reason.contains(part), "{reason}");
        }
    }
}
