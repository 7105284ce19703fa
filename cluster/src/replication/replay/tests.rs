use super::*;
use crate::placement::homes;
use proptest::prelude::*;

const A: NodeId = NodeId(1);
const B: NodeId = NodeId(2);
const C: NodeId = NodeId(3);

const SETTINGS: Settings = Settings {
    window: 4,
    store_records: 2,
    patience: Millis(100),
    pause_min: Millis(50),
    pause_max: Millis(400),
    rest: Millis(200),
    revisit: Millis(2_000),
};

fn home(number: u16) -> Home {
    Home::from_number(number).unwrap()
}

fn place(number: u16, id: u8) -> Place {
    (home(number), RecordId([id; 32]))
}

fn places<const N: usize>(ids: [u8; N]) -> BTreeSet<Place> {
    ids.map(|id| place(0, id)).into()
}

fn ids<const N: usize>(ids: [u8; N]) -> BTreeSet<RecordId> {
    ids.map(|id| RecordId([id; 32])).into()
}

/// All homes have the same owners.
fn table(epoch: u64, owners: &[NodeId]) -> Table {
    Table::new(Epoch(epoch), vec![owners.to_vec(); homes().count()]).unwrap()
}

struct Story {
    replay: Replay,
    out: Vec<Output>,
}

impl Story {
    /// A replay that has read this much of home 0, and its outputs after that.
    fn begin(owners: &[NodeId], held: &[u8]) -> Self {
        let mut out = Vec::new();
        let replay = Replay::start(SETTINGS, table(1, owners), Millis(0), &mut out);
        assert_eq!(out, [Output::Read { after: None, limit: 4 }]);
        let held = Input::Held { places: held.iter().map(|id| place(0, *id)).collect(), last: true };
        Self { replay, out: Vec::new() }.then(0, held)
    }

    fn then(mut self, at: u64, input: Input) -> Self {
        self.replay.handle(input, Millis(at), &mut self.out);
        self
    }

    fn confirmed(self, at: u64, call: u64, by: NodeId, synced: BTreeSet<RecordId>) -> Self {
        self.then(at, Input::Confirmed { call, by, synced })
    }

    fn stored(self, at: u64, call: u64, by: NodeId, synced: BTreeSet<RecordId>, takes_next: usize) -> Self {
        self.then(at, Input::Stored { call, by, synced, takes_next })
    }

    /// What came out since the last time.
    #[track_caller]
    fn gives(mut self, expected: &[Output]) -> Self {
        assert_eq!(self.out, expected);
        self.out.clear();
        self
    }
}

fn confirm(call: u64, to: NodeId, places: BTreeSet<Place>) -> Output {
    Output::Confirm { call, to, places }
}

fn store(call: u64, to: NodeId, places: BTreeSet<Place>) -> Output {
    Output::Store { call, to, places }
}

#[test]
fn only_what_every_owner_has_confirmed_is_discharged() {
    Story::begin(&[A, B], &[1, 2])
        .gives(&[confirm(1, A, places([1, 2])), confirm(2, B, places([1, 2]))])
        .confirmed(1, 1, A, ids([1, 2]))
        .gives(&[])
        .confirmed(2, 2, B, ids([2]))
        .gives(&[Output::Discharge(places([2])), store(3, B, places([1]))])
        .stored(3, 3, B, ids([1]), 9)
        .gives(&[Output::Discharge(places([1]))]);
}

#[test]
fn the_receiver_says_how_much_it_takes_next() {
    let story = Story::begin(&[A], &[1, 2, 3, 4])
        .confirmed(1, 1, A, ids([]))
        .stored(2, 2, A, ids([1]), 9)
        .stored(3, 3, A, ids([2, 3]), 0)
        .gives(&[
            confirm(1, A, places([1, 2, 3, 4])),
            store(2, A, places([1])),
            Output::Discharge(places([1])),
            store(3, A, places([2, 3])),
            Output::Discharge(places([2, 3])),
        ]);
    assert_eq!(story.replay.wake_at(), Some(Millis(53)));
    story.then(52, Input::Tick).gives(&[]).then(53, Input::Tick).gives(&[store(4, A, places([4]))]);
}

#[test]
fn another_table_restarts_confirmation_and_old_answers_count_no_more() {
    let mut story = Story::begin(&[A, B], &[1]).confirmed(1, 1, A, ids([1]));
    story.out.clear();
    story.replay.retable(table(2, &[A, C]), Millis(2), &mut story.out);
    story.replay.retable(table(1, &[B]), Millis(2), &mut story.out);
    story
        .gives(&[confirm(3, A, places([1])), confirm(4, C, places([1]))])
        .confirmed(3, 2, B, ids([1]))
        .confirmed(3, 1, A, ids([1]))
        .confirmed(4, 4, C, ids([1]))
        .gives(&[])
        .confirmed(5, 3, A, ids([1]))
        .gives(&[Output::Discharge(places([1]))]);
}

#[test]
fn an_owner_that_is_away_holds_up_nobody_and_is_asked_less_and_less() {
    let story = Story::begin(&[A, B], &[1]).confirmed(1, 1, A, ids([1])).then(99, Input::Tick);
    let mut story = story.gives(&[confirm(1, A, places([1])), confirm(2, B, places([1]))]);
    for (at, next) in [(100, 300), (300, 500)] {
        story = story.then(at, Input::Tick);
        assert_eq!(story.replay.wake_at(), Some(Millis(next)), "the window is left, the pass is over");
        story.out.clear();
        story = story.then(next, Input::Tick).gives(&[Output::Read { after: None, limit: 4 }]);
        story = story.then(next, Input::Held { places: vec![place(0, 1)], last: true }).gives(&[]);
        story = story.then(next, Input::Tick);
    }
    story
        .then(600, Input::Up(B))
        .then(700, Input::Tick)
        .then(700, Input::Held { places: vec![place(0, 1)], last: true })
        .gives(&[Output::Read { after: None, limit: 4 }, confirm(3, A, places([1])), confirm(4, B, places([1]))]);
}

#[test]
fn what_an_owner_will_not_take_is_kept_and_tried_again_later() {
    let story = Story::begin(&[A], &[1]).confirmed(1, 1, A, ids([])).stored(2, 2, A, ids([]), 5);
    assert_eq!(story.replay.wake_at(), Some(Millis(202)));
    let held = || Input::Held { places: vec![place(0, 1)], last: true };
    let mut story = story.then(202, Input::Tick).then(203, held()).gives(&[
        confirm(1, A, places([1])),
        store(2, A, places([1])),
        Output::Read { after: None, limit: 4 },
    ]);
    for at in (404..2_400).step_by(250) {
        story = story.then(at, Input::Tick).then(at, held());
        if at < 2_000 {
            story = story.gives(&[Output::Read { after: None, limit: 4 }]);
        }
    }
    story.gives(&[Output::Read { after: None, limit: 4 }, confirm(3, A, places([1]))]);
}

/// Owners that lose calls and their places in the table, and in the end do not.
mod worlds {
    use super::*;

    struct World {
        replay: Replay,
        now: Millis,
        table: Table,
        held: BTreeSet<Place>,
        synced: BTreeMap<NodeId, BTreeSet<Place>>,
        /// Calls that were not answered yet.
        calls: Vec<Output>,
        /// Per node, what it was said to take.
        takes: BTreeMap<NodeId, usize>,
        reads: usize,
    }

    impl World {
        fn new(held: BTreeSet<Place>, synced: BTreeMap<NodeId, BTreeSet<Place>>) -> Self {
            let (mut out, table) = (Vec::new(), owners(1, 0));
            let replay = Replay::start(SETTINGS, table.clone(), Millis(0), &mut out);
            let (calls, takes) = (Vec::new(), BTreeMap::new());
            let mut world = Self { replay, now: Millis(0), table, held, synced, calls, takes, reads: 0 };
            world.take(out);
            world
        }

        fn input(&mut self, input: Input) {
            let mut out = Vec::new();
            self.replay.handle(input, self.now, &mut out);
            self.take(out);
        }

        fn retable(&mut self, turn: usize) {
            let mut out = Vec::new();
            self.table = owners(self.table.epoch().0 + 1, turn);
            let owned = |node: NodeId, place: &Place| self.table.owns(node, place.0);
            self.synced.iter_mut().for_each(|(node, places)| places.retain(|place| owned(*node, place)));
            self.replay.retable(self.table.clone(), self.now, &mut out);
            self.take(out);
        }

        fn take(&mut self, out: Vec<Output>) {
            for output in out {
                match output {
                    Output::Read { after, limit } => {
                        assert!(self.replay.window.is_empty());
                        self.reads += 1;
                        let rest = self.held.iter().copied().filter(|place| after.is_none_or(|after| *place > after));
                        let places: Vec<_> = rest.take(limit).collect();
                        let last = places.len() < limit;
                        self.input(Input::Held { places, last });
                    }
                    Output::Discharge(places) => {
                        for place in places {
                            let owners = self.table.owners(place.0).iter();
                            let lacking: Vec<_> = owners.filter(|owner| !self.has(**owner, &place)).collect();
                            assert_eq!(lacking, Vec::<&NodeId>::new(), "discharged {place:?}");
                            assert!(self.held.remove(&place), "discharged twice");
                        }
                    }
                    Output::Store { to, ref places, .. } => {
                        let takes = self.takes.get(&to).copied().unwrap_or(1).max(1);
                        assert!(!places.is_empty() && places.len() <= takes.min(SETTINGS.store_records));
                        self.calls.push(output);
                    }
                    Output::Confirm { ref places, .. } => {
                        assert!(!places.is_empty() && places.len() <= SETTINGS.window);
                        self.calls.push(output);
                    }
                }
            }
        }

        fn has(&self, node: NodeId, place: &Place) -> bool {
            self.synced.get(&node).is_some_and(|places| places.contains(place))
        }

        /// A node answers, if a node answers to the table that it knows.
        fn answer(&mut self, output: Output, takes_next: usize) {
            let ids = |places: BTreeSet<Place>| places.into_iter().map(|(_, id)| id).collect::<BTreeSet<_>>();
            match output {
                Output::Confirm { call, to, places } => {
                    let synced = ids(places.into_iter().filter(|place| self.has(to, place)).collect());
                    self.input(Input::Confirmed { call, by: to, synced });
                }
                Output::Store { call, to, places } => {
                    let taken: BTreeSet<_> =
                        places.into_iter().filter(|(home, _)| self.table.owns(to, *home)).collect();
                    self.synced.entry(to).or_default().extend(taken.iter().copied());
                    self.takes.insert(to, takes_next);
                    self.input(Input::Stored { call, by: to, synced: ids(taken), takes_next });
                }
                Output::Read { .. } | Output::Discharge(_) => {}
            }
        }

        fn pass_time(&mut self) {
            let due = self.replay.wake_at();
            assert!(due.is_none_or(|due| due > self.now), "a deadline that has passed");
            self.now = due.unwrap_or(self.now + Millis(10));
            self.input(Input::Tick);
        }
    }

    /// Two of three nodes own each home.
    fn owners(epoch: u64, turn: usize) -> Table {
        let all = [A, B, C];
        let two = |home: Home| {
            let mut nodes = all;
            nodes.rotate_left((usize::from(home.number()) + turn) % 3);
            nodes[..2].to_vec()
        };
        Table::new(Epoch(epoch), homes().map(two).collect()).unwrap()
    }

    fn some_places() -> impl Strategy<Value = BTreeSet<Place>> {
        prop::collection::btree_set(
            (0..4_u8, 0..20_u8).prop_map(|(number, id)| place(u16::from(number), number * 20 + id)),
            0..30,
        )
    }

    proptest! {
        #[test]
        fn what_is_discharged_is_everywhere_and_in_the_end_all_is(
            held in some_places(), a in some_places(), b in some_places(),
            events in prop::collection::vec((0..12_u8, 0..4_usize), 0..120),
        ) {
            let owned = |node: NodeId, places: BTreeSet<Place>| {
                let table = owners(1, 0);
                (node, places.into_iter().filter(|place| table.owns(node, place.0)).collect())
            };
            let mut world = World::new(held, [owned(A, a), owned(B, b)].into());
            for (event, number) in events {
                let pending = (!world.calls.is_empty()).then(|| number % world.calls.len());
                match (event, pending) {
                    (0..=5, Some(at)) => {
                        let call = world.calls.swap_remove(at);
                        world.answer(call, number);
                    }
                    (6, Some(at)) => drop(world.calls.swap_remove(at)), // lost
                    (7, Some(at)) => match world.calls.swap_remove(at) {
                        Output::Confirm { call, to, .. } | Output::Store { call, to, .. } => {
                            world.input(Input::Failed { call, by: to });
                        }
                        Output::Read { .. } | Output::Discharge(_) => {}
                    },
                    (8, _) => world.retable(number),
                    (9, _) => world.input(Input::Up([A, B, C][number % 3])),
                    _ => world.pass_time(),
                }
            }
            let end = world.now + Millis(60_000);
            while !world.held.is_empty() && world.now < end {
                for call in std::mem::take(&mut world.calls) {
                    world.answer(call, 2);
                }
                if world.calls.is_empty() {
                    world.pass_time();
                }
            }
            prop_assert!(world.held.is_empty(), "{:?} left", world.held);
        }
    }
}
