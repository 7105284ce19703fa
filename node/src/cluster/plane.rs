//! This node's part in the control plane: it takes part in Raft, and hands on what the cluster has agreed on.
//!
//! Reads and writes never wait for it: they go by the newest table that this node knows. What the leader proposes by
//! itself is the founding, and the table that follows from the settings; what a member proposes is a change of its own
//! addresses, and of a setting when an operator asks for it.

use super::Cluster;
use super::founder::Belonging;
use crate::control::{Control, Failure, ProposeError, Settings};
use crate::world::World;
use ::cluster::control::{Command, Member, Outcome, Setting, State, Version, Versions};
use ::cluster::founding::List;
use ::cluster::{NodeId, NodeKey};
use api::database::ReadError;
use futures_util::future::join;
use proto::{Greeting, ProposeReply, ProposeRequest, RaftReply, RaftRequest, Refusal};
use std::collections::BTreeMap;
use std::error::Error;
use std::num::NonZeroU8;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The folder of the control log, below the data folder.
const FOLDER: &str = "control";
/// How often this node looks whether it has something to propose.
const DUTY_EVERY: Duration = Duration::from_millis(100);
/// How long a proposal may take.
const PROPOSE_DEADLINE: Duration = Duration::from_secs(2);
/// How long an operator's command waits for somebody to lead: some elections.
const LEADER_DEADLINE: Duration = Duration::from_secs(5);
/// How often it is tried meanwhile.
const LEADER_EVERY: Duration = Duration::from_millis(100);

impl Cluster {
    /// Takes part in the control plane of a cluster, until the node stops.
    pub(crate) async fn take_part(self: &Arc<Self>, world: &World, data_dir: &Path, belonging: &Belonging) {
        let settings = Settings::in_dir(data_dir.join(FOLDER));
        let control = match Control::start(world, settings, self.me, Arc::new(self.peers.clone())).await {
            Ok(control) => control,
            Err(error) => return self.local.stop_for_good(&error),
        };
        let control = self.control.get_or_init(|| control);
        let founders = belonging.founders();
        if let Some(founders) = founders
            && let Err(error) = control.initialize(&founders.nodes().collect()).await
        {
            tracing::error!(error = &error as &dyn Error, "the control plane did not begin");
        }
        let failed = async {
            let failure: Arc<Failure> = control.failed().await;
            self.local.stop_for_good(failure.as_ref());
        };
        tokio::select! {
            biased;
            () = failed => {}
            ((), ()) = join(self.follow(control), self.do_duties(control, founders)) => {}
        }
    }

    /// Hands on every state that the control plane reaches.
    async fn follow(&self, control: &Control) {
        let mut state = control.state();
        loop {
            let now = Arc::clone(&state.borrow_and_update());
            self.learn(now);
            if state.changed().await.is_err() {
                return;
            }
        }
    }

    /// Stands for election while a quorum is in sight, keeps its own addresses right, and if it leads founds the cluster and
    /// takes the next step to what members and settings ask for.
    async fn do_duties(self: &Arc<Self>, control: &Control, founders: Option<&List>) {
        loop {
            let state = self.control_state();
            control.allow_elections(self.sees_quorum(&state, founders));
            let command = match state.members() {
                None => founders.filter(|_| control.metrics().is_leader).and_then(|list| self.founding(list)),
                Some(members) => {
                    let correction = members.get(&self.me).and_then(|known| self.correction(known));
                    correction.or_else(|| control.metrics().is_leader.then(|| self.next_step(&state)).flatten())
                }
            };
            if let Some(command) = command {
                self.propose(&command).await;
            }
            tokio::time::sleep(DUTY_EVERY).await;
        }
    }

    /// Whether more than half of the members are there, this one included.
    fn sees_quorum(&self, state: &State, founders: Option<&List>) -> bool {
        let members: Vec<NodeId> = match state.members() {
            Some(members) => members.keys().copied().collect(),
            None => founders.into_iter().flat_map(List::nodes).collect(),
        };
        let view = self.view.borrow();
        let alive = members.iter().filter(|node| **node == self.me || view.alive.contains_key(node)).count();
        alive > members.len() / 2
    }

    /// The founding, once every founder has said who it is.
    fn founding(&self, list: &List) -> Option<Command> {
        let greeting = |node| if node == self.me { Some(self.greeting()) } else { self.neighbour(node) };
        let members = list.nodes().map(|node| Some((node, member(&greeting(node)?))));
        let members: BTreeMap<_, _> = members.collect::<Option<_>>()?;
        Command::found(members, self.settings.founding)
            .inspect_err(|error| tracing::error!(error = error as &dyn Error, "no table can be planned"))
            .ok()
    }

    /// The next command on the way to what members and settings ask for, if one is due.
    fn next_step(&self, state: &State) -> Option<Command> {
        let next = state.next(&self.progress.taken(state), &self.progress.there(state), &self.progress.empty(state));
        next.inspect_err(|error| tracing::error!(error = error as &dyn Error, "no table can be planned")).ok().flatten()
    }

    /// What the others should know of this node by now.
    fn correction(&self, known: &Member) -> Option<Command> {
        let now = member(&self.greeting());
        (now != *known).then_some(Command::UpdateMember { node: self.me, member: now })
    }

    /// Has a command carried out. What is not done now is proposed again later.
    async fn propose(&self, command: &Command) {
        match self.carry_out(command).await {
            Ok(Outcome::Changed | Outcome::Unchanged) => {}
            Ok(Outcome::Refused(why)) => tracing::debug!(%why, "a command to the control plane was refused"),
            Err(why) => tracing::debug!(why, "a command to the control plane was not carried out"),
        }
    }

    /// Has an operator's command carried out by whoever leads, or will lead in a moment: who led a moment ago may be the very
    /// node that is to be replaced, and another may answer at its address. A command that is carried out twice changes nothing
    /// more.
    pub(super) async fn carry_out_in_time(&self, command: &Command) -> Result<Outcome, String> {
        let until = self.now() + self.millis(LEADER_DEADLINE);
        loop {
            match self.carry_out(command).await {
                Err(_) if self.now() < until => tokio::time::sleep(LEADER_EVERY).await,
                done => return done,
            }
        }
    }

    /// Has a command carried out, here or by whoever leads.
    pub(super) async fn carry_out(&self, command: &Command) -> Result<Outcome, String> {
        let control = self.control.get().ok_or("the control plane does not run yet")?;
        Ok(match control.propose(command, PROPOSE_DEADLINE).await {
            Ok(outcome) => outcome,
            Err(ProposeError::NotLeader(Some(leader))) => {
                let request = ProposeRequest { command: command.encode() };
                let reply = self.peers.propose(leader, request, PROPOSE_DEADLINE).await;
                match reply.map_err(|error| error.to_string())? {
                    ProposeReply::Done(outcome) => Outcome::decode(&outcome).map_err(|error| error.to_string())?,
                    ProposeReply::NotLeader(_) => return Err("the leader changes".to_owned()),
                }
            }
            Err(error) => return Err(error.to_string()),
        })
    }

    /// Has the cluster keep each record on so many nodes from now on. The table follows by itself.
    ///
    /// # Errors
    ///
    /// [`ReadError::NotReady`] if nobody leads; it may still be carried out, and asking again is harmless.
    pub(crate) async fn set_replication_factor(&self, copies: NonZeroU8) -> Result<(), ReadError> {
        let not_ready = |what: String| ReadError::NotReady { what: format!("the control plane: {what}") };
        let command = Command::SetSetting(Setting::ReplicationFactor(copies));
        match self.carry_out_in_time(&command).await.map_err(not_ready)? {
            Outcome::Changed | Outcome::Unchanged => Ok(()),
            Outcome::Refused(refusal) => Err(not_ready(refusal.to_string())),
        }
    }

    /// Hands a message of another node to Raft.
    pub(crate) async fn raft_here(&self, request: RaftRequest) -> Result<RaftReply, Refusal> {
        let control = self.control.get().ok_or_else(not_running)?;
        let answer = control.handle_raft(request.kind, &request.payload).await;
        let payload = answer.map_err(|error| Refusal::Refused(error.to_string()))?.into();
        Ok(RaftReply { payload })
    }

    /// Has a command of another node carried out, if this one leads.
    pub(crate) async fn propose_here(&self, request: ProposeRequest) -> Result<ProposeReply, Refusal> {
        let control = self.control.get().ok_or_else(not_running)?;
        let command = Command::decode(&request.command).map_err(|error| Refusal::Refused(error.to_string()))?;
        match control.propose(&command, PROPOSE_DEADLINE).await {
            Ok(outcome) => Ok(ProposeReply::Done(outcome.encode())),
            Err(ProposeError::NotLeader(leader)) => Ok(ProposeReply::NotLeader(leader.map(|leader| leader.0))),
            Err(error) => Err(Refusal::Refused(error.to_string())),
        }
    }

    /// The leader of the control plane, if this node knows one.
    pub(crate) fn leader(&self) -> Option<NodeId> {
        match self.control.get() {
            Some(control) => control.leader(),
            None => self.is_alone().then_some(self.me),
        }
    }
}

fn not_running() -> Refusal {
    Refusal::Refused("the control plane does not run yet".to_owned())
}

/// A node as the others are to know it, by what it says of itself.
pub(crate) fn member(greeting: &Greeting) -> Member {
    let version = |number| Version(u16::try_from(number).unwrap_or(u16::MAX));
    Member {
        key: NodeKey(greeting.key),
        rpc: greeting.rpc,
        gossip: greeting.gossip,
        api: greeting.clients,
        zone: greeting.zone.clone(),
        versions: Versions { min: version(greeting.protocol_min), max: version(greeting.protocol_max) },
    }
}
