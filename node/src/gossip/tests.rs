//! Nodes on loopback sockets that gossip.

use super::{Gossip, View};
use crate::metrics::Metrics;
use crate::settings::{Seeds, Sources};
use crate::world::{Datagrams, World};
use cluster::membership::{ClusterKey, Identity, Membership, Settings};
use cluster::{ClusterId, Generation, Millis, NodeId};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(30);

struct Node {
    gossip: Gossip,
    metrics: Metrics,
    address: SocketAddr,
}

async fn socket(world: &World) -> (Arc<dyn Datagrams>, SocketAddr) {
    let socket = world.network.datagrams(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = socket.local_address().unwrap();
    (socket, address)
}

fn seeds(addresses: &[SocketAddr]) -> Seeds {
    if addresses.is_empty() {
        return Seeds::default();
    }
    let list = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let flags = vec![("seeds", list), ("cluster_key_file", "/key".to_owned())];
    Sources { flags, ..Sources::default() }.load().unwrap().settings.seeds
}

async fn node(id: u64, key: u8, known: &[SocketAddr]) -> Node {
    let world = World::machine();
    let (socket, address) = socket(&world).await;
    let own = Identity { id: NodeId(id), generation: Generation(1), gossip: address, rpc: address, api: address };
    let now = Millis(u64::try_from(world.clock.monotonic().as_millis()).unwrap());
    let fast = Settings { announce_period: Millis(100), ..Settings::default() };
    let seed = [u8::try_from(id).unwrap(); 32];
    let membership = Membership::new(own, fast, &(&ClusterKey([key; 32])).into(), None, &seed, now).unwrap();
    let metrics = Metrics::new().unwrap();
    let gossip = Gossip::start(&world, socket, membership, seeds(known), &metrics);
    Node { gossip, metrics, address }
}

impl Node {
    /// Waits until the view is such, and returns it.
    async fn until(&self, is_so: impl Fn(&View) -> bool) -> View {
        let mut view = self.gossip.view();
        let view = timeout(SOON, view.wait_for(is_so)).await;
        view.expect("it takes too long").expect("it runs").clone()
    }
}

#[tokio::test]
async fn nodes_find_each_other_by_one_seed_and_notice_who_goes() {
    let first = node(1, 7, &[]).await;
    let second = node(2, 7, &[first.address]).await;
    let third = node(3, 7, &[first.address, third_party()]).await;
    for node in [&first, &second, &third] {
        let view = node.until(|view| view.alive.len() == 2).await;
        assert!(view.sees_quorum([1, 2, 3].map(NodeId)) && view.trouble().is_none());
    }
    assert!(first.metrics.text().contains("stemedb_members{state=\"alive\"} 2"));
    drop(third);
    for node in [&first, &second] {
        let view = node.until(|view| view.down.contains(&NodeId(3))).await;
        assert!(!view.is_alive(NodeId(3)) && view.sees_quorum([1, 2, 3].map(NodeId)));
    }
    assert!(second.metrics.text().contains("stemedb_members{state=\"down\"} 1"));
    first.gossip.remove(NodeId(3)).await;
    first.until(|view| view.down.is_empty()).await;
}

/// Where nobody listens.
fn third_party() -> SocketAddr {
    ([127, 0, 0, 1], 9).into()
}

#[tokio::test]
async fn another_key_is_told_to_whoever_finds_nobody() {
    let first = node(1, 7, &[third_party()]).await;
    let view = first.until(|view| view.alive.is_empty()).await;
    let trouble = view.trouble().unwrap();
    let told = "no answer from the seeds 127.0.0.1:9: if they run, compare cluster_key_file with theirs";
    assert!(trouble.starts_with(told) && trouble.contains("advertise_host"), "{trouble}");
    assert_eq!(view.misfit(), None, "silence may be nobody's fault");
    let second = node(2, 8, &[first.address]).await;
    let view = first.until(|view| !view.refused.is_empty()).await;
    let trouble = view.trouble().unwrap();
    assert!(trouble.contains("packets sealed with another cluster key, the last from 127.0.0.1:"), "{trouble}");
    assert!(trouble.contains("cluster_key_file"), "{trouble}");
    assert!(first.metrics.text().contains("stemedb_gossip_refused_total{reason=\"other_key\"}"));
    assert!(second.gossip.view().borrow().alive.is_empty());
}

#[tokio::test]
async fn another_cluster_with_the_same_key_is_told_too() {
    let first = node(1, 7, &[third_party()]).await;
    first.gossip.join(ClusterId([1; 16])).await;
    let second = node(2, 7, &[first.address]).await;
    second.gossip.join(ClusterId([2; 16])).await;
    let view = first.until(|view| view.trouble().is_some_and(|why| why.contains("another cluster"))).await;
    assert!(view.alive.is_empty());
}
