//! Small worlds: owners that take, close, exchange and compare in every order, and a home that moves under them.

use super::*;
use crate::placement::{Move, homes};
use crate::reconcile::taking::Taking;
use model::set::{Leaf, SetKey};
use proptest::prelude::*;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

const KEY: SetKey = SetKey::new([3; 32]);
/// Not the global home, of which every node keeps a copy.
const HOME: u16 = 7;
const NODES: [NodeId; 4] = [NodeId(1), NodeId(2), NodeId(3), NodeId(4)];
/// What is compared: up to here.
const FENCE: u8 = 2;
/// The end of time: no stamp lies after it.
const END: u8 = 5;
/// The one record there is.
const RECORD: u8 = 7;

fn home() -> Home {
    Home::from_number(HOME).unwrap()
}

fn at(time: u8) -> Stamp {
    Stamp::new(u64::from(time), 0).unwrap()
}

fn ids(nodes: &[usize]) -> Vec<NodeId> {
    nodes.iter().map(|node| NODES[*node]).collect()
}

fn table(epoch: u64, owners: &[usize]) -> Table {
    let of = |each| if each == home() { ids(owners) } else { vec![NodeId(9)] };
    Table::new(Epoch(epoch), homes().map(of).collect()).unwrap()
}

/// On the way from one list of owners to another.
fn in_transit(epoch: u64, before: &[usize], after: &[usize]) -> Table {
    let without = |these: &[usize], those: &[usize]| {
        ids(these).into_iter().filter(|node| !ids(those).contains(node)).collect::<BTreeSet<_>>()
    };
    let change = Move { joining: without(after, before), leaving: without(before, after) };
    table(epoch, after).in_transit([(home(), change)].into()).unwrap()
}

/// By record, its time and how it is signed.
type Set = BTreeMap<u8, (u8, u8)>;

fn below(set: &Set, time: u8) -> Set {
    set.iter().filter(|(_, (at, _))| *at <= time).map(|(id, held)| (*id, *held)).collect()
}

fn sum(set: &Set, time: u8) -> SetSum {
    let mut sum = SetSum::ZERO;
    below(set, time)
        .iter()
        .for_each(|(id, (at, signed))| sum.add(&KEY, Leaf([[*id, *at, *signed, 0]; 4].concat().try_into().unwrap())));
    sum
}

#[derive(Clone, Debug)]
struct Node {
    set: Set,
    closed: u8,
    frontier: Frontier,
    taking: Taking,
    /// Whom it had all of, as a move once waited for.
    met: BTreeSet<NodeId>,
}

impl Node {
    fn retable(&mut self, table: &Table) {
        self.frontier.retable(table);
        self.taking.retable(table);
        self.taking.quiet(Stamp::ZERO);
    }
}

/// What an owner said of its set, on its way.
#[derive(Clone, Debug, Hash)]
struct Word {
    from: usize,
    to: usize,
    set: Set,
    closed: u8,
    stable: Option<Stamp>,
    settled: Option<Stamp>,
}

/// By which rule who joins is dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// The one of this release.
    Follows,
    /// As an owner like any other, and a home has arrived once its new owners have all of it.
    IsAnOwner,
}

#[derive(Clone, Debug)]
struct World {
    rule: Rule,
    nodes: Vec<Node>,
    table: Arc<Table>,
    word: Option<Word>,
    /// What was said to be stable once, and what lay at or below it at whoever said so.
    promised: BTreeMap<u8, Set>,
    /// The owners before and after, if there is to be a move.
    moves: Option<(Vec<usize>, Vec<usize>)>,
}

impl World {
    fn new(rule: Rule, owners: &[usize], next: Option<&[usize]>) -> Self {
        let table = table(1, owners);
        let node = |n: usize| {
            let mut node = Node {
                set: Set::new(),
                closed: 0,
                frontier: Frontier::new(NODES[n]),
                taking: Taking::default(),
                met: BTreeSet::new(),
            };
            node.retable(&table);
            node
        };
        let count = owners.iter().chain(next.into_iter().flatten()).max().unwrap() + 1;
        Self {
            rule,
            nodes: (0..count).map(node).collect(),
            word: None,
            promised: BTreeMap::new(),
            moves: next.map(|next| (owners.to_vec(), next.to_vec())),
            table: Arc::new(table),
        }
    }

    /// All of it that changes.
    fn key(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for Node { set, closed, frontier, taking, met } in &self.nodes {
            (set, closed, format!("{:?}{taking:?}", frontier.homes.get(&home())), met).hash(&mut hasher);
        }
        (&self.table.epoch(), &self.word, &self.promised).hash(&mut hasher);
        hasher.finish()
    }

    fn are(&self, is: impl Fn(&Table, NodeId) -> bool) -> Vec<usize> {
        (0..self.nodes.len()).filter(|node| is(&self.table, NODES[*node])).collect()
    }

    fn holders(&self) -> Vec<usize> {
        self.are(|table, node| table.holds(node, home()))
    }

    fn readers(&self) -> Vec<usize> {
        self.are(|table, node| table.reads(node, home()))
    }

    /// Every world that may follow.
    fn next(&self) -> Vec<Self> {
        let mut worlds = Vec::new();
        let mut then = |step: &dyn Fn(&mut Self) -> Option<()>| {
            let mut world = self.clone();
            if step(&mut world).is_some() {
                worlds.push(world);
            }
        };
        let holders = self.holders();
        for node in holders.iter().copied() {
            for (stamp, signed) in [(1, 1), (2, 0)] {
                then(&|world| world.bring(node, stamp, signed));
            }
            for time in [1, 2] {
                then(&|world| world.close(node, time));
            }
            for from in holders.iter().copied().filter(|from| *from != node) {
                then(&|world| world.say(from, node));
            }
            for former in (0..self.nodes.len()).filter(|former| !holders.contains(former)) {
                then(&|world| {
                    let (stamp, signed) = world.nodes[former].set.get(&RECORD).copied()?;
                    world.bring(node, stamp, signed)
                });
            }
            then(&|world| world.restart(node));
        }
        then(&|world| world.hear(true));
        then(&|world| world.hear(false));
        then(&|world| world.go_on());
        worlds
    }

    /// The home sets out, or arrives.
    fn go_on(&mut self) -> Option<()> {
        let (before, after) = self.moves.clone()?;
        let next = match self.table.epoch() {
            Epoch(1) => in_transit(2, &before, &after),
            Epoch(2) => {
                let has_all = |owner: &usize| {
                    let (node, me) = (&self.nodes[*owner], NODES[*owner]);
                    match self.rule {
                        Rule::Follows => node.taking.taken(&self.table, me).contains(&home()),
                        Rule::IsAnOwner => {
                            ids(&self.readers()).iter().all(|from| *from == me || node.met.contains(from))
                        }
                    }
                };
                after.iter().all(has_all).then(|| table(3, &after))?
            }
            _ => return None,
        };
        self.word = None; // words go by a table
        self.nodes.iter_mut().for_each(|node| node.retable(&next));
        self.table = Arc::new(next);
        Some(())
    }

    /// What a node knows is forgotten; what it holds and has closed is not.
    fn restart(&mut self, node: usize) -> Option<()> {
        let fresh = Node {
            frontier: Frontier::new(NODES[node]),
            taking: Taking::default(),
            met: BTreeSet::new(),
            ..self.nodes[node].clone()
        };
        self.nodes[node] = fresh;
        self.nodes[node].retable(&self.table);
        let closed = at(self.nodes[node].closed);
        self.nodes[node].frontier.closed(closed);
        self.word = self.word.take().filter(|word| word.to != node);
        Some(())
    }

    /// A record comes from anyone; at or below what is closed it is stamped anew, or changes nothing.
    fn bring(&mut self, node: usize, stamp: u8, signed: u8) -> Option<()> {
        let Node { set, closed, .. } = &mut self.nodes[node];
        let held = match set.get(&RECORD) {
            None if stamp > *closed => (stamp, signed),
            None => ((*closed).max(FENCE).checked_add(1).filter(|stamp| *stamp < END)?, signed),
            Some((known, _)) if known <= closed => return None,
            Some((known, as_is)) => (if stamp > *closed { stamp.min(*known) } else { *known }, signed.min(*as_is)),
        };
        (set.insert(RECORD, held) != Some(held)).then_some(())
    }

    fn close(&mut self, node: usize, time: u8) -> Option<()> {
        let Node { closed, frontier, .. } = &mut self.nodes[node];
        (time > *closed).then(|| {
            *closed = time;
            frontier.closed(at(time));
        })
    }

    fn say(&mut self, from: usize, to: usize) -> Option<()> {
        let Node { set, closed, frontier, .. } = &self.nodes[from];
        let (set, closed) = (set.clone(), *closed);
        let (stable, settled) = (frontier.stable(home()), frontier.settled(home()));
        let word = Word { from, to, set, closed, stable, settled };
        self.nodes[to].taking.told(NODES[from], at(closed), [(home(), Stamp::ZERO)].into());
        self.word.is_none().then(|| self.word = Some(word))
    }

    /// What another owner said a while ago is heard: by whoever takes what it lacks, or compares only.
    fn hear(&mut self, takes: bool) -> Option<()> {
        let Word { from, to, set, closed, stable, settled } = self.word.take()?;
        let (rule, node) = (self.rule, &mut self.nodes[to]);
        if sum(&node.set, FENCE) == sum(&set, FENCE) {
            let same = Same { sum: sum(&set, FENCE), stable };
            let closed = at(closed.min(node.closed));
            node.frontier.compared(NODES[from], at(FENCE), closed, &[(home(), same)].into());
            node.taking.same(NODES[from], [home()], at(FENCE), closed);
            node.met.insert(NODES[from]);
            return Some(());
        }
        if !takes {
            return None;
        }
        let (stamp, signed) = set.get(&RECORD).copied()?;
        let take = match rule {
            Rule::Follows => node.frontier.take(NODES[from], home(), settled),
            Rule::IsAnOwner => Take::Merge { settled: stable.min(node.frontier.stable(home())) },
        };
        node.met.insert(NODES[from]);
        let known = node.set.get(&RECORD).copied();
        let is_below = |time: Option<Stamp>| known.is_some_and(|(known, _)| Some(at(known)) <= time);
        let taken = match take {
            Take::AsFromAnyone => return self.bring(to, stamp, signed),
            Take::Follow { until } if at(stamp) <= until || is_below(Some(until)) => (stamp, signed),
            Take::Merge { settled } if is_below(settled) => return None,
            Take::Merge { .. } | Take::Follow { .. } => {
                known.map_or((stamp, signed), |known| (known.0.min(stamp), known.1.min(signed)))
            }
        };
        node.set.insert(RECORD, taken);
        Some(())
    }

    /// Notes what is promised, and says whether it is kept: by everybody who may be read, and by whoever promises it too.
    fn check(&mut self) -> Result<(), String> {
        let (holders, readers) = (self.holders(), self.readers());
        for node in holders.iter().map(|node| &self.nodes[*node]) {
            for time in [1, 2].into_iter().filter(|time| node.frontier.stable(home()) >= Some(at(*time))) {
                self.promised.entry(time).or_insert_with(|| below(&node.set, time));
            }
        }
        for (time, set) in &self.promised {
            for node in &holders {
                let Node { set: held, frontier, .. } = &self.nodes[*node];
                let promises = readers.contains(node) || frontier.stable(home()) >= Some(at(*time));
                if promises && below(held, *time) != *set {
                    return Err(format!("node {node} up to {time}: {set:?} was promised, and there is {self:?}"));
                }
            }
        }
        Ok(())
    }

    /// Everybody closes all and hears everybody, over and over: in the end all have the same, it is stable, and a home that
    /// moves has arrived.
    fn comes_to_rest(&mut self) -> Result<(), String> {
        for _ in 0..12 {
            let holders = self.holders();
            for node in &holders {
                self.close(*node, FENCE);
            }
            for (from, to) in holders.iter().flat_map(|from| holders.iter().map(move |to| (*from, *to))) {
                self.word = None;
                if from != to && self.say(from, to).is_some() {
                    self.hear(true);
                }
                self.check()?;
            }
            if self.table.epoch() == Epoch(2) {
                self.go_on();
            }
        }
        let holders = self.holders();
        let is_done = |node: &usize| self.nodes[*node].frontier.stable(home()) == Some(at(FENCE));
        if self.table.epoch() == Epoch(2) || !holders.iter().all(is_done) {
            return Err(format!("it stands still: {self:?}"));
        }
        Ok(())
    }
}

/// Goes to every world within so many steps. `known` has, of each world, how many steps were left there at most.
fn explore(
    mut world: World,
    steps_left: u8,
    known: &mut BTreeMap<u64, u8>,
    promising: &mut usize,
) -> Result<(), String> {
    world.check()?;
    let key = world.key();
    match known.get(&key).copied() {
        None => {
            *promising += usize::from(!world.promised.is_empty());
            world.clone().comes_to_rest()?;
        }
        Some(before) if before >= steps_left => return Ok(()),
        Some(_) => {}
    }
    known.insert(key, steps_left);
    match steps_left.checked_sub(1) {
        Some(left) => world.next().into_iter().try_for_each(|next| explore(next, left, known, promising)),
        None => Ok(()),
    }
}

#[test]
fn whatever_two_owners_do_in_whatever_order_what_is_stable_never_changes() {
    let (mut known, mut promising) = (BTreeMap::new(), 0);
    explore(World::new(Rule::Follows, &[0, 1], None), 6, &mut known, &mut promising).unwrap();
    assert!(known.len() > 500 && promising > 50, "{}, {promising}", known.len());
}

/// Homes that move: one more owner, another owner, all owners others, and one that owned it once.
const MOVES: [(&[usize], &[usize]); 4] =
    [(&[0], &[0, 1]), (&[0, 1], &[0, 1, 2]), (&[0, 1], &[0, 2]), (&[0, 1], &[2, 3])];

/// What was stable when the home sets out, and who comes with what it had when it was an owner once.
fn setting_out(rule: Rule, before: &[usize], after: &[usize], stable: u8) -> World {
    let mut world = World::new(rule, before, Some(after));
    for node in before {
        world.close(*node, stable);
    }
    for (from, to) in before.iter().flat_map(|from| before.iter().map(move |to| (*from, *to))) {
        if from != to {
            world.say(from, to);
            world.hear(true);
        }
    }
    world.check().unwrap();
    assert_eq!(world.promised.len(), usize::from(stable));
    for newcomer in after.iter().filter(|node| !before.contains(node)) {
        world.nodes[*newcomer].set.insert(RECORD, (1, 0));
    }
    world
}

#[test]
fn whatever_a_new_owner_brings_what_was_stable_before_it_came_stays_as_it_was() {
    for ((before, after), steps) in MOVES.into_iter().zip([6, 4, 4, 3]) {
        for stable in [1, 2] {
            let (mut known, mut promising) = (BTreeMap::new(), 0);
            explore(setting_out(Rule::Follows, before, after, stable), steps, &mut known, &mut promising).unwrap();
            assert!(promising > 100, "{before:?} {after:?}: {}, {promising}", known.len());
        }
    }
}

#[test]
fn who_joins_and_counts_as_an_owner_at_once_changes_what_was_stable() {
    for ((before, after), steps) in MOVES.into_iter().zip([4, 4, 4, 4]) {
        let world = setting_out(Rule::IsAnOwner, before, after, 2);
        assert!(explore(world, steps, &mut BTreeMap::new(), &mut 0).is_err(), "{before:?} {after:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn on_any_long_way_what_is_stable_stays_and_every_move_comes_to_its_end(
        way in 0..MOVES.len(), steps in prop::collection::vec(any::<prop::sample::Index>(), 0..80)
    ) {
        let (before, after) = MOVES[way];
        let mut world = World::new(Rule::Follows, before, Some(after));
        if let Some(newcomer) = after.iter().find(|node| !before.contains(node)) {
            world.nodes[*newcomer].set.insert(RECORD, (1, 0));
        }
        for step in steps {
            let mut worlds = world.next();
            world = worlds.swap_remove(step.index(worlds.len()));
            prop_assert_eq!(world.check(), Ok(()));
        }
        prop_assert_eq!(world.comes_to_rest(), Ok(()));
    }
}
