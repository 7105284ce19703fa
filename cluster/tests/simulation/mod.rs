//! Machines that run membership, and nothing else, over a network that loses packets: a discrete-event simulation.
//!
//! It holds no rule of membership. Machines crash, start again and stand still; the network loses, cuts and goes deaf. Time
//! is in microseconds and costs nothing to pass; a seed gives the same run again.

mod chance;
pub(crate) mod churn;
pub(crate) mod measure;

pub(crate) use chance::Chance;
pub(crate) use measure::{Measures, percentile};

use cluster::membership::{ClusterKey, Identity, Input, Membership, Output, Settings};
use cluster::{ClusterId, Generation, Millis, NodeId};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// A millisecond in the unit of this simulation.
pub(crate) const MS: u64 = 1_000;
/// A second.
pub(crate) const SECOND: u64 = 1_000 * MS;

/// What a simulation is made of.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// How many machines.
    pub(crate) machines: usize,
    /// How many packets of a thousand are lost.
    pub(crate) loss_per_mille: u64,
    /// The shortest and the longest way of a packet, in microseconds.
    pub(crate) latency_us: (u64, u64),
    /// How membership is tuned.
    pub(crate) settings: Settings,
    /// What all chance comes from.
    pub(crate) seed: u64,
}

impl Shape {
    /// Three machines, 5 % loss, 0.2 to 1 ms.
    pub(crate) fn three(seed: u64) -> Self {
        Self { machines: 3, loss_per_mille: 50, latency_us: (200, 1_000), settings: Settings::default(), seed }
    }
}

enum Event {
    Arrive { at: usize, from: SocketAddr, bytes: Vec<u8> },
    Wake { machine: usize },
}

struct Machine {
    /// `None` while it is crashed.
    membership: Option<Membership>,
    wake_at: Option<u64>,
    stalled_until: u64,
    /// What came while it stood still.
    waiting: Vec<(SocketAddr, Vec<u8>)>,
    deaf: bool,
    side: u64,
}

impl Machine {
    fn new() -> Self {
        Self { membership: None, wake_at: None, stalled_until: 0, waiting: Vec::new(), deaf: false, side: 0 }
    }
}

/// A run.
pub(crate) struct Simulation {
    shape: Shape,
    now: u64,
    events: BTreeMap<(u64, u64), Event>,
    scheduled: u64,
    machines: Vec<Machine>,
    chance: Chance,
    /// What was measured so far.
    pub(crate) measures: Measures,
}

const KEY: ClusterKey = ClusterKey([42; 32]);
const BUFFERED_MAX: usize = 256;

impl Simulation {
    /// Starts all machines within a second; each knows the address of the first two.
    pub(crate) fn start(shape: Shape) -> Self {
        let mut simulation = Self {
            machines: (0..shape.machines).map(|_| Machine::new()).collect(),
            chance: Chance(shape.seed),
            shape,
            now: 0,
            events: BTreeMap::new(),
            scheduled: 0,
            measures: Measures::default(),
        };
        for machine in 0..simulation.machines.len() {
            let at = simulation.chance.between(0, SECOND / simulation.machines.len() as u64);
            simulation.run_for(at);
            simulation.boot(machine);
        }
        simulation
    }

    /// The chance of the scenario.
    pub(crate) fn chance(&mut self) -> &mut Chance {
        &mut self.chance
    }

    /// Starts a machine that is down, in a new life.
    pub(crate) fn boot(&mut self, machine: usize) {
        let at = address(machine);
        let generation = 1_000_000 + self.now / MS;
        let own = Identity { id: node(machine), generation: Generation(generation), gossip: at, rpc: at, api: at };
        let seed = self.chance.bytes();
        let now = Millis(self.now / MS);
        let settings = self.shape.settings.clone();
        let cluster = Some(ClusterId([7; 16]));
        let started = Membership::new(own, settings, &(&KEY).into(), cluster, &seed, now).expect("good settings");
        self.machines[machine].membership = Some(started);
        for seed in (0..2).filter(|seed| *seed != machine) {
            self.feed(machine, Input::Announce(address(seed)));
        }
    }

    /// Adds a machine that never was there, and starts it; returns which it is.
    pub(crate) fn add(&mut self) -> usize {
        self.machines.push(Machine::new());
        self.boot(self.machines.len() - 1);
        self.machines.len() - 1
    }

    /// A machine is told where another one is.
    pub(crate) fn introduce(&mut self, machine: usize, other: usize) {
        self.feed(machine, Input::Announce(address(other)));
    }

    /// How long the simulation has run, in microseconds.
    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    /// Whether a machine is up.
    pub(crate) fn runs(&self, machine: usize) -> bool {
        self.machines[machine].membership.is_some()
    }

    /// Ends a machine without a word.
    pub(crate) fn crash(&mut self, machine: usize) {
        let crashed = &mut self.machines[machine];
        (crashed.membership, crashed.wake_at) = (None, None);
        crashed.waiting.clear();
    }

    /// Has a machine stand still. What it is sent waits for it, as in a socket's buffer.
    pub(crate) fn stall(&mut self, machine: usize, for_us: u64) {
        self.machines[machine].stalled_until = self.now + for_us;
        self.schedule(self.now + for_us, Event::Wake { machine });
    }

    /// A deaf machine sends, but nothing reaches it.
    pub(crate) fn set_deaf(&mut self, machine: usize, deaf: bool) {
        self.machines[machine].deaf = deaf;
    }

    /// Machines on different sides do not reach each other.
    pub(crate) fn set_side(&mut self, machine: usize, side: u64) {
        self.machines[machine].side = side;
    }

    /// The view of a machine that is up.
    pub(crate) fn view(&self, machine: usize) -> &Membership {
        self.machines[machine].membership.as_ref().expect("the machine is up")
    }

    /// Whether every machine that is up sees exactly the others that are.
    pub(crate) fn is_whole(&self) -> bool {
        let up: Vec<usize> = self.running().collect();
        up.iter().all(|machine| {
            let view = self.view(*machine);
            let others = up.iter().filter(|other| *other != machine);
            view.alive().count() + 1 == up.len() && others.clone().all(|other| view.is_alive(node(*other)))
        })
    }

    /// Who is up and does not see whom that is up, too.
    pub(crate) fn strangers(&self) -> Vec<(usize, usize)> {
        let pairs = self.running().flat_map(|one| self.running().map(move |other| (one, other)));
        pairs.filter(|(one, other)| one != other && !self.view(*one).is_alive(node(*other))).collect()
    }

    /// The machines that are up.
    pub(crate) fn running(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.machines.len()).filter(|machine| self.machines[*machine].membership.is_some())
    }

    /// Goes on for so long.
    pub(crate) fn run_for(&mut self, us: u64) {
        let end = self.now + us;
        while let Some(((at, _), event)) = self.events.pop_first() {
            if at > end {
                self.scheduled += 1;
                self.events.insert((at, 0), event);
                break;
            }
            self.pass_to(at);
            match event {
                Event::Arrive { at, from, bytes } => self.arrive(at, from, bytes),
                Event::Wake { machine } => self.wake(machine),
            }
        }
        self.pass_to(end);
    }

    /// Goes on until `done`, at most for `us`. Returns how long that took, or `None` if it did not happen.
    pub(crate) fn run_until(&mut self, us: u64, done: impl Fn(&Self) -> bool) -> Option<u64> {
        let begin = self.now;
        while !done(self) {
            if self.now - begin >= us {
                return None;
            }
            self.run_for(MS);
        }
        Some(self.now - begin)
    }

    fn pass_to(&mut self, at: u64) {
        self.measures.machine_us += (at - self.now) * self.running().count() as u64;
        self.now = at;
    }

    fn arrive(&mut self, at: usize, from: SocketAddr, bytes: Vec<u8>) {
        let machine = &mut self.machines[at];
        if machine.deaf || machine.membership.is_none() {
            return;
        }
        if machine.stalled_until <= self.now {
            self.feed(at, Input::Datagram { from, bytes: &bytes });
        } else if machine.waiting.len() < BUFFERED_MAX {
            machine.waiting.push((from, bytes));
        }
    }

    /// A timer first, then what waits in the socket: the worse order of the two.
    fn wake(&mut self, machine: usize) {
        let woken = &mut self.machines[machine];
        if woken.stalled_until > self.now {
            return;
        }
        let waiting = std::mem::take(&mut woken.waiting);
        if woken.wake_at.is_some_and(|at| at <= self.now) {
            self.feed(machine, Input::Tick);
        }
        for (from, bytes) in waiting {
            self.feed(machine, Input::Datagram { from, bytes: &bytes });
        }
    }

    fn feed(&mut self, machine: usize, input: Input<'_>) {
        let mut out = Vec::new();
        let Some(membership) = &mut self.machines[machine].membership else { return };
        membership.handle(input, Millis(self.now / MS), &mut out);
        let wake_at = membership.wake_at().map(|at| at.0 * MS);
        if wake_at != self.machines[machine].wake_at {
            self.machines[machine].wake_at = wake_at;
            if let Some(at) = wake_at {
                self.schedule(at, Event::Wake { machine });
            }
        }
        for output in out {
            self.perform(machine, output);
        }
    }

    fn perform(&mut self, by: usize, output: Output) {
        match output {
            Output::Send { to, bytes } => self.send(by, to, bytes),
            Output::Down(about) => {
                let machine = index(about);
                let running = self.machines[machine].membership.is_some();
                self.measures.verdict(self.now, by, machine, running);
            }
            Output::Up(_) | Output::Changed(_) => {}
            Output::Renewed(_) => self.measures.renewals += 1,
        }
    }

    fn send(&mut self, by: usize, to: SocketAddr, bytes: Vec<u8>) {
        self.measures.packets += 1;
        self.measures.bytes += bytes.len() as u64;
        let at = (0..self.machines.len()).find(|machine| address(*machine) == to);
        let Some(at) = at.filter(|at| self.machines[*at].side == self.machines[by].side) else { return };
        let (shortest, longest) = self.shape.latency_us;
        let way = self.chance.between(shortest, longest);
        if self.chance.between(0, 999) >= self.shape.loss_per_mille {
            self.schedule(self.now + way, Event::Arrive { at, from: address(by), bytes });
        }
    }

    fn schedule(&mut self, at: u64, event: Event) {
        self.scheduled += 1;
        self.events.insert((at.max(self.now), self.scheduled), event);
    }
}

/// The name of a machine's node.
pub(crate) fn node(machine: usize) -> NodeId {
    NodeId(machine as u64 + 1)
}

fn index(node: NodeId) -> usize {
    usize::try_from(node.0).expect("a small number") - 1
}

fn address(machine: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, u8::try_from(machine + 1).expect("few machines")], 18183))
}
