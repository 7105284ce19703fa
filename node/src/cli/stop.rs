//! Ctrl-C and SIGTERM, as a value that long work looks at and waits on.
//!
//! It asks work to end, and never ends it: what is under way is finished or abandoned by the work itself. A second
//! signal ends the process at once.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Whether work was asked to stop.
#[derive(Debug, Default)]
pub struct Stop {
    asked: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    /// Asks everybody to stop, and wakes those who wait.
    pub fn ask(&self) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Whether somebody asked.
    pub fn is_asked(&self) -> bool {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for `time` unless asked to stop before; whether to go on.
    pub fn wait(&self, time: Duration) -> bool {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let (asked, _) =
            self.changed.wait_timeout_while(asked, time, |asked| !*asked).unwrap_or_else(PoisonError::into_inner);
        !*asked
    }

    /// Runs `work`, which is asked to stop at Ctrl-C or SIGTERM. Where signals cannot be had, they end the process.
    pub fn on_interrupt<T>(&self, work: impl FnOnce() -> T) -> T {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
            return work();
        };
        let (done, is_done) = tokio::sync::oneshot::channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(move || runtime.block_on(self.watch(is_done)));
            let result = work();
            drop(done);
            result
        })
    }

    async fn watch(&self, mut is_done: tokio::sync::oneshot::Receiver<()>) {
        let (Ok(mut interrupted), Ok(mut terminated)) =
            (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
        else {
            return;
        };
        loop {
            tokio::select! {
                biased;
                _ = &mut is_done => return,
                Some(()) = interrupted.recv() => self.ask_or_exit(),
                Some(()) = terminated.recv() => self.ask_or_exit(),
                else => return,
            }
        }
    }

    /// What a signal does: the first asks, the second ends the process.
    fn ask_or_exit(&self) {
        if self.is_asked() {
            std::process::exit(130);
        }
        self.ask();
    }
}

#[test]
fn waiting_ends_when_asked_to_stop() {
    let stop = Stop::default();
    assert!(stop.wait(Duration::from_millis(1)));
    stop.ask();
    assert!(!stop.wait(Duration::from_secs(3600)));
}

#[test]
fn work_under_a_watch_returns_its_result() {
    assert_eq!(Stop::default().on_interrupt(|| 7), 7);
}
