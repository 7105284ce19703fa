//! Peers that are slow, silent, gone or back again, and messages that get lost.

use super::node::{AWHILE, EPOCH, HERE, KEY, Node, SOON, record};
use crate::rpc::{CallError, Credentials};
use crate::world::{Courier, Fate, World};
use cluster::NodeId;
use proto::{ProposeRequest, Role};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;

fn command(text: &[u8]) -> ProposeRequest {
    ProposeRequest { command: text.to_vec() }
}

#[tokio::test]
async fn a_call_without_an_answer_ends_at_its_deadline() {
    let nodes = Node::cluster(2).await;
    let answer = nodes[0].peers.propose(nodes[1].id, command(b"never"), AWHILE).await;
    assert_eq!(answer, Err(CallError::Deadline));
    assert!(nodes[0].report_of(&nodes[1]).await.is_ok(), "the connection goes on");
}

#[tokio::test]
async fn a_peer_that_is_silent_or_unknown_or_gone_is_no_peer() {
    let node = Node::start(1, &KEY, Some(HERE)).await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    node.peers.set_address(NodeId(2), silent.local_addr().unwrap());
    assert_eq!(node.peers.report(NodeId(2), AWHILE).await, Err(CallError::Deadline));
    drop(silent);
    let gone = node.peers.report(NodeId(2), SOON).await;
    assert!(matches!(gone, Err(CallError::Unreachable(_))), "{gone:?}");
    let unknown = node.peers.report(NodeId(3), SOON).await;
    assert_eq!(unknown, Err(CallError::Unreachable("node 0000000000000003 has no known address".to_owned())));
    node.peers.forget(NodeId(2));
    assert_eq!(node.peers.address(NodeId(2)), None);
}

#[tokio::test]
async fn a_peer_that_comes_back_is_found_again() {
    let mut nodes = Node::cluster(2).await;
    assert!(nodes[0].report_of(&nodes[1]).await.is_ok());
    let (id, address) = (nodes[1].id, nodes[1].address);
    let gone = nodes.pop().unwrap();
    gone.serving.abort();
    assert!(gone.serving.await.unwrap_err().is_cancelled());
    let back = Node::start_in(World::machine(), address, Credentials::new(id, &KEY, Some(HERE))).await;
    let found = async { while nodes[0].report_of(&back).await.is_err() {} };
    timeout(SOON, found).await.unwrap();
}

#[tokio::test]
async fn a_node_that_stops_answers_what_it_was_asked() {
    let nodes = Node::cluster(2).await;
    nodes[1].fake.lets.forget_permits(tokio::sync::Semaphore::MAX_PERMITS);
    let (peers, to) = (nodes[0].peers.clone(), nodes[1].id);
    let store = tokio::spawn(async move { peers.store(to, Role::Owned, EPOCH, vec![record(1)], SOON).await });
    nodes[1].fake.until(|fake| fake.messages() == 1).await;
    nodes[1].stop.send_replace(true);
    nodes[1].fake.lets.add_permits(1);
    assert!(store.await.unwrap().is_ok());
}

#[tokio::test]
async fn too_many_calls_at_once_are_sent_away() {
    let nodes = Node::cluster(2).await;
    let mut calls = JoinSet::new();
    for _ in 0..200 {
        let (peers, to) = (nodes[0].peers.clone(), nodes[1].id);
        calls.spawn(async move { peers.propose(to, command(b"never"), SOON).await });
    }
    let sent_away = calls.join_next().await.unwrap().unwrap();
    assert!(matches!(sent_away, Err(CallError::Overloaded { .. })), "{sent_away:?}");
}

#[derive(Debug)]
struct Always(Fate);

impl Courier for Always {
    fn fate(&self, _: SocketAddr, _: &'static str) -> Fate {
        self.0
    }
}

#[tokio::test]
async fn messages_meet_their_fate() {
    let receiver = Node::start(2, &KEY, Some(HERE)).await;
    for (fate, arrived, answered) in [
        (Fate::Deliver, 1, true),
        (Fate::LoseRequest, 0, false),
        (Fate::LoseAnswer, 1, false),
        (Fate::Duplicate, 2, true),
    ] {
        let world = World { courier: Arc::new(Always(fate)), ..World::machine() };
        let credentials = Credentials::new(NodeId(1), &KEY, Some(HERE));
        let sender = Node::start_in(world, ([127, 0, 0, 1], 0).into(), credentials).await;
        sender.knows(&receiver);
        receiver.fake.stores.lock().unwrap().clear();
        let deadline = if answered { SOON } else { AWHILE };
        let stored = sender.peers.store(receiver.id, Role::Owned, EPOCH, vec![record(1)], deadline).await;
        assert_eq!((receiver.fake.messages(), stored.is_ok()), (arrived, answered), "{fate:?}");
    }
}
