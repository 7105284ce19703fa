//! Whether each entry of the index says what the log says: the way back of [`super::check`].
//!
//! It looks at one entry at a time and knows nothing of those that are missing.

use super::change::unreadable;
use super::check::{Check, Comparison, STEP};
use super::error::ReadError;
use super::filing::{Filing, read_posting};
use super::set;
use crate::index::IndexError;
use crate::index::entry::hint::{HintEntry, hint, hint_home};
use crate::index::entry::set::{ElementEntry, element, sum_home, sum_key};
use crate::index::entry::{self, IdEntry, Posting, Table, agent_question, claims_on, predicate_question};
use crate::log::{self, Frame};
use model::set::SetSum;
use model::{Home, RecordId, Stamp};
use std::ops::ControlFlow;

impl Comparison<'_> {
    pub(super) fn index_step(&self, from: &[u8]) -> Result<(u64, Option<Check>), ReadError> {
        let mut page = Vec::with_capacity(STEP);
        self.index.scan(&[], from, &mut |key, value| {
            page.push((key.to_vec(), value.to_vec()));
            if page.len() == STEP { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        page.iter().try_for_each(|(key, value)| self.entry(key, value))?;
        let more = page.last().filter(|_| page.len() == STEP).map(|(key, _)| {
            let mut after = key.clone();
            after.push(0);
            Check::Index(after)
        });
        Ok((page.len() as u64, Some(more.unwrap_or(Check::Sums(0)))))
    }

    /// Whether the sum of a home is that of its elements, in the index and in memory; appends wait meanwhile.
    pub(super) fn sum_step(
        &self,
        number: u16,
        total: impl Fn(Home) -> SetSum,
    ) -> Result<(u64, Option<Check>), ReadError> {
        let Some(home) = Home::from_number(number) else { return Ok((0, None)) };
        let mut sum = SetSum::ZERO;
        set::scan(self.index, home, &[], Stamp::MAX, &mut |element| {
            sum.add(self.set_key, element.leaf);
            ControlFlow::Continue(())
        })?;
        let stored = self.index.get(&sum_key(home))?.as_deref().map(SetSum::from_bytes);
        if stored.unwrap_or(Some(SetSum::ZERO)) != Some(sum) || total(home) != sum {
            return Err(IndexError::Disagrees(format!("the sum of home {home} is not that of its elements")).into());
        }
        Ok((sum.count.max(1), Some(Check::Sums(number + 1))))
    }

    /// Whether one entry says what the log says.
    fn entry(&self, key: &[u8], value: &[u8]) -> Result<(), ReadError> {
        let broken = || IndexError::Disagrees(format!("the entry {} cannot be read", key.escape_ascii()));
        let truthful = match Table::of(key).ok_or_else(broken)? {
            Table::Meta => true,
            Table::Element => {
                let (home, stamp, id) = element(key).ok_or_else(broken)?;
                let erased = ElementEntry::decode(value).ok_or_else(broken)?.erased;
                let known = self.id_entry(&id)?;
                known.is_some_and(|entry| (entry.home, entry.stamp, entry.erased) == (home, stamp, erased))
            }
            Table::Sum => sum_home(key).is_some(),
            Table::Hint => {
                let (home, id) = hint(key).ok_or_else(broken)?;
                self.hint_is_true(home, &id, &HintEntry::decode(value).ok_or_else(broken)?)?
            }
            Table::HintHome => {
                let (id, home) = hint_home(key, value).ok_or_else(broken)?;
                self.hint_entry(home, &id)?.is_some()
            }
            Table::Id => {
                let id = entry::entry_id(key).ok_or_else(broken)?;
                self.id_entry_is_true(&id, &IdEntry::decode(value).ok_or_else(broken)?)?
            }
            Table::Question => {
                let (_, tail) = entry::claim_question(key).ok_or_else(broken)?;
                self.posting_is_true(key, &Posting::decode(tail, value).ok_or_else(broken)?)?
            }
            Table::Vote => {
                let (_, tail) = entry::vote_target(key).ok_or_else(broken)?;
                self.posting_is_true(key, &Posting::decode(tail, value).ok_or_else(broken)?)?
            }
            Table::Predicate => {
                let question = predicate_question(key).ok_or_else(broken)?;
                self.any_claim(&question, |_| true)?
            }
            Table::Agent => {
                let (agent, question) = agent_question(key).ok_or_else(broken)?;
                self.any_claim(
                    &question,
                    |filing| matches!(filing, Filing::Claim(_, authors) if authors.contains(&agent)),
                )?
            }
        };
        if truthful { Ok(()) } else { Err(IndexError::Disagrees(key.escape_ascii().to_string()).into()) }
    }

    /// Whether the frame that an `i` entry names is there. A damaged one is the log's business, not the index's.
    fn id_entry_is_true(&self, id: &RecordId, entry: &IdEntry) -> Result<bool, ReadError> {
        if !entry.erased && entry.position < self.dropped(entry.home)?.out {
            return Ok(false);
        }
        let owned = match self.log.read(entry.position, entry.length) {
            Err(log::ReadError::Damaged(_)) => return Ok(true),
            Err(log::ReadError::Gone(_)) => return Ok(false),
            read => read?,
        };
        let frame = owned.frame();
        let is_record = matches!(frame, Frame::Record(record) if record.id == *id && record.home == entry.home);
        let is_erased = matches!(frame, Frame::Erased { id: erased, home, .. } if erased == *id && home == entry.home);
        Ok(if entry.erased { is_erased } else { is_record })
    }

    /// Whether the frame that an `h` entry names is there. A damaged one is the log's business, not the index's.
    fn hint_is_true(&self, home: Home, id: &RecordId, entry: &HintEntry) -> Result<bool, ReadError> {
        let owned = match self.log.read(entry.position, entry.length) {
            Err(log::ReadError::Damaged(_)) => return Ok(true),
            Err(log::ReadError::Gone(_)) => return Ok(false),
            read => read?,
        };
        Ok(matches!(owned.frame(), Frame::Hint(record) if record.id == *id && record.home == home))
    }

    /// Whether a posting is where the record it points to is filed, and the record counts.
    fn posting_is_true(&self, key: &[u8], posting: &Posting) -> Result<bool, ReadError> {
        let record = match read_posting(self.log, posting) {
            Err(ReadError::Log(log::ReadError::Damaged(_))) => return Ok(true),
            read => read?,
        };
        let filed_here = Filing::of(&record).posting_key(posting.position).as_deref() == Some(key);
        let entry = self.id_entry(&record.id())?;
        Ok(filed_here && entry.is_some_and(|entry| entry.position == posting.position && entry.stamp == posting.stamp))
    }

    /// Whether a claim on `question` is as wanted. A damaged one might be.
    fn any_claim(&self, question: &entry::Question, wanted: impl Fn(&Filing) -> bool) -> Result<bool, ReadError> {
        let (prefix, mut found, mut failed) = (claims_on(question), false, None);
        self.index.scan(&prefix, &[], &mut |key, value| {
            let posting = Posting::decode(key.get(prefix.len()..).unwrap_or_default(), value);
            match posting.map(|posting| read_posting(self.log, &posting)) {
                None => failed = Some(unreadable("q", &key.escape_ascii()).into()),
                Some(Ok(record)) => found = wanted(&Filing::of(&record)),
                Some(Err(ReadError::Log(log::ReadError::Damaged(_)))) => found = true,
                Some(Err(error)) => failed = Some(error),
            }
            if found || failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        failed.map_or(Ok(found), Err)
    }
}
