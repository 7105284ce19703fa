mod histories;

use super::Output::{Done, Hint, Refetch, Reply, Store};
use super::*;
use Outcome::{Durable, Unavailable};

const A: NodeId = NodeId(1);
const B: NodeId = NodeId(2);
const C: NodeId = NodeId(3);
const D: NodeId = NodeId(4);

const SETTINGS: Settings = Settings { ack: 2, owner_deadline: Millis(100), write_deadline: Millis(1_000) };

fn route(owners: &[NodeId], stand_ins: &[NodeId]) -> Route {
    Route { owners: owners.to_vec(), leaving: Vec::new(), stand_ins: stand_ins.to_vec() }
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

#[test]
fn who_is_leaving_gets_the_record_and_counts_only_once_nobody_else_is_left() {
    let route = Route { leaving: vec![D], ..route(&[A, B], &[C]) };
    let story = || Story::begin(SETTINGS, &route, &[]);
    let sent = [Store(D), Store(A), Store(B)];
    let all_well = story().then(1, Input::Synced(D)).then(3, Input::Synced(A)).then(4, Input::Synced(B));
    all_well.gives(&[&sent[..], &[Reply(Durable(2)), Done]].concat());
    let stood_in =
        story().then(1, Input::Synced(D)).then(2, Input::Failed(A)).then(3, Input::Synced(B)).then(4, Input::Failed(C));
    stood_in.gives(&[&sent[..], &[Hint { holder: C }, Reply(Durable(2)), Done]].concat());
    let late =
        story().then(2, Input::Failed(A)).then(3, Input::Synced(B)).then(4, Input::Failed(C)).then(5, Input::Synced(D));
    late.gives(&[&sent[..], &[Hint { holder: C }, Reply(Durable(2)), Done]].concat());
}

#[test]
fn who_is_leaving_and_thought_down_is_asked_last() {
    let route = Route { leaving: vec![D], ..route(&[A, B], &[C]) };
    let story = Story::begin(SETTINGS, &route, &[D]).then(1, Input::Failed(A)).then(2, Input::Failed(B));
    story.gives(&[Store(A), Store(B), Hint { holder: C }, Hint { holder: D }]);
}
