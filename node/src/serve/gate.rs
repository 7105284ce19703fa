//! The gate: where signatures are verified, in batches, before a write reaches the log.
//!
//! Writers that arrive together are verified together: a worker takes whatever is waiting, up to
//! [`VERIFY_RECORDS_MAX`], and the acceptance rule gives each the verdict it would get alone. It never touches the disk.

use super::writer::{Job, Verified, WriterQueue};
use api::database::{SubmitError, SubmitTerms};
use model::acceptance::{self, KeyCache};
use model::{Envelope, Record, Refusal};
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc, oneshot};

/// The most records that one worker verifies at once. Beyond it a batch gets hardly any faster.
pub(super) const VERIFY_RECORDS_MAX: usize = 512;

/// How many decoded public keys a worker keeps, about 200 bytes each.
const KEYS_MAX: usize = 16_384;

/// The verdict on each envelope of a submission, in its order.
pub(super) type Verdicts = Vec<Result<api::database::Receipt, SubmitError>>;

/// What the gate makes of each envelope, in its order.
pub(super) type Passed = Vec<Result<Record, Refusal>>;

/// Some envelopes, and what becomes of them.
#[derive(Debug)]
pub(super) struct Submission {
    pub(super) envelopes: Vec<Envelope>,
    pub(super) then: Then,
}

/// Where envelopes go from the gate.
#[derive(Debug)]
pub(super) enum Then {
    /// To this node's log, which stamps them: the whole way in a cluster of one.
    Write {
        /// How they are to be taken.
        terms: SubmitTerms,
        /// Where the answer goes.
        reply: oneshot::Sender<Verdicts>,
    },
    /// Back to whoever sent them.
    Return(oneshot::Sender<Passed>),
}

/// The submissions that wait, shared by the workers.
#[derive(Debug, Clone)]
pub(super) struct Waiting(Arc<Mutex<mpsc::Receiver<Submission>>>);

impl Waiting {
    pub(super) fn new(receiver: mpsc::Receiver<Submission>) -> Self {
        Self(Arc::new(Mutex::new(receiver)))
    }

    /// Waits for a submission and takes with it those that wait already, while they fit. `None` at the end.
    async fn take(&self) -> Option<Vec<Submission>> {
        let mut receiver = self.0.lock().await;
        let first = receiver.recv().await?;
        let mut records = first.envelopes.len();
        let mut taken = vec![first];
        while records < VERIFY_RECORDS_MAX {
            let Ok(next) = receiver.try_recv() else { break };
            records += next.envelopes.len();
            taken.push(next);
        }
        Some(taken)
    }
}

/// Verifies what waits until nobody submits any more.
pub(super) async fn work(waiting: Waiting, writer: WriterQueue) {
    let mut keys = KeyCache::new(KEYS_MAX);
    while let Some(submissions) = waiting.take().await {
        for (records, then) in verify(submissions, &mut keys) {
            match then {
                Then::Write { terms, reply } => {
                    if writer.send(Job::Write(Verified { records, terms, reply })).await.is_err() {
                        return; // the log has stopped; whoever waits sees its reply dropped
                    }
                }
                Then::Return(reply) => drop(reply.send(records)), // nobody waits: nothing was done
            }
        }
    }
}

/// Verifies several submissions as one batch.
fn verify(submissions: Vec<Submission>, keys: &mut KeyCache) -> Vec<(Passed, Then)> {
    let mut envelopes = Vec::with_capacity(submissions.iter().map(|submission| submission.envelopes.len()).sum());
    let mut rest = Vec::with_capacity(submissions.len());
    for submission in submissions {
        rest.push((submission.envelopes.len(), submission.then));
        envelopes.extend(submission.envelopes);
    }
    let mut verdicts = acceptance::accept_batch_with(envelopes, keys).into_iter();
    rest.into_iter().map(|(count, then)| (verdicts.by_ref().take(count).collect(), then)).collect()
}
