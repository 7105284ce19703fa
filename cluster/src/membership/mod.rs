//! Who is there: SWIM by foca, with sealed packets, and with an eye on this node's own health.
//!
//! [`Membership`] decides and does nothing else: it never sends, sleeps or reads a clock. The caller hands it [`Input`]s,
//! carries out the [`Output`]s it appends, in order, and gives it [`Input::Tick`] at [`Membership::wake_at`]. It only
//! advises: whoever it calls down may be slow, or out of reach from here.
//!
//! A node accuses others only while it is well:
//!
//! - Time in which the node stood still does not count (a timer that fires late tells). Pending timers move by as much, so
//!   that it first reads what the others sent meanwhile, and it greets them, which tells it at once if it was given up.
//! - Probes that fail while nobody else is heard either, stalls, and suspicions that it had to contradict lengthen the time
//!   that suspected nodes have ([`Settings::health_max`]).
//! - A node that heard nobody at all since it began to suspect is likely cut off itself. It tells nobody, forgets, and looks
//!   for the others under a later identity.
//!
//! Sources: Das, Gupta and Motivala, *SWIM*, DSN 2002; Dadgar, Phillips and Currey, *Lifeguard*, 2018.

mod chance;
mod effects;
mod health;
mod identity;
mod packet;
mod refused;
mod seal;
mod settings;
mod steps;
mod timers;

#[cfg(test)]
mod tests;

pub use identity::Identity;
pub use refused::{Reason, Refused};
pub use seal::{ClusterKey, ClusterKeys};
pub use settings::{PACKET_BYTES_MAX, Settings, SettingsError};

use crate::{ClusterId, Generation, Millis, NodeId};
use chance::Chance;
use foca::{Foca, NoCustomBroadcast, PostcardCodec};
use health::Health;
use refused::Refusals;
use seal::{SEAL_BYTES, Seal};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use timers::{Due, Timers};

/// What happened outside.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A datagram came.
    Datagram {
        /// Where it claims to come from.
        from: SocketAddr,
        /// What it holds. Longer than [`PACKET_BYTES_MAX`] is refused, so a buffer of one byte more is enough.
        bytes: &'a [u8],
    },
    /// A seed: speak to whoever is there, now and from time to time while no member has that address.
    Announce(SocketAddr),
    /// [`Membership::wake_at`] has come.
    Tick,
}

/// What membership asks the outside world to do or to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send a datagram.
    Send {
        /// Where to.
        to: SocketAddr,
        /// At most [`PACKET_BYTES_MAX`] bytes.
        bytes: Vec<u8>,
    },
    /// A node is there now that was not before.
    Up(Identity),
    /// A node that is there has begun a new life, or was given up in vain, or has moved.
    Changed(Identity),
    /// A node is not there any more, as far as is known.
    Down(NodeId),
    /// This node goes on under a later identity: the others had given it up, or it heard none of them any more.
    Renewed(Identity),
}

/// foca, with our identity, encoding and randomness.
type Gossip = Foca<Identity, PostcardCodec, Chance, NoCustomBroadcast>;

/// foca, at its start. Its choices are taken from `chance`, but not all the same at every start.
fn gossip(own: Identity, settings: &Settings, chance: &mut Chance) -> Gossip {
    let plain_bytes_max = NonZeroUsize::MIN.saturating_add(PACKET_BYTES_MAX - SEAL_BYTES - 1);
    Foca::new(own, settings.foca(plain_bytes_max), Chance::new(&chance.bytes(), "foca"), PostcardCodec)
}

/// One node's view of who is there.
pub struct Membership {
    foca: Gossip,
    chance: Chance,
    settings: Settings,
    seal: Seal,
    timers: Timers,
    health: Health,
    seeds: BTreeSet<SocketAddr>,
    removed: BTreeSet<NodeId>,
    /// Who was there before this node began anew, and has not been met since.
    lost: BTreeMap<NodeId, Identity>,
    /// Whether `up` may be old.
    changed: bool,
    /// Who is there, as last told.
    up: BTreeMap<NodeId, Identity>,
    /// When each node was last heard.
    heard: BTreeMap<NodeId, Millis>,
    /// The identity as last told.
    told: Identity,
    /// The highest generation that the others know of this node.
    own_generation_heard: Generation,
    /// Suspicions of this node below this incarnation are known to be contradicted.
    contradicted: foca::Incarnation,
    refused: Refusals,
    /// Who last spoke under this node's id from another address.
    twin: Option<Identity>,
}

impl std::fmt::Debug for Membership {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { told, up, health, .. } = self;
        f.debug_struct("Membership").field("own", told).field("up", up).field("health", health).finish_non_exhaustive()
    }
}

impl Membership {
    /// Starts alone. `cluster` is `None` until the node is in a founded one. `seed` gives nonces and choices: it must be
    /// unpredictable, and another one in each life of the node. `now` is monotonic.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] if the settings make no sense.
    pub fn new(
        own: Identity,
        settings: Settings,
        keys: &ClusterKeys,
        cluster: Option<ClusterId>,
        seed: &[u8; 32],
        now: Millis,
    ) -> Result<Self, SettingsError> {
        settings.check()?;
        let mut chance = Chance::new(seed, "choices");
        let mut timers = Timers::default();
        timers.set(now, Due::Announce);
        Ok(Self {
            foca: gossip(own, &settings, &mut chance),
            chance,
            seal: Seal::new(keys, cluster, Chance::new(seed, "nonces")),
            timers,
            health: Health::new(settings.health_max),
            settings,
            seeds: BTreeSet::new(),
            removed: BTreeSet::new(),
            lost: BTreeMap::new(),
            changed: false,
            up: BTreeMap::new(),
            heard: BTreeMap::new(),
            told: own,
            own_generation_heard: Generation(0),
            contradicted: 0,
            refused: Refusals::default(),
            twin: None,
        })
    }

    /// Takes one step. `now` is monotonic.
    pub fn handle(&mut self, input: Input<'_>, now: Millis, out: &mut Vec<Output>) {
        self.notice_stall(now, out);
        match input {
            Input::Datagram { from, bytes } => self.receive(from, bytes, now, out),
            Input::Announce(seed) => self.add_seed(seed, now, out),
            Input::Tick => {}
        }
        self.fire_what_is_due(now, out);
        self.tell(out);
    }

    /// When the next tick is due.
    pub fn wake_at(&self) -> Option<Millis> {
        self.timers.next()
    }

    /// The node has become part of a founded cluster. Packets of other clusters are refused from now on.
    pub fn set_cluster(&mut self, cluster: ClusterId) {
        self.seal.set_cluster(cluster);
    }

    /// From now on these are the cluster's keys.
    pub fn set_keys(&mut self, keys: &ClusterKeys) {
        self.seal.set_keys(keys);
    }

    /// A node was removed from the cluster for ever: it is forgotten, and whatever it sends is refused. Nothing is told to
    /// the others, who learn it from the control plane, too.
    pub fn remove(&mut self, node: NodeId, now: Millis, out: &mut Vec<Output>) {
        self.removed.insert(node);
        self.forget_removed(now, out);
        self.tell(out);
    }

    /// This node, in its present life.
    pub fn own(&self) -> &Identity {
        self.foca.identity()
    }

    /// The other nodes that are there, by id. A node that is suspected still is.
    pub fn alive(&self) -> impl Iterator<Item = &Identity> {
        self.up.values()
    }

    /// Whether a node is there. This one is.
    pub fn is_alive(&self, node: NodeId) -> bool {
        node == self.own().id || self.up.contains_key(&node)
    }

    /// The nodes that were there and are not.
    pub fn down(&self) -> impl Iterator<Item = NodeId> {
        let known = self.foca.iter_membership_state().map(|member| member.id().id);
        known.chain(self.lost.keys().copied()).filter(|node| !self.is_alive(*node))
    }

    /// Whether more than half of `members` are there, this node counting if it is one. No quorum of nobody.
    pub fn sees_quorum(&self, members: impl IntoIterator<Item = NodeId>) -> bool {
        let (mut all, mut alive) = (0_usize, 0_usize);
        for node in members {
            all += 1;
            alive += usize::from(self.is_alive(node));
        }
        alive > all / 2
    }

    /// How bad this node's own health is: 0 is well, [`Settings::health_max`] is as bad as it gets.
    pub fn health(&self) -> u8 {
        self.health.score()
    }

    /// The packets that were dropped, by reason.
    pub fn refused(&self) -> &BTreeMap<Reason, Refused> {
        self.refused.all()
    }

    /// Who last spoke under this node's id from another address than its own: another node, as likely as not, with a copy
    /// of this one's data folder. To be asked; an old packet proves nothing.
    pub fn twin(&self) -> Option<&Identity> {
        self.twin.as_ref()
    }
}
