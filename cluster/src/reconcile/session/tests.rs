use super::*;
use crate::reconcile::Missing;
use model::set::{Leaf, SetKey};
use proptest::prelude::*;

const PEER: NodeId = NodeId(9);
const SETTINGS: Settings = Settings { page_elements: 3, piece_elements: 4, patience: Millis(1_000) };

fn fence() -> Stamp {
    Stamp::from_bits(50)
}

fn element(stamp: u64, id: u8, signatures: u8) -> Element {
    let (stamp, id) = (Stamp::from_bits(stamp), RecordId([id; 32]));
    Element { stamp, id, leaf: Leaf::of(&id, stamp, &[signatures; 32]) }
}

/// What a node holds of each home: of each id the stamp and the signatures, merged by the smaller of both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Node(BTreeMap<Home, BTreeMap<u8, (u64, u8)>>);

impl Node {
    fn merge(&mut self, home: Home, id: u8, (stamp, signatures): (u64, u8)) {
        let held = self.0.entry(home).or_default().entry(id).or_insert((stamp, signatures));
        *held = (held.0.min(stamp), held.1.min(signatures));
    }

    fn elements(&self, home: Home) -> BTreeSet<Element> {
        let held = self.0.get(&home).into_iter().flatten();
        held.map(|(id, (stamp, signatures))| element(*stamp, *id, *signatures)).collect()
    }

    fn sum(&self, home: Home, until: Stamp) -> SetSum {
        let mut sum = SetSum::ZERO;
        let leaves = self.elements(home).into_iter().filter(|element| element.stamp <= until);
        leaves.for_each(|element| sum.add(&SetKey::new([1; 32]), element.leaf));
        sum
    }

    fn sums(&self, homes: &BTreeSet<Home>, until: Stamp) -> BTreeMap<Home, SetSum> {
        homes.iter().map(|home| (*home, self.sum(*home, until))).collect()
    }

    fn page(&self, home: Home, after: Option<Place>, until: Stamp, limit: usize) -> (Vec<Element>, bool) {
        let behind = |element: &Element| after.is_none_or(|after| (element.stamp, element.id) > after);
        let all: Vec<_> = self.elements(home).into_iter().filter(|e| behind(e) && e.stamp <= until).collect();
        (all.iter().copied().take(limit).collect(), all.len() < limit)
    }

    /// What a body is, and how it is counted.
    fn send(
        &self,
        home: Home,
        ids: &BTreeSet<RecordId>,
        to: &mut Self,
        lost: impl Fn(u8) -> bool,
    ) -> BTreeSet<RecordId> {
        let held = self.0.get(&home).into_iter().flatten();
        let sent = held.filter(|(id, _)| ids.contains(&RecordId([**id; 32])) && !lost(**id));
        sent.map(|(id, form)| {
            to.merge(home, *id, *form);
            RecordId([*id; 32])
        })
        .collect()
    }
}

fn roots(sums: BTreeMap<Home, SetSum>) -> Roots {
    Roots { sums, ..Roots::default() }
}

/// Runs a session to its end, and checks on the way that nothing travels needlessly.
fn run(
    me: &mut Node,
    peer: &mut Node,
    direction: Direction,
    lost: impl Fn(u8) -> bool + Copy,
) -> (Summary, BTreeSet<Home>) {
    let homes: BTreeSet<_> = crate::placement::homes().take(4).collect();
    let mut out = Vec::new();
    let mut session = Session::start(SETTINGS, direction, PEER, homes, fence(), Millis(0), &mut out);
    let mut met = BTreeSet::new();
    let mut at = 0;
    while let Some(output) = out.get(at).cloned() {
        at += 1;
        let input = match output {
            Output::ReadRoots { fence, homes } => Input::OwnRoots(roots(me.sums(&homes, fence))),
            Output::AskRoots { fence, homes } => Input::PeerRoots(roots(peer.sums(&homes, fence))),
            Output::ReadList { fence, home, after, limit } => {
                let (elements, last) = me.page(home, after, fence, limit);
                Input::OwnPage { elements, last }
            }
            Output::AskList { fence, home, after, limit } => {
                let (elements, last) = peer.page(home, after, fence, limit);
                Input::PeerPage { elements, last }
            }
            Output::Pull { home, ids } => {
                check_needed(&ids, peer, me, home);
                Input::Pulled(peer.send(home, &ids, me, lost))
            }
            Output::Push { home, ids } => {
                check_needed(&ids, me, peer, home);
                Input::Pushed(me.send(home, &ids, peer, lost))
            }
            Output::Same { .. } => continue,
            Output::Met { homes, .. } => {
                met.extend(homes);
                continue;
            }
            Output::Finished(summary) => {
                assert_eq!(at, out.len(), "it was the last output");
                assert_eq!(session.wake_at(), None);
                return (summary, met);
            }
        };
        session.handle(input, Millis(0), &mut out);
    }
    panic!("stuck after {out:?}");
}

/// Nobody is sent the very form that it holds; a form that came meanwhile from the other side may be the same by now.
fn check_needed(ids: &BTreeSet<RecordId>, from: &Node, to: &Node, home: Home) {
    assert!(ids.len() <= SETTINGS.piece_elements);
    let held = to.elements(home);
    for element in from.elements(home).iter().filter(|element| ids.contains(&element.id)) {
        let unlike = held.iter().any(|other| other.id == element.id);
        assert!(unlike || !held.contains(element), "{element:?} is sent needlessly");
    }
}

fn home(number: u16) -> Home {
    Home::from_number(number).unwrap()
}

fn node(held: &[(u16, u8, u64, u8)]) -> Node {
    let mut node = Node::default();
    held.iter().for_each(|(number, id, stamp, signatures)| node.merge(home(*number), *id, (*stamp, *signatures)));
    node
}

#[test]
fn equal_nodes_exchange_roots_and_nothing_else() {
    let (mut a, mut b) = (node(&[(0, 1, 1, 1), (3, 2, 2, 2)]), node(&[(0, 1, 1, 1), (3, 2, 2, 2)]));
    let (summary, met) = run(&mut a, &mut b, Direction::PullAndPush, |_| panic!("a body was sent"));
    assert!(summary.complete && summary.homes.values().all(|difference| *difference == Difference::default()));
    assert_eq!(met.len(), 4);
}

#[test]
fn what_is_stamped_after_the_fence_is_left_alone() {
    let (mut a, mut b) = (node(&[(0, 1, 1, 1), (0, 2, 51, 1)]), node(&[(0, 3, 52, 1), (0, 1, 1, 1)]));
    run(&mut a, &mut b, Direction::PullAndPush, |_| panic!("a body was sent"));
}

#[test]
fn each_gets_what_it_lacks_and_one_form_is_made_of_two() {
    let mut a = node(&[(1, 1, 1, 1), (1, 2, 8, 1), (2, 3, 3, 3)]);
    let mut b = node(&[(1, 1, 1, 1), (1, 2, 9, 0), (1, 4, 4, 4)]);
    let (summary, met) = run(&mut a, &mut b, Direction::PullAndPush, |_| false);
    assert_eq!(a, b);
    assert_eq!(a.0[&home(1)][&2], (8, 0));
    assert_eq!(met.len(), 4);
    assert_eq!(summary.homes[&home(1)], Difference { unlike: 1, ..Difference::default() });
}

#[test]
fn what_did_not_arrive_is_missing_and_its_home_is_not_met() {
    let (mut a, mut b) = (node(&[(1, 5, 5, 5)]), node(&[(1, 1, 7, 1), (1, 2, 6, 1), (2, 3, 3, 3)]));
    let (summary, met) = run(&mut a, &mut b, Direction::PullAndPush, |id| id == 1 || id == 5);
    let missing =
        |id: u8, stamp| Missing { ids: [RecordId([id; 32])].into(), others: 0, oldest: Some(Stamp::from_bits(stamp)) };
    assert_eq!(summary.homes[&home(1)].missing_here, missing(1, 7));
    assert_eq!(summary.homes[&home(1)].missing_there, missing(5, 5));
    assert_eq!(met, [0, 2, 3].map(home).into());
}

#[test]
fn a_home_that_either_cannot_sum_is_not_compared() {
    let mut out = Vec::new();
    let homes = [home(0), home(1)].into();
    let mut session = Session::start(SETTINGS, Direction::Pull, PEER, homes, fence(), Millis(0), &mut out);
    session.handle(
        Input::OwnRoots(roots([(home(0), SetSum::ZERO), (home(1), SetSum::ZERO)].into())),
        Millis(0),
        &mut out,
    );
    session.handle(Input::PeerRoots(roots([(home(1), SetSum::ZERO)].into())), Millis(0), &mut out);
    let same = Same { sum: SetSum::ZERO, stable: None };
    let homes = [(home(1), same)].into();
    assert_eq!(out[2], Output::Same { homes, fence: fence(), closed: Stamp::ZERO });
    assert_eq!(out[3], Output::Met { homes: [home(1)].into(), fence: fence() });
    let Output::Finished(summary) = &out[4] else { panic!("{out:?}") };
    assert!(summary.complete && summary.homes.len() == 1);
}

#[test]
fn silence_disorder_and_failure_end_a_session() {
    let page = |elements: &[Element], last| Input::PeerPage { elements: elements.to_vec(), last };
    let (one, two) = (element(1, 1, 1), element(2, 2, 2));
    let wrong = [
        (1_100, Input::Tick),
        (100, Input::Failed),
        (100, page(&[two, one], false)),
        (100, page(&[one, one], false)),
        (100, page(&[], false)),
        (100, page(&[element(51, 1, 1)], true)),
        (100, Input::Pulled(BTreeSet::new())),
    ];
    for (at, input) in wrong {
        let mut out = Vec::new();
        let homes = [home(0)].into();
        let mut session = Session::start(SETTINGS, Direction::Pull, PEER, homes, fence(), Millis(0), &mut out);
        session.handle(Input::OwnRoots(roots([(home(0), SetSum::ZERO)].into())), Millis(0), &mut out);
        let other = SetSum { sum: 1, count: 1 };
        session.handle(Input::PeerRoots(roots([(home(0), other)].into())), Millis(100), &mut out);
        session.handle(Input::Tick, Millis(1_099), &mut out);
        assert_eq!(out.len(), 4, "{out:?}");
        session.handle(input.clone(), Millis(at), &mut out);
        session.handle(Input::Failed, Millis(at), &mut out);
        let homes = BTreeMap::new();
        let summary = Summary { peer: PEER, fence: fence(), complete: false, homes };
        assert_eq!(out[4..], [Output::Finished(summary)], "{input:?}");
    }
}

fn some_node() -> impl Strategy<Value = Vec<(u16, u8, u64, u8)>> {
    prop::collection::vec((0..3_u16, 0..30_u8, 1..60_u64, 0..2_u8), 0..60)
}

/// What is held up to the fence, by home.
fn fenced(node: &Node) -> Vec<BTreeSet<Element>> {
    let fenced = |number| node.elements(home(number)).into_iter().filter(|element| element.stamp <= fence()).collect();
    (0..4).map(fenced).collect()
}

proptest! {
    #[test]
    fn one_session_brings_what_is_missing_and_a_second_unites_forms(
        common in some_node(), a in some_node(), b in some_node(),
    ) {
        let (mut a, mut b) = (node(&[common.clone(), a].concat()), node(&[common, b].concat()));
        let (summary, met) = run(&mut a, &mut b, Direction::PullAndPush, |_| false);
        prop_assert!(summary.complete);
        prop_assert_eq!(met.len(), 4);
        let left = |difference: &Difference| difference.missing_here.count() + difference.missing_there.count();
        prop_assert!(summary.homes.values().all(|difference| left(difference) == 0));
        run(&mut a, &mut b, Direction::PullAndPush, |_| false);
        prop_assert_eq!(fenced(&a), fenced(&b));
    }

    #[test]
    fn pushing_gives_all_takes_nothing_and_says_what_did_not_arrive(
        common in some_node(), a in some_node(), b in some_node(), lost in prop::collection::btree_set(0..30_u8, 0..4),
    ) {
        let (mut a, mut b) = (node(&[common.clone(), a].concat()), node(&[common, b].concat()));
        let (kept, had) = (a.clone(), b.clone());
        let (summary, _) = run(&mut a, &mut b, Direction::Push, |id| lost.contains(&id));
        prop_assert!(summary.complete);
        prop_assert_eq!(&a, &kept);
        for (number, home) in [0, 1, 2, 3].map(home).into_iter().enumerate() {
            let ids = |node: &Node| fenced(node)[number].iter().map(|element| element.id).collect::<BTreeSet<_>>();
            let left: BTreeSet<_> = ids(&a).difference(&ids(&b)).copied().collect();
            // What the peer has in another form, in another piece, may be named too.
            let missing = &summary.homes[&home].missing_there.ids;
            prop_assert!(left.is_subset(missing) && missing.iter().all(|id| lost.contains(&id.0[0])));
            prop_assert!(ids(&had).is_subset(&ids(&b)));
        }
    }

    #[test]
    fn pulling_from_both_sides_makes_them_equal_too(common in some_node(), a in some_node(), b in some_node()) {
        let (mut a, mut b) = (node(&[common.clone(), a].concat()), node(&[common, b].concat()));
        for _ in 0..2 {
            run(&mut a, &mut b, Direction::Pull, |_| false);
            run(&mut b, &mut a, Direction::Pull, |_| false);
        }
        prop_assert_eq!(fenced(&a), fenced(&b));
    }

    #[test]
    fn whoever_has_met_has_all_that_the_peer_has(a in some_node(), b in some_node(), lost in any::<u32>()) {
        let (mut a, mut b) = (node(&a), node(&b));
        let (_, met) = run(&mut a, &mut b, Direction::Pull, |id| lost >> (id % 32) & 1 == 1);
        for home in met {
            let (ours, theirs) = (a.0.get(&home), b.0.get(&home));
            let theirs = theirs.into_iter().flatten().filter(|(_, form)| form.0 <= fence().to_bits());
            for (id, (stamp, signatures)) in theirs {
                let held = ours.and_then(|ours| ours.get(id));
                let merged = held.is_some_and(|held| held.0 <= *stamp && held.1 <= *signatures);
                prop_assert!(merged, "{} of {:?}", id, home);
            }
        }
    }
}
