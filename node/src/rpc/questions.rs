//! The questions of a scan, put together again from the pieces that they travel in.

use super::error::CallError;
use super::pages::Pages;
use proto::{Held, Piece, Question, ScanEnd, ScanPage};
use std::vec;

/// What comes next in a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scanned {
    /// A question with all that is said on it.
    Question {
        /// The question.
        question: Question,
        /// What is said on it, in the order sent.
        records: Vec<Held>,
        /// Where the first damaged record lies, for people; none if none is damaged.
        damaged: Option<String>,
    },
    /// A question of which more is said than the reader takes. What was read of it is dropped.
    TooLarge(Question),
    /// Nothing more.
    End(ScanEnd),
}

/// A scan, read question by question.
#[derive(Debug)]
pub struct Questions {
    pages: Pages<ScanPage>,
    pieces: vec::IntoIter<Piece>,
    end: Option<ScanEnd>,
}

impl Questions {
    pub(super) fn new(pages: Pages<ScanPage>) -> Self {
        Self { pages, pieces: Vec::new().into_iter(), end: None }
    }

    /// What comes next. No question is held of more than `bytes_max` bytes and one page.
    ///
    /// # Errors
    ///
    /// Those of [`Pages::next`]; [`CallError::Malformed`] if pieces do not fit together, or there is no end.
    pub async fn next(&mut self, bytes_max: usize) -> Result<Scanned, CallError> {
        let Some(first) = self.piece().await? else {
            let end = self.end.ok_or_else(|| malformed("has no end"))?;
            // A stream that is read to its end need not be broken off.
            return match self.pages.next().await? {
                None => Ok(Scanned::End(end)),
                Some(_) => Err(malformed("goes on after its end")),
            };
        };
        let Piece { question, mut records, mut damaged, mut continued } = first;
        let weight = |records: &[Held]| records.iter().map(|held| held.record.weight()).sum::<usize>();
        let (mut bytes, mut too_large) = (weight(&records), false);
        while continued {
            let next = self.piece().await?.ok_or_else(|| malformed("breaks off inside a question"))?;
            if next.question != question {
                return Err(malformed("goes on with another question"));
            }
            (continued, damaged) = (next.continued, damaged.or(next.damaged));
            bytes += weight(&next.records);
            too_large |= bytes > bytes_max;
            if too_large {
                records.clear();
            } else {
                records.extend(next.records);
            }
        }
        too_large |= bytes > bytes_max;
        Ok(if too_large { Scanned::TooLarge(question) } else { Scanned::Question { question, records, damaged } })
    }

    /// The next piece; none at the end.
    async fn piece(&mut self) -> Result<Option<Piece>, CallError> {
        loop {
            match self.pieces.next() {
                Some(piece) => return Ok(Some(piece)),
                None if self.end.is_some() => return Ok(None),
                None => match self.pages.next().await? {
                    Some(page) => (self.pieces, self.end) = (page.pieces.into_iter(), page.end),
                    None => return Ok(None),
                },
            }
        }
    }
}

fn malformed(what: &str) -> CallError {
    CallError::Malformed(format!("the scan {what}"))
}
