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
    let versions = Versions { min: 1, max: 1 };
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

#[test]
fn another_number_of_copies_asks_for_another_table_once_and_keeps_what_it_can() {
    let mut state = three();
    assert_eq!((State::default().next_table(), state.next_table()), (Ok(None), Ok(None)));
    for (copies, owners) in [(3, 3), (7, 3), (2, 2), (1, 1)] {
        state.apply(&Command::SetSetting(Setting::ReplicationFactor(factor(copies))));
        let before = state.table().unwrap().clone();
        let Some(next) = state.next_table().unwrap() else {
            assert_eq!((copies, owners), (7, 3), "there are no more nodes");
            continue;
        };
        assert_eq!(next.epoch(), Epoch(before.epoch().0 + 1));
        assert!(homes().all(|home| next.owners(home).len() == owners));
        let moves = usize::from(Home::COUNT) * owners.saturating_sub(before.owners(Home::GLOBAL).len());
        assert_eq!(next.moves_from(&before), moves, "only what is new is sent");
        assert_eq!(state.apply(&Command::SetTable(next)), Outcome::Changed);
        assert_eq!(state.next_table(), Ok(None));
    }
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
        965 bytes, 9317634bce42aa316024f04935014f8857d8cb2dfd2809b8abac95fc1a853af1
        984 bytes, 8cf200a7b66b34dc2e90995156fef1b599f683ce28ee7e0c9bc8ac50313c64bc
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
    ]
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
            prop_assert!(before.cluster().is_none() || before.cluster() == one.cluster());
            prop_assert!(one.founded.as_ref().is_none_or(|founded| founded.check().is_ok()));
        }
    }
}
