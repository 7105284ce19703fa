//! Questions with all that is said on each.

use super::headed;
use crate::convert::record::Held;
use crate::field::{clipped, fixed, optional_bits, optional_stamp, required, within};
use crate::homes::Homes;
use crate::limits::{PAGE_RECORDS_MAX, SCAN_QUESTIONS_MAX, TEXT_BYTES_MAX};
use crate::malformed::{Fault, Malformed};
use crate::{Header, Message, wire};
use model::record::{Predicate, Subject};
use model::{AgentId, Stamp};

/// What is said about a property of a subject.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question {
    /// What it is about.
    pub subject: Subject,
    /// Which property.
    pub predicate: Predicate,
}

/// Which questions are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// Those about one subject.
    Subject {
        /// The subject.
        subject: Subject,
        /// Only this one.
        predicate: Option<Predicate>,
    },
    /// Those about subjects that begin with some text.
    Prefix {
        /// The text, at most as long as a subject; empty for all subjects.
        prefix: String,
        /// Only those with this predicate.
        predicate: Option<Predicate>,
    },
    /// Those with one predicate.
    Predicate(Predicate),
    /// Those on which an agent made a claim.
    Agent(AgentId),
    /// All.
    Every,
}

/// Asks for questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanRequest {
    /// Which.
    pub selector: Selector,
    /// Only those after this one, by the bytes of subject and predicate.
    pub after: Option<Question>,
    /// The most questions, 1 to [`SCAN_QUESTIONS_MAX`].
    pub limit: u32,
    /// Only questions of these homes.
    pub homes: Homes,
    /// Only what is stamped at or before it.
    pub as_of: Stamp,
    /// What is held as a hint, in the place of what is held as an owner. Questions of an agent are all questions then.
    pub hints: bool,
}

/// A question, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The question.
    pub question: Question,
    /// What is said on it, at most [`PAGE_RECORDS_MAX`].
    pub records: Vec<Held>,
    /// Where the first damaged record lies, for people; none if none is damaged.
    pub damaged: Option<String>,
    /// More of the same question follows.
    pub continued: bool,
}

/// How a scan ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanEnd {
    /// There may be more questions after the last one.
    pub more: bool,
    /// How long ago the receiver met another owner of each home that it answered for, in milliseconds: the longest of them;
    /// none if it has not met one since it started.
    pub fence_age_ms: Option<u64>,
    /// Up to when nothing changes any more of what the receiver answered for, if that is known.
    pub stable_at: Option<Stamp>,
}

/// A page of questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanPage {
    /// In ascending order of the question, at most [`PAGE_RECORDS_MAX`].
    pub pieces: Vec<Piece>,
    /// Only in the last page.
    pub end: Option<ScanEnd>,
}

impl Message for ScanRequest {
    headed!(ScanRequest);

    fn seal(self, header: &Header) -> Self::Wire {
        wire::ScanRequest {
            header: header.into_wire(),
            selector: Some(self.selector.into_wire()),
            after: self.after.map(Question::into_wire),
            limit: self.limit,
            homes: self.homes.into_wire(),
            as_of: self.as_of.to_bits(),
            hints: self.hints,
        }
    }

    fn open(wire: Self::Wire) -> Result<Self, Malformed> {
        if wire.limit == 0 || wire.limit > SCAN_QUESTIONS_MAX {
            return Err(Fault::OutOfRange.of("limit"));
        }
        Ok(Self {
            selector: Selector::from_wire(required(wire.selector, "selector")?)?,
            after: wire.after.map(Question::from_wire).transpose()?,
            limit: wire.limit,
            homes: Homes::from_wire(&wire.homes, "homes")?,
            as_of: Stamp::from_bits(wire.as_of),
            hints: wire.hints,
        })
    }
}

impl Message for ScanPage {
    headed!(ScanPage);

    fn seal(self, header: &Header) -> Self::Wire {
        let end = self.end.map(|end| {
            let (fit, fence_age_ms) = (end.fence_age_ms.is_some(), end.fence_age_ms.unwrap_or(0));
            wire::ScanEnd { more: end.more, fit, fence_age_ms, stable_at: optional_bits(end.stable_at) }
        });
        wire::ScanPage {
            header: header.into_wire(),
            pieces: self.pieces.into_iter().map(Piece::into_wire).collect(),
            end,
        }
    }

    fn open(wire: Self::Wire) -> Result<Self, Malformed> {
        within(wire.pieces.len(), PAGE_RECORDS_MAX, "pieces")?;
        let end = |end: wire::ScanEnd| {
            let wire::ScanEnd { more, fit, fence_age_ms, stable_at } = end;
            if !fit && fence_age_ms != 0 {
                return Err(Fault::OutOfRange.of("end.fence_age_ms"));
            }
            let fence_age_ms = fit.then_some(fence_age_ms);
            Ok(ScanEnd { more, fence_age_ms, stable_at: optional_stamp(stable_at) })
        };
        let pieces = wire.pieces.into_iter().map(Piece::from_wire).collect::<Result<_, _>>()?;
        Ok(Self { pieces, end: wire.end.map(end).transpose()? })
    }
}

impl Question {
    fn into_wire(self) -> wire::Question {
        let Self { subject, predicate } = self;
        wire::Question { subject: subject.as_str().to_owned(), predicate: predicate.as_str().to_owned() }
    }

    fn from_wire(wire: wire::Question) -> Result<Self, Malformed> {
        Ok(Self { subject: subject(wire.subject)?, predicate: predicate(wire.predicate)? })
    }
}

impl Selector {
    fn into_wire(self) -> wire::scan_request::Selector {
        use wire::scan_request::Selector as Wire;
        let optional = |predicate: Option<Predicate>| predicate.map_or_else(String::new, |p| p.as_str().to_owned());
        match self {
            Self::Subject { subject, predicate } => Wire::Subject(wire::SubjectSelector {
                subject: subject.as_str().to_owned(),
                predicate: optional(predicate),
            }),
            Self::Prefix { prefix, predicate } => {
                Wire::Prefix(wire::PrefixSelector { prefix, predicate: optional(predicate) })
            }
            Self::Predicate(predicate) => Wire::Predicate(predicate.as_str().to_owned()),
            Self::Agent(agent) => Wire::Agent(agent.0.to_vec()),
            Self::Every => Wire::Every(wire::EverySelector {}),
        }
    }

    fn from_wire(wire: wire::scan_request::Selector) -> Result<Self, Malformed> {
        use wire::scan_request::Selector as Wire;
        let optional = |text: String| (!text.is_empty()).then(|| predicate(text)).transpose();
        Ok(match wire {
            Wire::Subject(wire) => {
                Self::Subject { subject: subject(wire.subject)?, predicate: optional(wire.predicate)? }
            }
            Wire::Prefix(wire) => {
                within(wire.prefix.len(), Subject::BYTES_MAX, "prefix.prefix")?;
                Self::Prefix { prefix: wire.prefix, predicate: optional(wire.predicate)? }
            }
            Wire::Predicate(text) => Self::Predicate(predicate(text)?),
            Wire::Agent(agent) => Self::Agent(AgentId(fixed(&agent, "agent")?)),
            Wire::Every(wire::EverySelector {}) => Self::Every,
        })
    }
}

impl Piece {
    /// About how many bytes it takes in a message.
    pub fn weight(&self) -> usize {
        let Question { subject, predicate } = &self.question;
        let texts = subject.as_str().len() + predicate.as_str().len() + self.damaged.as_ref().map_or(0, String::len);
        texts + self.records.iter().map(|held| held.record.weight()).sum::<usize>()
    }

    fn into_wire(self) -> wire::Piece {
        wire::Piece {
            question: Some(self.question.into_wire()),
            records: self.records.into_iter().map(Held::into_wire).collect(),
            damaged: self.damaged.map_or_else(String::new, |text| clipped(text, TEXT_BYTES_MAX)),
            continued: self.continued,
        }
    }

    fn from_wire(wire: wire::Piece) -> Result<Self, Malformed> {
        within(wire.records.len(), PAGE_RECORDS_MAX, "piece.records")?;
        within(wire.damaged.len(), TEXT_BYTES_MAX, "piece.damaged")?;
        Ok(Self {
            question: Question::from_wire(required(wire.question, "piece.question")?)?,
            records: wire.records.into_iter().map(Held::from_wire).collect::<Result<_, _>>()?,
            damaged: Some(wire.damaged).filter(|text| !text.is_empty()),
            continued: wire.continued,
        })
    }
}

fn subject(text: String) -> Result<Subject, Malformed> {
    Subject::new(text).or(Err(Fault::OutOfRange.of("subject")))
}

fn predicate(text: String) -> Result<Predicate, Malformed> {
    Predicate::new(text).or(Err(Fault::OutOfRange.of("predicate")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::laws::{self, refusal, sealed};
    use proptest::collection::vec;
    use proptest::option::of;
    use proptest::prelude::*;

    fn selectors() -> impl Strategy<Value = Selector> {
        let predicate = || of(laws::predicates());
        prop_oneof![
            (laws::subjects(), predicate()).prop_map(|(subject, predicate)| Selector::Subject { subject, predicate }),
            ("[a-zé]{0,9}", predicate()).prop_map(|(prefix, predicate)| Selector::Prefix { prefix, predicate }),
            laws::predicates().prop_map(Selector::Predicate),
            laws::agents().prop_map(Selector::Agent),
            Just(Selector::Every),
        ]
    }

    fn questions() -> impl Strategy<Value = Question> {
        (laws::subjects(), laws::predicates()).prop_map(|(subject, predicate)| Question { subject, predicate })
    }

    #[test]
    fn the_laws_hold() {
        let when = (laws::home_sets(), laws::stamps(), any::<bool>());
        let requests = (selectors(), of(questions()), 1..=SCAN_QUESTIONS_MAX, when);
        laws::holds(requests.prop_map(|(selector, after, limit, (homes, as_of, hints))| ScanRequest {
            selector,
            after,
            limit,
            homes,
            as_of,
            hints,
        }));
        let pieces = (questions(), vec(laws::held(), 0..4), of(".{1,20}"), any::<bool>())
            .prop_map(|(question, records, damaged, continued)| Piece { question, records, damaged, continued });
        let stable = of(laws::stamps().prop_filter("zero is none", |stamp| *stamp != Stamp::ZERO));
        let end = (any::<bool>(), of(any::<u64>()), stable).prop_map(|(more, fence_age_ms, stable_at)| ScanEnd {
            more,
            fence_age_ms,
            stable_at,
        });
        laws::holds((vec(pieces, 0..4), of(end)).prop_map(|(pieces, end)| ScanPage { pieces, end }));
    }

    #[test]
    fn a_scan_that_breaks_a_rule_is_refused_with_the_field() {
        let request = || {
            sealed(ScanRequest {
                selector: Selector::Every,
                after: None,
                limit: 1,
                homes: Homes::all(),
                as_of: Stamp::MAX,
                hints: false,
            })
        };
        use wire::scan_request::Selector as Wire;
        let selector = |selector| refusal::<ScanRequest>(wire::ScanRequest { selector, ..request() });
        assert_eq!(selector(None), Fault::Missing.of("selector"));
        assert_eq!(selector(Some(Wire::Predicate("a\0".to_owned()))), Fault::OutOfRange.of("predicate"));
        assert_eq!(selector(Some(Wire::Agent(vec![1; 31]))), Fault::Length(31).of("agent"));
        let prefix = wire::PrefixSelector { prefix: "x".repeat(1025), predicate: String::new() };
        assert_eq!(selector(Some(Wire::Prefix(prefix))), Fault::TooLong(1024, 1025).of("prefix.prefix"));
        for limit in [0, SCAN_QUESTIONS_MAX + 1] {
            let wire = wire::ScanRequest { limit, ..request() };
            assert_eq!(refusal::<ScanRequest>(wire), Fault::OutOfRange.of("limit"));
        }
    }
}
