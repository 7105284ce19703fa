use super::Output::{Done, Hint, Refetch, Reply, Store};
use super::*;
use Outcome::{Durable, Unavailable};

const A: NodeId = NodeId(1);
const B: NodeId = NodeId(2);
const C: NodeId = NodeId(3);
const D: NodeId = NodeId(4);

const SETTINGS: Settings = Settings { ack: 2, owner_deadline: Millis(100), write_deadline: Millis(1_000) };

fn route(owners: &[NodeId], stand_ins: &[NodeId]) -> Route {
    Route { owners: owners.to_vec(), stand_ins: stand_ins.to_vec() }
}

/// A write and all that it has put out.
struct Story {
    write: Write,
    out: Vec<Output>,
}

impl Story {
    fn begin(settings: Settings, route: &Route, down: &[NodeId]) -> Self {
        let mut out = Vec::new();
        let down = down.iter().copied().collect();
        let way = Way { epoch: Epoch(1), route, down: &down };
        Self { write: Write::start(settings, way, Millis(0), &mut out), out }
    }

    fn then(mut self, at: u64, input: Input) -> Self {
        self.write.handle(input, Millis(at), &mut self.out);
        self
    }

    fn reroute(mut self, at: u64, epoch: u64, route: &Route) -> Self {
        let way = Way { epoch: Epoch(epoch), route, down: &BTreeSet::new() };
        self.write.reroute(way, Millis(at), &mut self.out);
        self
    }

    #[track_caller]
    fn gives(self, expected: &[Output]) {
        assert_eq!(self.out, expected);
    }
}

fn two_of_three() -> Story {
    Story::begin(SETTINGS, &route(&[A, B], &[C]), &[])
}

#[test]
fn both_owners_sync_and_nobody_else_is_asked() {
    let story = two_of_three().then(3, Input::Synced(A)).then(4, Input::Synced(B)).then(2_000, Input::Tick);
    story.gives(&[Store(A), Store(B), Reply(Durable(2)), Done]);
}

#[test]
fn an_owner_down_still_gives_two_copies() {
    let story = two_of_three().then(3, Input::Synced(A)).then(150, Input::Tick).then(155, Input::Synced(C));
    story.gives(&[Store(A), Store(B), Hint { holder: C }, Reply(Durable(2)), Done]);
}

#[test]
fn an_owner_thought_down_is_replaced_at_once() {
    let story = Story::begin(SETTINGS, &route(&[A, B], &[C]), &[B]);
    story.then(3, Input::Synced(A)).then(4, Input::Synced(C)).gives(&[
        Store(A),
        Hint { holder: C },
        Reply(Durable(2)),
        Done,
    ]);
}

#[test]
fn an_owner_wrongly_thought_down_is_asked_once_stand_ins_run_out() {
    let story = Story::begin(SETTINGS, &route(&[A, B], &[C]), &[B]);
    story.then(3, Input::Failed(C)).then(4, Input::Synced(A)).then(5, Input::Synced(B)).gives(&[
        Store(A),
        Hint { holder: C },
        Store(B),
        Reply(Durable(2)),
        Done,
    ]);
}

#[test]
fn an_owner_that_answers_after_its_stand_in_was_asked_counts() {
    let story = two_of_three().then(3, Input::Synced(A)).then(150, Input::Tick).then(151, Input::Synced(B));
    story.gives(&[Store(A), Store(B), Hint { holder: C }, Reply(Durable(2)), Done]);
}

#[test]
fn a_write_goes_on_after_its_reply_until_every_owner_has_it() {
    let settings = Settings { ack: 1, ..SETTINGS };
    let story = Story::begin(settings, &route(&[A, B], &[C]), &[]);
    story.then(3, Input::Synced(A)).then(4, Input::Failed(B)).then(5, Input::Synced(C)).gives(&[
        Store(A),
        Store(B),
        Reply(Durable(1)),
        Hint { holder: C },
        Done,
    ]);
}

#[test]
fn a_hopeless_write_is_answered_at_once() {
    let story = two_of_three().then(1, Input::Failed(A)).then(2, Input::Synced(B)).then(3, Input::Failed(C));
    story.gives(&[Store(A), Store(B), Hint { holder: C }, Reply(Unavailable { durable: 1 }), Done]);
}

#[test]
fn silence_is_answered_at_the_write_deadline() {
    let story = two_of_three().then(100, Input::Tick).then(200, Input::Tick).then(999, Input::Tick);
    assert_eq!(story.write.wake_at(), Some(Millis(1_000)));
    story.then(1_000, Input::Tick).gives(&[
        Store(A),
        Store(B),
        Hint { holder: C },
        Reply(Unavailable { durable: 0 }),
        Done,
    ]);
}

#[test]
fn a_stale_epoch_asks_everybody_again_under_the_new_table_and_keeps_what_is_durable() {
    let story = two_of_three()
        .then(1, Input::StaleEpoch(Epoch(2)))
        .then(2, Input::StaleEpoch(Epoch(2)))
        .then(3, Input::Synced(B))
        .reroute(4, 2, &route(&[C, D], &[A, B]));
    let waiting: Vec<_> = story.write.waiting.keys().copied().collect();
    assert_eq!(waiting, [C, D], "B owns the home no more, and its record is no hint");
    let story = story.then(5, Input::Synced(C)).then(6, Input::Synced(D));
    story.gives(&[Store(A), Store(B), Refetch(Epoch(2)), Store(C), Store(D), Reply(Durable(2)), Done]);
}

#[test]
fn the_old_table_once_more_changes_nothing() {
    let story = two_of_three().then(1, Input::StaleEpoch(Epoch(3)));
    let story = story.reroute(2, 1, &route(&[A, B], &[C])).reroute(3, 2, &route(&[A, C], &[B]));
    story.gives(&[Store(A), Store(B), Refetch(Epoch(3))]);
}

#[test]
fn a_table_that_never_comes_delays_but_does_not_stop_a_write() {
    let story = two_of_three().then(1, Input::StaleEpoch(Epoch(2))).then(2, Input::Synced(A)).then(100, Input::Tick);
    story.then(101, Input::Synced(C)).gives(&[
        Store(A),
        Store(B),
        Refetch(Epoch(2)),
        Hint { holder: C },
        Reply(Durable(2)),
        Done,
    ]);
}

#[test]
fn more_copies_than_owners_are_hints() {
    let story = Story::begin(SETTINGS, &route(&[A], &[B, C]), &[]);
    story.then(1, Input::Synced(A)).then(2, Input::Synced(B)).gives(&[
        Store(A),
        Hint { holder: B },
        Reply(Durable(2)),
        Done,
    ]);
}

/// Every history of a write: whoever was asked syncs or fails at any time, or time passes to the next deadline.
mod histories {
    use super::*;

    #[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
    struct History {
        write: Write,
        now: Millis,
        asked: BTreeSet<NodeId>,
        synced: BTreeSet<NodeId>,
        failed: BTreeSet<NodeId>,
        reply: Option<Outcome>,
        done: bool,
    }

    impl History {
        fn start(settings: Settings, route: &Route, down: &BTreeSet<NodeId>) -> Self {
            let mut out = Vec::new();
            let write = Write::start(settings, Way { epoch: Epoch(1), route, down }, Millis(0), &mut out);
            let now = Millis(0);
            let [asked, synced, failed] = [const { BTreeSet::new() }; 3];
            let mut history = Self { write, now, asked, synced, failed, reply: None, done: false };
            history.take(route, &out);
            history
        }

        /// Holds what the write put out against its invariants.
        fn take(&mut self, route: &Route, out: &[Output]) {
            for output in out {
                assert!(!self.done, "{output:?} after it was done");
                match output {
                    Store(node) => {
                        assert!(route.owners.contains(node));
                        assert!(self.asked.insert(*node), "{node} is asked twice");
                    }
                    Hint { holder } => {
                        assert!(route.stand_ins.contains(holder));
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
            let lost = self.failed.len() + ack > route.owners.len() + route.stand_ins.len();
            match outcome {
                Durable(copies) => assert!(copies == self.synced.len() && copies >= ack),
                Unavailable { durable } => {
                    assert!(durable == self.synced.len() && durable < ack);
                    assert!(self.now >= write_deadline || lost, "given up too early");
                }
            }
        }

        /// For each owner that did not sync there is a hint, unless everybody was asked or time is left for it.
        fn check_hints(&self, route: &Route) {
            let all: BTreeSet<_> = route.owners.iter().chain(&route.stand_ins).copied().collect();
            let enough = self.synced.len() >= route.owners.len();
            let in_time = self.write.waiting.values().flatten().count();
            assert!(enough || self.asked == all || self.synced.len() + in_time >= route.owners.len());
        }

        fn next(&self, route: &Route) -> Vec<Self> {
            let mut next = Vec::new();
            let open: Vec<_> =
                self.asked.iter().filter(|n| !self.synced.contains(n) && !self.failed.contains(n)).collect();
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
        let route = Route { owners: nodes(0..owners), stand_ins: nodes(owners..all) };
        let settings = Settings { ack, owner_deadline: Millis(100), write_deadline: Millis(250) };
        let mut open = vec![History::start(settings, &route, down)];
        let mut seen = BTreeSet::new();
        while let Some(history) = open.pop() {
            if !history.done && seen.insert(history.clone()) {
                let next = history.next(&route);
                assert!(!next.is_empty(), "stuck");
                open.extend(next);
            }
        }
        seen.len()
    }

    #[test]
    fn no_history_of_three_nodes_breaks_an_invariant() {
        let shapes = [(1, 1), (1, 2), (2, 1), (2, 2), (3, 2), (3, 3)];
        let states: usize =
            shapes.iter().flat_map(|(o, ack)| subsets(3).map(move |down| walk(*o, 3, *ack, &down))).sum();
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
        let route = Route { owners: nodes(0..owners), stand_ins: nodes(owners..all) };
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
}
