//! Claims told in a line each, and answers told in words.
//!
//! `a@10 ann+bob blue 0.9 expert rejected parent=b valid=5..9 received=20`: the claim whose id is all `a`, dated 10 ms
//! and (unless told otherwise) received then. A value is `true`, `false`, a number, `>subject` or else a text. What
//! follows the confidence may be left out, in any order; the class is `community` then, the lifecycle `approved`.

use crate::id::{AgentId, ArchivedAgentId, RecordId};
use crate::lens::*;
use crate::record::{Confidence, Lifecycle, SourceClass, Validity};
use crate::time::{Stamp, Timestamp};
use expect_test::Expect;
use std::fmt::Write;

/// A claim that owns what [`Claim`] borrows.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub name: char,
    pub authors: Vec<ArchivedAgentId>,
    pub timestamp: u64,
    pub received_at: u64,
    pub value: String,
    pub confidence: u32,
    pub source_class: SourceClass,
    pub lifecycle: Lifecycle,
    pub parent: Option<char>,
    pub validity: Validity,
}

pub(super) fn id(name: char) -> RecordId {
    RecordId([u8::try_from(name).unwrap(); 32])
}

pub(super) fn agent(name: &str) -> ArchivedAgentId {
    let mut bytes = [0; 32];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    ArchivedAgentId(bytes)
}

fn moment(text: &str) -> Option<Timestamp> {
    (!text.is_empty()).then(|| Timestamp::from_ms(text.parse().unwrap()).unwrap())
}

impl Told {
    fn parse(line: &str) -> Self {
        let words: Vec<_> = line.split_whitespace().collect();
        let [named, authors, value, confidence, options @ ..] = words.as_slice() else { panic!("{line}") };
        let (name, time) = named.split_once('@').unwrap();
        let mut told = Self {
            name: name.chars().next().unwrap(),
            authors: authors.split('+').map(agent).collect(),
            timestamp: time.parse().unwrap(),
            received_at: time.parse().unwrap(),
            value: (*value).to_owned(),
            confidence: Confidence::new(confidence.parse().unwrap()).unwrap().millionths().unsigned_abs(),
            source_class: SourceClass::Community,
            lifecycle: Lifecycle::Approved,
            parent: None,
            validity: Validity::default(),
        };
        options.iter().for_each(|option| told.option(option));
        told
    }

    fn option(&mut self, option: &str) {
        match option.split_once('=') {
            Some(("parent", name)) => self.parent = name.chars().next(),
            Some(("received", time)) => self.received_at = time.parse().unwrap(),
            Some(("valid", range)) => {
                let (from, to) = range.split_once("..").unwrap();
                self.validity = Validity::new(moment(from), moment(to)).unwrap();
            }
            _ => match SourceClass::from_word(option) {
                Some(class) => self.source_class = class,
                None => self.lifecycle = Lifecycle::from_word(option).expect(option),
            },
        }
    }

    pub(super) fn claim(&self) -> Claim<'_> {
        Claim {
            id: id(self.name),
            received_at: Stamp::new(self.received_at, 0).unwrap(),
            authors: &self.authors,
            timestamp: Timestamp::from_ms(self.timestamp).unwrap(),
            value: match self.value.as_str() {
                "true" => Value::Boolean(true),
                "false" => Value::Boolean(false),
                text => match (text.strip_prefix('>'), text.parse()) {
                    (Some(subject), _) => Value::Reference(subject),
                    (None, Ok(number)) => Value::Number(number),
                    (None, Err(_)) => Value::Text(text),
                },
            },
            confidence: self.confidence,
            source_class: self.source_class,
            lifecycle: self.lifecycle,
            parent: self.parent.map(id),
            epoch: None,
            validity: self.validity,
        }
    }
}

pub(super) fn tell(lines: &str) -> Vec<Told> {
    lines.lines().map(str::trim).filter(|line| !line.is_empty()).map(Told::parse).collect()
}

/// Checks what `lens` answers on the claims told in `lines`, at the end of time.
pub(super) fn check(lens: Lens, lines: &str, expected: Expect) {
    check_under(Terms::at(Stamp::MAX), lens, lines, expected);
}

#[expect(clippy::needless_pass_by_value, reason = "a case is written where it is checked")]
pub(super) fn check_under(terms: Terms, lens: Lens, lines: &str, expected: Expect) {
    let told = tell(lines);
    expected.assert_eq(&show(&resolve_told(lens, &told, &terms), &told));
}

pub(super) fn resolve_told(lens: Lens, told: &[Told], terms: &Terms) -> Resolution {
    let claims: Vec<_> = told.iter().map(Told::claim).collect();
    resolve(lens, &claims, terms)
}

/// The answer in words: names instead of positions, so that it reads the same in every order of the claims.
pub(super) fn show(resolution: &Resolution, told: &[Told]) -> String {
    let mut out = String::new();
    match &resolution.outcome {
        Outcome::All(claims) => writeln!(out, "all: {}", names(claims, told)).unwrap(),
        Outcome::Decision(None) => writeln!(out, "nothing").unwrap(),
        Outcome::Decision(Some(decision)) => show_decision(decision, told, "", &mut out),
        Outcome::Conflict(conflict) => show_conflict(conflict, told, "", &mut out),
        Outcome::Layers(layers) => {
            for layer in &layers.tiers {
                writeln!(out, "{}", layer.tier.as_str()).unwrap();
                show_decision(&layer.decision, told, "  ", &mut out);
                show_conflict(&layer.conflict, told, "  ", &mut out);
            }
            writeln!(out, "overall {}", names(layers.overall().map(|decision| &decision.winner.claim), told)).unwrap();
            show_conflict(&layers.cross_tier, told, "", &mut out);
        }
    }
    for excluded in &resolution.excluded {
        let reason = match excluded.reason {
            Exclusion::Superseded(by) => format!("superseded by {}", char::from(by.0[0])),
            Exclusion::Inactive(lifecycle) => lifecycle.as_str().to_owned(),
            Exclusion::NotValid => "not valid".to_owned(),
        };
        writeln!(out, "not {}: {reason}", told[excluded.claim].name).unwrap();
    }
    out
}

fn names<'n>(claims: impl IntoIterator<Item = &'n usize>, told: &[Told]) -> String {
    let names: Vec<_> = claims.into_iter().map(|at| told[*at].name.to_string()).collect();
    if names.is_empty() { "nobody".to_owned() } else { names.join(" ") }
}

fn show_decision(decision: &Decision, told: &[Told], indent: &str, out: &mut String) {
    let ranked =
        |ranked: &Ranked| format!("{} {} {}", told[ranked.claim].name, ranked.weight, ranked.effective_tier.as_str());
    let (confidence, reason) = (decision.confidence, decision.reason.as_str());
    writeln!(out, "{indent}{} with {confidence}: {reason}", ranked(&decision.winner)).unwrap();
    for runner_up in &decision.runners_up {
        writeln!(out, "{indent}then {}", ranked(runner_up)).unwrap();
    }
}

fn show_conflict(conflict: &Conflict, told: &[Told], indent: &str, out: &mut String) {
    let or_none = |number: Option<u64>| number.map_or("none".to_owned(), |number| number.to_string());
    writeln!(out, "{indent}{} {}", conflict.verdict.as_str(), or_none(conflict.score)).unwrap();
    for position in &conflict.values {
        let author = |agent: &AgentId| String::from_utf8(agent.0.iter().copied().take_while(|b| *b > 0).collect());
        let authors: Vec<_> = position.authors.iter().map(|agent| author(agent).unwrap()).collect();
        let value = &told[position.claims[0]].value;
        let (claims, authors) = (names(&position.claims, told), authors.join(" "));
        let (weight, share) = (position.weight, or_none(position.share));
        writeln!(out, "{indent}- {value}: {claims} by {authors}, {weight} is {share}").unwrap();
    }
}
