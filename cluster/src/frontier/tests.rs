//! Small worlds, all of them: owners that take, close, exchange and compare in every order.

use super::*;
use crate::id::Epoch;
use crate::placement::homes;
use model::set::{Leaf, SetKey};
use std::hash::{DefaultHasher, Hash, Hasher};

const KEY: SetKey = SetKey::new([3; 32]);
const HOME: Home = Home::GLOBAL;
const NODES: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];

fn at(time: u8) -> Stamp {
    Stamp::new(u64::from(time), 0).unwrap()
}

fn table(epoch: u64, owners: &[usize]) -> Table {
    let of = |home| if home == HOME { owners.iter().map(|node| NODES[*node]).collect() } else { vec![NodeId(9)] };
    Table::new(Epoch(epoch), homes().map(of).collect()).unwrap()
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
}

/// What an owner said of its set, on its way.
#[derive(Clone, Debug)]
struct Word {
    from: usize,
    to: usize,
    set: Set,
    closed: u8,
    stable: Option<Stamp>,
    settled: Option<Stamp>,
}

#[derive(Clone, Debug)]
struct World {
    nodes: Vec<Node>,
    owners: Vec<usize>,
    /// Those by the first table.
    first: Vec<usize>,
    word: Option<Word>,
    /// What was said to be stable once, and what lay at or below it at whoever said so.
    promised: BTreeMap<u8, Set>,
    /// The next table, if there is to be one.
    next: Option<Vec<usize>>,
}

/// The end of time: no stamp lies after it.
const END: u8 = 4;

impl World {
    fn new(owners: &[usize], next: Option<&[usize]>) -> Self {
        let node = |n: usize| {
            let mut frontier = Frontier::new(NODES[n]);
            frontier.retable(&table(1, owners));
            Node { set: Set::new(), closed: 0, frontier }
        };
        let count = owners.iter().chain(next.into_iter().flatten()).max().unwrap() + 1;
        let next = next.map(<[usize]>::to_vec);
        Self {
            nodes: (0..count).map(node).collect(),
            owners: owners.to_vec(),
            first: owners.to_vec(),
            word: None,
            promised: BTreeMap::new(),
            next,
        }
    }

    /// All of it but the tables, which are always the same two.
    fn key(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for Node { set, closed, frontier } in &self.nodes {
            (set, closed, format!("{:?}", frontier.homes.get(&HOME))).hash(&mut hasher);
        }
        (&self.owners, format!("{:?}", self.word), &self.promised).hash(&mut hasher);
        hasher.finish()
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
        for node in self.owners.iter().copied() {
            for (stamp, signed) in [(1, 1), (2, 0)] {
                then(&|world| world.bring(node, stamp, signed));
            }
            for time in [1, 2] {
                then(&|world| world.close(node, time));
            }
            for from in self.owners.iter().copied().filter(|from| *from != node) {
                then(&|world| world.say(from, node));
            }
        }
        then(&|world| world.hear(true));
        then(&|world| world.hear(false));
        then(&|world| {
            world.owners = world.next.take()?;
            world.word = None; // words go by a table
            let table = table(2, &world.owners);
            world.nodes.iter_mut().for_each(|node| node.frontier.retable(&table));
            Some(())
        });
        worlds
    }

    /// A record comes from anyone; at or below what is closed it is stamped anew, or changes nothing.
    fn bring(&mut self, node: usize, stamp: u8, signed: u8) -> Option<()> {
        let Node { set, closed, .. } = &mut self.nodes[node];
        let held = match set.get(&7) {
            None if stamp > *closed => (stamp, signed),
            None => (closed.max(&mut 2).checked_add(1).filter(|stamp| *stamp < END)?, signed),
            Some((known, _)) if known <= closed => return None,
            Some((known, as_is)) => (if stamp > *closed { stamp.min(*known) } else { *known }, signed.min(*as_is)),
        };
        (set.insert(7, held) != Some(held)).then_some(())
    }

    fn close(&mut self, node: usize, time: u8) -> Option<()> {
        let Node { closed, frontier, .. } = &mut self.nodes[node];
        (time > *closed).then(|| {
            *closed = time;
            frontier.closed(at(time));
        })
    }

    fn say(&mut self, from: usize, to: usize) -> Option<()> {
        let Node { set, closed, frontier } = &self.nodes[from];
        let (set, closed) = (set.clone(), *closed);
        let (stable, settled) = (frontier.stable(HOME), frontier.settled_for(NODES[to], HOME));
        self.word.is_none().then(|| self.word = Some(Word { from, to, set, closed, stable, settled }))
    }

    /// What another owner said a while ago is heard: by whoever takes what it lacks, or compares only.
    fn hear(&mut self, takes: bool) -> Option<()> {
        let Word { from, to, set, closed, stable, settled } = self.word.take()?;
        let node = &mut self.nodes[to];
        let fence = 2;
        if sum(&node.set, fence) == sum(&set, fence) {
            let same = Same { sum: sum(&set, fence), stable };
            let closed = at(closed.min(node.closed));
            node.frontier.compared(NODES[from], at(fence), closed, &[(HOME, same)].into());
            return Some(());
        }
        if !takes {
            return None;
        }
        let known = node.set.get(&7).copied();
        let Some(held) = set.get(&7).copied() else {
            // What is settled there does not have it.
            let known = known.filter(|known| Some(at(known.0)) <= settled)?;
            node.set.insert(7, (node.closed.max(2) + 1, known.1));
            return Some(());
        };
        let taken = match node.frontier.take(NODES[from], HOME, at(held.0), settled) {
            Take::Leave => return None,
            Take::AsItIs => held,
            Take::Merge { settled } if known.is_some_and(|known| Some(at(known.0)) <= settled) => return None,
            Take::Merge { .. } => known.map_or(held, |known| (known.0.min(held.0), known.1.min(held.1))),
        };
        node.set.insert(7, taken);
        Some(())
    }

    /// Notes what is promised, and sees that it is kept: by every owner from the first on, and by whoever promises it too.
    fn check(&mut self) {
        for node in self.owners.iter().map(|node| &self.nodes[*node]) {
            for time in [1, 2].into_iter().filter(|time| node.frontier.stable(HOME) >= Some(at(*time))) {
                self.promised.entry(time).or_insert_with(|| below(&node.set, time));
            }
        }
        for (time, set) in &self.promised {
            for node in &self.owners {
                let Node { set: held, frontier, .. } = &self.nodes[*node];
                if self.first.contains(node) || frontier.stable(HOME) >= Some(at(*time)) {
                    assert_eq!(
                        &below(held, *time),
                        set,
                        "node {node} up to {time} in {:?}",
                        self.nodes
                            .iter()
                            .map(|node| (&node.set, node.closed, &node.frontier.homes))
                            .collect::<Vec<_>>()
                    );
                }
            }
        }
    }
}

/// Goes to every world within so many steps. `known` has, of each world, how many steps were left there at most.
fn explore(mut world: World, steps_left: u8, known: &mut BTreeMap<u64, u8>, promising: &mut usize) {
    world.check();
    let key = world.key();
    match known.get(&key).copied() {
        None => *promising += usize::from(!world.promised.is_empty()),
        Some(before) if before >= steps_left => return,
        Some(_) => {}
    }
    known.insert(key, steps_left);
    if let Some(steps_left) = steps_left.checked_sub(1) {
        world.next().into_iter().for_each(|next| explore(next, steps_left, known, promising));
    }
}

#[test]
fn whatever_two_owners_do_in_whatever_order_what_is_stable_never_changes() {
    let (mut known, mut promising) = (BTreeMap::new(), 0);
    explore(World::new(&[0, 1], None), 8, &mut known, &mut promising);
    assert!(known.len() > 1_000 && promising > 100, "{}, {promising}", known.len());
}

#[test]
fn whatever_a_new_owner_brings_what_was_stable_before_it_came_stays_as_it_was() {
    for (before, after, steps_max) in [(&[0, 1][..], &[0, 1, 2][..], 7), (&[0], &[0, 1], 8), (&[0, 1], &[0, 2], 7)] {
        let mut first = World::new(before, Some(after));
        let newcomer = *after.last().unwrap();
        first.nodes[newcomer].set.insert(7, (1, 0)); // of the time when it was an owner once
        let (mut known, mut promising) = (BTreeMap::new(), 0);
        explore(first, steps_max, &mut known, &mut promising);
        assert!(known.len() > 300 && promising > 20, "{before:?} {after:?}: {}, {promising}", known.len());
    }
}
