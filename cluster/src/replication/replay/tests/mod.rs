mod worlds;

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
    let mut story = Story::begin(&[A, B], &[1]);
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
