//! Every call arrives as it was made, from members only, and comes back.

use super::node::{EPOCH, HERE, KEY, Node, SOON, element, greeting, question, record};
use crate::rpc::gather::UNDER_WAY_MAX;
use crate::rpc::{CallError, Credentials, Scanned};
use crate::world::World;
#[cfg(feature = "next")]
use cluster::control::{Version, Versions};
use cluster::membership::ClusterKey;
use cluster::{ClusterId, Epoch, NodeId};
use model::{Home, RecordId, Stamp};
use proto::{
    BodiesRequest, Bytes, ConfirmRequest, ElementsRequest, FetchRequest, GreetRequest, Homes, ProposeReply,
    ProposeRequest, RaftKind, RaftRequest, Role, RootsRequest, ScanEnd, ScanRequest, Selector, State, TableRequest,
    Verdict,
};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

#[tokio::test]
async fn every_call_arrives_and_comes_back() {
    let nodes = Node::cluster(3).await;
    let greeted = GreetRequest { greeting: greeting(nodes[0].id, nodes[0].address), call_back: false };
    for (from, to) in [(0, 1), (1, 2), (2, 0)] {
        let (peers, to) = (&nodes[from].peers, nodes[to].id);
        let payload = Bytes::from_static(b"raft");
        let raft = RaftRequest { kind: RaftKind::Append, payload: payload.clone() };
        assert_eq!(peers.raft(to, raft, SOON).await.unwrap().payload, payload);
        assert_eq!(peers.table(to, TableRequest { newer_than: 4 }, SOON).await.unwrap().epoch, 5);
        let proposed = peers.propose(to, ProposeRequest { command: vec![1] }, SOON).await;
        assert_eq!(proposed, Ok(ProposeReply::NotLeader(Some(3))));
        let report = peers.report(to, SOON).await.unwrap();
        assert_eq!((report.node, report.leader), (to.0, Some(nodes[from].id.0)));
        let stored = peers.store(to, Role::Hint, EPOCH, vec![record(1), record(2)], SOON).await.unwrap();
        let stamps = [1, 2].map(|bits| Verdict::Created(Stamp::from_bits(bits)));
        assert_eq!((stored.verdicts.as_slice(), stored.takes_next), (stamps.as_slice(), 100));
        let ids: Vec<RecordId> = (1..4).map(|number| RecordId([number; 32])).collect();
        let confirmed = peers.confirm(to, ConfirmRequest { ids: ids.clone() }, SOON).await.unwrap();
        assert_eq!(confirmed.synced, [false, true, false]);
        let fetched = peers.fetch(to, FetchRequest { ids, hints: true }, SOON).await.unwrap().found;
        assert!(fetched.iter().all(|found| matches!(&found.state, State::Held(held) if held.hint)));
        let homes: Homes = [Home::GLOBAL].into_iter().collect();
        let roots = peers.roots(to, RootsRequest { fence: Stamp::from_bits(8), homes }, SOON).await.unwrap();
        assert_eq!((roots.sums[0].home, roots.sums[0].count), (Home::GLOBAL, 8));
        assert!(peers.latency(to).is_some());
    }
    let answer = nodes[0].peers.greet(nodes[1].address, greeted, SOON).await.unwrap();
    assert_eq!(answer.greeting.node, nodes[1].id.0);
}

#[cfg(feature = "next")]
#[tokio::test]
async fn a_call_of_the_next_version_is_answered_by_who_speaks_it_and_there_is_no_such_call_elsewhere() {
    let start = |id, max| {
        let credentials = Credentials::new(NodeId(id), &KEY, Some(HERE)).speaking(Versions::up_to(Version(max)));
        Node::start_in(World::machine(), ([127, 0, 0, 1], 0).into(), credentials)
    };
    let (asks, next, shipped) = (start(1, 2).await, start(2, 2).await, start(3, 1).await);
    [&next, &shipped].into_iter().for_each(|other| asks.knows(other));
    assert_eq!(asks.peers.raised(next.id, SOON).await, Ok(proto::RaisedReply { version: Some(2) }));
    let refused = asks.peers.raised(shipped.id, SOON).await.unwrap_err();
    assert!(refused.to_string().starts_with("not understood: no such call"), "{refused}");
    assert!(asks.report_of(&shipped).await.is_ok(), "other calls go on");
}

#[tokio::test]
async fn every_stream_arrives_whole_and_ends() {
    let nodes = Node::cluster(2).await;
    let (peers, to) = (&nodes[0].peers, nodes[1].id);
    let (homes, as_of) = (Homes::all(), Stamp::MAX);
    let scan = ScanRequest { selector: Selector::Every, after: None, limit: 200, homes, as_of, hints: false };
    let mut questions = peers.scan(to, scan, SOON).await.unwrap();
    for number in 0..200_u8 {
        // Some two hundred records do not fit in a page; the last does not fit in what the reader takes.
        let bytes_max = if number == 199 { 150_000 } else { 1 << 20 };
        match questions.next(bytes_max).await.unwrap() {
            Scanned::Question { question: found, records, damaged: None } => {
                assert_eq!((found, records.len()), (question(number), usize::from(number)));
            }
            Scanned::TooLarge(found) => assert_eq!((number, found), (199, question(199))),
            wrong @ (Scanned::Question { .. } | Scanned::End(_)) => panic!("{wrong:?}"),
        }
    }
    let end = Scanned::End(ScanEnd { more: true, fence_age_ms: Some(7), stable_at: None });
    assert_eq!((questions.next(1).await, questions.next(1).await), (Ok(end.clone()), Ok(end)));

    let request = ElementsRequest { home: Home::GLOBAL, after: None, until: Stamp::from_bits(10_000) };
    let mut pages = peers.elements(to, request, SOON).await.unwrap();
    let mut elements = Vec::new();
    while let Some(page) = pages.next().await.unwrap() {
        elements.extend(page.elements);
    }
    assert!(elements.iter().copied().eq((0..10_000).map(element)));

    let ids: Vec<RecordId> = (0..20).map(|number| RecordId([number; 32])).collect();
    let mut pages = peers.bodies(to, BodiesRequest { ids: ids.clone() }, SOON).await.unwrap();
    let page = pages.next().await.unwrap().unwrap();
    assert!(page.found.iter().map(|found| found.id).eq(ids));
    assert_eq!(pages.next().await, Ok(None));
}

#[tokio::test]
async fn a_service_that_refuses_says_why_before_or_inside_a_stream() {
    let nodes = Node::cluster(2).await;
    let (peers, to, refused) = (&nodes[0].peers, nodes[1].id, CallError::Refused("as asked".to_owned()));
    let proposed = peers.propose(to, ProposeRequest { command: b"no".to_vec() }, SOON).await;
    assert_eq!(proposed, Err(refused.clone()));
    let ids = [1, 255].map(|number| RecordId([number; 32])).to_vec();
    let mut pages = peers.bodies(to, BodiesRequest { ids }, SOON).await.unwrap();
    assert_eq!((pages.next().await, pages.next().await), (Err(refused.clone()), Err(refused)));
}

#[tokio::test]
async fn strangers_get_nothing_but_the_reason() {
    let member = Node::start(1, &KEY, Some(HERE)).await;
    let stranger = Node::start(2, &ClusterKey([1; 32]), Some(HERE)).await;
    stranger.knows(&member);
    member.knows(&stranger);
    assert_eq!(stranger.report_of(&member).await, Err(CallError::WrongKey));
    assert_eq!(member.report_of(&stranger).await, Err(CallError::WrongKey));
    let request = GreetRequest { greeting: greeting(stranger.id, stranger.address), call_back: false };
    assert_eq!(stranger.peers.greet(member.address, request, SOON).await, Err(CallError::WrongKey));

    let neighbour = Node::start(3, &KEY, Some(ClusterId([8; 16]))).await;
    neighbour.knows(&member);
    assert_eq!(neighbour.report_of(&member).await, Err(CallError::WrongCluster { theirs: Some(HERE) }));
}

#[tokio::test]
async fn before_there_is_a_cluster_there_are_only_greetings() {
    let (first, second) = (Node::start(1, &KEY, None).await, Node::start(2, &KEY, None).await);
    first.knows(&second);
    assert_eq!(first.report_of(&second).await, Err(CallError::WrongCluster { theirs: None }));
    let request = GreetRequest { greeting: greeting(first.id, first.address), call_back: false };
    assert_eq!(first.peers.greet(second.address, request.clone(), SOON).await.unwrap().greeting.node, 2);
    assert_eq!(first.peers.greet(first.address, request, SOON).await.unwrap().greeting.node, 1);
    assert!(first.fake.credentials.join(HERE) && second.fake.credentials.join(HERE));
    assert!(first.report_of(&second).await.is_ok());
}

#[tokio::test]
async fn another_node_at_the_address_is_noticed() {
    let nodes = Node::cluster(2).await;
    nodes[0].peers.set_address(NodeId(3), nodes[1].address);
    let answer = nodes[0].peers.report(NodeId(3), SOON).await;
    assert_eq!(answer, Err(CallError::WrongNode { theirs: NodeId(2) }));
    let twin = Credentials::new(NodeId(2), &KEY, Some(HERE));
    let twin = Node::start_in(World::machine(), ([127, 0, 0, 1], 0).into(), twin).await;
    twin.knows(&nodes[1]);
    let Err(CallError::Refused(why)) = twin.report_of(&nodes[1]).await else { panic!("a twin was let in") };
    assert!(why.contains("two nodes have the id 0000000000000002"), "{why}");
}

#[tokio::test]
async fn data_needs_one_placement_table_on_both_sides() {
    let nodes = Node::cluster(2).await;
    let confirm = || {
        let request = ConfirmRequest { ids: vec![RecordId([2; 32])] };
        nodes[0].peers.confirm(nodes[1].id, request, SOON)
    };
    let newer = nodes[0].peers.newer_table();
    nodes[1].learn(3);
    assert_eq!(confirm().await, Err(CallError::StaleEpoch { theirs: Epoch(3) }));
    assert_eq!(*newer.borrow(), Some((Epoch(3), nodes[1].id)));
    assert!(nodes[0].report_of(&nodes[1]).await.is_ok(), "control goes on");
    nodes[0].learn(5); // the other side can fetch up to 5
    assert!(confirm().await.is_ok());
    assert_eq!(nodes[1].fake.credentials.epoch(), Epoch(5));
    nodes[0].learn(6);
    assert_eq!(confirm().await, Err(CallError::BehindEpoch { theirs: Epoch(5) }));
}

#[tokio::test]
async fn many_stores_at_once_become_few_messages() {
    let nodes = Node::cluster(2).await;
    let fake = &nodes[1].fake;
    fake.lets.forget_permits(Semaphore::MAX_PERMITS);
    let mut stores = JoinSet::new();
    let mut store = |count: u8| {
        for number in 0..count {
            let (peers, to) = (nodes[0].peers.clone(), nodes[1].id);
            stores.spawn(async move {
                let stored = peers.store(to, Role::Owned, EPOCH, vec![record(number)], SOON).await.unwrap();
                assert_eq!(stored.verdicts, [Verdict::Created(Stamp::from_bits(u64::from(number)))]);
            });
        }
    };
    for sent in 1..=UNDER_WAY_MAX {
        store(1);
        fake.until(|fake| fake.messages() == sent).await;
    }
    store(200);
    fake.lets.add_permits(1000);
    stores.join_all().await;
    let sizes = fake.stores.lock().unwrap().clone();
    assert_eq!(sizes.iter().sum::<usize>(), 200 + UNDER_WAY_MAX);
    assert!(sizes.len() <= 2 * UNDER_WAY_MAX, "{sizes:?}");
}
