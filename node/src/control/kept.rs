//! What the control log of a node says, for whoever holds the logs of several nodes against each other.
//!
//! It only reads: it takes no part in Raft and changes no log.

use super::failure::Failure;
use super::types::{Entry, LogId, Vote};
use super::wire::decode;
use cluster::NodeId;
use cluster::control::{Command, State};
use openraft::EntryPayload;
use std::collections::BTreeMap;
use storage::control::ControlLog;

/// What Raft calls a leader: nobody else leads under it, and a greater one outdoes it. One term may have several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leadership {
    /// The term.
    pub term: u64,
    /// Who leads.
    pub node: NodeId,
}

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptEntry {
    /// Under whom it was written.
    pub under: Leadership,
    /// What it says, as it stands on the disk.
    pub bytes: Vec<u8>,
    /// The command, if it is one and not Raft's own.
    pub command: Option<Command>,
}

/// What a control log says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// For whom the node voted last, or who it knows to lead.
    pub vote: Option<Leadership>,
    /// The entries that are still there, by index.
    pub entries: BTreeMap<u64, KeptEntry>,
    /// Up to where entries are known here to be committed; others may know of more.
    pub committed: Option<u64>,
    /// The state that the entries before the first one came to, and up to where.
    pub snapshot: Option<(u64, State)>,
}

impl Kept {
    /// Reads all of a log.
    ///
    /// # Errors
    ///
    /// [`Failure::Kept`] or [`Failure::Ahead`] for what this release cannot have written.
    pub fn of(log: &ControlLog) -> Result<Self, Failure> {
        let vote: Option<Vote> = log.vote().map(decode).transpose().map_err(Failure::Kept)?;
        let committed: Option<LogId> = match log.committed() {
            Some(committed) => decode(committed).map_err(Failure::Kept)?,
            None => None,
        };
        let state = |kept: &storage::control::Snapshot| Ok((kept.index, State::decode(&kept.state)?));
        let snapshot = log.snapshot().map(state).transpose().map_err(Failure::Ahead)?;
        let entries = log.entries(..).map(|(index, bytes)| Ok((index, entry(bytes)?)));
        Ok(Self {
            vote: vote.map(|vote| leadership(vote.leader_id.term, vote.leader_id.node_id)),
            entries: entries.collect::<Result<_, Failure>>()?,
            committed: committed.map(|id| id.index).max(snapshot.as_ref().map(|(index, _)| *index)),
            snapshot,
        })
    }

    /// The states that the cluster went through, from that of the snapshot to that of the last entry known to be committed.
    pub fn states(&self) -> Vec<State> {
        let (from, mut state) = self.snapshot.clone().unwrap_or_default();
        let mut states = vec![state.clone()];
        let committed = self.committed.unwrap_or_default();
        for (_, entry) in self.entries.iter().filter(|(index, _)| (from + 1..=committed).contains(*index)) {
            if let Some(command) = &entry.command {
                state.apply(command);
                states.push(state.clone());
            }
        }
        states
    }
}

fn entry(bytes: &[u8]) -> Result<KeptEntry, Failure> {
    let entry: Entry = decode(bytes).map_err(Failure::Kept)?;
    let under = leadership(entry.log_id.leader_id.term, entry.log_id.leader_id.node_id);
    let command = match entry.payload {
        EntryPayload::Normal(command) => Some(Command::decode(&command).map_err(Failure::Ahead)?),
        EntryPayload::Blank | EntryPayload::Membership(_) => None,
    };
    Ok(KeptEntry { under, bytes: bytes.to_vec(), command })
}

fn leadership(term: u64, node: u64) -> Leadership {
    Leadership { term, node: NodeId(node) }
}
