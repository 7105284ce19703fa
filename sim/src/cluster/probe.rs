//! A host from which the simulation itself asks nodes, as any client could: what invariants believe comes from here.

use crate::client::{Answer, Http, Lost, Request};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};

/// The most questions that are asked at once; the others wait.
const QUESTIONS_AT_ONCE_MAX: usize = 32;

/// A question that was put, and its answer once there is one. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked(Arc<Mutex<Option<Result<Answer, Lost>>>>);

impl Asked {
    /// The answer, if it is there.
    pub(super) fn answer(&self) -> Option<Result<Answer, Lost>> {
        self.slot().clone()
    }

    fn slot(&self) -> MutexGuard<'_, Option<Result<Answer, Lost>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Question {
    to: SocketAddr,
    request: Request,
    deadline: Duration,
    asked: Asked,
}

/// The questions that wait. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Probe(Arc<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    questions: Mutex<VecDeque<Question>>,
    more: Notify,
}

impl Probe {
    /// Puts a question; its answer comes while the simulation runs on.
    pub(super) fn put(&self, to: SocketAddr, request: Request, deadline: Duration) -> Asked {
        let asked = Asked::default();
        self.questions().push_back(Question { to, request, deadline, asked: asked.clone() });
        self.0.more.notify_one();
        asked
    }

    /// Asks what is put, for ever.
    pub(super) async fn run(self, http: Http) {
        let free = Arc::new(Semaphore::new(QUESTIONS_AT_ONCE_MAX));
        loop {
            let Ok(permit) = Arc::clone(&free).acquire_owned().await else { return };
            let next = self.questions().pop_front();
            let Some(Question { to, request, deadline, asked }) = next else {
                self.0.more.notified().await;
                continue;
            };
            let http = http.clone();
            tokio::spawn(async move {
                let answer = http.ask(to, request, deadline).await;
                *asked.slot() = Some(answer);
                drop(permit);
            });
        }
    }

    fn questions(&self) -> MutexGuard<'_, VecDeque<Question>> {
        self.0.questions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
