//! Owners that lose calls and their places in the table, and in the end do not.

use super::*;
use std::collections::VecDeque;

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

    /// What a node does when a call reaches it, and says.
    fn serve(&mut self, output: Output, takes_next: usize) -> Option<Input> {
        let ids = |places: BTreeSet<Place>| places.into_iter().map(|(_, id)| id).collect::<BTreeSet<_>>();
        match output {
            Output::Confirm { call, to, places } => {
                let synced = ids(places.into_iter().filter(|place| self.has(to, place)).collect());
                Some(Input::Confirmed { call, by: to, synced })
            }
            Output::Store { call, to, places } => {
                let taken: BTreeSet<_> = places.into_iter().filter(|(home, _)| self.table.owns(to, *home)).collect();
                self.synced.entry(to).or_default().extend(taken.iter().copied());
                Some(Input::Stored { call, by: to, synced: ids(taken), takes_next })
            }
            Output::Read { .. } | Output::Discharge(_) => None,
        }
    }

    /// Hands in what a node said, now or a while ago.
    fn hear(&mut self, answer: Option<Input>) {
        if let Some(Input::Stored { by, takes_next, .. }) = &answer {
            self.takes.insert(*by, *takes_next);
        }
        answer.into_iter().for_each(|input| self.input(input));
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
        let mut late = VecDeque::new();
        for (event, number) in events {
            let pending = (!world.calls.is_empty()).then(|| number % world.calls.len());
            match (event, pending) {
                (0..=3, Some(at)) => {
                    let call = world.calls.swap_remove(at);
                    let answer = world.serve(call, number);
                    world.hear(answer);
                }
                (4, Some(at)) => {
                    let call = world.calls.swap_remove(at);
                    late.extend(world.serve(call, number));
                }
                (5, _) => world.hear(late.pop_front()),
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
                let answer = world.serve(call, 2);
                world.hear(answer);
            }
            if world.calls.is_empty() {
                world.pass_time();
            }
        }
        prop_assert!(world.held.is_empty(), "{:?} left", world.held);
    }
}
