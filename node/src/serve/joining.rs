//! From the settings to a node among others: its key, its sockets, what it kept of its founding, and its tasks.
//!
//! A node without a cluster key is a cluster of one and opens no socket for others.

use super::StartError;
use super::local::Local;
use super::lock::Lock;
use crate::advertise::Addresses;
use crate::cluster::{self, Calls, Card, Cluster, Health, Life, View};
use crate::cluster_key::KeyFile;
use crate::founding_file;
use crate::gossip::Gossip;
use crate::identity::Identity;
use crate::metrics::Metrics;
use crate::rpc::{Certificate, Credentials, Peers, Server};
use crate::settings::Settings;
use crate::world::{Datagrams, World};
use ::cluster::control::{self, Command, State};
use ::cluster::founding::{Kept, List, Standing};
use ::cluster::membership::{self, ClusterKey, Membership};
use ::cluster::reconcile::pace::Pace;
use ::cluster::{ClusterId, Generation, Millis};
use model::Stamp;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::sync::atomic::AtomicU16;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// The most greetings that wait to be looked at.
const HEARD_MAX: usize = 64;

/// What a node among others needs before it opens anything: the key of the cluster, and what it kept of its founding.
#[derive(Debug)]
pub(super) struct Papers {
    key: KeyFile,
    kept: Kept,
}

/// What a node opens for others before it opens its store.
#[derive(Debug)]
pub(super) struct Doors {
    pub(super) key: KeyFile,
    kept: Kept,
    server: Server,
    socket: Arc<dyn Datagrams>,
    addresses: Addresses,
}

/// A node's cluster, and what runs for it. Dropped, that ends.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) cluster: Arc<Cluster>,
    pub(super) tasks: JoinSet<()>,
    /// What changes the cluster's key; a node alone has none.
    pub(super) lock: Option<Lock>,
}

/// What every node has, alone or not.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    pub(super) settings: &'a Settings,
    pub(super) world: &'a World,
    pub(super) identity: &'a Identity,
    pub(super) local: Local,
}

impl Papers {
    /// Reads them, and opens no socket. None for a node alone.
    pub(super) fn read(settings: &Settings, world: &World) -> Result<Option<Self>, StartError> {
        let kept = founding_file::load(world.disk.as_ref(), &settings.data_dir)?;
        let Some(file) = &settings.cluster_key_file else {
            let is_alone = match &kept {
                Kept::Nothing => true,
                Kept::Promise(list) | Kept::Founded(list) => list.nodes().count() == 1,
                Kept::Joined(_) => false,
            };
            return if is_alone { Ok(None) } else { Err(StartError::NeedsKey) };
        };
        let key = KeyFile::read(world.disk.as_ref(), file)?;
        if let Some((wanted, is)) = settings.cluster_id.zip(kept.cluster()).filter(|(wanted, is)| wanted != is) {
            return Err(StartError::OtherCluster { wanted, is });
        }
        if kept == Kept::Nothing && settings.seeds.0.is_empty() {
            return Err(StartError::NothingToJoin);
        }
        Ok(Some(Self { key, kept }))
    }
}

impl Doors {
    /// Opens the sockets for others.
    pub(super) async fn open(
        Papers { key, kept }: Papers,
        settings: &Settings,
        world: &World,
        clients: SocketAddr,
    ) -> Result<Self, StartError> {
        let listen = |setting, address| move |source| StartError::Listen { setting, address, source };
        let server = Server::bind(world.network.as_ref(), settings.rpc_addr).await;
        let server = server.map_err(listen("rpc_addr", settings.rpc_addr))?;
        let socket = world.network.datagrams(settings.gossip_addr).await;
        let socket = socket.map_err(listen("gossip_addr", settings.gossip_addr))?;
        let unknown = |source| StartError::System { what: "address", source };
        let (rpc, gossip) = (server.address().map_err(unknown)?, socket.local_address().map_err(unknown)?);
        let bound = Addresses { clients, rpc, gossip };
        let addresses = Addresses::advertised(settings, world.network.as_ref(), bound).await?;
        Ok(Self { key, kept, server, socket, addresses })
    }

    /// Joins the others, on the tasks that it starts.
    pub(super) fn join(
        self,
        parts: Parts<'_>,
        metrics: &Metrics,
        stop: watch::Receiver<bool>,
    ) -> Result<Joined, StartError> {
        let Self { key, kept, server, socket, addresses } = self;
        let Parts { settings, world, identity, local } = parts;
        let me = identity.node_key().node();
        let founded = kept.cluster();
        let keys = key.keys();
        let mut credentials =
            Credentials::new(me, keys.clone(), founded).with_sets(&key.set_key()).speaking(world.speaks);
        if world.network.is_open() {
            credentials = credentials.sealed(Certificate::of(identity, &world.clock)?);
        }
        let credentials = Arc::new(credentials);
        let card =
            Card { rpc: addresses.rpc, gossip: addresses.gossip, clients: addresses.clients, zone: zone(settings) };
        let (told, view) = watch::channel(Arc::new(View::default()));
        let (heard, hears) = mpsc::channel(HEARD_MAX);
        let (peers, server_credentials) = (Peers::new(world, Arc::clone(&credentials)), Arc::clone(&credentials));
        let cluster = assemble(Parts { settings, world, identity, local }, card, (peers, credentials), view, heard);

        let mut seed = [0; 32];
        world.entropy.fill(&mut seed).map_err(randomness)?;
        let own = membership::Identity {
            id: me,
            generation: cluster.generation,
            gossip: addresses.gossip,
            rpc: addresses.rpc,
            api: addresses.clients,
        };
        let membership = Membership::new(own, membership::Settings::default(), &keys, founded, &seed, cluster.now());
        let membership =
            membership.map_err(|error| StartError::System { what: "membership", source: io::Error::other(error) })?;
        let gossip = Gossip::start(world, socket, membership, settings.seeds.clone(), metrics);

        let lock = Lock::new(world, settings, &key, Arc::clone(&cluster.credentials), gossip.keys(), metrics);
        let refused = metrics.connections_refused.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(server.serve(Arc::new(Calls(Arc::clone(&cluster))), server_credentials, refused, stop));
        tasks.spawn(cluster::watch_gossip(Arc::clone(&cluster), gossip.view(), told));
        tasks.spawn(cluster::go_by(Arc::clone(&cluster)));
        let jitter = jitter(world)?;
        tasks.spawn(member_only(Arc::clone(&cluster), cluster::close));
        tasks.spawn(member_only(Arc::clone(&cluster), move |cluster| cluster::repair(cluster, jitter)));
        tasks.spawn(member_only(Arc::clone(&cluster), cluster::replay));
        tasks.spawn(member_only(Arc::clone(&cluster), cluster::heal));
        tasks.spawn(member_only(Arc::clone(&cluster), cluster::hand_over));
        tasks.spawn(cluster::bequeath(Arc::clone(&cluster)));
        let expect = settings.bootstrap_expect.map_or(0, |expect| usize::try_from(expect).unwrap_or(usize::MAX));
        let life = Life {
            cluster: Arc::clone(&cluster),
            world: world.clone(),
            gossip,
            heard: hears,
            data_dir: settings.data_dir.clone(),
            founding: cluster::founding_settings(expect),
            kept,
        };
        tasks.spawn(life.live());
        Ok(Joined { cluster, tasks, lock: Some(lock) })
    }
}

/// Does what a node does until it is removed.
async fn member_only<F: Future<Output = ()>>(cluster: Arc<Cluster>, work: impl FnOnce(Arc<Cluster>) -> F) {
    tokio::select! {
        biased;
        () = cluster.until_removed() => {}
        () = work(Arc::clone(&cluster)) => {}
    }
}

/// A node that is a cluster by itself, and is known to have founded it, so that it can be given a key and grow.
pub(super) fn alone(parts: Parts<'_>, clients: SocketAddr) -> Result<Joined, StartError> {
    let (settings, me) = (parts.settings, parts.identity.node_key().node());
    let kept = Kept::Founded(List::new([me].into()));
    if founding_file::load(parts.world.disk.as_ref(), &settings.data_dir)? != kept {
        founding_file::keep(parts.world.disk.as_ref(), &settings.data_dir, &kept)?;
    }
    let card = Card { rpc: settings.rpc_addr, gossip: settings.gossip_addr, clients, zone: zone(settings) };
    // Nobody is called, so nobody sees what the key is.
    let credentials = Arc::new(Credentials::new(me, &ClusterKey([0; 32]), Some(ClusterId::of([me]))));
    let peers = Peers::new(parts.world, Arc::clone(&credentials));
    let (_, view) = watch::channel(Arc::new(View::default()));
    let (heard, _) = mpsc::channel(HEARD_MAX);
    let cluster = assemble(parts, card, (peers, credentials), view, heard);
    let mut state = State::default();
    let members = BTreeMap::from([(me, cluster::member(&cluster.greeting()))]);
    // It wants no more copies than there can be: nobody joins a node without a key.
    if let Ok(found) = Command::found(members, control::Settings { replication_factor: NonZeroU8::MIN }) {
        state.apply(&found);
    }
    cluster.learn(Arc::new(state));
    cluster.standing.send_replace(Standing::Founded(List::new([me].into()).cluster()));
    let mut tasks = JoinSet::new();
    tasks.spawn(cluster::go_by(Arc::clone(&cluster)));
    Ok(Joined { cluster, tasks, lock: None })
}

fn assemble(
    Parts { settings, world, identity, local }: Parts<'_>,
    card: Card,
    (peers, credentials): (Peers, Arc<Credentials>),
    view: watch::Receiver<Arc<View>>,
    heard: mpsc::Sender<cluster::Heard>,
) -> Arc<Cluster> {
    let now = Millis(u64::try_from(world.clock.monotonic().as_millis()).unwrap_or(u64::MAX));
    let stamp = Stamp::new(world.clock.wall_ms(), 0).unwrap_or(Stamp::MAX);
    let (key, me) = (identity.node_key(), identity.node_key().node());
    Arc::new(Cluster {
        me,
        key,
        speaks: world.speaks,
        goes_by: AtomicU16::new(0),
        generation: Generation(world.clock.wall_ms()),
        local,
        peers,
        credentials,
        clock: Arc::clone(&world.clock),
        settings: cluster::Settings {
            owner_deadline: Duration::from_millis(settings.write_owner_deadline_ms),
            write_deadline: Duration::from_millis(settings.write_deadline_ms),
            read_hedge: Duration::from_millis(settings.read_hedge_ms),
            read_deadline: Duration::from_millis(settings.read_deadline_ms),
            clock_offset_max: Duration::from_millis(settings.clock_offset_max_ms),
            cluster_id: settings.cluster_id,
            founding: copies(settings),
        },
        newest: watch::channel(Arc::new(State::default())).0,
        view,
        card,
        standing: watch::channel(Standing::Fresh { expect: 1 }).0,
        heard,
        health: Health::new(me, now, stamp),
        control: OnceLock::new(),
        neighbours: Mutex::default(),
        progress: cluster::Progress::default(),
        pace: Mutex::new(Pace::new(settings.repair_bytes_per_second)),
    })
}

/// Random numbers up to a limit, good enough to keep nodes out of step; from the world's entropy, once.
fn jitter(world: &World) -> Result<impl FnMut(u64) -> u64 + Send + 'static, StartError> {
    let mut seed = [0; 32];
    world.entropy.fill(&mut seed).map_err(randomness)?;
    let mut numbers = blake3::Hasher::new_keyed(&seed).finalize_xof();
    Ok(move |max: u64| {
        let mut bytes = [0; 8];
        numbers.fill(&mut bytes);
        u64::from_le_bytes(bytes) % (max + 1)
    })
}

fn randomness(source: io::Error) -> StartError {
    StartError::System { what: "randomness", source }
}

fn zone(settings: &Settings) -> String {
    settings.zone.as_ref().map(|zone| zone.as_str().to_owned()).unwrap_or_default()
}

/// What a cluster that this node founds keeps to.
fn copies(settings: &Settings) -> ::cluster::control::Settings {
    let copies = u8::try_from(settings.replication_factor).ok().and_then(NonZeroU8::new);
    ::cluster::control::Settings { replication_factor: copies.unwrap_or(NonZeroU8::MIN) }
}
