//! Control planes of several nodes, joined by wires that lose, cut and take their time, in one thread of paused time.
//!
//! They run in simulated worlds, with disks that take time and lose what was not synced. It holds no rule of Raft.

use cluster::control::{Command, Member, Outcome, Settings as ClusterSettings, State, Versions};
use cluster::{NodeId, NodeKey};
use node::control::{Answer, Control, Metrics, ProposeError, RaftPeers, Settings};
use node::rpc::CallError;
use proto::RaftKind;
use sim::chance::Chance;
use sim::world::{Cuts, Surroundings};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU8;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use storage::disk::Crash;
use tokio::runtime::{Builder, RngSeed};
use tokio::time::{Instant, sleep};

pub(crate) const MS: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// Runs `test` on a runtime whose time passes only while nothing else is to do, and whose chance follows from `seed`.
pub(crate) fn run<T>(seed: u64, test: impl Future<Output = T>) -> T {
    let chance = RngSeed::from_bytes(&seed.to_le_bytes());
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).rng_seed(chance).build();
    runtime.unwrap().block_on(test)
}

/// What joins the nodes.
struct Wires {
    running: Mutex<BTreeMap<NodeId, (u64, Control)>>,
    /// Groups of nodes that hear only each other. Whoever is in none is in group 0.
    sides: Mutex<BTreeMap<NodeId, u64>>,
    /// How many messages of a thousand are lost.
    loss: Mutex<u64>,
    chance: Mutex<Chance>,
}

/// The wires as one life of a node has them.
struct End {
    own: NodeId,
    life: u64,
    wires: Arc<Wires>,
}

impl Wires {
    /// Who is at the other end, if the message gets there.
    fn reach(&self, end: &End, to: NodeId) -> Option<Control> {
        let (running, sides) = (lock(&self.running), lock(&self.sides));
        let alive = running.get(&end.own).is_some_and(|(life, _)| *life == end.life);
        let side = |node| sides.get(&node).copied().unwrap_or(0);
        let lost = lock(&self.chance).below(1000) < *lock(&self.loss);
        if !alive || lost || side(end.own) != side(to) {
            return None;
        }
        running.get(&to).map(|(_, control)| control.clone())
    }

    async fn travel(&self) {
        let way = lock(&self.chance).between(MS, 2 * MS);
        sleep(way).await;
    }
}

impl RaftPeers for End {
    fn raft(&self, to: NodeId, kind: RaftKind, message: Vec<u8>, deadline: Duration) -> Answer<'_> {
        let call = async move {
            self.wires.travel().await;
            let there = self.wires.reach(self, to)?;
            let answer = there.handle_raft(kind, &message).await.ok();
            self.wires.travel().await;
            self.wires.reach(self, to)?;
            answer
        };
        Box::pin(async move {
            let late = sleep(deadline);
            tokio::select! {
                biased;
                Some(answer) = call => Ok(answer),
                () = late => Err(CallError::Deadline),
            }
        })
    }
}

/// A node's machine, and what runs on it.
struct Host {
    surroundings: Surroundings,
    life: u64,
    control: Option<Control>,
}

/// The nodes.
pub(crate) struct Group {
    wires: Arc<Wires>,
    hosts: BTreeMap<NodeId, Host>,
    settings: Settings,
    started: Instant,
}

/// Who was seen to lead in each term, in this order.
#[derive(Default)]
pub(crate) struct Leaders(pub(crate) BTreeMap<u64, Vec<NodeId>>);

impl Group {
    /// Nodes 1 to `nodes`, started, allowed to elect, and founded.
    pub(crate) async fn found(seed: u64, nodes: u64) -> Self {
        let chance = Chance::of(seed);
        let wires = Wires {
            running: Mutex::default(),
            sides: Mutex::default(),
            loss: Mutex::new(0),
            chance: Mutex::new(chance.branch("wires", 0)),
        };
        let host = |node| {
            let surroundings = Surroundings::new(&chance.branch("host", node));
            (NodeId(node), Host { surroundings, life: 0, control: None })
        };
        let mut settings = Settings::in_dir("/data/control".into());
        settings.snapshot_every = 20;
        let hosts = (1..=nodes).map(host).collect();
        let mut group = Self { wires: Arc::new(wires), hosts, settings, started: Instant::now() };
        for node in group.nodes() {
            group.start(node).await;
        }
        for node in group.nodes() {
            group.control(node).initialize(&group.nodes()).await.unwrap();
        }
        group.until("founded", 5 * SECOND, |group| group.leader().is_some()).await;
        assert_eq!(group.propose(&founding(group.nodes())).await, Ok(Outcome::Changed));
        group
    }

    pub(crate) fn nodes(&self) -> BTreeSet<NodeId> {
        self.hosts.keys().copied().collect()
    }

    pub(crate) fn running(&self) -> BTreeSet<NodeId> {
        self.hosts.iter().filter(|(_, host)| host.control.is_some()).map(|(node, _)| *node).collect()
    }

    pub(crate) fn control(&self, node: NodeId) -> &Control {
        self.hosts[&node].control.as_ref().expect("the node runs")
    }

    pub(crate) fn metrics(&self, node: NodeId) -> Metrics {
        self.control(node).metrics()
    }

    pub(crate) fn state(&self, node: NodeId) -> Arc<State> {
        Arc::clone(&self.control(node).state().borrow())
    }

    /// The time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Starts a node that does not run, from what its disk holds.
    pub(crate) async fn start(&mut self, node: NodeId) {
        let host = self.hosts.get_mut(&node).unwrap();
        host.life += 1;
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let world = host.surroundings.world(address, &Cuts::default(), host.life, Versions::SHIPPED);
        let end = End { own: node, life: host.life, wires: Arc::clone(&self.wires) };
        let control = Control::start(&world, self.settings.clone(), node, Arc::new(end)).await.unwrap();
        control.allow_elections(true);
        lock(&self.wires.running).insert(node, (host.life, control.clone()));
        host.control = Some(control);
    }

    /// Cuts a node's power.
    pub(crate) async fn kill(&mut self, node: NodeId, crash: Crash) {
        let host = self.hosts.get_mut(&node).unwrap();
        lock(&self.wires.running).remove(&node);
        host.surroundings.disk.crash(crash);
        let control = host.control.take().expect("the node runs");
        control.shutdown().await;
    }

    /// Puts a node where only those of the same side hear it.
    pub(crate) fn set_side(&self, node: NodeId, side: u64) {
        lock(&self.wires.sides).insert(node, side);
    }

    /// So many messages of a thousand are lost.
    pub(crate) fn set_loss(&self, per_mille: u64) {
        *lock(&self.wires.loss) = per_mille;
    }

    /// The node that leads and that a majority takes for the leader.
    pub(crate) fn leader(&self) -> Option<NodeId> {
        let running = self.running();
        let leads = |node: &NodeId| {
            let metrics = self.metrics(*node);
            let follow = |other: &NodeId| {
                let other = self.metrics(*other);
                other.leader == Some(*node) && other.term == metrics.term
            };
            metrics.is_leader
                && metrics.voters.iter().filter(|other| running.contains(other)).filter(|other| follow(other)).count()
                    > metrics.voters.len() / 2
        };
        running.iter().copied().find(leads)
    }

    /// Asks one node after the other, following their hints, for up to two seconds.
    pub(crate) async fn propose(&self, command: &Command) -> Result<Outcome, ProposeError> {
        let begun = Instant::now();
        let mut last = ProposeError::NotLeader(None);
        while begun.elapsed() < 2 * SECOND {
            for node in self.running() {
                match self.control(node).propose(command, SECOND).await {
                    Err(error @ (ProposeError::NotLeader(_) | ProposeError::Stopped)) => last = error,
                    done => return done,
                }
            }
            sleep(20 * MS).await;
        }
        Err(last)
    }

    /// Waits until `done`, and says how long that took.
    pub(crate) async fn until(&self, what: &str, most: Duration, done: impl Fn(&Self) -> bool) -> Duration {
        let begun = Instant::now();
        while !done(self) {
            let all: Vec<_> = self.running().into_iter().map(|node| self.metrics(node)).collect();
            assert!(begun.elapsed() < most, "not {what} within {most:?}: {all:?}");
            sleep(MS).await;
        }
        begun.elapsed()
    }

    /// Whether all that run have carried out the same, and everything that they have in their logs.
    pub(crate) fn is_settled(&self) -> bool {
        let all: Vec<_> = self.running().into_iter().map(|node| self.metrics(node)).collect();
        let ends = all.iter().map(|metrics| (metrics.last_index, metrics.applied_index));
        let ends: BTreeSet<_> = ends.collect();
        self.leader().is_some() && ends.len() == 1 && ends.iter().all(|(last, applied)| last == applied)
    }

    /// Notes who leads, and checks what must hold at any moment: whoever has carried out as much has the same state, and
    /// within a term a later leader has a higher id.
    pub(crate) fn check(&self, leaders: &mut Leaders) {
        let mut states: BTreeMap<u64, Arc<State>> = BTreeMap::new();
        for node in self.running() {
            let (metrics, state) = (self.metrics(node), self.state(node));
            if metrics.is_leader {
                let before = leaders.0.entry(metrics.term).or_default();
                if !before.contains(&node) {
                    assert!(
                        before.iter().all(|other| *other < node),
                        "{before:?}, then {node} in term {}",
                        metrics.term
                    );
                    before.push(node);
                }
            }
            let history = state.history();
            let applied = history.changed + history.unchanged + history.refused;
            let other = states.entry(applied).or_insert_with(|| Arc::clone(&state));
            assert_eq!(*other, state, "two states after {applied} commands");
        }
    }
}

/// A command that changes something whenever it has a new `number`.
pub(crate) fn numbered(number: u64) -> Command {
    Command::UpdateMember { node: NodeId(1), member: member(1, format!("zone-{number}")) }
}

fn founding(nodes: BTreeSet<NodeId>) -> Command {
    let members = nodes.into_iter().map(|node| (node, member(node.0, String::new()))).collect();
    Command::found(members, ClusterSettings { replication_factor: NonZeroU8::new(2).unwrap() }).unwrap()
}

fn member(node: u64, zone: String) -> Member {
    let at = SocketAddr::from(([10, 0, 0, u8::try_from(node).unwrap()], 18182));
    let mut key = NodeKey([0; 32]);
    key.0[..8].copy_from_slice(&node.to_be_bytes());
    Member { key, rpc: at, gossip: at, api: at, zone, versions: Versions::SHIPPED }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
