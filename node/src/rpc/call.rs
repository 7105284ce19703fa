//! One call: sealed, carried, answered in time, and the answer judged. The only place where messages meet their fate.

use super::certificate::Met;
use super::credentials::{Credentials, Demand};
use super::error::CallError;
use super::refusal;
use crate::world::{Courier, carry};
use cluster::{Epoch, NodeId};
use proto::{Malformed, Message};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use tonic::{Response, Status};

/// The way to one address. Clones are the same way.
#[derive(Clone, Debug)]
pub(super) struct Road {
    pub(super) credentials: Arc<Credentials>,
    pub(super) courier: Arc<dyn Courier>,
    pub(super) address: SocketAddr,
    /// Who listens there; nobody knows of an address that was only heard of.
    pub(super) to: Option<NodeId>,
    /// The table that what is sent was routed by, if that is not the newest at the moment of sending.
    pub(super) routed_by: Option<Epoch>,
    /// Who does, once a connection was made on which that is shown.
    pub(super) met: Met,
    /// The newest placement table that anybody named, if it is newer than this node's, and who named it.
    pub(super) heard: watch::Sender<Option<(Epoch, NodeId)>>,
    /// Told when a call was refused for a reason that is for people: this node may have been removed.
    pub(super) refused: Arc<Notify>,
}

impl Road {
    /// Makes a call and opens the answer. `send` hands the message to a connection; it may be called twice.
    pub(super) async fn ask<Q, R, F>(
        &self,
        name: &'static str,
        demand: Demand,
        deadline: Duration,
        request: Q,
        send: impl Fn(Q::Wire) -> F + Sync,
    ) -> Result<R, CallError>
    where
        Q: Message + Clone + Sync,
        R: Message,
        F: Future<Output = Result<Response<R::Wire>, Status>> + Send,
    {
        let answer = self.travel(name, deadline, request, send).await?;
        self.open(answer.into_inner(), demand)
    }

    /// Makes a call and returns what came back, unopened.
    pub(super) async fn travel<Q, T, F>(
        &self,
        name: &'static str,
        deadline: Duration,
        request: Q,
        send: impl Fn(Q::Wire) -> F + Sync,
    ) -> Result<T, CallError>
    where
        Q: Message + Clone + Sync,
        F: Future<Output = Result<T, Status>> + Send,
    {
        let mut header = self.credentials.header(self.to);
        header.epoch = self.routed_by.map_or(header.epoch, |epoch| epoch.0);
        let attempt = || send(request.clone().seal(&header));
        let carried = carry(self.courier.as_ref(), self.address, name, attempt);
        match timeout(deadline, carried).await {
            Err(_) => Err(CallError::Deadline),
            Ok(answer) => answer.map_err(|status| self.failed(&status)),
        }
    }

    /// Why a call failed, by the status that came back.
    pub(super) fn failed(&self, status: &Status) -> CallError {
        let error = refusal::error(status, &self.credentials);
        if let (CallError::StaleEpoch { theirs }, Some(to)) = (&error, self.to) {
            self.hear(*theirs, to);
        }
        if matches!(error, CallError::Refused(_)) {
            self.refused.notify_one();
        }
        error
    }

    /// Judges the header of an answer, then opens the rest.
    pub(super) fn open<R: Message>(&self, answer: R::Wire, demand: Demand) -> Result<R, CallError> {
        let header = R::header(&answer).map_err(not_understood)?;
        let from = self.to.or_else(|| self.met.key().map(|key| key.node()));
        self.credentials.accept(&header, from, demand)?;
        if demand == Demand::Member {
            self.hear(Epoch(header.epoch), NodeId(header.from));
        }
        R::open(answer).map_err(not_understood)
    }

    fn hear(&self, epoch: Epoch, from: NodeId) {
        let ours = self.credentials.epoch();
        self.heard.send_if_modified(|heard| {
            let newer = epoch > ours && heard.is_none_or(|(known, _)| epoch > known);
            if newer {
                *heard = Some((epoch, from));
            }
            newer
        });
    }
}

pub(super) fn not_understood(malformed: Malformed) -> CallError {
    CallError::Malformed(format!("an answer: {malformed}"))
}
