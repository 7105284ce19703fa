//! Which questions there are: by subject, prefix, predicate or agent, in pages.
//!
//! No claim is read for it.

use super::change::unreadable;
use super::error::ReadError;
use super::read::Reader;
use super::shared::Needs;
use crate::index::entry::{
    Question, Table, agent_key, agent_question, claim_question, claims_about, claims_after, claims_below, claims_on,
    predicate_key, predicate_question, questions_of, subjects_with,
};
use model::AgentId;
use model::record::{Predicate, Subject};
use std::ops::ControlFlow;

/// After so many claims on one question it is quicker to look for the next one than to go over the rest.
const CLAIMS_PASSED_MAX: usize = 16;

/// Which questions are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// Those about one subject.
    Subject {
        /// The subject.
        subject: Subject,
        /// Only this one.
        predicate: Option<Predicate>,
    },
    /// Those about subjects that start with some text.
    Prefix {
        /// The text; empty for all subjects.
        prefix: String,
        /// Only those with this predicate.
        predicate: Option<Predicate>,
    },
    /// Those with one predicate.
    Predicate(Predicate),
    /// Those on which an agent made a claim.
    Agent(AgentId),
    /// All.
    All,
}

impl Reader {
    /// The questions that `selector` asks for and that come after `after`, at most `max`, ordered by the bytes of the
    /// subject, then of the predicate. A page shorter than `max` is the last.
    ///
    /// # Errors
    ///
    /// [`ReadError::Rebuilding`] and the others but [`ReadError::TooMany`] and [`ReadError::TooLarge`].
    pub fn questions(
        &self,
        selector: &Selector,
        after: Option<&Question>,
        max: usize,
    ) -> Result<Vec<Question>, ReadError> {
        match selector {
            Selector::Subject { subject, predicate: Some(predicate) } => {
                let question = Question { subject: subject.clone(), predicate: predicate.clone() };
                let prefix = claims_on(&question);
                self.by_claims(&prefix, after, max.min(1))
            }
            Selector::Subject { subject, predicate: None } => self.by_claims(&claims_about(subject), after, max),
            Selector::Prefix { prefix, predicate: None } => self.by_claims(&claims_below(prefix), after, max),
            Selector::Prefix { prefix, predicate: Some(predicate) } => self.by_predicate(predicate, prefix, after, max),
            Selector::Predicate(predicate) => self.by_predicate(predicate, "", after, max),
            Selector::Agent(agent) => {
                let from = after.map(|question| behind(agent_key(agent, question))).unwrap_or_default();
                self.by_key(&questions_of(agent), &from, max, |key| agent_question(key).map(|(_, question)| question))
            }
            Selector::All => self.by_claims(&Table::Question.prefix(), after, max),
        }
    }

    /// With one predicate the order of subjects is the order of questions.
    fn by_predicate(
        &self,
        predicate: &Predicate,
        prefix: &str,
        after: Option<&Question>,
        max: usize,
    ) -> Result<Vec<Question>, ReadError> {
        let from = after.map(|question| {
            let same = Question { subject: question.subject.clone(), predicate: predicate.clone() };
            let key = predicate_key(&same);
            if same > *question { key } else { behind(key) }
        });
        self.by_key(&subjects_with(predicate, prefix), &from.unwrap_or_default(), max, predicate_question)
    }

    /// One key a question.
    fn by_key(
        &self,
        prefix: &[u8],
        from: &[u8],
        max: usize,
        decode: impl Fn(&[u8]) -> Option<Question>,
    ) -> Result<Vec<Question>, ReadError> {
        let mut found = Vec::new();
        if max == 0 {
            return Ok(found);
        }
        self.shared.index_with(Needs::Postings, |index, _| {
            let mut wrong = None;
            index.scan(prefix, from, &mut |key, _| {
                match decode(key) {
                    Some(question) => found.push(question),
                    None => wrong = Some(unreadable("question", &key.escape_ascii())),
                }
                if wrong.is_some() || found.len() == max { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            wrong.map_or(Ok(()), |wrong| Err(wrong.into()))
        })?;
        Ok(found)
    }

    /// One key a claim: passes over the other claims on a question, or looks for the next one.
    fn by_claims(&self, prefix: &[u8], after: Option<&Question>, max: usize) -> Result<Vec<Question>, ReadError> {
        let mut found: Vec<Question> = Vec::new();
        let mut from = after.map(claims_after).unwrap_or_default();
        while found.len() < max {
            let (mut passed, mut wrong) = (0, None);
            self.shared.index_with(Needs::Postings, |index, _| {
                index.scan(prefix, &from, &mut |key, _| {
                    passed += 1;
                    match claim_question(key) {
                        None => wrong = Some(unreadable("q", &key.escape_ascii())),
                        Some((question, _)) if found.last() == Some(&question) => {}
                        Some((question, _)) => {
                            found.push(question);
                            passed = 0;
                        }
                    }
                    let enough = found.len() == max || passed == CLAIMS_PASSED_MAX;
                    if enough || wrong.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                })?;
                wrong.take().map_or(Ok(()), |wrong| Err(wrong.into()))
            })?;
            match found.last() {
                Some(last) if passed == CLAIMS_PASSED_MAX => from = claims_after(last),
                _ => break,
            }
        }
        Ok(found)
    }
}

/// The least key after `key`.
fn behind(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0);
    key
}
