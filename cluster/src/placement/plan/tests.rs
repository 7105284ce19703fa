use super::*;
use crate::placement::Route;
use expect_test::expect;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn member(id: u64, zone: &str) -> Member {
    Member { id: NodeId(id), zone: zone.to_owned() }
}

/// Nodes 1 to `zones.len()`, each in the zone of that letter.
fn members(zones: &str) -> Vec<Member> {
    zones.chars().zip(1..).map(|(zone, id)| member(id, &zone.to_string())).collect()
}

fn planned(current: Option<&Table>, nodes: &[Member], copies: u8) -> Table {
    plan(current, nodes, NonZeroU8::new(copies).unwrap()).unwrap()
}

fn load(table: &Table, node: NodeId) -> usize {
    table.homes_of(node).count()
}

fn loads(table: &Table, nodes: &[Member]) -> Vec<usize> {
    nodes.iter().map(|node| load(table, node.id)).collect()
}

/// The most copies of any home in one zone.
fn crowding(table: &Table, nodes: &[Member]) -> usize {
    let zone_of = |id: &NodeId| nodes.iter().find(|node| node.id == *id).map(|node| &node.zone);
    let crowd = |home| {
        let mut zones = BTreeMap::new();
        table.owners(home).iter().for_each(|owner| *zones.entry(zone_of(owner)).or_insert(0) += 1);
        zones.into_values().max().unwrap_or(0)
    };
    homes().map(crowd).max().unwrap_or(0)
}

#[test]
fn three_nodes_with_two_copies() {
    let nodes = members("aaa");
    let table = planned(None, &nodes, 2);
    let pairs = homes().fold(BTreeMap::new(), |mut pairs: BTreeMap<String, usize>, home| {
        let names: Vec<_> = table.owners(home).iter().map(|node| node.0.to_string()).collect();
        *pairs.entry(names.join(",")).or_default() += 1;
        pairs
    });
    expect![[r#"
        loads [171, 171, 172]
        pairs {"1,2": 47, "1,3": 40, "2,1": 38, "2,3": 42, "3,1": 46, "3,2": 44}
        epoch 1, 780 bytes
    "#]]
    .assert_eq(&format!(
        "loads {:?}\npairs {pairs:?}\nepoch {}, {} bytes\n",
        loads(&table, &nodes),
        table.epoch().0,
        table.encode().len()
    ));
}

#[test]
fn the_first_homes_of_three_nodes() {
    let nodes = members("aaa");
    let table = planned(None, &nodes, 2);
    let ids = nodes.iter().map(|node| node.id).collect();
    let lines: String = homes()
        .take(6)
        .map(|home| {
            let Route { owners, stand_ins, .. } = Route::of(home, &table, &ids);
            format!("{home}: {owners:?} then {stand_ins:?}\n")
        })
        .collect();
    expect![[r#"
        0: [NodeId(2), NodeId(1)] then [NodeId(3)]
        1: [NodeId(1), NodeId(3)] then [NodeId(2)]
        2: [NodeId(2), NodeId(1)] then [NodeId(3)]
        3: [NodeId(3), NodeId(2)] then [NodeId(1)]
        4: [NodeId(2), NodeId(3)] then [NodeId(1)]
        5: [NodeId(3), NodeId(1)] then [NodeId(2)]
    "#]]
    .assert_eq(&lines);
}

#[test]
fn fewer_nodes_than_copies_each_own_everything() {
    let nodes = members("ab");
    assert_eq!(loads(&planned(None, &nodes, 3), &nodes), [257, 257]);
    assert_eq!(loads(&planned(None, &nodes[..1], 3), &nodes), [257, 0]);
}

#[test]
fn a_small_zone_holds_a_copy_of_everything_if_only_so_no_zone_holds_two() {
    let nodes = members("abbbb");
    let table = planned(None, &nodes, 2);
    assert_eq!(crowding(&table, &nodes), 1);
    assert_eq!(loads(&table, &nodes), [257, 64, 64, 64, 65]);
}

#[test]
fn a_node_that_leaves_moves_only_what_it_owned() {
    let nodes = members("aaaa");
    let before = planned(None, &nodes, 2);
    let after = planned(Some(&before), &nodes[..3], 2);
    assert_eq!(after.moves_from(&before), load(&before, NodeId(4)));
    assert_eq!(after.epoch(), Epoch(2));
}

#[test]
fn a_node_that_comes_takes_its_share_and_nothing_else_moves() {
    let nodes = members("aaaa");
    let before = planned(None, &nodes[..3], 2);
    let after = planned(Some(&before), &nodes, 2);
    assert_eq!(after.moves_from(&before), load(&after, NodeId(4)));
    assert_eq!(load(&after, NodeId(4)), 128);
}

#[test]
fn a_replaced_node_hands_all_to_its_replacement() {
    let before = planned(None, &members("abc"), 2);
    let after = planned(Some(&before), &[member(1, "a"), member(9, "b"), member(3, "c")], 2);
    assert_eq!(after.moves_from(&before), load(&before, NodeId(2)));
    assert!(before.homes_of(NodeId(2)).eq(after.homes_of(NodeId(9))));
}

#[test]
fn fewer_copies_move_nothing_and_the_preferred_owners_stay_as_far_as_balance_allows() {
    let nodes = members("aaaaa");
    let before = planned(None, &nodes, 3);
    let after = planned(Some(&before), &nodes, 2);
    assert_eq!(after.moves_from(&before), 0);
    let kept = homes().filter(|home| before.owners(*home).starts_with(after.owners(*home))).count();
    assert!(kept > 180, "{kept}");
}

#[test]
fn what_is_refused_names_the_reason() {
    let refused = |nodes: &[Member], copies| plan(None, nodes, NonZeroU8::new(copies).unwrap()).unwrap_err();
    let many: Vec<_> = (0..=NODES_MAX as u64).map(|id| member(id, "")).collect();
    let errors = [
        refused(&[], 2),
        refused(&[member(1, "a"), member(1, "b")], 2),
        refused(&many, 2),
        refused(&members("a"), COPIES_MAX + 1),
    ];
    expect![[r#"
        no node to store anything on
        node 0000000000000001 is listed twice
        1025 nodes, but one table holds at most 1024
        16 copies, but a home has at most 15
    "#]]
    .assert_eq(&errors.map(|error| format!("{error}\n")).concat());
}

/// Up to 9 nodes in up to 4 zones, ids apart.
fn some_nodes() -> impl Strategy<Value = Vec<Member>> {
    prop::collection::btree_map(0..50_u64, 0..4_u8, 1..10)
        .prop_map(|nodes| nodes.into_iter().map(|(id, zone)| member(id, &zone.to_string())).collect())
}

/// The promises of [`plan`] that need no other table to check.
fn check(table: &Table, nodes: &[Member], copies: u8) -> Result<(), TestCaseError> {
    let wanted = usize::from(copies).min(nodes.len());
    let ids: BTreeSet<_> = nodes.iter().map(|node| node.id).collect();
    for home in homes() {
        prop_assert_eq!(table.owners(home).len(), wanted);
        prop_assert!(table.owners(home).iter().all(|owner| ids.contains(owner)));
    }
    let mut zones = BTreeMap::<_, Vec<_>>::new();
    nodes.iter().for_each(|node| zones.entry(&node.zone).or_default().push(load(table, node.id)));
    let most = spread(zones.values().map(Vec::len), wanted);
    prop_assert_eq!(crowding(table, nodes), most);
    let even = |loads: &[usize]| loads.iter().max().zip(loads.iter().min()).is_none_or(|(max, min)| max - min <= 1);
    let is_full = |loads: &Vec<usize>| loads.iter().sum::<usize>() == 257 * most.min(loads.len());
    prop_assert!(zones.values().all(|loads| even(loads)), "{:?}", zones);
    let open: Vec<_> = zones.values().filter(|loads| !is_full(loads)).flatten().copied().collect();
    prop_assert!(even(&open), "{:?}", zones);
    let lowest = open.iter().min().copied().unwrap_or(usize::MAX);
    let bounded = zones.values().filter(|loads| is_full(loads)).flatten();
    prop_assert!(bounded.into_iter().all(|load| *load <= lowest.saturating_add(1)), "{:?}", zones);
    Ok(())
}

/// The least that any balanced table moves, zones aside: what the gone owned, and what the others own beyond a share.
fn ideal(before: &Table, nodes: &[Member]) -> usize {
    let total = before.owners(Home::GLOBAL).len() * 257;
    let (each, more) = (total / nodes.len(), total % nodes.len());
    let gone = total - loads(before, nodes).iter().sum::<usize>();
    let above = |load: usize| load.saturating_sub(each);
    let spare = nodes.iter().filter(|node| load(before, node.id) > each).count().min(more);
    gone.max(loads(before, nodes).into_iter().map(above).sum::<usize>() - spare)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn every_plan_is_balanced_and_spread(nodes in some_nodes(), copies in 1..5_u8) {
        check(&planned(None, &nodes, copies), &nodes, copies)?;
    }

    #[test]
    fn a_plan_after_a_plan_keeps_the_promises_too(
        before in some_nodes(), after in some_nodes(), copies in (1..5_u8, 1..5_u8),
    ) {
        let first = planned(None, &before, copies.0);
        let second = planned(Some(&first), &after, copies.1);
        check(&second, &after, copies.1)?;
        let again = planned(Some(&second), &after, copies.1);
        prop_assert_eq!(again.moves_from(&second), 0);
    }

    #[test]
    fn the_order_of_the_nodes_is_of_no_account(nodes in some_nodes(), copies in 1..5_u8, turn in 0..9_usize) {
        let mut turned = nodes.clone();
        turned.rotate_left(turn % nodes.len());
        turned.reverse();
        let first = planned(None, &nodes, copies);
        prop_assert_eq!(&planned(None, &turned, copies), &first);
        turned.push(member(99, "0"));
        let mut sorted = turned.split_off(1);
        let again = planned(Some(&first), &sorted, copies);
        sorted.sort();
        prop_assert_eq!(planned(Some(&first), &sorted, copies), again);
    }

    #[test]
    fn one_node_more_or_less_moves_no_more_than_the_ideal(size in 4..10_u64, copies in 1..4_u8, other in 1..10_u64) {
        let nodes: Vec<_> = (1..=size).map(|id| member(id, "")).collect();
        let without: Vec<_> = nodes.iter().filter(|node| node.id.0 != 1 + other % size).cloned().collect();
        for (before, after) in [(&nodes, &without), (&without, &nodes)] {
            let first = planned(None, before, copies);
            let second = planned(Some(&first), after, copies);
            prop_assert_eq!(second.moves_from(&first), ideal(&first, after));
        }
    }
}
