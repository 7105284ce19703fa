//! A network of hosts for tests, each with an address of its own, and faults between them.
//!
//! A host is a network namespace of this machine with nothing in it but its loopback: whatever one host says to another, by
//! TCP or UDP, goes through this process, which passes it on, late, slowly or not at all. In the namespace of each host the
//! addresses of the others are this process's, and what it takes there it hands on to the real ones from the address of
//! whoever spoke. So nodes need no setting to be led through it, and nothing leaves the namespaces.
//!
//! Namespaces end with the last thread, process and socket in them: there is nothing to remove. They take root, or the right
//! to administer the system. What a fault is and is not is told at [`Way`].

mod datagrams;
mod namespace;
mod streams;
mod way;

pub use way::Way;

use datagrams::Mouth;
use namespace::Namespace;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use streams::Onward;
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// Where every host listens for clients, operators, calls of other hosts, and gossip.
pub const CLIENTS: u16 = 18_180;
pub const OPERATORS: u16 = 18_181;
pub const RPC: u16 = 18_182;
pub const GOSSIP: u16 = 18_183;

/// The most hosts.
const HOSTS_MAX: usize = 16;

/// The address of a host, everywhere.
pub fn address(host: usize) -> IpAddr {
    Ipv4Addr::new(127, 0, 1, u8::try_from(host + 1).unwrap()).into()
}

/// Hosts, and the ways between them.
#[derive(Debug)]
pub struct Fabric {
    hosts: Vec<Arc<Namespace>>,
    /// By who speaks and who is spoken to.
    ways: BTreeMap<(usize, usize), watch::Sender<Way>>,
    /// Carries what is said.
    carriers: Runtime,
}

impl Fabric {
    /// So many hosts with nothing wrong between them.
    ///
    /// # Errors
    ///
    /// What the system says, above all that this process may not make namespaces.
    pub fn new(hosts: usize) -> io::Result<Self> {
        assert!(hosts <= HOSTS_MAX);
        let hosts: Vec<_> = (0..hosts).map(|_| Namespace::new().map(Arc::new)).collect::<Result<_, _>>()?;
        let carriers = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let pairs = (0..hosts.len()).flat_map(|from| (0..hosts.len()).map(move |to| (from, to)));
        let ways = pairs.filter(|(from, to)| from != to).map(|pair| (pair, watch::channel(Way::Pass).0)).collect();
        let fabric = Self { hosts, ways, carriers };
        fabric.lead_streams()?;
        fabric.lead_datagrams()?;
        Ok(fabric)
    }

    /// From now on it is so from one host to another.
    pub fn set(&self, from: usize, to: usize, way: Way) {
        self.ways[&(from, to)].send_replace(way);
    }

    /// From now on it is so between two hosts, both ways.
    pub fn set_between(&self, one: usize, other: usize, way: Way) {
        self.set(one, other, way);
        self.set(other, one, way);
    }

    /// From now on it is so between a host and all others.
    pub fn set_around(&self, host: usize, way: Way) {
        (0..self.hosts.len()).filter(|other| *other != host).for_each(|other| self.set_between(host, other, way));
    }

    /// From now on nothing is wrong any more.
    pub fn heal(&self) {
        self.ways.values().for_each(|way| {
            way.send_replace(Way::Pass);
        });
    }

    /// Does something on a host: what is started there, and what is opened there, is on that host.
    pub fn on<T: Send + 'static>(&self, host: usize, act: impl FnOnce() -> T + Send + 'static) -> T {
        self.hosts[host].run(act)
    }

    /// An address outside of all hosts, on this machine, that leads to a port of a host with no faults: for clients.
    pub fn door(&self, host: usize, port: u16) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let door = listener.local_addr().unwrap();
        let onward =
            Onward { host: Arc::clone(&self.hosts[host]), from: address(host), to: (address(host), port).into() };
        let fine = watch::channel(Way::Pass).1;
        self.carry(listener, onward, [fine.clone(), fine]).unwrap();
        door
    }

    fn lead_streams(&self) -> io::Result<()> {
        for (from, to) in self.ways.keys().copied() {
            let listener = self.on(from, move || TcpListener::bind((address(to), RPC)))?;
            let host = Arc::clone(&self.hosts[to]);
            let onward = Onward { host, from: address(from), to: (address(to), RPC).into() };
            self.carry(listener, onward, [self.way(from, to), self.way(to, from)])?;
        }
        Ok(())
    }

    /// Carries what comes in, by the way there and the way back.
    fn carry(&self, listener: TcpListener, onward: Onward, ways: [watch::Receiver<Way>; 2]) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let _entered = self.carriers.enter();
        let listener = tokio::net::TcpListener::from_std(listener)?;
        drop(self.carriers.spawn(streams::carry_all(listener, onward, ways)));
        Ok(())
    }

    fn lead_datagrams(&self) -> io::Result<()> {
        let _entered = self.carriers.enter();
        let mut mouths = BTreeMap::new();
        for (at, of) in self.ways.keys().copied() {
            let socket = self.on(at, move || UdpSocket::bind((address(of), GOSSIP)))?;
            socket.set_nonblocking(true)?;
            mouths.insert((at, of), Arc::new(tokio::net::UdpSocket::from_std(socket)?));
        }
        for (from, to) in self.ways.keys().copied() {
            let (ear, mouth) = (Arc::clone(&mouths[&(from, to)]), Arc::clone(&mouths[&(to, from)]));
            let mouth = Mouth { socket: mouth, to: (address(to), GOSSIP).into() };
            drop(self.carriers.spawn(datagrams::carry_all(ear, mouth, self.way(from, to))));
        }
        Ok(())
    }

    fn way(&self, from: usize, to: usize) -> watch::Receiver<Way> {
        self.ways[&(from, to)].subscribe()
    }
}
