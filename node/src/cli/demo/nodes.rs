//! The nodes of a demo, each a process: started together, killed and started again one by one, stopped together.

use super::ground::{Ground, Place};
use super::process::{Process, tail};
use crate::cli::client::Client;
use crate::cli::failure::Failure;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

/// How often a node that ends by itself is started again.
const REVIVALS_MAX: u32 = 20;

/// The processes on a ground.
#[derive(Debug)]
pub struct Nodes {
    program: PathBuf,
    ground: Ground,
    /// By number, from 0; nothing where a node was killed.
    running: Vec<Option<Process>>,
    /// How often each was started again because it had ended by itself.
    revivals: Vec<u32>,
}

/// A node that had ended by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Which one, from 0.
    pub node: usize,
    /// How it ended.
    pub status: ExitStatus,
    /// Its new process; nothing if it ended too often.
    pub pid: Option<u32>,
}

impl Nodes {
    /// Starts a process of `program` at every place.
    ///
    /// # Errors
    ///
    /// Those of [`Process::start`]; what was started is ended.
    pub fn start(program: &Path, ground: Ground) -> Result<Self, Failure> {
        let running = ground.places().iter().map(|_| None).collect();
        let revivals = ground.places().iter().map(|_| 0).collect();
        let mut nodes = Self { program: program.to_owned(), ground, running, revivals };
        (0..nodes.running.len()).try_for_each(|node| nodes.start_one(node))?;
        Ok(nodes)
    }

    /// Starts the process of a node, from 0, that does not run.
    ///
    /// # Errors
    ///
    /// Those of [`Process::start`].
    pub fn start_one(&mut self, node: usize) -> Result<(), Failure> {
        if let (Some(slot), Some(place)) = (self.running.get_mut(node), self.ground.places().get(node)) {
            *slot = Some(Process::start(&self.program, place, &self.ground.variables(place))?);
        }
        Ok(())
    }

    /// Where they are, by number from 0.
    pub fn places(&self) -> &[Place] {
        self.ground.places()
    }

    /// The folder of all of it.
    pub fn folder(&self) -> &Path {
        self.ground.folder()
    }

    /// The number that the system gave to a node's process, if it runs.
    pub fn pid(&self, node: usize) -> Option<u32> {
        self.running.get(node)?.as_ref().map(Process::pid)
    }

    /// Kills a node, from 0, with SIGKILL.
    ///
    /// # Errors
    ///
    /// Those of [`Process::kill`].
    pub fn kill(&mut self, node: usize) -> Result<(), Failure> {
        self.running.get_mut(node).and_then(Option::take).map_or(Ok(()), Process::kill)
    }

    /// Looks whether all that should run do.
    ///
    /// # Errors
    ///
    /// [`Failure::Failed`] with the end of the log of one that has ended by itself.
    pub fn check_running(&mut self) -> Result<(), Failure> {
        for (process, place) in self.running.iter_mut().zip(self.ground.places()) {
            if let Some(status) = process.as_mut().and_then(Process::ended) {
                let (number, said) = (place.number, tail(&place.log));
                return Err(Failure::Failed(format!("node {number} ended by itself with {status}:\n{said}")));
            }
        }
        Ok(())
    }

    /// Whether one of those that should run has ended by itself.
    pub fn has_one_ended(&mut self) -> bool {
        self.running.iter_mut().flatten().any(|process| process.ended().is_some())
    }

    /// Starts those again that have ended by themselves, unless they do so again and again.
    ///
    /// # Errors
    ///
    /// Those of [`Process::start`].
    pub fn revive(&mut self) -> Result<Vec<Ended>, Failure> {
        let ended = self.running.iter_mut().enumerate().filter_map(|(node, slot)| {
            let status = slot.as_mut()?.ended()?;
            *slot = None;
            Some((node, status))
        });
        let ended: Vec<_> = ended.collect();
        ended.into_iter().map(|(node, status)| self.revive_one(node, status)).collect()
    }

    fn revive_one(&mut self, node: usize, status: ExitStatus) -> Result<Ended, Failure> {
        if let Some(revivals) = self.revivals.get_mut(node).filter(|revivals| **revivals < REVIVALS_MAX) {
            *revivals += 1;
            self.start_one(node)?;
        }
        Ok(Ended { node, status, pid: self.pid(node) })
    }

    /// Clients of the nodes' client listeners and of their admin listeners.
    ///
    /// # Errors
    ///
    /// None in practice: the URLs are our own.
    pub fn clients(&self) -> Result<(Vec<Client>, Vec<Client>), Failure> {
        let urls = self.places().iter().map(|place| Client::new(&place.url()));
        let admins = self.places().iter().map(|place| Client::new(&place.admin_url()));
        Ok((urls.collect::<Result<_, _>>()?, admins.collect::<Result<_, _>>()?))
    }

    /// Stops all that run, in order and at the same time, and gives the ground back.
    ///
    /// # Errors
    ///
    /// The first of those of [`Process::stop`]; all are ended in any case.
    pub fn stop(mut self) -> Result<Ground, Failure> {
        self.running.iter_mut().flatten().for_each(Process::ask_to_stop);
        let stopped: Vec<_> = self.running.into_iter().flatten().map(Process::stop).collect();
        stopped.into_iter().collect::<Result<(), _>>()?;
        Ok(self.ground)
    }
}
