//! Who is heard by real processes: members alone, each under its own key. Whoever else comes gets nothing and stops nothing.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use api::json::envelope_json;
use cluster::membership::ClusterKey;
use cluster::{ClusterId, NodeId};
use model::hex;
use node::clock::{Clock, SystemClock};
use node::identity::Identity;
use node::rpc::{CallError, Certificate, Credentials, Peers};
use node::world::World;
use proto::{GreetRequest, Greeting, Standing, TableRequest};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use storage::disk::MemoryDisk;
use support::cluster::Cluster;
use support::{claim, key};
use tokio::runtime::Runtime;

/// Longer than anything takes that comes to an end.
const SOON: Duration = Duration::from_secs(30);
/// What a caller without TLS begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// The key of no cluster of these tests.
const OTHER_KEY: ClusterKey = ClusterKey([0xdd; 32]);

/// Somebody who is no node of the cluster and calls one all the same.
struct Caller {
    runtime: Runtime,
    peers: Peers,
    greeting: Greeting,
    rpc: SocketAddr,
    called: NodeId,
}

impl Caller {
    /// A caller that holds `key` and says it is in `cluster`; it shows a certificate if it is sealed.
    fn new(called: &Called, key: &ClusterKey, cluster: Option<ClusterId>, sealed: bool) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let data = Path::new("/data");
        let identity = Identity::load_or_create(&MemoryDisk::new(), data, &data.join("wal"), [77; 32]).unwrap();
        let own = identity.node_key();
        let mut credentials = Credentials::new(own.node(), key, cluster);
        if sealed {
            let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
            credentials = credentials.sealed(Certificate::of(&identity, &clock).unwrap());
        }
        let peers = Peers::new(&World::machine(), Arc::new(credentials));
        let here = SocketAddr::from(([127, 0, 0, 1], 1));
        let greeting = Greeting {
            node: own.node().0,
            generation: 1,
            standing: Standing::Fresh { expect: 0 },
            protocol_min: 1,
            protocol_max: 1,
            wall_ms: 0,
            epoch: 0,
            rpc: here,
            gossip: here,
            clients: here,
            zone: String::new(),
            release: String::new(),
            key: own.0,
        };
        let entered = runtime.enter();
        peers.set_address(called.node, called.rpc);
        drop(entered);
        Self { runtime, peers, greeting, rpc: called.rpc, called: called.node }
    }

    fn greet(&self) -> Result<NodeId, CallError> {
        let request = GreetRequest { greeting: self.greeting.clone(), call_back: false };
        let reply = self.runtime.block_on(self.peers.greet(self.rpc, request, SOON));
        reply.map(|reply| NodeId(reply.greeting.node))
    }

    /// Why it gets neither a report nor the members.
    fn refused(&self) -> [CallError; 2] {
        let report = self.runtime.block_on(self.peers.report(self.called, SOON)).unwrap_err();
        let table = self.peers.table(self.called, TableRequest { newer_than: 0 }, SOON);
        [report, self.runtime.block_on(table).unwrap_err()]
    }
}

/// A node of a real cluster, as a caller has to know it.
struct Called {
    node: NodeId,
    rpc: SocketAddr,
    key: ClusterKey,
    cluster: ClusterId,
}

fn called(cluster: &Cluster, node: usize) -> Called {
    let glance = cluster.glance(node).unwrap();
    let health = cluster.clients[node].get("/v1/health", &[]).unwrap().taken().unwrap();
    let file = std::fs::read_to_string(cluster.setting(node, "STEMEDB_CLUSTER_KEY_FILE")).unwrap();
    let secret = file.lines().find(|line| !line.starts_with('#')).unwrap();
    Called {
        node: NodeId(u64::from_str_radix(health["node_id"].as_str().unwrap(), 16).unwrap()),
        rpc: cluster.setting(node, "STEMEDB_RPC_ADDR").parse().unwrap(),
        key: ClusterKey(hex::parse(secret).unwrap()),
        cluster: ClusterId(hex::parse(glance["cluster_id"].as_str().unwrap()).unwrap()),
    }
}

fn unreachable(answer: &CallError) -> bool {
    matches!(answer, CallError::Unreachable(_))
}

#[test]
fn strangers_and_neighbours_get_nothing_of_a_cluster_that_goes_on() {
    let cluster = Cluster::start(3);
    let called = called(&cluster, 0);
    let elsewhere = Some(ClusterId([8; 16]));

    let mut raw = TcpStream::connect(called.rpc).unwrap();
    raw.write_all(PREFACE).unwrap();
    let mut said = Vec::new();
    raw.read_to_end(&mut said).ok(); // the end may come as a reset
    assert!(said.len() <= 7 && said.first().is_none_or(|kind| *kind == 21), "an alert of TLS at most: {said:?}");

    let plain = Caller::new(&called, &called.key, Some(called.cluster), false);
    assert!(plain.refused().iter().all(unreachable) && unreachable(&plain.greet().unwrap_err()));

    let stranger = Caller::new(&called, &called.key, Some(called.cluster), true);
    assert_eq!(stranger.greet(), Ok(called.node), "whoever holds the key may ask who this is");
    for why in stranger.refused() {
        assert!(matches!(&why, CallError::Refused(why) if why.contains("is not a member of this cluster")), "{why:?}");
    }

    let neighbour = Caller::new(&called, &called.key, elsewhere, true);
    let theirs = CallError::WrongCluster { theirs: Some(called.cluster) };
    assert_eq!(neighbour.refused(), [theirs.clone(), theirs.clone()]);
    assert_eq!(neighbour.greet(), Err(theirs));

    for id in [None, Some(called.cluster), elsewhere] {
        let nobody = Caller::new(&called, &OTHER_KEY, id, true);
        assert_eq!(nobody.refused(), [CallError::WrongKey, CallError::WrongKey]);
        assert_eq!(nobody.greet(), Err(CallError::WrongKey));
    }

    let counted = cluster.metrics(0);
    let turned_away =
        counted.lines().find(|line| line.starts_with("stemedb_rpc_connections_refused_total{reason=\"failed\"}"));
    assert!(turned_away.is_some_and(|line| !line.ends_with(" 0")), "{turned_away:?}");
    for node in 0..3 {
        let record = claim(&key(1), &format!("test://claim-{node}"), "is", "here", 1);
        let body = envelope_json(record.envelope());
        let receipt =
            cluster.clients[node].post("/v1/assert", &[], "application/json", &body).unwrap().taken().unwrap();
        assert_eq!((receipt["status"].as_str(), receipt["copies"].as_u64()), (Some("created"), Some(2)), "{receipt}");
    }
    cluster.stop();
}
