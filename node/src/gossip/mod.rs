//! The task that gossips: it drives [`Membership`] with the datagrams, timers and seeds of this node's world.
//!
//! It holds no rule of membership and keeps nobody waiting: what it knows is in a [`View`] that anybody may watch.

mod seeds;
mod view;

#[cfg(test)]
mod tests;

pub use view::View;

use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::settings::Seeds;
use crate::world::{Datagrams, World};
use cluster::membership::{ClusterKeys, Input, Membership, Output, PACKET_BYTES_MAX};
use cluster::{ClusterId, Millis, NodeId};
use prometheus::{IntCounterVec, IntGaugeVec};
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// The most orders that wait for the task.
const ORDERS_MAX: usize = 16;
/// The most addresses of seeds that wait for the task.
const FOUND_MAX: usize = 16;
/// How long receiving pauses when the system refuses.
const RECEIVE_PAUSE: Duration = Duration::from_millis(100);

/// The gossip of a node. Dropped, it ends.
#[derive(Debug)]
pub struct Gossip {
    orders: mpsc::Sender<Order>,
    view: watch::Receiver<View>,
    _tasks: JoinSet<()>,
}

/// What the rest of the node tells the task.
#[derive(Clone, Debug)]
enum Order {
    Join(ClusterId),
    Keys(ClusterKeys),
    Remove(NodeId),
}

impl Gossip {
    /// Starts to gossip on `socket`, with whoever `seeds` lead to.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with timers.
    pub fn start(
        world: &World,
        socket: Arc<dyn Datagrams>,
        membership: Membership,
        seeds: Seeds,
        metrics: &Metrics,
    ) -> Self {
        let (orders, ordered) = mpsc::channel(ORDERS_MAX);
        let (found, seeds_found) = mpsc::channel(FOUND_MAX);
        let (told, view) = watch::channel(View::of(&membership, &seeds));
        let task = Task {
            membership,
            socket,
            clock: Arc::clone(&world.clock),
            told,
            members: metrics.members.clone(),
            refused: metrics.gossip_refused.clone(),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(seeds::find(seeds, Arc::clone(&world.network), found));
        tasks.spawn(task.run(ordered, seeds_found));
        Self { orders, view, _tasks: tasks }
    }

    /// What is known of the others, now and as it changes.
    pub fn view(&self) -> watch::Receiver<View> {
        self.view.clone()
    }

    /// The node has become part of a founded cluster. Packets of other clusters are refused from now on.
    pub async fn join(&self, cluster: ClusterId) {
        self.order(Order::Join(cluster)).await;
    }

    /// What changes the keys from now on.
    pub fn keys(&self) -> Keyring {
        Keyring(self.orders.downgrade())
    }

    /// A node was removed from the cluster for ever.
    pub async fn remove(&self, node: NodeId) {
        self.order(Order::Remove(node)).await;
    }

    async fn order(&self, order: Order) {
        // The task ends only with this value.
        self.orders.send(order).await.ok();
    }
}

/// Changes the keys that packets are sealed with. It does not keep gossip alive.
#[derive(Clone, Debug)]
pub struct Keyring(mpsc::WeakSender<Order>);

impl Keyring {
    /// From now on these are the cluster's keys.
    pub async fn set(&self, keys: ClusterKeys) {
        if let Some(orders) = self.0.upgrade() {
            orders.send(Order::Keys(keys)).await.ok(); // the node is stopping
        }
    }
}

struct Task {
    membership: Membership,
    socket: Arc<dyn Datagrams>,
    clock: Arc<dyn Clock>,
    told: watch::Sender<View>,
    members: IntGaugeVec,
    refused: IntCounterVec,
}

impl Task {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>, mut seeds: mpsc::Receiver<SocketAddr>) {
        let mut buffer = [0; PACKET_BYTES_MAX + 1];
        let mut out = Vec::new();
        self.count(&self.told.borrow());
        loop {
            let socket = Arc::clone(&self.socket);
            let due = self.time_left();
            // Datagrams go before timers: a node that stood still first reads what the others sent meanwhile.
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some(order) => self.obey(order, &mut out),
                    None => break,
                },
                received = socket.receive(&mut buffer) => match received {
                    Ok((length, from)) => self.receive(buffer.get(..length).unwrap_or(&buffer), from, &mut out),
                    Err(error) => {
                        tracing::warn!(%error, "gossip cannot be received");
                        sleep(RECEIVE_PAUSE).await;
                    }
                },
                Some(seed) = seeds.recv() => self.greet(seed, &mut out),
                () = due => self.membership.handle(Input::Tick, self.now(), &mut out),
            }
            self.perform(&mut out).await;
            self.tell();
        }
    }

    fn now(&self) -> Millis {
        Millis(u64::try_from(self.clock.monotonic().as_millis()).unwrap_or(u64::MAX))
    }

    /// Waits until the next timer is due.
    fn time_left(&self) -> impl Future<Output = ()> + use<> {
        let left = self.membership.wake_at().map(|due| Duration::from_millis((due - self.now()).0));
        async move {
            match left {
                Some(left) => sleep(left).await,
                None => pending().await,
            }
        }
    }

    fn obey(&mut self, order: Order, out: &mut Vec<Output>) {
        match order {
            Order::Keys(keys) => self.membership.set_keys(&keys),
            Order::Join(cluster) => self.membership.set_cluster(cluster),
            Order::Remove(node) => self.membership.remove(node, self.now(), out),
        }
    }

    fn receive(&mut self, bytes: &[u8], from: SocketAddr, out: &mut Vec<Output>) {
        self.membership.handle(Input::Datagram { from, bytes }, self.now(), out);
    }

    /// Speaks to a seed, unless a member is there.
    fn greet(&mut self, seed: SocketAddr, out: &mut Vec<Output>) {
        if self.membership.alive().all(|member| member.gossip != seed) {
            self.membership.handle(Input::Announce(seed), self.now(), out);
        }
    }

    async fn perform(&self, out: &mut Vec<Output>) {
        for output in out.drain(..) {
            match output {
                Output::Send { to, bytes } => {
                    if let Err(error) = self.socket.send(&bytes, to).await {
                        tracing::debug!(%error, %to, "gossip cannot be sent");
                    }
                }
                Output::Up(member) => tracing::info!(node = %member.id, rpc = %member.rpc, "a node is there"),
                Output::Changed(member) => {
                    tracing::info!(node = %member.id, rpc = %member.rpc, "a node has begun a new life, or moved");
                }
                Output::Down(node) => tracing::warn!(%node, "a node is not there any more"),
                Output::Renewed(own) => {
                    tracing::warn!(generation = own.generation.0, "the others had given this node up")
                }
            }
        }
    }

    /// Tells whoever watches what has changed.
    fn tell(&self) {
        self.told.send_if_modified(|view| {
            let changed = view.update(&self.membership);
            if changed {
                self.count(view);
            }
            changed
        });
    }

    fn count(&self, view: &View) {
        let count = |members: usize| i64::try_from(members).unwrap_or(i64::MAX);
        self.members.with_label_values(&["alive"]).set(count(view.alive.len()));
        self.members.with_label_values(&["down"]).set(count(view.down.len()));
        for (reason, refused) in &view.refused {
            let counter = self.refused.with_label_values(&[view::word(*reason)]);
            counter.inc_by(refused.packets.saturating_sub(counter.get()));
        }
    }
}
