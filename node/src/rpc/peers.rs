//! The other nodes, as this node calls them.
//!
//! It knows addresses, connections and deadlines; which node is asked, and what a failure leads to, is decided elsewhere.

use super::call::Road;
use super::certificate::Met;
use super::credentials::{Credentials, Demand};
use super::error::CallError;
use super::gather::{Gather, Stored};
use super::latency::Latency;
use super::line::{Lines, STREAMS_MAX, line};
use super::pages::Pages;
use super::questions::Questions;
use crate::world::World;
use cluster::{Epoch, NodeId, NodeKey};
use proto::limits::MESSAGE_BYTES_MAX;
use proto::wire::control_client::ControlClient;
use proto::wire::data_client::DataClient;
#[cfg(feature = "next")]
use proto::wire::next::next_client::NextClient;
use proto::wire::raft_client::RaftClient;
use proto::{
    BequeathReply, BequeathRequest, Bequest, BodiesPage, BodiesRequest, ConfirmReply, ConfirmRequest, ElementsPage,
    ElementsRequest, FetchReply, FetchRequest, GreetReply, GreetRequest, Message, ProposeReply, ProposeRequest,
    RaftReply, RaftRequest, Record, Report, ReportRequest, Role, RootsReply, RootsRequest, ScanPage, ScanRequest,
    StoreReply, TableReply, TableRequest,
};
use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::{Instant, timeout_at};
use tonic::transport::Channel;
use tonic::{Response, Status, Streaming};

/// The other nodes. Clones are the same.
#[derive(Clone, Debug)]
pub struct Peers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    world: World,
    credentials: Arc<Credentials>,
    known: RwLock<BTreeMap<NodeId, Arc<Peer>>>,
    heard: watch::Sender<Option<(Epoch, NodeId)>>,
    refused: Arc<Notify>,
}

#[derive(Debug)]
struct Peer {
    road: Road,
    lines: Lines,
    streams: Arc<Semaphore>,
    owned: Gather,
    hints: Gather,
    latency: Latency,
}

impl Peers {
    /// Nobody yet. Calls are made through `world` under `credentials`.
    pub fn new(world: &World, credentials: Arc<Credentials>) -> Self {
        let (heard, _) = watch::channel(None);
        let (known, refused) = (RwLock::default(), Arc::default());
        Self(Arc::new(Shared { world: world.clone(), credentials, known, heard, refused }))
    }

    /// Node `node` is called at `address` from now on. Calls under way go on to where they began.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn set_address(&self, node: NodeId, address: SocketAddr) {
        let mut known = self.0.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.get(&node).is_none_or(|peer| peer.road.address != address) {
            known.insert(node, Arc::new(Peer::at(self.road(address, Some(node)), &self.0.world)));
        }
    }

    /// Node `node` is called no more.
    pub fn forget(&self, node: NodeId) {
        self.0.known.write().unwrap_or_else(PoisonError::into_inner).remove(&node);
    }

    /// Where a node is called.
    pub fn address(&self, node: NodeId) -> Option<SocketAddr> {
        self.peer(node).ok().map(|peer| peer.road.address)
    }

    /// How long a node takes to answer a read, smoothed; nothing if it was not asked in the last ten seconds. A call that
    /// fails counts with the time that it took.
    pub fn latency(&self, node: NodeId) -> Option<Duration> {
        self.peer(node).ok()?.latency.at(self.0.world.clock.monotonic())
    }

    /// The newest placement table that another node named, and who, when that is newer than what this node knew then.
    pub fn newer_table(&self) -> watch::Receiver<Option<(Epoch, NodeId)>> {
        self.0.heard.subscribe()
    }

    /// Returns when a call was refused for a reason that is for people, now or since this was asked last.
    pub async fn refused(&self) {
        self.0.refused.notified().await;
    }

    /// Asks who listens at `address`, on a connection of its own.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn greet(
        &self,
        address: SocketAddr,
        request: GreetRequest,
        deadline: Duration,
    ) -> Result<GreetReply, CallError> {
        let met = Met::default();
        let channel = line(address, &self.0.world.network, self.0.credentials.seal(None, met.clone()).as_ref());
        let send = |wire| {
            let mut client = control(&channel);
            async move { client.greet(wire).await }
        };
        let road = Road { met: met.clone(), ..self.road(address, None) };
        let reply: GreetReply = road.ask("greet", Demand::Greeting, deadline, request, send).await?;
        let (id, key) = (NodeId(reply.greeting.node), NodeKey(reply.greeting.key));
        // Whoever answers speaks for itself: under its own key, and no other node's name.
        if key.node() == id && met.key().is_none_or(|met| met == key) {
            Ok(reply)
        } else {
            Err(CallError::WrongNode { theirs: met.key().map_or(id, |met| met.node()) })
        }
    }

    /// Hands a message to a node's Raft.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn raft(&self, to: NodeId, request: RaftRequest, deadline: Duration) -> Result<RaftReply, CallError> {
        let peer = self.peer(to)?;
        let send = |wire| {
            let mut client = RaftClient::new(peer.lines.raft.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
            async move { client.call(wire).await }
        };
        peer.road.ask("raft", Demand::Member, deadline, request, send).await
    }

    /// Asks for the control state.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn table(&self, to: NodeId, request: TableRequest, deadline: Duration) -> Result<TableReply, CallError> {
        let peer = self.peer(to)?;
        let send = |wire| {
            let mut client = control(&peer.lines.control);
            async move { client.table(wire).await }
        };
        peer.road.ask("table", Demand::Member, deadline, request, send).await
    }

    /// Has a command written to the control plane.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn propose(
        &self,
        to: NodeId,
        request: ProposeRequest,
        deadline: Duration,
    ) -> Result<ProposeReply, CallError> {
        let peer = self.peer(to)?;
        let send = |wire| {
            let mut client = control(&peer.lines.control);
            async move { client.propose(wire).await }
        };
        peer.road.ask("propose", Demand::Member, deadline, request, send).await
    }

    /// Asks how a node does.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn report(&self, to: NodeId, deadline: Duration) -> Result<Report, CallError> {
        let peer = self.peer(to)?;
        let send = |wire| {
            let mut client = control(&peer.lines.control);
            async move { client.report(wire).await }
        };
        peer.road.ask("report", Demand::Member, deadline, ReportRequest, send).await
    }

    /// Asks which version a node's log was raised to. A node that does not speak [`proto::RaisedRequest::SINCE`] has no such call.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    #[cfg(feature = "next")]
    pub async fn raised(&self, to: NodeId, deadline: Duration) -> Result<proto::RaisedReply, CallError> {
        let peer = self.peer(to)?;
        let send = |wire| {
            let mut client = NextClient::new(peer.lines.control.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
            async move { client.raised(wire).await }
        };
        peer.road.ask("raised", Demand::Member, deadline, proto::RaisedRequest, send).await
    }

    /// Names what this node holds, which was removed, to a member, or brings it. An answer has as many as were named or brought.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn bequeath(
        &self,
        to: NodeId,
        request: BequeathRequest,
        deadline: Duration,
    ) -> Result<BequeathReply, CallError> {
        let peer = self.peer(to)?;
        let asked = match &request.what {
            Bequest::Ids(ids) => ids.len(),
            Bequest::Records(records) => records.len(),
        };
        let send = |wire| {
            let mut client = control(&peer.lines.control);
            async move { client.bequeath(wire).await }
        };
        let reply: BequeathReply = peer.road.ask("bequeath", Demand::Removed, deadline, request, send).await?;
        match reply.safe.len() {
            found if found == asked => Ok(reply),
            found => Err(CallError::Malformed(format!("{found} answers on {asked} records"))),
        }
    }

    /// Has a node sync records, at least one, which were routed by the table of `epoch`: a node that goes by another one
    /// refuses them. They travel together with what others store there at the same time; see
    /// [`CallError::nothing_was_done`] for what an error leaves open, of each record by itself.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn store(
        &self,
        to: NodeId,
        role: Role,
        epoch: Epoch,
        records: Vec<Record>,
        deadline: Duration,
    ) -> Result<Stored, CallError> {
        let peer = self.peer(to)?;
        let gather = match role {
            Role::Owned => &peer.owned,
            Role::Hint => &peer.hints,
        };
        gather.store(epoch, records, deadline).await
    }

    /// Asks which ids a node has synced as an owner. An answer has as many as were asked for.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn confirm(
        &self,
        to: NodeId,
        request: ConfirmRequest,
        deadline: Duration,
    ) -> Result<ConfirmReply, CallError> {
        let (peer, asked) = (self.peer(to)?, request.ids.len());
        let send = |wire| {
            let mut client = data(&peer.lines.control);
            async move { client.confirm(wire).await }
        };
        let ask = peer.road.ask("confirm", Demand::Member, deadline, request, send);
        let reply: ConfirmReply = self.measured(&peer, ask).await?;
        match reply.synced.len() {
            found if found == asked => Ok(reply),
            found => Err(CallError::Malformed(format!("{found} confirmations of {asked} ids"))),
        }
    }

    /// Asks for records by id. The answer speaks of the first of the ids, at least one.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn fetch(&self, to: NodeId, request: FetchRequest, deadline: Duration) -> Result<FetchReply, CallError> {
        let (peer, ids) = (self.peer(to)?, request.ids.clone());
        let send = |wire| {
            let mut client = data(&peer.lines.bulk);
            async move { client.fetch(wire).await }
        };
        let ask = peer.road.ask("fetch", Demand::Member, deadline, request, send);
        let reply: FetchReply = self.measured(&peer, ask).await?;
        let in_order =
            reply.found.len() <= ids.len() && reply.found.iter().zip(&ids).all(|(found, id)| found.id == *id);
        if in_order {
            Ok(reply)
        } else {
            Err(CallError::Malformed("what was found is not what was asked for".to_owned()))
        }
    }

    /// Asks for the sums of homes.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn roots(&self, to: NodeId, request: RootsRequest, deadline: Duration) -> Result<RootsReply, CallError> {
        let peer = self.peer(to)?;
        let send = |wire| {
            let mut client = data(&peer.lines.control);
            async move { client.roots(wire).await }
        };
        self.measured(&peer, peer.road.ask("roots", Demand::Member, deadline, request, send)).await
    }

    /// Asks for questions with all that is said on each. The deadline is for the beginning, and again for every page.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn scan(&self, to: NodeId, request: ScanRequest, deadline: Duration) -> Result<Questions, CallError> {
        let peer = self.peer(to)?;
        let send = |wire| {
            let mut client = data(&peer.lines.bulk);
            async move { client.scan(wire).await }
        };
        let open = peer.stream::<_, ScanPage, _>("scan", deadline, request, send);
        self.measured(&peer, open).await.map(Questions::new)
    }

    /// Asks for the elements of a home. The deadline is for the beginning, and again for every page.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn elements(
        &self,
        to: NodeId,
        request: ElementsRequest,
        deadline: Duration,
    ) -> Result<Pages<ElementsPage>, CallError> {
        let peer = self.peer(to)?;
        let send = |wire| {
            let mut client = data(&peer.lines.bulk);
            async move { client.elements(wire).await }
        };
        peer.stream("elements", deadline, request, send).await
    }

    /// Asks for records for a repair. The deadline is for the beginning, and again for every page.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn bodies(
        &self,
        to: NodeId,
        request: BodiesRequest,
        deadline: Duration,
    ) -> Result<Pages<BodiesPage>, CallError> {
        let peer = self.peer(to)?;
        let send = |wire| {
            let mut client = data(&peer.lines.bulk);
            async move { client.bodies(wire).await }
        };
        peer.stream("bodies", deadline, request, send).await
    }

    fn peer(&self, node: NodeId) -> Result<Arc<Peer>, CallError> {
        let known = self.0.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(&node).cloned().ok_or_else(|| CallError::Unreachable(format!("node {node} has no known address")))
    }

    fn road(&self, address: SocketAddr, to: Option<NodeId>) -> Road {
        Road {
            credentials: Arc::clone(&self.0.credentials),
            courier: Arc::clone(&self.0.world.courier),
            address,
            to,
            routed_by: None,
            met: Met::default(),
            heard: self.0.heard.clone(),
            refused: Arc::clone(&self.0.refused),
        }
    }

    /// Takes the time of a call.
    async fn measured<T>(&self, peer: &Peer, call: impl Future<Output = Result<T, CallError>>) -> Result<T, CallError> {
        let clock = &self.0.world.clock;
        let began = clock.monotonic();
        let answer = call.await;
        let now = clock.monotonic();
        peer.latency.measured(now.saturating_sub(began), now);
        answer
    }
}

impl Peer {
    fn at(road: Road, world: &World) -> Self {
        let seal = road.credentials.seal(road.to, road.met.clone());
        let lines = Lines::to(road.address, &world.network, seal.as_ref());
        let gather = |role| {
            let (road, bulk) = (road.clone(), lines.bulk.clone());
            Gather::start(role, move |epoch, request, deadline| {
                let (road, bulk) = (Road { routed_by: Some(epoch), ..road.clone() }, bulk.clone());
                async move {
                    let send = |wire| {
                        let mut client = data(&bulk);
                        async move { client.store(wire).await }
                    };
                    road.ask::<_, StoreReply, _>("store", Demand::Member, deadline, request, send).await
                }
            })
        };
        let (owned, hints) = (gather(Role::Owned), gather(Role::Hint));
        let streams = Arc::new(Semaphore::new(STREAMS_MAX as usize));
        Self { road, lines, streams, owned, hints, latency: Latency::default() }
    }

    /// Opens a stream, when not too many are open.
    async fn stream<Q, P, F>(
        &self,
        name: &'static str,
        deadline: Duration,
        request: Q,
        send: impl Fn(Q::Wire) -> F + Sync,
    ) -> Result<Pages<P>, CallError>
    where
        Q: Message + Clone + Sync,
        P: Message,
        F: Future<Output = Result<Response<Streaming<P::Wire>>, Status>> + Send,
    {
        let until = Instant::now() + deadline;
        let place = timeout_at(until, Arc::clone(&self.streams).acquire_owned()).await.or(Err(CallError::Deadline))?;
        let place = place.or(Err(CallError::Deadline))?;
        let left = until.saturating_duration_since(Instant::now());
        let stream = self.road.travel(name, left, request, send).await?;
        Ok(Pages::new(stream.into_inner(), self.road.clone(), deadline, place))
    }
}

fn control(channel: &Channel) -> ControlClient<Channel> {
    ControlClient::new(channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX)
}

fn data(channel: &Channel) -> DataClient<Channel> {
    DataClient::new(channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX)
}
