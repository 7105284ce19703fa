//! How work that blocks is run: on threads, or in place on the thread that everything else runs on.
//!
//! The work itself never knows which. Its loops are futures that await nothing but their queues, timers and
//! [`Workers::settle`]; on a machine each of them has a thread of its own to block.
//!
//! In place, a call of the disk takes no time. So the simulated disk keeps account of what its calls would have taken,
//! and whoever used it settles that before it hands out an answer.

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How much time the calls of a disk would have taken.
pub trait Pace: Debug + Send + Sync + 'static {
    /// What the calls since the last question would have taken; the next question counts from here.
    fn owed(&self) -> Duration;
}

/// Where work that blocks is run. Clones are the same place.
#[derive(Clone, Debug)]
pub enum Workers {
    /// On threads: those of the loops, and the blocking pool of the runtime.
    Threads,
    /// In place, as tasks of the runtime; what the disk would have taken is waited for.
    Inline(Arc<dyn Pace>),
}

/// Work that did not come to an end: it panicked, or the node is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the work did not come to an end")]
pub struct Broken;

impl Workers {
    /// How many loops may usefully run at once.
    pub fn parallelism(&self) -> usize {
        match self {
            Self::Threads => std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
            Self::Inline(_) => 1,
        }
    }

    /// Starts a loop that runs as long as the node does. It may block on the disk between two awaits.
    ///
    /// `panicked` is called if it panics on its thread; in place a panic is the runtime's affair, which tells whoever
    /// waits for the end of the worker.
    ///
    /// # Errors
    ///
    /// What the system says if it gives no thread.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn start(
        &self,
        name: &'static str,
        work: impl Future<Output = ()> + Send + 'static,
        panicked: impl FnOnce() + Send + 'static,
    ) -> io::Result<Worker> {
        match self {
            Self::Threads => {
                let (runtime, (end, ended)) = (Handle::current(), oneshot::channel());
                let guarded = move || {
                    if catch_unwind(AssertUnwindSafe(|| runtime.block_on(work))).is_err() {
                        panicked();
                    }
                    drop::<oneshot::Sender<()>>(end);
                };
                let thread = std::thread::Builder::new().name(name.to_owned()).spawn(guarded)?;
                Ok(Worker(Run::Thread(thread, ended)))
            }
            Self::Inline(_) => Ok(Worker(Run::Task(tokio::spawn(work)))),
        }
    }

    /// Runs work that blocks, once: on a thread of the blocking pool, or in place. The caller bounds how much of it there
    /// is at once.
    ///
    /// # Errors
    ///
    /// [`Broken`]; never in place.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Broken> {
        match self {
            Self::Threads => {
                #[expect(clippy::disallowed_methods, reason = "the one place from which single calls may block")]
                let run = tokio::task::spawn_blocking(work);
                run.await.map_err(|error| {
                    tracing::error!(%error, "blocking work did not come to an end");
                    Broken
                })
            }
            Self::Inline(_) => {
                let value = work();
                self.settle().await;
                Ok(value)
            }
        }
    }

    /// Waits for as long as the calls of the disk since the last wait would have taken. On a machine they have taken it:
    /// then this is ready at once.
    pub async fn settle(&self) {
        if let Self::Inline(pace) = self {
            let owed = pace.owed();
            if !owed.is_zero() {
                tokio::time::sleep(owed).await;
            }
        }
    }
}

/// A loop that was started.
#[derive(Debug)]
pub struct Worker(Run);

#[derive(Debug)]
enum Run {
    /// The receiver hears that the thread is about to end.
    Thread(std::thread::JoinHandle<()>, oneshot::Receiver<()>),
    Task(JoinHandle<()>),
}

impl Worker {
    /// Waits until the loop has ended.
    ///
    /// # Panics
    ///
    /// If the loop panicked in place, with what it panicked with.
    pub async fn ended(self) {
        match self.0 {
            Run::Thread(thread, ended) => {
                ended.await.ok(); // the sender is only ever dropped
                thread.join().ok(); // a panic was told already
            }
            Run::Task(task) => {
                if let Err(error) = task.await
                    && error.is_panic()
                {
                    resume_unwind(error.into_panic());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::task::{Context, Waker};
    use tokio::sync::mpsc;

    /// Owes an hour to whoever asks first.
    #[derive(Debug)]
    struct AnHour(AtomicU64);

    impl Pace for AnHour {
        fn owed(&self) -> Duration {
            Duration::from_secs(self.0.swap(0, Ordering::SeqCst))
        }
    }

    fn inline(owed_s: u64) -> Workers {
        Workers::Inline(Arc::new(AnHour(AtomicU64::new(owed_s))))
    }

    #[tokio::test]
    async fn work_in_place_takes_the_time_that_its_disk_owes() {
        let (workers, mut context) = (inline(3600), Context::from_waker(Waker::noop()));
        {
            let settling = pin!(workers.settle());
            assert!(settling.poll(&mut context).is_pending());
        }
        workers.settle().await;
        assert_eq!(workers.run(|| 7).await, Ok(7));
        let in_debt = inline(3600);
        let running = pin!(in_debt.run(|| 7));
        assert!(running.poll(&mut context).is_pending());
    }

    #[tokio::test]
    async fn a_loop_ends_with_its_queue_wherever_it_runs() {
        for workers in [inline(0), Workers::Threads] {
            let (queue, mut jobs) = mpsc::channel(1);
            let (reply, mut replies) = mpsc::channel(1);
            let work = async move {
                while let Some(job) = jobs.recv().await {
                    reply.send(job + 1).await.unwrap();
                }
            };
            let worker = workers.start("adder", work, || unreachable!("it does not panic")).unwrap();
            queue.send(1).await.unwrap();
            assert_eq!(replies.recv().await, Some(2));
            drop(queue);
            worker.ended().await;
        }
    }

    #[tokio::test]
    async fn a_panic_on_a_thread_is_told() {
        let (told, was_told) = oneshot::channel();
        let worker = Workers::Threads.start("fails", async { panic!("as asked") }, move || told.send(()).unwrap());
        worker.unwrap().ended().await;
        was_told.await.unwrap();
        assert_eq!(Workers::Threads.run(|| std::panic::panic_any("as asked")).await, Err(Broken));
    }
}
