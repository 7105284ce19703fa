//! A real cluster for tests: processes of the built program on loopback, or each on a host of its own, with files of their own.
//!
//! Its ports are found by binding them and letting go again. They lie below those that the system hands out by itself, so
//! that nothing takes the port of a node that is down; if another program was faster, all begins anew on other ports.

use super::fabric::{self, CLIENTS, Fabric, GOSSIP, OPERATORS, RPC};
use node::cli::client::Client;
use node::cli::demo::{Ground, Place, Process};
use node::cli::stop::Stop;
use node::clock::{Clock as _, SystemClock};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The longest a cluster may take for anything before a test calls it lost.
pub const PATIENCE: Duration = Duration::from_secs(90);
/// How often is looked.
const LOOK: Duration = Duration::from_millis(20);
/// Ports are looked for here, below those that the system hands out.
const FIRST_PORT: u32 = 12_000;
/// How many ports the nodes of one cluster take at most, and how many such clusters there is room for.
const PORTS_A_CLUSTER: u32 = 50;
const CLUSTERS: u32 = 400;
/// How often all begins anew because another program took a port.
const TRIES: u32 = 5;

/// Processes that are, or are to be, one cluster.
#[derive(Debug)]
pub struct Cluster {
    folder: tempfile::TempDir,
    places: Vec<Place>,
    variables: Vec<Vec<(&'static str, String)>>,
    running: Vec<Option<Process>>,
    /// Where the nodes are on hosts of their own.
    fabric: Option<Fabric>,
    programs: Vec<PathBuf>,
    /// Of the client listeners, by node.
    pub clients: Vec<Client>,
    /// Of the admin listeners, by node.
    pub admins: Vec<Client>,
}

impl Cluster {
    /// Starts so many nodes and waits until they are one cluster.
    pub fn start(nodes: usize) -> Self {
        for _ in 0..TRIES {
            let mut cluster = Self::prepare(nodes);
            if cluster.found() {
                return cluster;
            }
        }
        panic!("other programs take every port");
    }

    /// Starts so many nodes, each on a host of its own, and waits until they are one cluster.
    ///
    /// # Errors
    ///
    /// Those of [`Fabric::new`].
    pub fn start_on_hosts(nodes: usize) -> std::io::Result<Self> {
        let fabric = Fabric::new(nodes)?;
        let folder = tempfile::tempdir()?;
        // Of these places only the folders count: on its host every node has the same ports.
        let ground = Ground::prepare(Some(&folder.path().join("nodes")), Some(CLIENTS), nodes).unwrap();
        let places = ground.places().to_vec();
        let at = |node, port| SocketAddr::new(fabric::address(node), port).to_string();
        let seeds: Vec<_> = (0..nodes).map(|node| at(node, GOSSIP)).collect();
        let variables = |(node, place)| {
            let mut variables = ground.variables(place);
            let own = [
                ("STEMEDB_BIND_ADDR", at(node, CLIENTS)),
                ("STEMEDB_ADMIN_ADDR", at(node, OPERATORS)),
                ("STEMEDB_RPC_ADDR", at(node, RPC)),
                ("STEMEDB_GOSSIP_ADDR", at(node, GOSSIP)),
                ("STEMEDB_SEEDS", seeds.join(",")),
            ];
            variables.retain(|(name, _)| own.iter().all(|(own, _)| own != name));
            variables.into_iter().chain(own).collect()
        };
        let door = |node, port| Client::new(&format!("http://{}", fabric.door(node, port))).unwrap();
        let mut cluster = Self {
            variables: places.iter().enumerate().map(variables).collect(),
            running: places.iter().map(|_| None).collect(),
            programs: vec![env!("CARGO_BIN_EXE_stemedb").into(); nodes],
            clients: (0..nodes).map(|node| door(node, CLIENTS)).collect(),
            admins: (0..nodes).map(|node| door(node, OPERATORS)).collect(),
            fabric: Some(fabric),
            places,
            folder,
        };
        assert!(cluster.found(), "nobody else is on these hosts");
        Ok(cluster)
    }

    /// What is between the hosts.
    pub fn fabric(&self) -> &Fabric {
        self.fabric.as_ref().unwrap()
    }

    /// Starts all nodes and waits until they are one cluster; whether no other program has one of their ports.
    fn found(&mut self) -> bool {
        let nodes = 0..self.places.len();
        nodes.clone().for_each(|node| self.run(node));
        let mut taken = false;
        until("the nodes are one cluster", || {
            taken = nodes.clone().any(|node| self.said(node).contains("cannot listen on"));
            if taken { Ok(()) } else { self.whole() }
        });
        !taken
    }

    /// Places for so many nodes, none of which runs yet.
    pub fn prepare(nodes: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let base = free_ports(nodes);
        let ground = Ground::prepare(Some(&folder.path().join("nodes")), Some(base), nodes).unwrap();
        let places = ground.places().to_vec();
        let client = |url: String| Client::new(&url).unwrap();
        Self {
            variables: places.iter().map(|place| ground.variables(place)).collect(),
            running: places.iter().map(|_| None).collect(),
            programs: vec![env!("CARGO_BIN_EXE_stemedb").into(); places.len()],
            clients: places.iter().map(|place| client(place.url())).collect(),
            admins: places.iter().map(|place| client(place.admin_url())).collect(),
            fabric: None,
            places,
            folder,
        }
    }

    /// Changes a setting of a node, from its next start on.
    pub fn set(&mut self, node: usize, variable: &'static str, value: impl Into<String>) {
        self.variables[node].retain(|(name, _)| *name != variable);
        self.variables[node].push((variable, value.into()));
    }

    /// Leaves a setting of a node at its default, from its next start on.
    pub fn unset(&mut self, node: usize, variable: &str) {
        self.variables[node].retain(|(name, _)| *name != variable);
    }

    /// A setting of a node.
    pub fn setting(&self, node: usize, variable: &str) -> &str {
        &self.variables[node].iter().find(|(name, _)| *name == variable).unwrap().1
    }

    /// Starts the process of a node that does not run.
    pub fn run(&mut self, node: usize) {
        let (place, variables) = (self.places[node].clone(), self.variables[node].clone());
        let program = self.programs[node].clone();
        let start = move || Process::start(&program, &place, &variables).unwrap();
        let process = match &self.fabric {
            Some(fabric) => fabric.on(node, start),
            None => start(),
        };
        self.running[node] = Some(process);
    }

    /// Puts another program on a node, from its next start on.
    pub fn install(&mut self, node: usize, program: impl Into<PathBuf>) {
        self.programs[node] = program.into();
    }

    /// SIGTERM to one, which must end in order.
    pub fn terminate(&mut self, node: usize) {
        let mut process = self.running[node].take().unwrap();
        process.ask_to_stop();
        process.stop().unwrap();
    }

    /// SIGKILL, and no goodbye.
    pub fn kill(&mut self, node: usize) {
        self.running[node].take().unwrap().kill().unwrap();
    }

    /// SIGHUP.
    pub fn hang_up(&self, node: usize) {
        let pid = self.running[node].as_ref().unwrap().pid();
        kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::HUP).unwrap();
    }

    /// SIGTERM to all, which must end in order.
    pub fn stop(mut self) {
        self.running.iter_mut().flatten().for_each(Process::ask_to_stop);
        for process in std::mem::take(&mut self.running).into_iter().flatten() {
            process.stop().unwrap();
        }
    }

    /// Waits until a process ends by itself, which it must not do in order; returns what it has said.
    pub fn refusal(&mut self, node: usize) -> String {
        let mut process = self.running[node].take().unwrap();
        let mut success = false;
        until("the node ends by itself", || {
            let ended = process.ended();
            success = ended.is_some_and(|status| status.success());
            ended.map(drop).ok_or("it runs")
        });
        assert!(!success, "it ended as if all were well");
        self.said(node)
    }

    /// Where a node keeps its data.
    pub fn data_dir(&self, node: usize) -> PathBuf {
        self.places[node].data_dir.clone()
    }

    /// The folder of all of it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The URLs for clients.
    pub fn urls(&self) -> Vec<String> {
        self.clients.iter().map(|client| client.url().to_owned()).collect()
    }

    /// What a node has printed and logged.
    pub fn said(&self, node: usize) -> String {
        std::fs::read_to_string(&self.places[node].log).unwrap_or_default()
    }

    /// What the cluster is, at a glance, as a node has it.
    pub fn glance(&self, node: usize) -> Result<Value, String> {
        let status = self.admins[node].get("/v1/admin/status", &[]).and_then(|reply| reply.taken());
        Ok(status.map_err(|failure| failure.to_string())?["cluster"].clone())
    }

    /// The metrics of a node, as text.
    pub fn metrics(&self, node: usize) -> String {
        let reply = self.admins[node].get("/metrics", &[]).unwrap();
        String::from_utf8(reply.body).unwrap()
    }

    /// Whether a node is ready, and if not, what it says.
    pub fn ready(&self, node: usize) -> Result<(), String> {
        let reply = self.clients[node].get("/v1/ready", &[]).map_err(|failure| failure.to_string())?;
        if reply.is_success() { Ok(()) } else { Err(String::from_utf8_lossy(&reply.body).into_owned()) }
    }

    /// Whether every node is ready and sees all others.
    pub fn whole(&self) -> Result<(), String> {
        for node in 0..self.places.len() {
            self.ready(node).map_err(|why| format!("node {}: {why}", node + 1))?;
            let glance = self.glance(node)?;
            if glance["nodes_up"] != self.places.len() {
                return Err(format!("node {} sees {glance}", node + 1));
            }
        }
        Ok(())
    }

    /// Whether nothing lacks a copy and nobody keeps a hint, for certain.
    pub fn rested(&self) -> Result<(), String> {
        self.whole()?;
        let glance = self.glance(0)?;
        let shortfall = &glance["under_replicated"];
        let rests = glance["hints_pending"] == 0 && shortfall["records"] == 0 && shortfall["is_exact"] == true;
        if rests { Ok(()) } else { Err(glance.to_string()) }
    }

    /// The ids of the records that a node has in its own store.
    pub fn own_records(&self, node: usize) -> BTreeSet<String> {
        let lines = BufReader::new(self.clients[node].stream("/v1/records", &[]).unwrap()).lines();
        let id = |line: std::io::Result<String>| {
            let envelope = api::json::parse_envelope(line.unwrap().as_bytes(), None).unwrap();
            model::canonical::id_of(&model::canonical::canonical_bytes(envelope.body())).to_string()
        };
        lines.map(id).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for node in 0..self.places.len() {
                let said = self.said(node);
                let lines: Vec<_> = said.lines().collect();
                let end = lines.get(lines.len().saturating_sub(15)..).unwrap_or_default();
                eprintln!("--- node {} said at last:\n{}", node + 1, end.join("\n"));
            }
        }
    }
}

/// Looks again and again until nothing is missing.
pub fn until<E: std::fmt::Display>(what: &str, mut look: impl FnMut() -> Result<(), E>) {
    let (clock, stop) = (SystemClock::start(), Stop::default());
    while let Err(missing) = look() {
        assert!(clock.monotonic() < PATIENCE, "waited in vain: {what}: {missing}");
        stop.wait(LOOK);
    }
}

/// The first of the ports for so many nodes, all of which could be bound a moment ago, and none of which another cluster of
/// this process was given lately.
fn free_ports(nodes: usize) -> u16 {
    static CLUSTERS_SO_FAR: AtomicU32 = AtomicU32::new(0);
    let so_far = CLUSTERS_SO_FAR.fetch_add(1, Ordering::Relaxed);
    let first = std::process::id().wrapping_add(so_far.wrapping_mul(7_919));
    let bases = (0..CLUSTERS).map(|step| FIRST_PORT + first.wrapping_add(step) % CLUSTERS * PORTS_A_CLUSTER);
    let mut bases = bases.map(|base| u16::try_from(base).unwrap());
    let is_free =
        |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok() && UdpSocket::bind(("127.0.0.1", port)).is_ok();
    let fits = |base: &u16| {
        let mut ports = (0..u16::try_from(nodes).unwrap()).flat_map(|node| (0..4).map(move |port| node * 10 + port));
        ports.all(|port| is_free(base + port))
    };
    bases.find(fits).unwrap()
}
