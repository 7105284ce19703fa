//! Every history of a write: whoever was asked syncs or fails at any time, or time passes to the next deadline.

use super::*;

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct History {
    write: Write,
    now: Millis,
    asked: BTreeSet<NodeId>,
    synced: BTreeSet<NodeId>,
    failed: BTreeSet<NodeId>,
    down: BTreeSet<NodeId>,
    reply: Option<Outcome>,
    done: bool,
}

impl History {
    fn start(settings: Settings, route: &Route, down: &BTreeSet<NodeId>) -> Self {
        let mut out = Vec::new();
        let write = Write::start(settings, Way { epoch: Epoch(1), route, down }, Millis(0), &mut out);
        let now = Millis(0);
        let [asked, synced, failed] = [const { BTreeSet::new() }; 3];
        let down = down.clone();
        let mut history = Self { write, now, asked, synced, failed, down, reply: None, done: false };
        history.take(route, &out);
        history
    }

    /// Holds what the write put out against its invariants.
    fn take(&mut self, route: &Route, out: &[Output]) {
        for output in out {
            assert!(!self.done, "{output:?} after it was done");
            match output {
                Store(node) => {
                    assert!(route.owners.contains(node) || route.leaving.contains(node));
                    assert!(self.asked.insert(*node), "{node} is asked twice");
                }
                Hint { holder } => {
                    assert!(route.stand_ins.contains(holder) || route.leaving.contains(holder));
                    assert!(self.asked.insert(*holder), "{holder} is asked twice");
                }
                Reply(outcome) => {
                    assert_eq!(self.reply.replace(*outcome), None, "two replies");
                    self.check_reply(route, *outcome);
                }
                Refetch(_) => panic!("nobody is ahead"),
                Done => {
                    assert!(self.reply.is_some(), "done without a reply");
                    self.done = true;
                }
            }
        }
        self.check_hints(route);
    }

    fn check_reply(&self, route: &Route, outcome: Outcome) {
        let Settings { ack, write_deadline, .. } = self.write.settings;
        let all = route.owners.len() + route.stand_ins.len() + route.leaving.len();
        let lost = self.failed.len() + ack > all;
        let stay = self.synced.iter().filter(|node| !route.leaving.contains(node)).count();
        match outcome {
            Durable(copies) => {
                assert!((stay..=self.synced.len()).contains(&copies) && copies >= ack);
                let others = route.owners.iter().chain(&route.stand_ins);
                let mut hopeful = others.filter(|node| !self.asked.contains(node) && !self.down.contains(node));
                let was_needed = stay >= ack || hopeful.next().is_none();
                assert!(was_needed, "who is leaving counts before somebody who stays was asked");
            }
            Unavailable { durable } => {
                assert!((stay..=self.synced.len()).contains(&durable) && durable < ack);
                assert!(self.now >= write_deadline || lost, "given up too early");
            }
        }
    }

    /// For each owner that did not sync there is a hint, unless everybody was asked or time is left for it.
    fn check_hints(&self, route: &Route) {
        let all: BTreeSet<_> = route.owners.iter().chain(&route.stand_ins).chain(&route.leaving).copied().collect();
        let copies = self.write.durable.len();
        assert!(copies <= self.synced.len());
        let in_time = self.write.waiting.values().flatten().count();
        assert!(self.asked == all || copies + in_time >= route.owners.len());
    }

    fn next(&self, route: &Route) -> Vec<Self> {
        let mut next = Vec::new();
        let open: Vec<_> = self.asked.iter().filter(|n| !self.synced.contains(n) && !self.failed.contains(n)).collect();
        for node in open {
            let mut synced = self.clone();
            synced.synced.insert(*node);
            next.push(synced.step(route, Input::Synced(*node)));
            let mut failed = self.clone();
            failed.failed.insert(*node);
            next.push(failed.step(route, Input::Failed(*node)));
        }
        if let Some(due) = self.write.wake_at() {
            assert!(due > self.now, "a deadline that has passed");
            let mut later = self.clone();
            later.now = due;
            next.push(later.step(route, Input::Tick));
        }
        next
    }

    fn step(mut self, route: &Route, input: Input) -> Self {
        let mut out = Vec::new();
        self.write.handle(input, self.now, &mut out);
        self.take(route, &out);
        self
    }
}

fn subsets(nodes: u64) -> impl Iterator<Item = BTreeSet<NodeId>> {
    (0..1_u64 << nodes).map(move |bits| (0..nodes).filter(|at| bits >> at & 1 == 1).map(NodeId).collect())
}

fn nodes(range: std::ops::Range<u64>) -> Vec<NodeId> {
    range.map(NodeId).collect()
}

/// Walks every history once and returns how many states there are.
fn walk(owners: u64, all: u64, ack: usize, down: &BTreeSet<NodeId>) -> usize {
    let settled = Route { owners: nodes(0..owners), leaving: Vec::new(), stand_ins: nodes(owners..all) };
    let in_transit = Route { leaving: nodes(all - 1..all), stand_ins: nodes(owners..all - 1), ..settled.clone() };
    let in_transit = (owners < all).then_some(in_transit);
    [settled].into_iter().chain(in_transit).map(|route| walk_on(&route, ack, down)).sum()
}

fn walk_on(route: &Route, ack: usize, down: &BTreeSet<NodeId>) -> usize {
    let settings = Settings { ack, owner_deadline: Millis(100), write_deadline: Millis(250) };
    let mut open = vec![History::start(settings, route, down)];
    let mut seen = BTreeSet::new();
    while let Some(history) = open.pop() {
        if !history.done && seen.insert(history.clone()) {
            let next = history.next(route);
            assert!(!next.is_empty(), "stuck");
            open.extend(next);
        }
    }
    seen.len()
}

#[test]
fn no_history_of_three_nodes_breaks_an_invariant() {
    let shapes = [(1, 1), (1, 2), (2, 1), (2, 2), (3, 2), (3, 3)];
    let states: usize = shapes.iter().flat_map(|(o, ack)| subsets(3).map(move |down| walk(*o, 3, *ack, &down))).sum();
    assert!(states > 500, "{states}");
}

#[test]
fn no_history_of_five_nodes_breaks_an_invariant() {
    let shapes = [(2, 2), (3, 2), (3, 3)];
    let downs = [vec![], vec![0], vec![0, 1], vec![1, 4], vec![0, 1, 2, 3, 4]];
    for (owners, ack) in shapes {
        for down in &downs {
            let states = walk(owners, 5, ack, &down.iter().copied().map(NodeId).collect());
            assert!(states > 100, "{states}");
        }
    }
}

/// Who is alive answers at once; of the others some fail at once and some are silent.
fn time_to_reply(
    all: u64,
    owners: u64,
    live: &BTreeSet<NodeId>,
    silent: &BTreeSet<NodeId>,
    down: &BTreeSet<NodeId>,
) -> (Millis, Outcome) {
    let route = Route { owners: nodes(0..owners), leaving: Vec::new(), stand_ins: nodes(owners..all) };
    let (mut out, mut now) = (Vec::new(), Millis(0));
    let mut write = Write::start(SETTINGS, Way { epoch: Epoch(1), route: &route, down }, now, &mut out);
    let mut at = 0;
    loop {
        let input = match out.get(at) {
            Some(Store(node) | Hint { holder: node }) if live.contains(node) => Some(Input::Synced(*node)),
            Some(Store(node) | Hint { holder: node }) if !silent.contains(node) => Some(Input::Failed(*node)),
            Some(Reply(outcome)) => return (now, *outcome),
            Some(_) => None,
            None => {
                now = write.wake_at().expect("it is not done");
                write.handle(Input::Tick, now, &mut out);
                continue;
            }
        };
        at += 1;
        if let Some(input) = input {
            write.handle(input, now, &mut out);
        }
    }
}

#[test]
fn any_two_live_nodes_are_enough_whatever_the_others_do_and_whoever_is_thought_down() {
    for (all, owners) in [(3, 2), (4, 2), (5, 2), (5, 3)] {
        for live in subsets(all).filter(|live| live.len() == 2) {
            for silent in subsets(all) {
                for down in subsets(all) {
                    let (at, outcome) = time_to_reply(all, owners, &live, &silent, &down);
                    assert!(matches!(outcome, Durable(2..)), "{outcome:?}");
                    let rounds = all - 2;
                    assert!(at <= Millis(100 * rounds), "{at:?}: live {live:?} silent {silent:?} down {down:?}");
                }
            }
        }
    }
}
