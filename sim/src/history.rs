//! What the clients of a run did and were told, in the order in which it happened.
//!
//! A write that was not acknowledged may have happened all the same; nothing here assumes otherwise.

use model::Record;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How one attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The node took the record: the status, 201 or 200, and what it said.
    Acknowledged(Acknowledgement),
    /// The node answered that it did not: the status and the code of the problem.
    Refused(u16, String),
    /// Nothing came back in time, or the connection broke.
    Silence,
}

/// What a node said when it took a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Whether the record was new to it.
    pub created: bool,
    /// On how many nodes it is durable.
    pub copies: u64,
    /// The stamp, as printed.
    pub received_at: String,
}

/// One attempt to write a record.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The number of the node that was asked.
    pub node: usize,
    /// When it began, since the start of the simulation.
    pub began: Duration,
    /// When it ended.
    pub ended: Duration,
    /// How.
    pub ending: Ending,
}

/// One record that a client wanted written.
#[derive(Clone, Debug)]
pub struct Write {
    /// The record.
    pub record: Record,
    /// The attempts, in order. The last one is the only one that can have been acknowledged.
    pub attempts: Vec<Attempt>,
    /// Whether the client has given up or has its answer.
    pub finished: bool,
}

impl Write {
    /// What the client was told when its record was taken.
    pub fn acknowledgement(&self) -> Option<&Acknowledgement> {
        match self.attempts.last().map(|attempt| &attempt.ending) {
            Some(Ending::Acknowledged(told)) => Some(told),
            Some(Ending::Refused(..) | Ending::Silence) | None => None,
        }
    }
}

/// The history of a run, shared by its clients. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct History(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    writes: Vec<Write>,
    /// The numbers of those that were acknowledged, in that order.
    acknowledged: Vec<usize>,
    pending: usize,
}

impl History {
    /// Begins a write; returns its number.
    pub fn begin(&self, record: Record) -> usize {
        let mut book = self.book();
        book.pending += 1;
        book.writes.push(Write { record, attempts: Vec::new(), finished: false });
        book.writes.len() - 1
    }

    /// Notes an attempt of a write.
    pub fn attempted(&self, write: usize, attempt: Attempt) {
        let mut book = self.book();
        if matches!(attempt.ending, Ending::Acknowledged(_)) {
            book.acknowledged.push(write);
        }
        if let Some(write) = book.writes.get_mut(write) {
            write.attempts.push(attempt);
        }
    }

    /// Notes that a write is over.
    pub fn finished(&self, write: usize) {
        let mut book = self.book();
        book.pending = book.pending.saturating_sub(1);
        if let Some(write) = book.writes.get_mut(write) {
            write.finished = true;
        }
    }

    /// How many writes have begun.
    pub fn len(&self) -> usize {
        self.book().writes.len()
    }

    /// Whether none has.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many writes are under way.
    pub fn pending(&self) -> usize {
        self.book().pending
    }

    /// All writes so far.
    pub fn snapshot(&self) -> Vec<Write> {
        self.book().writes.clone()
    }

    /// The writes that were acknowledged, in that order, but for the first `skipped`.
    pub fn acknowledged(&self, skipped: usize) -> Vec<Write> {
        let book = self.book();
        book.acknowledged.iter().skip(skipped).filter_map(|number| book.writes.get(*number)).cloned().collect()
    }

    /// How many writes were acknowledged.
    pub fn acknowledgements(&self) -> usize {
        self.book().acknowledged.len()
    }

    /// How many writes were given up without an acknowledgement.
    pub fn given_up(&self) -> usize {
        let book = self.book();
        book.writes.len().saturating_sub(book.pending + book.acknowledged.len())
    }

    /// From `fault` until the last attempt that failed before `until`: how long clients saw errors. Attempts that had
    /// begun before the fault count from their end. Zero if none failed.
    pub fn recovery_time(&self, fault: Duration, until: Duration) -> Duration {
        let book = self.book();
        let attempts = book.writes.iter().flat_map(|write| &write.attempts);
        let failed = attempts.filter(|attempt| !matches!(attempt.ending, Ending::Acknowledged(_)));
        let ends = failed.map(|attempt| attempt.ended).filter(|ended| (fault..until).contains(ended));
        ends.max().map_or(Duration::ZERO, |last| last.saturating_sub(fault))
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Author;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn attempt(ended: u64, ending: Ending) -> Attempt {
        Attempt { node: 0, began: MS(ended - 1), ended: MS(ended), ending }
    }

    #[test]
    fn recovery_ends_with_the_last_failed_attempt_of_its_fault() {
        let history = History::default();
        let told = Acknowledgement { created: true, copies: 1, received_at: "1.0".to_owned() };
        let write = history.begin(Author::numbered(1).claim("a://b", "c", "d", 1));
        for (ended, ending) in [
            (50, Ending::Silence),
            (120, Ending::Refused(503, "not_ready".to_owned())),
            (180, Ending::Silence),
            (900, Ending::Silence),
            (950, Ending::Acknowledged(told)),
        ] {
            history.attempted(write, attempt(ended, ending));
        }
        assert_eq!(history.recovery_time(MS(100), MS(500)), MS(80));
        assert_eq!(history.recovery_time(MS(100), MS(1000)), MS(800));
        assert_eq!(history.recovery_time(MS(901), MS(1000)), MS(0));
        history.finished(write);
        let given_up = history.begin(Author::numbered(1).claim("a://b", "c", "e", 1));
        history.attempted(given_up, attempt(2000, Ending::Silence));
        assert_eq!((history.pending(), history.acknowledgements(), history.given_up()), (1, 1, 0));
        history.finished(given_up);
        assert_eq!((history.pending(), history.given_up(), history.len()), (0, 1, 2));
        assert_eq!((history.acknowledged(0).len(), history.acknowledged(1).len()), (1, 0));
    }
}
