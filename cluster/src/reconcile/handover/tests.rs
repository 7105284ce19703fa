//! Nodes that lose homes, owners that lose calls, tables that change: nothing is dropped too early, and in the end everything
//! is where it belongs and nowhere else.

use super::*;
use crate::placement::homes;
use model::set::{Leaf, SetKey};
use proptest::prelude::*;
use std::collections::VecDeque;

const A: NodeId = NodeId(1);
const B: NodeId = NodeId(2);
const C: NodeId = NodeId(3);
const D: NodeId = NodeId(4);
const ALL: [NodeId; 4] = [A, B, C, D];

const SETTINGS: Settings =
    Settings { homes_max: 2, look_every: Millis(100), pause_min: Millis(50), pause_max: Millis(400) };

fn home(number: u16) -> Home {
    Home::from_number(number).unwrap()
}

fn sum_of(ids: impl IntoIterator<Item = u8>) -> SetSum {
    let mut sum = SetSum::ZERO;
    ids.into_iter().for_each(|id| sum.add(&SetKey::new([3; 32]), Leaf([id; 16])));
    sum
}

/// All homes have the same owners.
fn table(epoch: u64, owners: &[NodeId]) -> Table {
    Table::new(Epoch(epoch), vec![owners.to_vec(); homes().count()]).unwrap()
}

struct Story {
    handover: Handover,
    out: Vec<Output>,
}

impl Story {
    /// D was an owner, and has looked what it holds.
    fn begin(owners: &[NodeId], held: &[u16]) -> Self {
        let mut out = Vec::new();
        let handover = Handover::start(SETTINGS, D, table(1, owners), Millis(0), &mut out);
        assert_eq!(out, [Output::Look]);
        Self { handover, out: Vec::new() }.then(0, holding(held))
    }

    fn then(mut self, at: u64, input: Input) -> Self {
        self.out.clear();
        self.handover.handle(input, Millis(at), &mut self.out);
        self
    }

    fn retable(mut self, at: u64, table: Table) -> Self {
        self.out.clear();
        self.handover.retable(table, Millis(at), &mut self.out);
        self
    }

    fn says<const N: usize>(self, wanted: [Output; N]) -> Self {
        assert_eq!(self.out, wanted);
        self
    }
}

fn holding(homes: &[u16]) -> Input {
    Input::Held(homes.iter().map(|number| (home(*number), sum_of([1]))).collect())
}

fn compare(call: u64, number: u16, with: NodeId, epoch: u64) -> Output {
    Output::Compare { call, home: home(number), with, epoch: Epoch(epoch) }
}

fn drops(call: u64, number: u16, epoch: u64) -> Output {
    Output::Drop { call, home: home(number), epoch: Epoch(epoch), held: sum_of([1]) }
}

fn has_all(call: u64) -> Input {
    Input::Compared { call, has_all: true }
}

#[test]
fn a_home_is_dropped_once_each_of_its_owners_has_all_of_it() {
    let story = Story::begin(&[A, B], &[7]).says([compare(1, 7, A, 1)]);
    let story = story.then(10, has_all(1)).says([compare(2, 7, B, 1)]);
    let story = story.then(20, has_all(2)).says([drops(3, 7, 1)]);
    assert_eq!(story.handover.strays(), 1);
    let story = story.then(30, Input::Dropped { call: 3, done: true }).says([]);
    assert_eq!((story.handover.strays(), story.handover.wake_at()), (0, Some(Millis(100))));
}

#[test]
fn what_is_its_own_and_the_global_home_are_left_alone() {
    Story::begin(&[A, D], &[7, 8]).says([]);
    Story::begin(&[A, B], &[256]).says([]);
}

#[test]
fn an_owner_that_cannot_be_reached_is_asked_less_and_less_and_keeps_nobody_else_waiting() {
    let failed = |call| Input::Compared { call, has_all: false };
    let story = Story::begin(&[A, B], &[7]).then(10, failed(1)).says([]);
    assert_eq!(story.handover.wake_at(), Some(Millis(60)));
    let story = story.then(60, Input::Tick).says([compare(2, 7, B, 1)]).then(70, has_all(2));
    let story = story.says([compare(3, 7, A, 1)]).then(80, failed(3)).then(130, failed(9));
    let story = story.says([Output::Look, compare(4, 7, A, 1)]).then(140, failed(4)).says([]);
    assert_eq!(story.handover.wake_at(), Some(Millis(240)));
    story.then(150, Input::Up(B)).says([]).then(160, Input::Up(A)).says([compare(5, 7, A, 1)]);
}

#[test]
fn another_table_begins_every_home_anew() {
    let story = Story::begin(&[A, B], &[7]).then(10, has_all(1)).says([compare(2, 7, B, 1)]);
    let story = story.then(15, Input::Tick).retable(20, table(2, &[A, C])).says([Output::Look]);
    let story = story.then(25, has_all(2)).says([]).then(30, holding(&[7])).says([compare(3, 7, A, 2)]);
    let story = story.then(40, has_all(3)).says([compare(4, 7, C, 2)]).retable(50, table(1, &[A])).says([]);
    story.then(60, has_all(4)).says([drops(5, 7, 2)]);
}

#[test]
fn what_came_since_has_to_be_confirmed_too() {
    let story = Story::begin(&[A, B], &[7]).then(10, has_all(1)).then(20, Input::Tick);
    let more = Input::Held([(home(7), sum_of([1, 2]))].into());
    let story = story.then(100, Input::Tick).says([Output::Look]).then(110, more).says([compare(3, 7, A, 1)]);
    let story = story.then(120, has_all(2)).says([]).then(130, has_all(3)).says([compare(4, 7, B, 1)]);
    let story = story.then(140, has_all(4));
    assert!(matches!(story.out[..], [Output::Drop { call: 5, held, .. }] if held == sum_of([1, 2])));
    let story = story.then(150, Input::Dropped { call: 5, done: false }).says([Output::Look]);
    let story = story.then(160, Input::Unknown).says([]);
    assert_eq!(story.handover.wake_at(), Some(Millis(200)));
    story.then(200, Input::Tick).says([compare(6, 7, A, 1)]);
}

#[test]
fn only_so_many_homes_are_under_way_at_a_time() {
    let story = Story::begin(&[A, B], &[7, 8, 9]).says([compare(1, 7, A, 1), compare(2, 8, A, 1)]);
    let story = story.retable(10, table(2, &[A, C])).says([Output::Look]).then(20, holding(&[7, 8, 9])).says([]);
    story.then(30, has_all(1)).says([compare(3, 7, A, 2)]).then(40, has_all(2)).says([compare(4, 8, A, 2)]);
}

/// One node of a small world.
struct Node {
    handover: Handover,
    table: Table,
    held: BTreeMap<Home, BTreeSet<u8>>,
    calls: Vec<Output>,
}

struct World {
    nodes: BTreeMap<NodeId, Node>,
    /// All tables there were, the newest last.
    tables: Vec<Table>,
    /// What each home holds, wherever it is.
    all: BTreeMap<Home, BTreeSet<u8>>,
    now: Millis,
}

/// Two of the four, in one of twelve orders.
fn pair(turn: usize) -> Vec<NodeId> {
    let mut nodes = ALL.to_vec();
    nodes.rotate_left(turn % 4);
    let first = nodes.remove(0);
    nodes.rotate_left(turn / 4 % 3);
    vec![first, nodes[0]]
}

fn table_of(epoch: u64, turns: [usize; 3]) -> Table {
    let owners = |home: Home| pair(turns[usize::from(home.number()) % 3]);
    Table::new(Epoch(epoch), homes().map(owners).collect()).unwrap()
}

impl World {
    fn new(turns: [usize; 3], all: BTreeMap<Home, BTreeSet<u8>>) -> Self {
        let first = table_of(1, turns);
        let node = |id: NodeId| {
            let owned = all.iter().filter(|(home, _)| first.owns(id, **home));
            let held = owned.map(|(home, ids)| (*home, ids.clone())).collect();
            let mut calls = Vec::new();
            let handover = Handover::start(SETTINGS, id, first.clone(), Millis(0), &mut calls);
            (id, Node { handover, table: first.clone(), held, calls })
        };
        Self { nodes: ALL.map(node).into(), tables: vec![first.clone()], all: all.clone(), now: Millis(0) }
    }

    fn holds(&self, node: NodeId, home: Home) -> BTreeSet<u8> {
        self.nodes[&node].held.get(&home).cloned().unwrap_or_default()
    }

    fn input(&mut self, node: NodeId, input: Input) {
        let (now, node) = (self.now, self.nodes.get_mut(&node).unwrap());
        node.handover.handle(input, now, &mut node.calls);
    }

    fn learn(&mut self, node: NodeId, at: usize) {
        let (now, node) = (self.now, self.nodes.get_mut(&node).unwrap());
        let table = self.tables[at].clone();
        if table.epoch() > node.table.epoch() {
            node.table = table.clone();
            node.handover.retable(table, now, &mut node.calls);
        }
    }

    /// A node restarts: what it decided so far is forgotten, what it holds is not.
    fn restart(&mut self, id: NodeId) {
        let (now, node) = (self.now, self.nodes.get_mut(&id).unwrap());
        node.calls.clear();
        node.handover = Handover::start(SETTINGS, id, node.table.clone(), now, &mut node.calls);
    }

    /// What `caller` is answered by `with`; `reached` says whether the call gets there.
    fn compare(&mut self, caller: NodeId, with: NodeId, home: Home, epoch: Epoch, reached: bool) -> bool {
        let own = self.nodes[&caller].table.epoch();
        if !reached || own != epoch {
            return false;
        }
        // Who is behind fetches the table first, and who is ahead refuses.
        self.learn(with, usize::try_from(epoch.0 - 1).unwrap());
        if self.nodes[&with].table.epoch() != epoch || !self.nodes[&with].table.owns(with, home) {
            return false;
        }
        let sent = self.holds(caller, home);
        self.nodes.get_mut(&with).unwrap().held.entry(home).or_default().extend(sent);
        true
    }

    /// Carries out a call and hands in the answer, or keeps that back.
    fn serve(&mut self, node: NodeId, call: Output, reached: bool, late: Option<&mut VecDeque<(NodeId, Input)>>) {
        let answer = match call {
            Output::Look => {
                let held = self.nodes[&node].held.iter().filter(|(_, ids)| !ids.is_empty());
                Input::Held(held.map(|(home, ids)| (*home, sum_of(ids.iter().copied()))).collect())
            }
            Output::Compare { call, home, with, epoch } => {
                Input::Compared { call, has_all: self.compare(node, with, home, epoch, reached) }
            }
            Output::Drop { call, home, epoch, held } => {
                let is_as_was = self.nodes[&node].table.epoch() == epoch && sum_of(self.holds(node, home)) == held;
                if is_as_was {
                    self.check_drop(node, home);
                    self.nodes.get_mut(&node).unwrap().held.remove(&home);
                }
                Input::Dropped { call, done: is_as_was }
            }
        };
        match late {
            Some(late) => late.push_back((node, answer)),
            None => self.input(node, answer),
        }
    }

    /// Each owner by the table of the node that drops has all that goes, or has learnt of a newer table since.
    fn check_drop(&self, node: NodeId, home: Home) {
        let (table, held) = (&self.nodes[&node].table, self.holds(node, home));
        assert!(!table.owns(node, home), "an owner drops");
        for owner in table.owners(home) {
            let has_all = held.is_subset(&self.holds(*owner, home));
            let is_ahead = self.nodes[owner].table.epoch() > table.epoch();
            assert!(has_all || is_ahead, "{node} drops {home} before {owner} has all of it");
        }
    }

    /// Two nodes at least have each record, whoever was an owner when.
    fn check(&self) {
        for (home, ids) in &self.all {
            for id in ids {
                let copies = ALL.iter().filter(|node| self.holds(**node, *home).contains(id)).count();
                assert!(copies >= 2, "{copies} copies of {id} of {home}");
            }
        }
    }

    fn pass_time(&mut self) {
        let due = self.nodes.values().filter_map(|node| node.handover.wake_at()).min();
        self.now = due.map_or(self.now + Millis(10), |due| due.max(self.now));
        ALL.into_iter().for_each(|node| self.input(node, Input::Tick));
    }
}

fn some_records() -> impl Strategy<Value = BTreeMap<Home, BTreeSet<u8>>> {
    prop::collection::btree_map((0..5_u16).prop_map(home), prop::collection::btree_set(0..9_u8, 1..4), 1..5)
}

proptest! {
    #[test]
    fn nothing_is_dropped_too_early_and_in_the_end_only_owners_hold_anything(
        all in some_records(),
        turns in (0..12_usize, 0..12_usize, 0..12_usize),
        events in prop::collection::vec((0..16_u8, 0..64_usize), 0..150),
    ) {
        let mut world = World::new([turns.0, turns.1, turns.2], all);
        let mut late = VecDeque::new();
        for (event, number) in events {
            let node = ALL[number % 4];
            let pending = world.nodes[&node].calls.len();
            let at = (pending > 0).then(|| number / 4 % pending);
            let mut call = || at.map(|at| world.nodes.get_mut(&node).unwrap().calls.remove(at));
            match event {
                0..=5 => if let Some(call) = call() { world.serve(node, call, true, None) },
                6 => if let Some(call) = call() { world.serve(node, call, true, Some(&mut late)) },
                7 => if let Some(call) = call() { world.serve(node, call, false, None) },
                8 => if let Some((node, answer)) = late.pop_front() { world.input(node, answer) },
                9 => {
                    let epoch = world.tables.len() as u64 + 1;
                    world.tables.push(table_of(epoch, [number % 12, number / 2 % 12, number / 3 % 12]));
                    world.learn(node, world.tables.len() - 1);
                }
                10 | 11 => world.learn(node, world.tables.len() - 1),
                12 => world.restart(node),
                13 => {
                    // What was under way when a table changed comes to one that owns it, or owned it just now.
                    let newest = world.nodes[&node].table.clone();
                    let there: Vec<_> = world.all.keys().copied().filter(|home| newest.owns(node, *home)).collect();
                    for home in there {
                        let all = world.all[&home].clone();
                        world.nodes.get_mut(&node).unwrap().held.insert(home, all);
                    }
                }
                14 => ALL.into_iter().for_each(|up| world.input(node, Input::Up(up))),
                _ => world.pass_time(),
            }
            world.check();
        }
        late.into_iter().for_each(|(node, answer)| world.input(node, answer));
        let newest = world.tables.len() - 1;
        ALL.into_iter().for_each(|node| world.learn(node, newest));
        let end = world.now + Millis(60_000);
        let stray = |world: &World| {
            let table = &world.tables[newest];
            let mut held = world.nodes.iter().flat_map(|(node, state)| state.held.keys().map(|home| (*node, *home)));
            held.any(|(node, home)| !table.owns(node, home))
        };
        while stray(&world) && world.now < end {
            for node in ALL {
                for call in std::mem::take(&mut world.nodes.get_mut(&node).unwrap().calls) {
                    world.serve(node, call, true, None);
                    world.check();
                }
            }
            world.pass_time();
        }
        prop_assert!(!stray(&world), "somebody keeps what is not its own");
        for (home, ids) in &world.all {
            let owners = world.tables[newest].owners(*home);
            let union: BTreeSet<u8> = owners.iter().flat_map(|owner| world.holds(*owner, *home)).collect();
            prop_assert_eq!(&union, ids, "of home {}", home);
        }
    }
}
