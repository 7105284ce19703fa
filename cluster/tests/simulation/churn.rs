//! A cluster of many machines that come and go: who is there, by membership; who owns what, by the control state, its planner
//! and its steps. No records: a home is taken by whoever joins it once a step's time is over and all who take part are up.

use super::{SECOND, Shape, Simulation, index, node};
use cluster::control::{Command, Member, Outcome, Settings, State, Versions};
use cluster::placement::{Table, homes};
use cluster::{Epoch, NodeId, NodeKey};
use std::collections::BTreeSet;
use std::num::NonZeroU8;

/// What a step takes on idle nodes: a fence lies two seconds back, sessions and reports come once a second.
const STEP: u64 = 5 * SECOND;
/// How long everything may take.
const PATIENCE: u64 = 600 * SECOND;
/// How finely time passes while something is waited for.
const LOOK: u64 = 20 * super::MS;
const COPIES: u8 = 2;

/// What one change came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    /// Copies that are on a node which did not have them before, and how many the change could not do without.
    pub(crate) moved: usize,
    pub(crate) least: usize,
    /// Tables that it took, and the most homes in transit at once.
    pub(crate) tables: u64,
    pub(crate) in_transit_max: usize,
    /// From the command to the last table, in microseconds.
    pub(crate) took: u64,
}

/// A cluster that changes.
pub(crate) struct Churn {
    pub(crate) simulation: Simulation,
    pub(crate) state: State,
    /// From each crash to the verdict of each survivor, in microseconds.
    pub(crate) found: Vec<u64>,
    /// From each crash until all survivors had told it.
    pub(crate) found_by_all: Vec<u64>,
    /// Machines that were called down while they ran.
    pub(crate) false_verdicts: usize,
    next_step: u64,
}

impl Churn {
    /// Machines that have met and founded a cluster.
    pub(crate) fn start(shape: Shape) -> Self {
        let machines = shape.machines;
        let mut simulation = Simulation::start(shape);
        simulation.run_until(60 * SECOND, Simulation::is_whole).expect("all machines meet");
        let members = (0..machines).map(|machine| (node(machine), member(machine))).collect();
        let settings = Settings { replication_factor: NonZeroU8::new(COPIES).expect("two") };
        let mut state = State::default();
        state.apply(&Command::found(members, settings).expect("a plan"));
        simulation.measures.verdicts.clear();
        let (found, found_by_all) = (Vec::new(), Vec::new());
        Self { simulation, state, found, found_by_all, false_verdicts: 0, next_step: 0 }
    }

    /// A member that is up, drawn by chance.
    pub(crate) fn anyone(&mut self) -> usize {
        let up: Vec<usize> = self.simulation.running().filter(|machine| self.is_member(*machine)).collect();
        up[usize::try_from(self.simulation.chance().between(0, up.len() as u64 - 1)).expect("few")]
    }

    /// Kills a machine and waits until all survivors know it.
    pub(crate) fn kill(&mut self, victim: usize) {
        self.judge();
        let at = self.simulation.now();
        self.simulation.crash(victim);
        let is_known = |simulation: &Simulation| {
            simulation.running().all(|survivor| !simulation.view(survivor).is_alive(node(victim)))
        };
        self.pass_until("the crash is known to all", |churn| is_known(&churn.simulation));
        let verdicts = self.simulation.measures.verdicts.iter().filter(|verdict| verdict.about == victim);
        let mut found: Vec<u64> = verdicts.map(|verdict| verdict.at - at).collect();
        self.found_by_all.extend(found.iter().max());
        self.found.append(&mut found);
        self.judge();
    }

    /// Starts a machine again that was killed.
    pub(crate) fn boot(&mut self, machine: usize) {
        self.simulation.boot(machine);
        self.introduce(machine);
        self.pass_until("it is back", |churn| churn.simulation.is_whole());
    }

    /// A machine that was never there joins.
    pub(crate) fn add(&mut self) -> Change {
        let machine = self.new_machine();
        let copies = usize::from(COPIES) * homes().count();
        let members = self.state.members().map_or(0, |members| members.len());
        self.change(&Command::Admit { node: node(machine), member: member(machine) }, copies / (members + 1))
    }

    /// A machine that is dead is replaced by one that was never there.
    pub(crate) fn replace(&mut self, dead: usize) -> Change {
        let machine = self.new_machine();
        let least = self.homes_of(dead);
        let (old, new) = (node(dead), node(machine));
        self.change(&Command::Replace { old, node: new, member: member(machine) }, least)
    }

    /// A machine gives all away and goes.
    pub(crate) fn drain(&mut self, machine: usize) -> Change {
        let least = self.homes_of(machine);
        let change = self.change(&Command::Drain { node: node(machine), leaves: true }, least);
        assert!(self.state.was_removed(node(machine)), "who has nothing left goes");
        self.kill(machine);
        change
    }

    fn new_machine(&mut self) -> usize {
        let machine = self.simulation.add();
        self.introduce(machine);
        machine
    }

    /// Gives a machine seeds that are there: the first ones may be long gone.
    fn introduce(&mut self, machine: usize) {
        let seeds: Vec<usize> = self.simulation.running().filter(|seed| *seed != machine).take(2).collect();
        seeds.into_iter().for_each(|seed| self.simulation.introduce(machine, seed));
    }

    /// Makes a change and waits until it is over; `least` is the number of copies that have to move.
    fn change(&mut self, command: &Command, least: usize) -> Change {
        let (began, before) = (self.simulation.now(), self.table());
        assert_eq!(self.state.apply(command), Outcome::Changed);
        let mut in_transit_max = 0;
        self.pass_until("the cluster comes to rest", |churn| {
            in_transit_max = in_transit_max.max(churn.table().moves().len());
            churn.is_at_rest()
        });
        let after = self.table();
        assert!(after.moves().is_empty() && self.is_balanced(), "at rest, and nobody has more than others");
        Change {
            moved: after.moves_from(&before),
            least,
            tables: after.epoch().0 - before.epoch().0,
            in_transit_max,
            took: self.simulation.now() - began,
        }
    }

    fn pass_until(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let begun = self.simulation.now();
        while !done(self) {
            assert!(self.simulation.now() - begun < PATIENCE, "{what}: {:?}", self.simulation.strangers());
            self.simulation.run_for(LOOK);
            if self.simulation.now() >= self.next_step {
                self.next_step = self.simulation.now() + STEP;
                self.step();
            }
        }
    }

    /// What the leader proposes in the time of one step: plans at once, and one table.
    fn step(&mut self) {
        loop {
            let table = self.table();
            let is_up = |id: &NodeId| self.simulation.runs(index(*id));
            let taken = table
                .moves()
                .iter()
                .filter(|(home, change)| table.owners(**home).iter().chain(&change.leaving).all(is_up));
            let taken = taken.map(|(home, _)| *home).collect();
            let there: BTreeSet<_> =
                self.state.members().into_iter().flatten().map(|(id, _)| *id).filter(is_up).collect();
            let Some(command) = self.state.next(&taken, &there, &there).expect("a plan") else { return };
            assert_eq!(self.state.apply(&command), Outcome::Changed);
            let next = self.table();
            assert!(next.moves().len() <= cluster::control::steps::HOMES_IN_TRANSIT_MAX);
            assert!(homes().all(|home| next.readers(home).next().is_some()), "somebody holds all of each home");
            if next.epoch() != table.epoch() {
                assert_eq!(next.epoch(), Epoch(table.epoch().0 + 1));
                return;
            }
        }
    }

    fn is_at_rest(&self) -> bool {
        let there = self.state.members().into_iter().flatten().map(|(id, _)| *id).collect();
        self.table().moves().is_empty() && self.state.next(&BTreeSet::new(), &there, &there) == Ok(None)
    }

    fn is_balanced(&self) -> bool {
        let loads = self.state.members().into_iter().flatten().map(|(id, _)| self.table().homes_of(*id).count());
        let (least, most) = loads.fold((usize::MAX, 0), |(least, most), load| (least.min(load), most.max(load)));
        most - least <= 1
    }

    /// Takes the verdicts so far into account.
    pub(crate) fn judge(&mut self) {
        self.false_verdicts += self.simulation.measures.verdicts.drain(..).filter(|verdict| verdict.running).count();
    }

    fn table(&self) -> Table {
        self.state.table().expect("it is founded").clone()
    }

    fn homes_of(&self, machine: usize) -> usize {
        self.table().homes_of(node(machine)).count()
    }

    fn is_member(&self, machine: usize) -> bool {
        self.state.members().is_some_and(|members| members.contains_key(&node(machine)))
    }
}

/// A machine as the others know it. Its key begins with its id.
pub(crate) fn member(machine: usize) -> Member {
    let mut key = [7; 32];
    key[..8].copy_from_slice(&node(machine).0.to_be_bytes());
    let at = |port| ([10, 0, 0, 1], port).into();
    let versions = Versions::SHIPPED;
    Member { key: NodeKey(key), rpc: at(1), gossip: at(2), api: at(3), zone: String::new(), versions }
}
