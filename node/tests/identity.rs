//! Who is heard by real processes: members alone, each under its own key. Whoever else comes gets nothing and stops nothing.
//! And how the cluster's key changes meanwhile.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use api::json::envelope_json;
use cluster::membership::ClusterKey;
use cluster::{ClusterId, NodeId};
use model::hex;
use model::set::SetKey;
use node::clock::{Clock, SystemClock};
use node::cluster_key::{self, KeyFile};
use node::identity::Identity;
use node::rpc::{CallError, Certificate, Credentials, Peers};
use node::world::World;
use proto::{GreetRequest, Greeting, Standing, TableRequest};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use storage::disk::{MemoryDisk, StdDisk};
use support::cluster::{Cluster, until};
use support::{claim, key};
use tokio::runtime::Runtime;

/// Longer than anything takes that comes to an end.
const SOON: Duration = Duration::from_secs(30);
/// What a caller without TLS begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// The key of no cluster of these tests.
const OTHER_KEY: ClusterKey = ClusterKey([0xdd; 32]);
const KEY_FILE: &str = "STEMEDB_CLUSTER_KEY_FILE";

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
        let mut credentials = Credentials::new(own.node(), key, cluster).with_sets(&called.sets);
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
    sets: SetKey,
    cluster: ClusterId,
}

fn called(cluster: &Cluster, node: usize) -> Called {
    let glance = cluster.glance(node).unwrap();
    let health = cluster.clients[node].get("/v1/health", &[]).unwrap().taken().unwrap();
    let file = KeyFile::read(&StdDisk, cluster.setting(node, KEY_FILE).as_ref()).unwrap();
    Called {
        node: NodeId(u64::from_str_radix(health["node_id"].as_str().unwrap(), 16).unwrap()),
        rpc: cluster.setting(node, "STEMEDB_RPC_ADDR").parse().unwrap(),
        key: file.keys().key,
        sets: file.set_key(),
        cluster: ClusterId(hex::parse(glance["cluster_id"].as_str().unwrap()).unwrap()),
    }
}

/// Gives a node a copy of a key file, which nobody else may read.
fn give(cluster: &Cluster, node: usize, file: &Path) {
    let own = cluster.setting(node, KEY_FILE);
    fs::copy(file, own).unwrap();
    fs::set_permissions(own, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Three nodes that have each a key file of their own, and the file that those are copies of.
fn with_own_key_files() -> (Cluster, PathBuf) {
    let mut cluster = Cluster::prepare(3);
    let original = PathBuf::from(cluster.setting(0, KEY_FILE));
    for node in 0..3 {
        let own = cluster.folder().join(format!("cluster-{node}.key"));
        cluster.set(node, KEY_FILE, own.display().to_string());
        cluster.set(node, "STEMEDB_WRITE_DEADLINE_MS", "60s");
        give(&cluster, node, &original);
    }
    (0..3).for_each(|node| cluster.run(node));
    until("the nodes are one cluster", || cluster.whole());
    (cluster, original)
}

/// Takes the next step in changing the key in a file.
fn rotate(file: &Path) {
    let output = Command::new(env!("CARGO_BIN_EXE_stemedb"))
        .args(["keygen", "--cluster", "--rotate"])
        .arg(file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Has a node go by a copy of the file, and waits until it does.
fn install(cluster: &Cluster, node: usize, file: &Path) {
    give(cluster, node, file);
    cluster.hang_up(node);
    let keys = KeyFile::read(&StdDisk, file).unwrap().keys();
    let held = |how, key| format!("stemedb_cluster_key{{key=\"{}\",use=\"{how}\"}} 1", cluster_key::name(key));
    let mut wanted = vec![held("used", &keys.key)];
    wanted.extend(keys.also.as_ref().map(|key| held("taken", key)));
    until("the node goes by its new file", || {
        let metrics = cluster.metrics(node);
        let mut found: Vec<_> = metrics.lines().filter(|line| line.starts_with("stemedb_cluster_key{")).collect();
        found.sort_by_key(|line| line.contains("taken"));
        if found == wanted { Ok(()) } else { Err(format!("{found:?}")) }
    });
}

/// Stores a claim at a node, once, and says how many disks it is on.
fn store(cluster: &Cluster, node: usize, name: &str) -> Result<u64, String> {
    let record = claim(&key(1), &format!("test://{name}"), "is", name, 1);
    let body = envelope_json(record.envelope());
    let reply = cluster.clients[node].post("/v1/assert", &[], "application/json", &body);
    let receipt = reply.and_then(|reply| reply.taken()).map_err(|failure| failure.to_string())?;
    receipt["copies"].as_u64().ok_or_else(|| receipt.to_string())
}

/// Writes at all nodes until `work` is done; no write may fail. Returns how many there were.
fn write_during(cluster: &Cluster, work: impl FnOnce()) -> usize {
    let (done, written) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for node in 0..3 {
            let (done, written) = (&done, &written);
            scope.spawn(move || {
                for number in 0.. {
                    if done.load(Ordering::SeqCst) {
                        return;
                    }
                    assert_eq!(store(cluster, node, &format!("{node}-{number}")), Ok(2));
                    written.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        work();
        done.store(true, Ordering::SeqCst);
    });
    written.into_inner()
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
        assert_eq!(store(&cluster, node, &format!("claim-{node}")), Ok(2));
    }
    cluster.stop();
}

#[test]
fn the_cluster_key_changes_under_writes_of_which_none_fails() {
    let (cluster, file) = with_own_key_files();
    let before = called(&cluster, 0);
    let written = write_during(&cluster, || {
        for _ in 0..3 {
            rotate(&file);
            for node in [1, 0, 2] {
                install(&cluster, node, &file);
                let name = format!("while node {node} is ahead");
                (0..3).for_each(|writer| assert_eq!(store(&cluster, writer, &name), Ok(2)));
            }
        }
    });
    assert!(written > 0);
    until("nothing lacks a copy", || cluster.rested());
    let after = called(&cluster, 0);
    assert!(before.key != after.key && before.sets.fingerprint() == after.sets.fingerprint());
    assert_eq!(
        Caller::new(&after, &before.key, None, true).greet(),
        Err(CallError::WrongKey),
        "the old key is worth nothing"
    );
    assert_eq!(Caller::new(&after, &after.key, None, true).greet(), Ok(after.node));
    println!("{written} writes while the key changed");
    cluster.stop();
}

#[test]
fn a_node_that_was_away_while_the_key_changed_is_kept_out_until_it_has_a_key_that_is_taken() {
    let (mut cluster, file) = with_own_key_files();
    cluster.kill(2);
    for _ in 0..3 {
        rotate(&file);
        (0..2).for_each(|node| install(&cluster, node, &file));
    }
    cluster.run(2);
    until("it says why it is kept out", || {
        let why = cluster.ready(2).err().unwrap_or_default();
        if why.contains("cluster_key_file") { Ok(()) } else { Err(why) }
    });
    until("nobody hears it", || {
        let up = cluster.glance(0)?["nodes_up"].clone();
        if up == 2 { Ok(()) } else { Err(up.to_string()) }
    });
    assert!(cluster.ready(2).is_err());
    assert_eq!(store(&cluster, 0, "without it"), Ok(2));
    install(&cluster, 2, &file);
    until("it is in again", || cluster.whole());

    // Whoever has the next key before it goes comes back while the others use it.
    rotate(&file);
    (0..3).for_each(|node| install(&cluster, node, &file));
    cluster.kill(2);
    rotate(&file);
    (0..2).for_each(|node| install(&cluster, node, &file));
    cluster.run(2);
    until("it is in with both keys", || cluster.whole());
    cluster.stop();
}

#[test]
fn a_file_that_cannot_be_used_changes_nothing() {
    let (cluster, file) = with_own_key_files();
    let other = cluster.folder().join("other.key");
    let digits = "0d".repeat(32);
    for (content, words) in [("no key", "holds no cluster key"), (digits.as_str(), "has another `sets`")] {
        fs::write(&other, content).unwrap();
        give(&cluster, 1, &other);
        cluster.hang_up(1);
        until("it says what is wrong", || if cluster.said(1).contains(words) { Ok(()) } else { Err(words) });
        assert_eq!(cluster.whole(), Ok(()));
    }
    install(&cluster, 1, &file);
    cluster.stop();
}
