//! Nodes, clients and a probe in one simulation, and everything that can go wrong with them.
//!
//! Each method does one thing to the cluster, at the moment between two steps of simulated time; nothing here decides
//! when. What a method models is in its documentation, with what it does not.

mod host;
mod links;
mod network;
mod probe;
mod stall;

pub use host::Process;

use crate::chance::Chance;
use crate::client::{Answer, Http, Lost, Request, Workload, run as work};
use crate::history::History;
use crate::invariants::{ControlLogs, ControlView, Unreadable};
use crate::trace::Now;
use crate::world::{Cuts, Forecast, HostDisk, Surroundings, Timing};
use ::cluster::control::{Version, Versions};
use ::cluster::membership::ClusterKey;
use host::Host;
use links::{Link, Links};
use network::simulation;
use node::cluster_key::KeyFile;
use node::settings::{Host as AdvertisedHost, Seeds, Settings, Zone};
use node::world::Network;
use probe::{Asked, Probe};
use stall::STEP;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use storage::disk::Crash;
use turmoil::Sim;

/// Where a node listens for clients.
const CLIENT_PORT: u16 = 18180;
/// Where a node listens for operators.
const ADMIN_PORT: u16 = 18181;
/// Where a node listens for calls of others.
const RPC_PORT: u16 = 18182;
/// Where a node gossips.
const GOSSIP_PORT: u16 = 18183;
/// Where the operator put the cluster's key.
const KEY_FILE: &str = "/etc/stemedb/cluster.key";
/// The size of a log segment: the smallest that may be set, since each is filled with zeros when it is made.
pub(crate) const LOG_SEGMENT_BYTES: u32 = 1 << 20;
/// Where a node keeps everything.
pub(crate) const DATA_DIR: &str = "/data";
/// Where it keeps its log.
pub(crate) const WAL_DIR: &str = "/data/wal";

/// How a cluster is made.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// How many nodes.
    pub nodes: usize,
    /// How many of them found the cluster, the first ones; the others wait to join it. 0: all.
    pub founders: usize,
    /// Whether the faults begin when the cluster is founded and clients write, and it must serve at the end. Else they begin
    /// with nothing started, and nobody writes.
    pub is_founded: bool,
    /// How many clients.
    pub clients: usize,
    /// What each client does.
    pub workload: Workload,
    /// The least time that a packet is under way, in whole milliseconds, as the next. To both comes, for every packet, 0 or
    /// 1 ms, half a millisecond in the mean: the module `network` says why.
    pub latency_min: Duration,
    /// The longest; most are near the least.
    pub latency_max: Duration,
    /// How much time each step of the simulation takes: 1 ms, or more where hours are to pass. It is then what "1 ms" is in
    /// the two fields before, and nobody can be stalled.
    pub step: Duration,
    /// Changes the settings of the node with that number.
    pub settings: fn(&mut Settings, usize),
}

impl Default for Shape {
    /// One node and three clients in one rack.
    fn default() -> Self {
        Self {
            nodes: 1,
            founders: 0,
            is_founded: true,
            clients: 3,
            workload: Workload::default(),
            latency_min: Duration::ZERO,
            latency_max: Duration::from_millis(2),
            step: STEP,
            settings: |_, _| {},
        }
    }
}

impl Shape {
    /// How many nodes found the cluster.
    pub fn founders(&self) -> usize {
        if self.founders == 0 { self.nodes } else { self.founders }
    }
}

/// A host of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Site {
    /// The node with that number, from 0.
    Node(usize),
    /// The client with that number, from 0.
    Client(usize),
}

/// A cluster.
pub struct Cluster {
    sim: Sim<'static>,
    step: Duration,
    now: Now,
    chance: Chance,
    nodes: Vec<Arc<Host>>,
    /// What operators have in the file with the cluster's key.
    keys: KeyFile,
    clients: usize,
    /// Of nodes, then clients, then the probe.
    addresses: Vec<IpAddr>,
    links: Links,
    cuts: Cuts,
    probe: Probe,
    history: History,
    writing: Arc<AtomicBool>,
    /// Who is stalled, and until when.
    stalls: Vec<(usize, Duration)>,
    /// What a fuse leaves on the disk of a node when it blows.
    fuses: Vec<Crash>,
    control_logs: ControlLogs,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("elapsed", &self.elapsed()).field("nodes", &self.nodes).finish_non_exhaustive()
    }
}

impl Cluster {
    /// A cluster in which nothing runs yet but the clients, which wait. Everything follows from `shape` and `chance`.
    pub fn new(shape: Shape, chance: &Chance, now: Now) -> Self {
        let mut sim = simulation(&shape, chance.branch("turmoil", 0).draw());
        let names = names(shape.nodes, shape.clients);
        let addresses: Vec<_> = names.iter().map(|name| sim.lookup(name.as_str())).collect();
        let (cuts, history, writing, probe) =
            (Cuts::default(), History::default(), Arc::new(AtomicBool::new(false)), Probe::default());
        let (mut nodes, keys) = (Vec::new(), KeyFile::new(ClusterKey([0x5c; 32]), ClusterKey([0xa1; 32])));
        let to_clients: Arc<[_]> =
            addresses.iter().take(shape.nodes).map(|address| SocketAddr::new(*address, CLIENT_PORT)).collect();
        for (number, (name, address)) in names.iter().zip(&addresses).enumerate() {
            let chance = chance.branch("host", number as u64);
            let surroundings = Surroundings::new(&chance);
            if number < shape.nodes {
                let settings = settings(shape, number, &addresses);
                let host = Arc::new(Host::new(*address, surroundings, settings, cuts.clone(), &keys));
                nodes.push(Arc::clone(&host));
                sim.host(name.as_str(), move || {
                    let life = Arc::clone(&host).live();
                    async move {
                        life.await;
                        Ok(())
                    }
                });
                continue;
            }
            let network: Arc<dyn Network> =
                Arc::clone(&surroundings.world(*address, &cuts, 0, Versions::SHIPPED).network);
            if number < shape.nodes + shape.clients {
                let (nodes, writing, history) = (Arc::clone(&to_clients), Arc::clone(&writing), history.clone());
                sim.host(name.as_str(), move || {
                    let chance = chance.branch("workload", 0);
                    let (nodes, writing, history) = (Arc::clone(&nodes), Arc::clone(&writing), history.clone());
                    let work = work(shape.workload, Http::new(Arc::clone(&network)), nodes, chance, writing, history);
                    async move {
                        work.await;
                        Ok(())
                    }
                });
            } else {
                let probe = probe.clone();
                sim.host(name.as_str(), move || {
                    let run = probe.clone().run(Http::new(Arc::clone(&network)));
                    async move {
                        run.await;
                        Ok(())
                    }
                });
            }
        }
        let fuses = vec![Crash::DropUnsynced; shape.nodes];
        Self {
            sim,
            step: shape.step,
            now,
            chance: chance.branch("cluster", 0),
            nodes,
            keys,
            clients: shape.clients,
            addresses,
            links: Links::default(),
            cuts,
            probe,
            history,
            writing,
            stalls: Vec::new(),
            fuses,
            control_logs: ControlLogs::default(),
        }
    }

    /// What the control log on the disk of a node says; `None` if there is none yet. Cheap as long as it does not change.
    ///
    /// # Errors
    ///
    /// [`Unreadable`].
    pub(crate) fn control_log(&self, node: usize) -> Result<Option<Arc<ControlView>>, Unreadable> {
        self.control_logs.view(node, self.disk(node))
    }

    /// The time since the start of the simulation.
    pub fn elapsed(&self) -> Duration {
        self.sim.elapsed()
    }

    /// By how much less than it seems one moment may be after another, if they were noted on two hosts. In a step of 1 ms
    /// nothing that takes time happens on two hosts, so there it is nothing.
    pub fn doubt(&self) -> Duration {
        self.step.saturating_sub(STEP)
    }

    /// How many nodes there are, running or not.
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// How many clients there are.
    pub fn clients(&self) -> usize {
        self.clients
    }

    /// What the clients did.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Lets the clients write, or makes them stop beginning new writes.
    pub fn set_writing(&self, writing: bool) {
        self.writing.store(writing, Ordering::Relaxed);
    }

    /// What there is of a node's process.
    pub fn process(&self, node: usize) -> Process {
        self.host(node).process()
    }

    /// The disk of a node.
    pub fn disk(&self, node: usize) -> &HostDisk {
        &self.host(node).surroundings.disk
    }

    /// The nodes whose process runs.
    pub fn running(&self) -> Vec<usize> {
        let runs = |node: &usize| matches!(self.process(*node), Process::Up | Process::Starting);
        (0..self.nodes.len()).filter(runs).collect()
    }

    /// Takes one step of simulated time. A node whose fuse blows in it has lost its power at its end.
    ///
    /// # Errors
    ///
    /// What turmoil says. A panic of a node is a panic here.
    pub(crate) fn step(&mut self) -> Result<(), String> {
        self.now.set(self.elapsed());
        #[cfg(feature = "planted")]
        let awake = planted::wake();
        self.sim.step().map_err(|error| error.to_string())?;
        #[cfg(feature = "planted")]
        drop(awake);
        self.now.set(self.elapsed());
        for node in 0..self.nodes.len() {
            if self.disk(node).is_blown() {
                let crash = self.fuses.get(node).copied().unwrap_or(Crash::DropUnsynced);
                self.lose_power(node, crash);
            }
        }
        let elapsed = self.elapsed();
        let (over, stalls) = std::mem::take(&mut self.stalls).into_iter().partition(|(_, until)| *until <= elapsed);
        self.stalls = stalls;
        for (node, _) in over {
            self.change_links(|links| links.hold(node, false));
        }
        Ok(())
    }

    /// Starts the process of a node on what its disk holds, with power and network. One that runs is left alone.
    pub fn start(&mut self, node: usize) {
        if matches!(self.process(node), Process::Up | Process::Starting) {
            return;
        }
        self.note(node, "starts");
        self.change_links(|links| links.darken(node, false));
        self.host(node).set(Process::Starting);
        self.sim.bounce(self.address(node));
    }

    /// The same, with `--accept-clock-jump`: its operator takes the clock for right, whatever it says.
    pub fn start_with_clock_accepted(&mut self, node: usize) {
        self.host(node).accept_clock();
        self.start(node);
    }

    /// Moves a node to a zone, from its next start on.
    ///
    /// # Panics
    ///
    /// If that is no name of a zone.
    #[expect(clippy::expect_used, reason = "the name is of the scenario's making")]
    pub fn set_zone(&mut self, node: usize, zone: &str) {
        tracing::info!(target: "sim", node, zone, "the node is moved");
        self.host(node).set_zone(Zone::parse(zone).expect("a name"));
    }

    /// Takes the next step in changing the cluster's key, as `stemedb keygen --cluster --rotate` does. No node has the file
    /// yet.
    pub fn rotate_key(&mut self) {
        let mut fresh = ClusterKey([0; 32]);
        self.chance.fill(&mut fresh.0);
        (self.keys, _) = self.keys.rotated(fresh);
    }

    /// Gives a node the file with the cluster's key as it is now, and has it read it again, as SIGHUP does.
    pub fn give_key(&mut self, node: usize) {
        self.note(node, "is given the cluster key as it is now");
        self.host(node).give_keys(&self.keys);
    }

    /// Asks the process of a node to stop in order, as SIGTERM does.
    pub fn stop(&mut self, node: usize) {
        self.note(node, "is asked to stop");
        self.host(node).ask_to_stop();
    }

    /// Kills the process of a node, as SIGKILL does: its connections are closed by the system, its disk keeps everything.
    pub fn kill(&mut self, node: usize) {
        self.note(node, "is killed");
        self.end(node, Crash::KeepAll);
    }

    /// Takes the power of a node: others hear nothing more from it, not even that its connections are closed, and of what
    /// was not synced its disk keeps some blocks and not others.
    pub fn power_loss(&mut self, node: usize) {
        let torn = Crash::Torn(self.chance.draw());
        self.lose_power(node, torn);
    }

    /// Makes the power of a node fail at the `call`-th call of its disk from now on, from 1: that call and all after it
    /// fail, and at the end of the step the node is gone. What was not synced is torn, or lost altogether, by chance.
    pub fn power_loss_at(&mut self, node: usize, call: u64) {
        let torn = Crash::Torn(self.chance.draw());
        let crash = if self.chance.below(2) == 0 { torn } else { Crash::DropUnsynced };
        if let Some(fuse) = self.fuses.get_mut(node) {
            *fuse = crash;
        }
        self.disk(node).arm_fuse(call);
    }

    /// Kills the process of a node and takes its disk away; when it starts again it is on an empty one.
    pub fn lose_disk(&mut self, node: usize) {
        self.note(node, "loses its disk");
        self.end(node, Crash::KeepAll);
        self.disk(node).replace();
    }

    /// Makes a node execute nothing for a while; see the module `stall` for how far that goes. What is sent to it, and
    /// what it had sent, arrives afterwards.
    pub fn stall(&mut self, node: usize, time: Duration) {
        self.note(node, "stalls");
        let until = self.elapsed() + time;
        self.stalls.push((node, until));
        self.change_links(|links| links.hold(node, true));
        self.host(node).ask_to_stall(time);
    }

    /// Loses whatever hosts of `one` and `other` send each other. Their connections are dead for good, as no stream of
    /// turmoil mends itself: they end when somebody loses patience.
    pub fn partition(&mut self, one: &[Site], other: &[Site]) {
        self.partition_oneway(one, other);
        self.partition_oneway(other, one);
    }

    /// Loses whatever hosts of `from` send to hosts of `to`.
    pub fn partition_oneway(&mut self, from: &[Site], to: &[Site]) {
        tracing::info!(target: "sim", ?from, ?to, "cut off");
        let number = |site: &Site| self.number(*site);
        let (from, to): (Vec<_>, Vec<_>) = (from.iter().map(number).collect(), to.iter().map(number).collect());
        self.change_links(|links| {
            for from in &from {
                to.iter().filter(|to| *to != from).for_each(|to| links.cut(*from, *to));
            }
        });
    }

    /// Cuts a node off from all others; clients still reach it.
    pub fn isolate(&mut self, node: usize) {
        let others: Vec<_> = (0..self.nodes.len()).filter(|other| *other != node).map(Site::Node).collect();
        self.partition(&[Site::Node(node)], &others);
    }

    /// Mends all partitions.
    pub fn heal(&mut self) {
        tracing::info!(target: "sim", "healed");
        self.change_links(Links::heal);
    }

    /// Sets how far the wall clock of a node is ahead, in milliseconds; negative for behind. A change is a jump.
    pub fn set_skew_ms(&mut self, node: usize, skew_ms: i64) {
        tracing::info!(target: "sim", node, skew_ms, "the wall clock is set");
        self.host(node).surroundings.clock.set_skew_ms(skew_ms);
    }

    /// Sets how many of the messages that a node sends to others are lost, doubled and late.
    pub fn set_weather(&mut self, node: usize, forecast: Forecast) {
        tracing::info!(target: "sim", node, ?forecast, "the weather changes");
        self.host(node).surroundings.weather.set(forecast);
    }

    /// Loses every call of Raft between nodes, or lets them through again: nobody leads for long, and nothing is decided.
    /// Gossip and all other calls go on.
    pub fn lose_raft(&mut self, lost: bool) {
        tracing::info!(target: "sim", lost, "the calls of Raft");
        let methods: &[&str] = if lost { &["raft"] } else { &[] };
        self.nodes.iter().for_each(|host| host.surroundings.weather.lose_calls(methods));
    }

    /// How many calls of a method a node has made to others.
    pub fn calls(&self, node: usize, method: &str) -> u64 {
        self.host(node).surroundings.weather.calls(method)
    }

    /// Sets how long the calls of a node's disk take.
    pub fn set_timing(&mut self, node: usize, timing: Timing) {
        tracing::info!(target: "sim", node, ?timing, "the disk changes its pace");
        self.disk(node).set_timing(timing);
    }

    /// Puts a build on a node whose newest version of formats and protocol is `max`. Its next process is of it.
    pub fn install(&mut self, node: usize, max: u16) {
        tracing::info!(target: "sim", node, max, "another build is installed");
        self.host(node).install(Versions::up_to(Version(max)));
    }

    /// Makes the next sync of a node's disk fail.
    pub fn fail_next_sync(&mut self, node: usize) {
        self.note(node, "has a disk whose next sync fails");
        self.disk(node).fail_next_sync();
    }

    /// Puts a question to a node, on the address for clients.
    pub(crate) fn put(&self, node: usize, request: Request, deadline: Duration) -> Asking {
        Asking(self.probe.put(SocketAddr::new(self.address(node), CLIENT_PORT), request, deadline))
    }

    /// Puts a question to a node, on the address for operators.
    pub(crate) fn put_admin(&self, node: usize, request: Request, deadline: Duration) -> Asking {
        Asking(self.probe.put(SocketAddr::new(self.address(node), ADMIN_PORT), request, deadline))
    }

    fn lose_power(&mut self, node: usize, crash: Crash) {
        self.note(node, "loses power");
        self.change_links(|links| links.darken(node, true));
        self.end(node, crash);
    }

    /// Ends a process, whatever it is doing.
    fn end(&mut self, node: usize, crash: Crash) {
        self.stalls.retain(|(stalled, _)| *stalled != node);
        self.change_links(|links| links.hold(node, false));
        self.sim.crash(self.address(node));
        self.disk(node).crash(crash);
        self.host(node).set(Process::Off);
    }

    /// Changes the state of the links, and makes the network so.
    fn change_links(&mut self, change: impl FnOnce(&mut Links)) {
        let before = self.links.clone();
        change(&mut self.links);
        let hosts = self.addresses.iter().enumerate();
        for (one, a) in hosts.clone() {
            for (other, b) in hosts.clone().skip(one + 1) {
                let (was, is) = (before.between(one, other), self.links.between(one, other));
                if was == is {
                    continue;
                }
                if was == Link::Held {
                    self.sim.release(*a, *b);
                }
                self.sim.repair(*a, *b);
                match is {
                    Link::Open => {}
                    Link::Held => self.sim.hold(*a, *b),
                    Link::Cut => self.sim.partition(*a, *b),
                    Link::CutFrom(from, _) if from == one => self.sim.partition_oneway(*a, *b),
                    Link::CutFrom(..) => self.sim.partition_oneway(*b, *a),
                }
                self.cuts.set(*a, *b, !self.links.reaches(one, other));
                self.cuts.set(*b, *a, !self.links.reaches(other, one));
            }
        }
    }

    fn note(&self, node: usize, what: &str) {
        tracing::info!(target: "sim", "node {node} {what}");
    }

    #[expect(clippy::indexing_slicing, reason = "a scenario names nodes that its shape has")]
    fn host(&self, node: usize) -> &Arc<Host> {
        &self.nodes[node]
    }

    fn address(&self, node: usize) -> IpAddr {
        self.host(node).address
    }

    fn number(&self, site: Site) -> usize {
        match site {
            Site::Node(node) => node,
            Site::Client(client) => self.nodes.len() + client,
        }
    }
}

/// A question that was put to a node.
#[derive(Clone, Debug)]
pub(crate) struct Asking(Asked);

impl Asking {
    /// The answer, if it is there.
    pub(crate) fn answer(&self) -> Option<Result<Answer, Lost>> {
        self.0.answer()
    }
}

fn names(nodes: usize, clients: usize) -> Vec<String> {
    let nodes = (0..nodes).map(|node| format!("node-{node}"));
    let clients = (0..clients).map(|client| format!("client-{client}"));
    nodes.chain(clients).chain(["probe".to_owned()]).collect()
}

fn settings(shape: Shape, node: usize, addresses: &[IpAddr]) -> Settings {
    let everywhere = |port| SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
    let mut settings = Settings {
        data_dir: DATA_DIR.into(),
        wal_dir: Some(WAL_DIR.into()),
        bind_addr: everywhere(CLIENT_PORT),
        admin_addr: everywhere(ADMIN_PORT),
        log_segment_bytes_max: LOG_SEGMENT_BYTES.into(),
        disk_free_bytes_min: 0,
        scrub_bytes_per_second: 0,
        ..Settings::default()
    };
    if shape.nodes > 1 {
        let nodes = addresses.get(..shape.nodes).unwrap_or_default();
        settings.rpc_addr = everywhere(RPC_PORT);
        settings.gossip_addr = everywhere(GOSSIP_PORT);
        settings.advertise_host = addresses.get(node).and_then(|address| AdvertisedHost::parse(&address.to_string()));
        settings.seeds = Seeds::at(nodes.iter().map(|address| SocketAddr::new(*address, GOSSIP_PORT)));
        settings.bootstrap_expect = u64::try_from(shape.founders()).ok().filter(|_| node < shape.founders());
        settings.cluster_key_file = Some(KEY_FILE.into());
    }
    (shape.settings)(&mut settings, node);
    settings
}
