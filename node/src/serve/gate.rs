//! The gate: where signatures are verified, in batches, before a write reaches the log.
//!
//! Writers that arrive together are verified together: a worker takes whatever is waiting, up to
//! [`VERIFY_RECORDS_MAX`], and the acceptance rule gives each the verdict it would get alone. It never touches the disk.

use super::writer::{Job, Verified, WriterQueue};
use api::database::{SubmitError, SubmitTerms};
use model::Envelope;
use model::acceptance::{self, KeyCache};
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc, oneshot};

/// The most records that one worker verifies at once. Beyond it a batch gets hardly any faster.
pub(super) const VERIFY_RECORDS_MAX: usize = 512;

/// How many decoded public keys a worker keeps, about 200 bytes each.
const KEYS_MAX: usize = 16_384;

/// The verdict on each envelope of a submission, in its order.
pub(super) type Verdicts = Vec<Result<api::database::Receipt, SubmitError>>;

/// Some envelopes and where their answer goes.
#[derive(Debug)]
pub(super) struct Submission {
    pub(super) envelopes: Vec<Envelope>,
    pub(super) terms: SubmitTerms,
    pub(super) reply: oneshot::Sender<Verdicts>,
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
        for verified in verify(submissions, &mut keys) {
            if writer.send(Job::Write(verified)).await.is_err() {
                return; // the log has stopped; whoever waits sees its reply dropped
            }
        }
    }
}

/// Verifies several submissions as one batch.
fn verify(submissions: Vec<Submission>, keys: &mut KeyCache) -> Vec<Verified> {
    let mut envelopes = Vec::with_capacity(submissions.iter().map(|submission| submission.envelopes.len()).sum());
    let mut rest = Vec::with_capacity(submissions.len());
    for submission in submissions {
        rest.push((submission.envelopes.len(), submission.terms, submission.reply));
        envelopes.extend(submission.envelopes);
    }
    let mut verdicts = acceptance::accept_batch_with(envelopes, keys).into_iter();
    rest.into_iter()
        .map(|(count, terms, reply)| Verified { records: verdicts.by_ref().take(count).collect(), terms, reply })
        .collect()
}
