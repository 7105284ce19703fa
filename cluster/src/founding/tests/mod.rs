mod worlds;

use super::*;
use expect_test::expect;

const A: NodeId = NodeId(0xa);
const B: NodeId = NodeId(0xb);
const C: NodeId = NodeId(0xc);
const D: NodeId = NodeId(0xd);

fn settings(expect: usize) -> Settings {
    Settings {
        bootstrap_expect: expect,
        ask_every: Millis(200),
        settle: Millis(500),
        forget_after: Millis(3_000),
        silence_max: Millis(10_000),
    }
}

fn list(nodes: &[NodeId]) -> List {
    List::new(nodes.iter().copied().collect())
}

fn fresh(from: NodeId) -> Input {
    Input::Heard { from, standing: Standing::Fresh { expect: 3 } }
}

fn promised(from: NodeId, nodes: &[NodeId]) -> Input {
    Input::Heard { from, standing: Standing::Promised(list(nodes)) }
}

/// Node A, expecting three, with what it kept, and all its outputs but the asking.
struct Story {
    founding: Founding,
    out: Vec<Output>,
}

impl Story {
    fn begin(kept: Kept) -> Self {
        Self::begin_with(settings(3), kept)
    }

    fn begin_with(settings: Settings, kept: Kept) -> Self {
        let mut out = Vec::new();
        let founding = Founding::start(A, settings, kept, Millis(0), &mut out);
        Self { founding, out }.quiet()
    }

    fn quiet(mut self) -> Self {
        self.out.retain(|output| !matches!(output, Output::Ask(_) | Output::AskSeeds));
        self
    }

    fn then(mut self, at: u64, input: Input) -> Self {
        self.founding.handle(input, Millis(at), &mut self.out);
        self.quiet()
    }

    #[track_caller]
    fn gives(self, expected: &[Output]) {
        assert_eq!(self.out, expected);
    }

    /// What an operator reads in the end.
    fn tells(&self) -> String {
        self.founding.trouble().map(|trouble| format!("{trouble}\n")).unwrap_or_default()
    }
}

#[test]
fn three_fresh_nodes_promise_and_then_found() {
    let story = Story::begin(Kept::Nothing)
        .then(10, fresh(B))
        .then(20, fresh(C))
        .then(400, Input::Tick)
        .then(520, Input::Tick)
        .then(530, promised(B, &[A, B, C]))
        .then(540, Input::Persisted)
        .then(550, promised(C, &[A, B, C]));
    assert_eq!(story.founding.standing(), Standing::Promised(list(&[A, B, C])), "not yet on disk");
    let all = list(&[A, B, C]);
    story.then(560, Input::Persisted).gives(&[
        Output::Persist(Kept::Promise(all.clone())),
        Output::Persist(Kept::Founded(all.clone())),
        Output::Start(all),
    ]);
}

#[test]
fn a_promise_that_is_not_on_disk_is_not_announced() {
    let story = Story::begin(Kept::Nothing).then(0, promised(B, &[A, B, C]));
    assert_eq!(story.founding.standing(), Standing::Fresh { expect: 3 });
    assert_eq!(story.then(1, Input::Persisted).founding.standing(), Standing::Promised(list(&[A, B, C])));
}

#[test]
fn another_nodes_promise_is_adopted_at_once() {
    Story::begin(Kept::Nothing)
        .then(0, promised(B, &[A, B, C]))
        .gives(&[Output::Persist(Kept::Promise(list(&[A, B, C])))]);
}

#[test]
fn a_founded_node_starts_again_after_a_restart_and_asks_nobody() {
    let story = Story::begin(Kept::Founded(list(&[A, B, C])));
    assert_eq!(story.founding.wake_at(), None);
    story.then(5, promised(B, &[B, D])).gives(&[Output::Start(list(&[A, B, C]))]);
}

#[test]
fn who_hears_that_its_own_list_is_founded_has_founded_too() {
    let standing = Standing::Founded(list(&[A, B, C]).cluster());
    Story::begin(Kept::Promise(list(&[A, B, C])))
        .then(0, Input::Heard { from: B, standing })
        .gives(&[Output::Persist(Kept::Founded(list(&[A, B, C])))]);
}

#[test]
fn an_old_message_does_not_take_a_promise_back() {
    let story = Story::begin(Kept::Promise(list(&[A, B, C])))
        .then(0, promised(B, &[A, B, C]))
        .then(1, fresh(B))
        .then(2, promised(C, &[A, B, C]));
    story.gives(&[Output::Persist(Kept::Founded(list(&[A, B, C])))]);
}

#[test]
fn a_node_gone_for_good_makes_room_for_another() {
    let story = Story::begin(Kept::Nothing).then(0, fresh(B)).then(400, fresh(D)).then(3_700, fresh(B));
    let story = story.then(3_800, fresh(C)).then(4_100, Input::Tick).then(4_400, Input::Tick);
    story.gives(&[Output::Persist(Kept::Promise(list(&[A, B, C])))]);
}

#[test]
fn asks_everybody_it_knows_of_and_the_seeds() {
    let mut out = Vec::new();
    let mut founding = Founding::start(A, settings(3), Kept::Nothing, Millis(0), &mut out);
    founding.handle(Input::Named(C), Millis(1), &mut out);
    founding.handle(Input::Named(A), Millis(1), &mut out);
    founding.handle(fresh(B), Millis(2), &mut out);
    assert_eq!(out, [Output::AskSeeds]);
    assert_eq!(founding.wake_at(), Some(Millis(200)));
    founding.handle(Input::Tick, Millis(200), &mut out);
    assert_eq!(out[1..], [Output::AskSeeds, Output::Ask(B), Output::Ask(C)]);
}

#[test]
fn alone_a_node_founds_at_once() {
    let mut out = Vec::new();
    let alone = Settings { settle: Millis(0), ..settings(1) };
    let mut founding = Founding::start(A, alone, Kept::Nothing, Millis(0), &mut out);
    founding.handle(Input::Persisted, Millis(1), &mut out);
    founding.handle(Input::Persisted, Millis(2), &mut out);
    out.retain(|output| *output != Output::AskSeeds);
    let me = list(&[A]);
    assert_eq!(
        out,
        [Output::Persist(Kept::Promise(me.clone())), Output::Persist(Kept::Founded(me.clone())), Output::Start(me)]
    );
}

fn joining(kept: Kept) -> Story {
    Story::begin_with(settings(0), kept)
}

#[test]
fn who_only_joins_founds_nothing_and_belongs_to_the_cluster_that_admits_it() {
    let cluster = ClusterId([7; 16]);
    let exists = Trouble::Exists { cluster, me: A };
    let story = joining(Kept::Nothing)
        .then(0, fresh(B))
        .then(900, fresh(C))
        .then(2_000, Input::Heard { from: D, standing: Standing::Founded(cluster) })
        .then(2_100, Input::Admitted(cluster))
        .then(2_200, Input::Admitted(ClusterId([8; 16])));
    assert_eq!(story.founding.standing(), Standing::Fresh { expect: 0 }, "not yet on disk");
    let story = story.then(2_300, Input::Persisted);
    assert_eq!((story.founding.standing(), story.founding.wake_at()), (Standing::Founded(cluster), None));
    story.gives(&[Output::Trouble(exists), Output::Persist(Kept::Joined(cluster)), Output::Join(cluster)]);
    joining(Kept::Joined(cluster)).gives(&[Output::Join(cluster)]);
}

#[test]
fn who_has_promised_joins_nobody_and_who_only_joins_is_nobody_to_found_with() {
    let promise = || Story::begin(Kept::Promise(list(&[A, B, C])));
    promise().then(0, Input::Admitted(ClusterId([7; 16]))).gives(&[]);
    let joins = |from| Input::Heard { from, standing: Standing::Fresh { expect: 0 } };
    let story =
        Story::begin(Kept::Nothing).then(0, fresh(B)).then(0, fresh(C)).then(0, joins(D)).then(500, Input::Tick);
    story.gives(&[Output::Persist(Kept::Promise(list(&[A, B, C])))]);
}

#[test]
fn an_operator_reads_why_nothing_is_founded() {
    let start = || Story::begin(Kept::Nothing);
    let stories = [
        start().then(10_000, fresh(B)),
        start().then(0, fresh(B)).then(0, fresh(C)).then(0, fresh(D)),
        start().then(0, promised(B, &[A, B, C])).then(1, Input::Persisted).then(10_001, fresh(B)),
        start().then(0, Input::Heard { from: B, standing: Standing::Fresh { expect: 5 } }),
        start().then(0, promised(B, &[B, C, D])),
        start().then(0, promised(B, &[A, B])),
        start().then(0, Input::Heard { from: B, standing: Standing::Founded(ClusterId([7; 16])) }),
        Story::begin(Kept::Promise(list(&[A, B, C]))).then(0, promised(D, &[D])),
        start().then(0, fresh(D)).then(1, promised(B, &[A, B, C])),
        Story::begin(Kept::Promise(list(&[A, B, C]))).then(9_999, fresh(B)).then(10_000, fresh(C)),
        joining(Kept::Nothing).then(10_000, fresh(B)),
    ];
    expect![[r#"
        2 fresh nodes, bootstrap_expect is 3: 000000000000000a, 000000000000000b
        4 fresh nodes, bootstrap_expect is 3: 000000000000000a, 000000000000000b, 000000000000000c, 000000000000000d
        promised a list whose members were never seen again: 000000000000000c; the list is 000000000000000a, 000000000000000b, 000000000000000c
        bootstrap_expect is 3 here and 5 on node 000000000000000b
        others promised a list that this node cannot promise (bootstrap_expect is 3): 000000000000000b, 000000000000000c, 000000000000000d
        others promised a list that this node cannot promise (bootstrap_expect is 3): 000000000000000a, 000000000000000b
        cluster 07070707070707070707070707070707 exists already: this node joins it once it is admitted there, by `stemedb node join 000000000000000a`
        another list was promised besides this one: 000000000000000a, 000000000000000b, 000000000000000c
        4 fresh nodes, bootstrap_expect is 3: 000000000000000a, 000000000000000b, 000000000000000c, 000000000000000d
        promised a list that is not promised by 000000000000000b, 000000000000000c; the list is 000000000000000a, 000000000000000b, 000000000000000c
        no cluster is in sight, and this node only joins one: check seeds, key and ports
    "#]].assert_eq(&stories.map(|story| story.tells()).concat());
}
