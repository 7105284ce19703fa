//! Nodes that show certificates: each is taken for who it is, and whoever is nobody gets nothing.

use super::node::{HERE, KEY, Node, SOON, greeting, record};
use crate::clock::{Clock, SystemClock};
use crate::identity::Identity;
use crate::rpc::{CallError, Certificate, Credentials};
use crate::world::World;
use cluster::membership::ClusterKey;
use cluster::{ClusterId, NodeId, NodeKey};
use proto::{BequeathReply, BequeathRequest, Bequest, Bytes, GreetRequest, Greeting, RaftKind, RaftRequest};
use std::path::Path;
use std::sync::Arc;
use storage::disk::MemoryDisk;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What the HTTP/2 of a caller begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// As many handshakes as are shaken at once, and more.
const CROWD: usize = 70;

fn identity(secret: u8) -> Identity {
    let data = Path::new("/data");
    Identity::load_or_create(&MemoryDisk::new(), data, &data.join("wal"), [secret; 32]).unwrap()
}

fn key(secret: u8) -> NodeKey {
    identity(secret).node_key()
}

/// The credentials of node `name` with the certificate of another, if that is another.
fn credentials(name: u8, certificate: u8, key_of_cluster: &ClusterKey, cluster: ClusterId) -> Credentials {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let certificate = Certificate::of(&identity(certificate), &clock).unwrap();
    Credentials::new(key(name).node(), key_of_cluster, Some(cluster)).sealed(certificate)
}

async fn listening(secret: u8, credentials: Credentials) -> Node {
    Node::start_as(key(secret), World::machine(), ([127, 0, 0, 1], 0).into(), credentials).await
}

/// A node that takes those for members whose secrets are named.
async fn sealed(secret: u8, members: &[u8]) -> Node {
    let node = listening(secret, credentials(secret, secret, &KEY, HERE)).await;
    takes(&node, members);
    node
}

fn takes(node: &Node, members: &[u8]) {
    let keys = members.iter().map(|secret| key(*secret));
    node.fake.credentials.set_members(keys.map(|key| (key.node(), key)).collect());
}

async fn greet(from: &Node, secret: u8, to: &Node) -> Result<NodeId, CallError> {
    let greeting = Greeting { key: key(secret).0, ..greeting(from.id, from.address) };
    let reply = from.peers.greet(to.address, GreetRequest { greeting, call_back: false }, SOON).await?;
    Ok(NodeId(reply.greeting.node))
}

/// What calls in vain come to: refused with this text.
fn refused<T: std::fmt::Debug>(answer: Result<T, CallError>, text: &str) {
    let Err(CallError::Refused(why)) = answer else { panic!("{answer:?}") };
    assert!(why.contains(text), "{why}");
}

#[tokio::test]
async fn members_call_each_other_and_greet() {
    let (a, b) = (sealed(1, &[1, 2]).await, sealed(2, &[1, 2]).await);
    a.knows(&b);
    b.knows(&a);
    assert_eq!(a.report_of(&b).await.unwrap().leader, Some(a.id.0));
    assert_eq!(b.report_of(&a).await.unwrap().leader, Some(b.id.0));
    assert_eq!(greet(&a, 1, &b).await, Ok(b.id));
}

#[tokio::test]
async fn whoever_speaks_no_tls_gets_not_a_byte_of_http() {
    let a = sealed(1, &[1, 2]).await;
    let plain = listening(2, Credentials::new(key(2).node(), &KEY, Some(HERE))).await;
    plain.knows(&a);
    let answer = plain.report_of(&a).await;
    assert!(matches!(answer, Err(CallError::Unreachable(_))), "{answer:?}");
    assert!(matches!(greet(&plain, 2, &a).await, Err(CallError::Unreachable(_))));
    let mut stream = TcpStream::connect(a.address).await.unwrap();
    stream.write_all(PREFACE).await.unwrap();
    let mut said = Vec::new();
    stream.read_to_end(&mut said).await.ok(); // the end may come as a reset
    assert!(said.is_empty() || said[0] == 21, "an alert of TLS at most: {said:?}");
    assert!(a.turned_away("failed") >= 3);
    // Nor does a member speak to whoever speaks no TLS.
    a.knows(&plain);
    assert!(matches!(a.report_of(&plain).await, Err(CallError::Unreachable(_))));
}

#[tokio::test]
async fn a_stranger_with_the_cluster_key_may_greet_and_no_more() {
    let (a, stranger) = (sealed(1, &[1, 2]).await, sealed(3, &[1, 2, 3]).await);
    stranger.knows(&a);
    assert_eq!(greet(&stranger, 3, &a).await, Ok(a.id));
    refused(stranger.report_of(&a).await, "is not a member of this cluster");
    let without = listening(4, credentials(4, 4, &ClusterKey([1; 32]), HERE)).await;
    without.knows(&a);
    takes(&without, &[1]);
    assert_eq!(without.report_of(&a).await, Err(CallError::WrongKey));
    assert_eq!(greet(&without, 4, &a).await, Err(CallError::WrongKey));
}

#[tokio::test]
async fn a_stranger_is_heard_for_no_longer_than_a_greeting_takes() {
    let (a, b) = (sealed(1, &[1, 2]).await, sealed(2, &[1, 2]).await);
    b.knows(&a);
    let long = || {
        let payload = Bytes::from(vec![7; 5_000]);
        b.peers.raft(a.id, RaftRequest { kind: RaftKind::Append, payload }, SOON)
    };
    assert!(long().await.is_ok());
    takes(&a, &[1]);
    let answer = long().await;
    assert!(matches!(answer, Err(CallError::Malformed(_))), "{answer:?}");
    takes(&a, &[1, 2]);
    assert!(long().await.is_ok(), "on the same connection");
}

#[tokio::test]
async fn a_node_of_another_cluster_gets_nothing_whatever_its_key() {
    let a = sealed(1, &[1, 2]).await;
    let elsewhere = ClusterId([8; 16]);
    for key_of_cluster in [KEY, ClusterKey([1; 32])] {
        let neighbour = listening(3, credentials(3, 3, &key_of_cluster, elsewhere)).await;
        neighbour.knows(&a);
        takes(&neighbour, &[1, 3]);
        let expected =
            if key_of_cluster == KEY { CallError::WrongCluster { theirs: Some(HERE) } } else { CallError::WrongKey };
        assert_eq!(neighbour.report_of(&a).await, Err(expected.clone()));
        assert_eq!(greet(&neighbour, 3, &a).await, Err(expected));
    }
}

#[tokio::test]
async fn nobody_speaks_under_the_name_of_a_member() {
    let a = sealed(1, &[1, 2, 3]).await;
    let liar = listening(2, credentials(2, 3, &KEY, HERE)).await;
    takes(&liar, &[1, 2, 3]);
    liar.knows(&a);
    refused(liar.report_of(&a).await, "the certificate is that of node");
    // Nor is it taken for whom it is not where it is called.
    a.knows(&liar);
    let answer = a.report_of(&liar).await;
    assert!(
        matches!(&answer, Err(CallError::Unreachable(why)) if why.contains(&key(3).node().to_string())),
        "{answer:?}"
    );
    let answer = greet(&a, 1, &liar).await;
    assert_eq!(answer, Err(CallError::WrongNode { theirs: key(2).node() }));
}

#[tokio::test]
async fn a_member_that_is_removed_is_not_answered_any_more_on_any_connection() {
    let (a, b) = (sealed(1, &[1, 2]).await, sealed(2, &[1, 2]).await);
    b.knows(&a);
    assert!(b.report_of(&a).await.is_ok());
    takes(&a, &[1]);
    refused(b.report_of(&a).await, "it was removed, or has not joined");
    takes(&a, &[1, 2]);
    assert!(b.report_of(&a).await.is_ok());
}

#[tokio::test]
async fn who_was_removed_may_hand_over_what_it_holds_and_nothing_else() {
    let (a, b) = (sealed(1, &[1]).await, sealed(2, &[1, 2]).await);
    b.knows(&a);
    let bequest = |count: usize| {
        let records = vec![record(7); count];
        BequeathRequest { home: records[0].home, what: Bequest::Records(records) }
    };
    refused(b.peers.bequeath(a.id, bequest(1), SOON).await, "was not removed from this cluster");
    a.fake.credentials.set_removed([b.id].into());
    let many = bequest(200); // far more than a stranger may say
    assert_eq!(b.peers.bequeath(a.id, many, SOON).await, Ok(BequeathReply { safe: vec![true; 200] }));
    refused(b.report_of(&a).await, "it was removed, or has not joined");
    // Nor is a member or somebody else taken for one that was removed.
    let (member, stranger) = (sealed(3, &[1, 3]).await, sealed(4, &[1, 4]).await);
    takes(&a, &[1, 3]);
    for node in [member, stranger] {
        node.knows(&a);
        refused(node.peers.bequeath(a.id, bequest(1), SOON).await, "was not removed from this cluster");
    }
}

#[tokio::test]
async fn a_key_that_only_begins_as_a_members_does_is_a_strangers() {
    let (a, b) = (sealed(1, &[1, 2]).await, sealed(2, &[1, 2]).await);
    let mut other = key(2);
    other.0[31] ^= 1;
    a.fake.credentials.set_members([(key(1).node(), key(1)), (key(2).node(), other)].into());
    a.knows(&b);
    b.knows(&a);
    refused(b.report_of(&a).await, "is not a member of this cluster");
    assert!(matches!(a.report_of(&b).await, Err(CallError::Unreachable(_))));
}

#[tokio::test]
async fn connections_that_say_nothing_keep_members_out_no_longer_than_a_handshake_may_take() {
    let (a, b) = (sealed(1, &[1, 2]).await, sealed(2, &[1, 2]).await);
    let mut silent = Vec::new();
    for _ in 0..CROWD {
        silent.push(TcpStream::connect(a.address).await.unwrap());
    }
    while a.turned_away("crowded") == 0 {
        tokio::task::yield_now().await;
    }
    b.knows(&a);
    while b.report_of(&a).await.is_err() {}
    drop(silent);
}
