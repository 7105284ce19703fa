//! From records to postings: what a record is filed under, a part of [`Changes`].
//!
//! Nothing here decides which frame of a record counts; it files the one that does, and takes back the one that did.

use super::change::{Changes, disagrees, unreadable};
use super::elements::{UNREADABLE, digest_of};
use super::error::ReadError;
use crate::index::entry::{
    IdEntry, Posting, Question, Table, agent_key, agent_question, claim_question, claims_on, position_bytes,
    predicate_key, votes_on,
};
use crate::log::{self, Frame, LogReader, Position};
use crate::stored::StoredRecord;
use model::record::{Predicate, Subject};
use model::{AgentId, RecordId};
use std::collections::BTreeSet;

/// What a record is filed under.
pub(super) enum Filing {
    /// An assertion: its question and its authors.
    Claim(Question, Vec<AgentId>),
    /// A vote: its target.
    Vote(RecordId),
    /// Nothing but its id.
    IdOnly,
}

impl Filing {
    /// What `record` is filed under.
    pub(super) fn of(record: &StoredRecord) -> Self {
        let claim = record.assertion().and_then(|signed| {
            let assertion = &signed.assertion;
            let question = Question {
                subject: Subject::new(assertion.subject.as_str()).ok()?,
                predicate: Predicate::new(assertion.predicate.as_str()).ok()?,
            };
            Some(Self::Claim(question, assertion.authors.as_slice().iter().map(AgentId::from).collect()))
        });
        let vote = || record.vote().map(|signed| Self::Vote(RecordId::from(&signed.vote.target)));
        claim.or_else(vote).unwrap_or(Self::IdOnly)
    }

    /// The prefix of the postings that its own stands among, if it has one.
    pub(super) fn prefix(&self) -> Option<Vec<u8>> {
        match self {
            Self::Claim(question, _) => Some(claims_on(question)),
            Self::Vote(target) => Some(votes_on(target)),
            Self::IdOnly => None,
        }
    }

    /// The key of its posting, if it has one.
    pub(super) fn posting_key(&self, position: Position) -> Option<Vec<u8>> {
        match self {
            Self::Claim(question, _) => Some(Posting::claim_key(question, position)),
            Self::Vote(target) => Some(Posting::vote_key(target, position)),
            Self::IdOnly => None,
        }
    }
}

impl Changes<'_> {
    /// Files a record under its question or target, its predicate and its authors. Returns the digest of its signatures.
    pub(super) fn file(
        &mut self,
        position: Position,
        record: &log::StoredRecord<'_>,
        entry: &IdEntry,
    ) -> Result<[u8; 32], ReadError> {
        let Some(stored) = StoredRecord::new(record, entry.stamp) else {
            tracing::error!(%position, id = %record.id, "the archive of a record is not well-formed; it is not indexed");
            return Ok(UNREADABLE);
        };
        let filing = Filing::of(&stored);
        let posting = Posting { position, length: entry.length, stamp: entry.stamp };
        filing.posting_key(position).into_iter().for_each(|key| self.batch.put(key, posting.value()));
        if let Filing::Claim(question, authors) = filing {
            self.put_if_new(predicate_key(&question))?;
            authors.iter().try_for_each(|author| self.put_if_new(agent_key(author, &question)))?;
        }
        Ok(digest_of(Some(&stored)))
    }

    /// Takes back what [`Changes::file`] filed, also under predicate and authors if no other claim needs it there.
    pub(super) fn take_back(&mut self, old: &IdEntry) -> Result<(), ReadError> {
        let IdEntry { position, length, stamp, .. } = *old;
        // A `lost` frame may tell of a body that compaction dropped since.
        if matches!(self.log.read(position, length), Err(log::ReadError::Damaged(_) | log::ReadError::Gone(_))) {
            return self.take_back_unread(&[position].into());
        }
        let filing = Filing::of(&read_posting(self.log, &Posting { position, length, stamp })?);
        filing.posting_key(old.position).into_iter().for_each(|key| self.batch.delete(key));
        let Filing::Claim(question, authors) = filing else { return Ok(()) };
        let still = self.speakers(&question)?;
        for author in authors.iter().filter(|author| !still.contains(author)) {
            self.batch.delete(agent_key(author, &question));
        }
        Ok(())
    }

    /// Takes back what frames that cannot be read are filed under. Cost: a look at every posting, and one at every `a` key
    /// for each question among them.
    pub(super) fn take_back_unread(&mut self, positions: &BTreeSet<Position>) -> Result<(), ReadError> {
        let ends: BTreeSet<_> = positions.iter().map(|position| position_bytes(*position)).collect();
        let here = |key: &[u8]| key.last_chunk().is_some_and(|end| ends.contains(end));
        for key in self.entries(&Table::Vote.prefix(), &here)?.into_keys() {
            self.batch.delete(key);
        }
        for key in self.entries(&Table::Question.prefix(), &here)?.into_keys() {
            let (question, _) = claim_question(&key).ok_or_else(|| unreadable("q", &key.escape_ascii()))?;
            self.batch.delete(key);
            let still = self.speakers(&question)?;
            let silent = |key: &[u8]| {
                agent_question(key).is_some_and(|(agent, about)| about == question && !still.contains(&agent))
            };
            for key in self.entries(&Table::Agent.prefix(), &silent)?.into_keys() {
                self.batch.delete(key);
            }
        }
        Ok(())
    }

    /// Who made the claims on `question` that are filed. If there is none, the question goes.
    fn speakers(&mut self, question: &Question) -> Result<Vec<AgentId>, ReadError> {
        let others = self.postings(&claims_on(question))?;
        if others.is_empty() {
            self.batch.delete(predicate_key(question));
        }
        self.speakers_of(&others)
    }

    /// Who made the claims that these postings point to, as far as they can be read.
    pub(super) fn speakers_of(&self, postings: &[Posting]) -> Result<Vec<AgentId>, ReadError> {
        let mut still = Vec::new();
        for other in postings {
            match read_posting(self.log, other).map(|record| Filing::of(&record)) {
                Ok(Filing::Claim(_, speakers)) => still.extend(speakers),
                Ok(Filing::Vote(_) | Filing::IdOnly) | Err(ReadError::Log(log::ReadError::Damaged(_))) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(still)
    }

    /// Gives the posting of a frame that cannot be read its new stamp. Cost: a look at every posting.
    pub(super) fn restamp_unread(&mut self, posting: &Posting) -> Result<(), ReadError> {
        let here = |key: &[u8]| key.ends_with(&position_bytes(posting.position));
        for table in [Table::Vote, Table::Question] {
            for key in self.entries(&table.prefix(), &here)?.into_keys() {
                self.batch.put(key, posting.value());
            }
        }
        Ok(())
    }

    /// The postings under `prefix`, as these changes leave them.
    fn postings(&self, prefix: &[u8]) -> Result<Vec<Posting>, ReadError> {
        let found = self.entries(prefix, &|_| true)?;
        let posting = |(key, value): (&Vec<u8>, &Vec<u8>)| {
            let tail = key.get(prefix.len()..).unwrap_or_default();
            Posting::decode(tail, value).ok_or_else(|| unreadable("q", &"posting").into())
        };
        found.iter().map(posting).collect()
    }

    fn put_if_new(&mut self, key: Vec<u8>) -> Result<(), ReadError> {
        if self.get(&key)?.is_none() {
            self.batch.put(key, Vec::new());
        }
        Ok(())
    }
}

/// Reads the record that a posting points to, with the posting's stamp.
///
/// # Errors
///
/// [`IndexError::Disagrees`] if something else is there.
pub(super) fn read_posting(log: &LogReader, posting: &Posting) -> Result<StoredRecord, ReadError> {
    let Posting { position, length, stamp } = *posting;
    let owned = match log.read(position, length) {
        Err(log::ReadError::Gone(_)) => return Err(disagrees("nothing is", position).into()),
        read => read?,
    };
    let Frame::Record(record) = owned.frame() else { return Err(disagrees("no record is", position).into()) };
    StoredRecord::new(&record, stamp).ok_or(ReadError::Archive(position))
}
