//! A node as a process of its own: started, killed, stopped, by its number.
//!
//! A process ends with the value that stands for it, whatever happens in between; none is ever left behind.

use super::ground::Place;
use crate::cli::failure::Failure;
use crate::cli::stop::Stop;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::OpenOptions;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// How long a process may take to stop by itself: longer than a node gives its requests by default.
const STOP_MAX: Duration = Duration::from_secs(15);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(20);
/// The end of a log that is shown when a node fails, in lines.
const TAIL_LINES: usize = 5;

/// A node that was started.
#[derive(Debug)]
pub struct Process {
    child: Child,
    number: usize,
}

impl Process {
    /// Starts `program serve` at `place` with these settings and no others: `STEMEDB_*` variables of this process are
    /// not handed on. What it prints goes to the end of its log.
    ///
    /// # Errors
    ///
    /// [`Failure::Failed`] if the system does not start it.
    pub fn start(program: &Path, place: &Place, variables: &[(&'static str, String)]) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::of(format!("node {} cannot be started", place.number), &error);
        let log = OpenOptions::new().create(true).append(true).open(&place.log).map_err(failed)?;
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("STEMEDB_")) {
            command.env_remove(name);
        }
        command.arg("serve").envs(variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(log.try_clone().map_err(failed)?).stderr(log);
        Ok(Self { child: command.spawn().map_err(failed)?, number: place.number })
    }

    /// The number that the system gave it.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// SIGKILL: it ends where it stands.
    ///
    /// # Errors
    ///
    /// [`Failure::Failed`] if the system says no.
    pub fn kill(mut self) -> Result<(), Failure> {
        let failed = |error| Failure::of(format!("node {} cannot be killed", self.number), &error);
        self.child.kill().and_then(|()| self.child.wait()).map_err(failed)?;
        Ok(())
    }

    /// SIGTERM: it is asked to stop in order, and is waited for.
    ///
    /// # Errors
    ///
    /// [`Failure::Failed`] if it had to be killed after all, or ended in disorder.
    pub fn stop(mut self) -> Result<(), Failure> {
        self.ask_to_stop();
        let (clock, mut waited) = (Stop::default(), Duration::ZERO);
        loop {
            match self.ended() {
                // A node that has only just begun to listen does not heed the signal yet, which then ends it.
                Some(status) if status.success() || status.signal() == Some(Signal::TERM.as_raw()) => return Ok(()),
                Some(status) => return Err(Failure::Failed(format!("node {} ended with {status}", self.number))),
                None if waited >= STOP_MAX => {
                    return Err(Failure::Failed(format!("node {} did not stop in time and was killed", self.number)));
                }
                None => {
                    clock.wait(LOOK);
                    waited += LOOK;
                }
            }
        }
    }

    /// Sends SIGTERM and goes on, so that several can stop at a time. A process that has ended does not mind.
    pub fn ask_to_stop(&mut self) {
        if self.ended().is_none() {
            kill_process(Pid::from_child(&self.child), Signal::TERM).ok();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if it has ended already, which is what is wanted.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The last lines of a log, for whoever has to find out why a node ended.
pub(super) fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines.get(lines.len().saturating_sub(TAIL_LINES)..).unwrap_or_default().join("\n")
}
