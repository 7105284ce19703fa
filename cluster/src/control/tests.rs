use super::*;
use crate::control::Versions;
use crate::id::NodeKey;
use crate::placement::{self, plan};
use expect_test::expect;
use model::Home;
use proptest::prelude::*;
use std::num::NonZeroU8;

fn key(id: u64) -> NodeKey {
    let mut key = [7; 32];
    key[..8].copy_from_slice(&id.to_be_bytes());
    NodeKey(key)
}

fn member(id: u64, port: u16) -> Member {
    let at = |host: u8| ([10, 0, 0, host], port).into();
    let versions = Versions::SHIPPED;
    Member { key: key(id), rpc: at(1), gossip: at(2), api: at(3), zone: "a".to_owned(), versions }
}

fn factor(copies: u8) -> NonZeroU8 {
    NonZeroU8::new(copies).unwrap()
}

fn found(ids: &[u64]) -> Command {
    let members = ids.iter().map(|id| (NodeId(*id), member(*id, 18_182))).collect();
    Command::found(members, Settings { replication_factor: factor(2) }).unwrap()
}

/// A table of some epoch over some nodes.
fn table(epoch: u64, ids: &[u64]) -> Table {
    let nodes: Vec<_> = ids.iter().map(|id| placement::Member { id: NodeId(*id), zone: String::new() }).collect();
    let planned = plan(None, &nodes, factor(2)).unwrap();
    Table::new(Epoch(epoch), homes().map(|home| planned.owners(home).to_vec()).collect()).unwrap()
}

fn three() -> State {
    let mut state = State::default();
    assert_eq!(state.apply(&found(&[1, 2, 3])), Outcome::Changed);
    state
}

#[test]
fn three_founders_make_one_cluster_however_often_each_of_them_proposes_it() {
    let mut state = three();
    assert_eq!(state.cluster(), Some(ClusterId::of([1, 2, 3].map(NodeId))));
    assert_eq!(state.table().map(Table::epoch), Some(Epoch(1)));
    let before = state.clone();
    assert_eq!(state.apply(&found(&[3, 2, 1])), Outcome::Unchanged);
    assert_eq!(state.members(), before.members());
    let other = Outcome::Refused(Refusal::OtherCluster(ClusterId::of([1, 2, 3].map(NodeId))));
    assert_eq!(state.apply(&found(&[1, 2])), other);
    assert_eq!(state.history(), History { changed: 1, unchanged: 1, refused: 1 });
}

#[test]
fn the_table_is_replaced_only_by_the_one_made_from_it() {
    let mut state = three();
    let next = table(2, &[1, 2]);
    assert_eq!(state.apply(&Command::SetTable(next.clone())), Outcome::Changed);
    assert_eq!(state.apply(&Command::SetTable(next)), Outcome::Unchanged);
    for epoch in [1, 2, 4] {
        let refused = Outcome::Refused(Refusal::Epoch(Epoch(epoch), Epoch(3)));
        assert_eq!(state.apply(&Command::SetTable(table(epoch, &[2, 3]))), refused);
    }
    assert_eq!(state.table().map(Table::epoch), Some(Epoch(2)));
}

/// Has everything done that is to be done, as if every owner took what it lacks at once. Returns how many tables it took.
fn settle(state: &mut State) -> usize {
    let mut tables = 0;
    for _ in 0..100 {
        let taken = state.table().unwrap().moves().keys().copied().collect();
        let all = state.members().unwrap().keys().copied().collect();
        let Some(command) = state.next(&taken, &all, &all).unwrap() else { return tables };
        tables += usize::from(matches!(command, Command::SetTable(_)));
        assert_eq!(state.apply(&command), Outcome::Changed, "{command:?}");
    }
    panic!("it never comes to rest");
}

fn loads(state: &State) -> Vec<usize> {
    state.members().unwrap().keys().map(|node| state.table().unwrap().homes_of(*node).count()).collect()
}

fn admit(id: u64) -> Command {
    Command::Admit { node: NodeId(id), member: member(id, 1) }
}

#[test]
fn another_number_of_copies_moves_what_is_new_and_nothing_else() {
    let nobody = BTreeSet::new();
    let mut state = three();
    assert_eq!(State::default().next(&BTreeSet::new(), &nobody, &nobody), Ok(None));
    assert_eq!(state.next(&BTreeSet::new(), &nobody, &nobody), Ok(None));
    for (copies, loads_then) in [(3, [257; 3]), (7, [257; 3]), (2, [172, 171, 171]), (1, [86, 86, 85])] {
        state.apply(&Command::SetSetting(Setting::ReplicationFactor(factor(copies))));
        let before = state.table().unwrap().clone();
        settle(&mut state);
        let mut loads = loads(&state);
        loads.sort_unstable_by_key(|load| std::cmp::Reverse(*load));
        assert_eq!(loads, loads_then, "{copies} copies");
        let added = usize::from(Home::COUNT) * usize::from(copies == 3);
        assert_eq!(state.table().unwrap().moves_from(&before), added, "only what is new is sent");
    }
}

#[test]
fn a_cluster_of_one_grows_to_three_and_five_and_shrinks_again() {
    let mut state = State::default();
    state.apply(&found(&[1]));
    assert_eq!(loads(&state), [257]);
    for id in [2, 3] {
        assert_eq!(state.apply(&admit(id)), Outcome::Changed);
        assert_eq!(state.apply(&admit(id)), Outcome::Unchanged);
        settle(&mut state);
    }
    assert_eq!(loads(&state), [172, 171, 171]);
    assert_eq!(state.apply(&admit(4)), Outcome::Changed);
    let tables = settle(&mut state);
    assert!((3..=8).contains(&tables), "{tables}");
    state.apply(&admit(5));
    settle(&mut state);
    assert_eq!(loads(&state), [103, 103, 103, 103, 102]);

    assert_eq!(state.apply(&Command::Drain { node: NodeId(1), leaves: true }), Outcome::Changed);
    settle(&mut state);
    assert_eq!(state.members().unwrap().keys().map(|node| node.0).collect::<Vec<_>>(), [2, 3, 4, 5]);
    assert!(state.was_removed(NodeId(1)));
    assert_eq!(state.apply(&admit(1)), Outcome::Refused(Refusal::Removed(NodeId(1))));
    assert_eq!(loads(&state).iter().sum::<usize>(), 2 * 257);
}

#[test]
fn who_replaces_a_dead_node_takes_what_it_had_and_nothing_else_moves() {
    let mut state = three();
    let before = state.table().unwrap().clone();
    let command = Command::Replace { old: NodeId(2), node: NodeId(9), member: member(9, 9) };
    assert_eq!(state.apply(&command), Outcome::Changed);
    assert!(homes().all(|home| !state.table().unwrap().holds(NodeId(2), home)), "it is no owner from that moment");
    settle(&mut state);
    let after = state.table().unwrap();
    assert!(before.homes_of(NodeId(2)).eq(after.homes_of(NodeId(9))));
    assert!([1, 3].map(NodeId).iter().all(|node| before.homes_of(*node).eq(after.homes_of(*node))));
    assert_eq!(state.apply(&command), Outcome::Unchanged, "asked again after it was done");
}

#[test]
fn nobody_is_removed_who_alone_has_all_of_a_home() {
    let mut state = three();
    assert_eq!(state.apply(&Command::Remove { node: NodeId(2) }), Outcome::Changed);
    let refused = Outcome::Refused(Refusal::OnlyCopy(NodeId(3)));
    assert_eq!(state.apply(&Command::Remove { node: NodeId(3) }), refused, "before there are two copies again");
    settle(&mut state);
    assert_eq!(state.apply(&Command::Remove { node: NodeId(3) }), Outcome::Changed);
    assert_eq!(
        state.apply(&Command::Drain { node: NodeId(1), leaves: true }),
        Outcome::Refused(Refusal::Last(NodeId(1)))
    );
    assert_eq!(state.apply(&Command::Remove { node: NodeId(1) }), Outcome::Refused(Refusal::OnlyCopy(NodeId(1))));
}

#[test]
fn a_pause_lets_what_is_under_way_arrive_and_nothing_set_out() {
    let mut state = three();
    state.apply(&admit(4));
    let (nobody, newcomer) = (BTreeSet::new(), [NodeId(4)].into());
    let goal = state.next(&BTreeSet::new(), &nobody, &nobody).unwrap().unwrap();
    state.apply(&goal);
    assert_eq!(state.next(&BTreeSet::new(), &nobody, &nobody), Ok(None), "it has not found its cluster yet");
    let table = state.next(&BTreeSet::new(), &newcomer, &nobody).unwrap().unwrap();
    state.apply(&table);
    let under_way = state.table().unwrap().moves().len();
    assert_eq!(under_way, steps::HOMES_IN_TRANSIT_MAX);
    let left = |state: &State| steps::left(state.table().unwrap(), state.goal().unwrap());
    let before = left(&state);
    state.apply(&Command::Pause(true));
    settle(&mut state);
    assert_eq!((left(&state), state.table().unwrap().moves().len()), (before - under_way, 0));
    state.apply(&Command::Pause(false));
    settle(&mut state);
    assert_eq!(left(&state), 0);
}

#[test]
fn another_zone_is_another_plan() {
    let mut state = State::default();
    let zoned = |id, zone: &str| Member { zone: zone.to_owned(), ..member(id, 1) };
    let members = [(1, "a"), (2, "a"), (3, "b"), (4, "b")].map(|(id, zone)| (NodeId(id), zoned(id, zone)));
    state.apply(&Command::found(members.into(), Settings { replication_factor: factor(2) }).unwrap());
    let in_one_zone = |state: &State| {
        let zone = |node: &NodeId| state.members().unwrap()[node].zone.clone();
        let table = state.table().unwrap();
        homes().filter(|home| table.owners(*home).iter().map(zone).collect::<BTreeSet<_>>().len() < 2).count()
    };
    assert_eq!(in_one_zone(&state), 0);
    state.apply(&Command::UpdateMember { node: NodeId(2), member: zoned(2, "b") });
    state.apply(&Command::UpdateMember { node: NodeId(4), member: zoned(4, "a") });
    assert!(in_one_zone(&state) > 0);
    settle(&mut state);
    assert_eq!(in_one_zone(&state), 0);
}

#[test]
fn what_a_command_would_do_is_known_before_it_is_done() {
    let state = three();
    let then = state.what_if(&admit(4)).unwrap();
    assert_eq!(then.goal().unwrap().homes_of(NodeId(4)).count(), 128);
    assert_eq!((state.homes_to_move(), then.homes_to_move()), (0, 128));
    let mut made = state.clone();
    made.apply(&admit(4));
    assert_eq!(made.homes_to_move(), 128, "also before anybody has planned it");
    assert!(made.has_done(&admit(4)) && !state.has_done(&admit(4)));
    assert_eq!(state.what_if(&Command::Remove { node: NodeId(9) }), Err(Refusal::Stranger(NodeId(9))));
}

/// A member says at a start that its newest version is `max`.
fn speaks(id: u64, max: u16) -> Command {
    let member = Member { versions: Versions::up_to(Version(max)), ..member(id, 18_182) };
    Command::UpdateMember { node: NodeId(id), member }
}

#[test]
fn a_version_is_activated_once_every_member_speaks_it_and_never_taken_back() {
    let mut state = three();
    assert_eq!(state.active_version(), Some(Version(1)));
    let mute = |node| Outcome::Refused(Refusal::Mute(NodeId(node), Version(2)));
    assert_eq!(state.apply(&Command::Activate(Version(2))), mute(1));
    for id in [1, 3] {
        state.apply(&speaks(id, 2));
    }
    assert_eq!(state.apply(&Command::Activate(Version(2))), mute(2));
    assert_eq!(state.apply(&speaks(1, 1)), Outcome::Changed, "before it is active, a node may go back");
    state.apply(&speaks(1, 2));
    state.apply(&speaks(2, 2));
    assert_eq!(state.apply(&Command::Activate(Version(2))), Outcome::Changed);
    assert_eq!(state.apply(&Command::Activate(Version(2))), Outcome::Unchanged);
    assert_eq!(state.apply(&speaks(3, 1)), mute(3), "and not after it");
    assert_eq!(state.apply(&admit(4)), mute(4));
    let order = Outcome::Refused(Refusal::Order(Version(2), Version(3)));
    assert_eq!(state.apply(&Command::Activate(Version(1))), order);
    assert_eq!(state.apply(&Command::Activate(Version(4))), order);
    assert_eq!(state.apply(&speaks(3, 3)), Outcome::Changed, "the next release speaks what is active, too");
    assert_eq!(State::decode(&state.encode()), Ok(state));
}

#[test]
fn a_cluster_begins_with_the_oldest_version_that_all_founders_speak() {
    let founded = |ranges: &[u16]| {
        let speaks =
            |(id, max): (u64, &u16)| (NodeId(id), Member { versions: Versions::up_to(Version(*max)), ..member(id, 1) });
        let members = (1..).zip(ranges).map(speaks).collect();
        let mut state = State::default();
        let outcome = state.apply(&Command::found(members, Settings { replication_factor: factor(2) }).unwrap());
        (outcome, state.active_version())
    };
    assert_eq!(founded(&[1, 1, 2]), (Outcome::Changed, Some(Version(1))));
    assert_eq!(founded(&[2, 2]), (Outcome::Changed, Some(Version(1))));
    assert_eq!(founded(&[2, 3]), (Outcome::Changed, Some(Version(2))));
    assert_eq!(founded(&[1, 3]), (Outcome::Refused(Refusal::Mute(NodeId(1), Version(2))), None));
}

#[test]
fn what_is_refused_names_the_reason() {
    let mut state = State::default();
    let mut refused = vec![state.apply(&Command::SetTable(table(1, &[1])))];
    let mut later = found(&[1]);
    if let Command::Found { table: first, .. } = &mut later {
        *first = table(2, &[1]);
    }
    refused.push(state.apply(&later));
    let mut state = three();
    let wide = Member { zone: "z".repeat(ZONE_BYTES_MAX + 1), ..member(1, 1) };
    let mut rekeyed = key(1);
    rekeyed.0[31] = 8; // of the same id
    refused.extend([
        state.apply(&Command::SetTable(table(2, &[1, 9]))),
        state.apply(&Command::UpdateMember { node: NodeId(9), member: member(9, 1) }),
        state.apply(&Command::UpdateMember { node: NodeId(1), member: wide }),
        state.apply(&Command::UpdateMember { node: NodeId(1), member: member(2, 1) }),
        state.apply(&Command::UpdateMember { node: NodeId(1), member: Member { key: rekeyed, ..member(1, 1) } }),
        state.apply(&Command::SetSetting(Setting::ReplicationFactor(factor(16)))),
        state.apply(&found(&[4])),
    ]);
    let text = |outcome| match outcome {
        Outcome::Refused(refusal) => format!("{refusal}\n"),
        Outcome::Changed | Outcome::Unchanged => "taken\n".to_owned(),
    };
    expect![[r#"
        there is no cluster yet
        the table has epoch 2, the next is 1
        node 0000000000000009 is not a member
        node 0000000000000009 is not a member
        node 0000000000000001 has another node's key, a zone longer than 64 bytes, or versions from high to low
        node 0000000000000001 has another node's key, a zone longer than 64 bytes, or versions from high to low
        node 0000000000000001 has another node's key, a zone longer than 64 bytes, or versions from high to low
        16 copies, but a home has at most 15
        cluster 8dc10c9f654fcf442a96d228ae2070b7 exists already, with other founders
    "#]]
    .assert_eq(&refused.into_iter().map(text).collect::<String>());
}

#[test]
fn the_bytes_of_a_command_and_of_a_state_are_frozen() {
    let state = three();
    let hash = |bytes: &[u8]| format!("{} bytes, {}\n", bytes.len(), blake3::hash(bytes).to_hex());
    let update = Command::UpdateMember { node: NodeId(1), member: member(1, 7) };
    let texts = [
        hash(&found(&[1, 2, 3]).encode()),
        hash(&state.encode()),
        format!("{:02x?}\n", update.encode()),
        format!("{:02x?}\n", Command::SetSetting(Setting::ReplicationFactor(factor(3))).encode()),
        format!("{:02x?}\n", State::default().encode()),
    ];
    expect![[r#"
        966 bytes, d3e53b06c3e859577a3eb8e4fb1292d1c8c15bd7843fd9f03fac14e4c909744f
        1779 bytes, e4b6f365b7c56a617e60cde6a628880f5b36c65684e2ea27c192970dcfa9e23c
        [01, 01, 01, 00, 00, 00, 00, 00, 00, 00, 01, 07, 07, 07, 07, 07, 07, 07, 07, 07, 07, 07, 07, 07, 07, 07, 07, 07, 07, 07, 07, 07, 07, 07, 07, 00, 0a, 00, 00, 01, 07, 00, 0a, 00, 00, 02, 07, 00, 0a, 00, 00, 03, 07, 01, 61, 01, 01]
        [01, 02, 00, 03]
        [01, 00, 00, 00, 00]
    "#]]
    .assert_eq(&texts.concat());
}

#[test]
fn a_snapshot_whose_owner_is_no_member_is_not_taken() {
    let mut state = three();
    assert_eq!(State::decode(&state.encode()), Ok(state.clone()));
    state.founded.as_mut().unwrap().members.remove(&NodeId(2));
    assert_eq!(State::decode(&state.encode()), Err(WireError::Bytes));
}

/// Commands of which many are refused.
fn command() -> impl Strategy<Value = Command> {
    let ids = || prop::collection::btree_set(1..5_u64, 1..4).prop_map(|ids| ids.into_iter().collect::<Vec<_>>());
    prop_oneof![
        ids().prop_map(|ids| found(&ids)),
        (1..5_u64, 0..3_u16)
            .prop_map(|(id, port)| Command::UpdateMember { node: NodeId(id), member: member(id, port) }),
        (1..20_u8).prop_map(|copies| Command::SetSetting(Setting::ReplicationFactor(factor(copies)))),
        (1..6_u64, ids()).prop_map(|(epoch, ids)| Command::SetTable(table(epoch, &ids))),
        (1..6_u64, ids()).prop_map(|(epoch, ids)| Command::SetGoal(table(epoch, &ids))),
        (1..5_u64, 1..4_u16).prop_map(|(id, max)| speaks(id, max)),
        (0..4_u16).prop_map(|version| Command::Activate(Version(version))),
        change(),
    ]
}

/// A change that an operator asks for, of a cluster of up to five.
fn change() -> impl Strategy<Value = Command> {
    let id = || (1..6_u64).prop_map(NodeId);
    prop_oneof![
        (1..6_u64).prop_map(admit),
        (id(), any::<bool>()).prop_map(|(node, leaves)| Command::Drain { node, leaves }),
        id().prop_map(|node| Command::Remove { node }),
        (id(), id()).prop_map(|(old, node)| Command::Replace { old, node, member: member(node.0, 5) }),
        any::<bool>().prop_map(Command::Pause),
        (1..5_u8).prop_map(|copies| Command::SetSetting(Setting::ReplicationFactor(factor(copies)))),
    ]
}

/// Who really has all of each home, if whoever is to have nothing of it any more drops it at once.
struct World {
    state: State,
    whole: BTreeMap<Home, BTreeSet<NodeId>>,
}

impl World {
    fn apply(&mut self, command: &Command, taken: &BTreeSet<Home>) {
        let before = self.state.table().unwrap().clone();
        self.state.apply(command);
        let table = self.state.table().unwrap();
        for (home, whole) in &mut self.whole {
            if taken.contains(home) {
                assert!(before.readers(*home).all(|reader| whole.contains(&reader)));
                whole.extend(before.owners(*home));
            }
            whole.retain(|node| table.holds(*node, *home));
            assert!(table.readers(*home).next().is_some(), "nobody is read");
            for reader in table.readers(*home) {
                assert!(
                    whole.contains(&reader),
                    "{command:?}: node {reader} is read about home {home} and lacks records"
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn whatever_operators_do_at_any_step_whoever_is_read_has_it_all_and_the_goal_is_reached(
        changes in prop::collection::vec((prop::option::of(change()), any::<u64>()), 1..30),
    ) {
        let state = three();
        let whole = homes().map(|home| (home, state.table().unwrap().owners(home).iter().copied().collect())).collect();
        let mut world = World { state, whole };
        for (change, luck) in changes {
            if let Some(change) = change {
                world.apply(&change, &BTreeSet::new());
            }
            let moves = world.state.table().unwrap().moves().keys().copied().enumerate();
            let taken: BTreeSet<_> = moves.filter(|(at, _)| luck >> (at % 64) & 1 == 1).map(|(_, home)| home).collect();
            let there = world.state.members().unwrap().keys().copied().collect();
            if let Some(command) = world.state.next(&taken, &there, &BTreeSet::new()).unwrap() {
                let taken = if matches!(command, Command::SetTable(_)) { taken } else { BTreeSet::new() };
                world.apply(&command, &taken);
            }
        }
        world.state.apply(&Command::Pause(false));
        settle(&mut world.state);
        let (table, goal) = (world.state.table().unwrap(), world.state.goal().unwrap());
        prop_assert_eq!(steps::left(table, goal), 0);
        let copies = usize::from(world.state.settings().unwrap().replication_factor.get());
        let owners = copies.min(world.state.members().unwrap().len());
        prop_assert!(homes().all(|home| table.owners(home).len() == owners));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_same_log_gives_the_same_bytes_also_from_a_snapshot(log in prop::collection::vec(command(), 1..12), cut in 0..12_usize) {
        let (mut one, mut other) = (State::default(), State::default());
        for (at, command) in log.iter().enumerate() {
            let before = one.clone();
            let epoch = |state: &State| state.table().map_or(Epoch(0), Table::epoch);
            let read = Command::decode(&command.encode());
            prop_assert_eq!(read.as_ref(), Ok(command));
            if at == cut {
                other = State::decode(&other.encode()).unwrap();
            }
            prop_assert_eq!(one.apply(command), other.apply(command));
            prop_assert_eq!(one.encode(), other.encode());
            prop_assert!(epoch(&one) == epoch(&before) || epoch(&one).0 == epoch(&before).0 + 1);
            let active = |state: &State| state.active_version().map_or(0, |version| version.0);
            prop_assert!(before.cluster().is_none() || (active(&before)..=active(&before) + 1).contains(&active(&one)));
            prop_assert!(before.cluster().is_none() || before.cluster() == one.cluster());
            prop_assert!(one.founded.as_ref().is_none_or(|founded| founded.check().is_ok()));
        }
    }
}
