//! Who this node is to others, and how they tell each other that they belong together.
//!
//! It makes the headers that this node sends and judges those that it gets; it knows no socket and no message.

use super::certificate::{Certificate, Met};
use super::error::CallError;
use super::roster::Roster;
use super::service::Caller;
use cluster::control::{Version, Versions};
use cluster::membership::{ClusterKey, ClusterKeys};
use cluster::{ClusterId, Epoch, NodeId, NodeKey};
use model::set::SetKey;
use proto::{Header, Refusal};
use rustls::ClientConfig;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard};
use tokio::sync::watch;

/// What the key for proofs is derived under.
const PROOF_KEY: &str = "stemedb 2026-01 rpc header proof v1";
/// What a header says where its sender is in no cluster yet.
const NO_CLUSTER: [u8; 16] = [0; 16];

/// Who this node is to others, and who they are to it.
pub struct Credentials {
    node: NodeId,
    proofs: RwLock<Proofs>,
    /// What tells the sums of this node's sets from those under another key.
    sets: [u8; 8],
    cluster: OnceLock<ClusterId>,
    epoch: AtomicU64,
    speaks: Versions,
    /// The active version, as far as it is known; 0 before any.
    active: AtomicU16,
    roster: watch::Sender<Arc<Roster>>,
    /// Who was a member once and is never one again.
    removed: RwLock<BTreeSet<NodeId>>,
    certificate: Option<Certificate>,
}

/// What proofs are made with.
struct Proofs {
    key: [u8; 32],
    /// What the proofs of others may be made with as well.
    also: Option<[u8; 32]>,
}

/// What a call demands of its sender, beside the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    /// Nothing: the sender may be in no cluster, and need not know who listens.
    Greeting,
    /// That it is in the same cluster and means this node.
    Member,
    /// The same, of a node that was removed from the cluster.
    Removed,
}

impl Credentials {
    /// Those of `node`, which holds `keys` and is in `cluster` already, if it is in one.
    pub fn new(node: NodeId, keys: impl Into<ClusterKeys>, cluster: Option<ClusterId>) -> Self {
        let proofs = RwLock::new(Proofs::with(&keys.into()));
        let cluster = cluster.map(OnceLock::from).unwrap_or_default();
        let (roster, _) = watch::channel(Arc::default());
        Self {
            node,
            proofs,
            sets: [0; 8],
            cluster,
            epoch: AtomicU64::new(0),
            speaks: Versions::SHIPPED,
            active: AtomicU16::new(0),
            roster,
            removed: RwLock::default(),
            certificate: None,
        }
    }

    /// The same, on a network where both sides of a connection show who they are.
    #[must_use]
    pub fn sealed(self, certificate: Certificate) -> Self {
        Self { certificate: Some(certificate), ..self }
    }

    /// The same, of a node that makes the sums of its sets under `key`. Nodes that make them under another one would find
    /// all copies different, so they do not take each other's word for anything.
    #[must_use]
    pub fn with_sets(self, key: &SetKey) -> Self {
        Self { sets: key.fingerprint(), ..self }
    }

    /// The same, of a node that speaks other versions than what is shipped.
    #[must_use]
    pub fn speaking(self, speaks: Versions) -> Self {
        Self { speaks, ..self }
    }

    /// The versions that it speaks.
    #[cfg(feature = "next")]
    pub(super) fn speaks(&self) -> Versions {
        self.speaks
    }

    /// From now on these are the cluster's keys.
    pub fn set_keys(&self, keys: &ClusterKeys) {
        *self.proofs.write().unwrap_or_else(PoisonError::into_inner) = Proofs::with(keys);
    }

    /// This node.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// Its cluster.
    pub fn cluster(&self) -> Option<ClusterId> {
        self.cluster.get().copied()
    }

    /// The newest placement table that it knows.
    pub fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::Acquire))
    }

    /// The node is in this cluster from now on, for ever. Returns whether it is: not if it is in another one.
    pub fn join(&self, cluster: ClusterId) -> bool {
        *self.cluster.get_or_init(|| cluster) == cluster
    }

    /// The node knows a table of this epoch. Never goes back.
    pub fn learn(&self, epoch: Epoch) {
        self.epoch.fetch_max(epoch.0, Ordering::AcqRel);
    }

    /// This is the active version: nobody who speaks only older ones is heard from now on. Never goes back.
    pub fn activate(&self, version: Version) {
        self.active.fetch_max(version.0, Ordering::AcqRel);
    }

    /// Whether whose newest version is `theirs` is heard, and is to be answered.
    fn hears(&self, theirs: u32) -> bool {
        let active = Version(self.active.load(Ordering::Acquire));
        u16::try_from(theirs).is_ok_and(|theirs| self.speaks.takes(Version(theirs), active))
    }

    /// What is told to whoever is not heard: the versions of which it has to speak one.
    fn demands(&self) -> Refusal {
        let oldest = self.speaks.min.0.max(self.active.load(Ordering::Acquire));
        Refusal::WrongProtocol(u32::from(oldest.min(self.speaks.max.0)), u32::from(self.speaks.max.0))
    }

    /// These founded the node's cluster: they belong to it until a control state says who does.
    pub fn introduce(&self, founders: impl IntoIterator<Item = NodeId>) {
        self.roster.send_if_modified(|known| {
            let is_news = matches!(**known, Roster::Nobody);
            if is_news {
                *known = Arc::new(Roster::Founders(founders.into_iter().collect()));
            }
            is_news
        });
    }

    /// These, and nobody else, belong to the node's cluster by the newest control state that it knows.
    pub fn set_members(&self, members: BTreeMap<NodeId, NodeKey>) {
        let now = Roster::Members(members);
        self.roster.send_if_modified(|known| {
            let is_news = **known != now;
            if is_news {
                *known = Arc::new(now);
            }
            is_news
        });
    }

    /// These were members of the cluster once, and are never again.
    pub fn set_removed(&self, removed: BTreeSet<NodeId>) {
        *self.removed.write().unwrap_or_else(PoisonError::into_inner) = removed;
    }

    /// Whether a node was a member once and is never one again. That it is that node its key shows.
    pub(super) fn was_removed(&self, node: NodeId) -> bool {
        self.removed.read().unwrap_or_else(PoisonError::into_inner).contains(&node)
    }

    /// Who belongs to the cluster, now and as it changes.
    pub(super) fn roster(&self) -> watch::Receiver<Arc<Roster>> {
        self.roster.subscribe()
    }

    /// Whether a node belongs to the cluster, under the key that it showed.
    pub(super) fn belongs(&self, node: NodeId, key: Option<NodeKey>) -> bool {
        #[cfg(feature = "planted")]
        if planted::is(planted::Bug::RemovedNodeAccepted) && self.was_removed(node) {
            return true;
        }
        self.roster.borrow().has(node, key)
    }

    /// The node's certificate, where nodes show one.
    pub(super) fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_ref()
    }

    /// How connections to node `to`, or to whoever listens, are sealed; nothing where they are not.
    pub(super) fn seal(&self, to: Option<NodeId>, met: Met) -> Option<Arc<ClientConfig>> {
        self.certificate.as_ref().map(|certificate| certificate.client(to, self.roster(), met))
    }

    /// The header of a message to `to`; to whoever listens if that is not known.
    pub(super) fn header(&self, to: Option<NodeId>) -> Header {
        let cluster = self.cluster().map_or(NO_CLUSTER, |cluster| cluster.0);
        let header = Header {
            cluster,
            from: self.node.0,
            to: to.map_or(0, |to| to.0),
            epoch: self.epoch().0,
            protocol: u32::from(self.speaks.max.0),
            proof: [0; 16],
        };
        let proof = self.proof(&header, &self.proofs().key);
        Header { proof, ..header }
    }

    /// A header that tells nothing: for whoever has not shown that it holds the key.
    pub(super) fn blank_header(&self) -> Header {
        let (from, protocol) = (self.node.0, u32::from(self.speaks.max.0));
        Header { cluster: NO_CLUSTER, from, to: 0, epoch: 0, protocol, proof: [0; 16] }
    }

    fn proofs(&self) -> RwLockReadGuard<'_, Proofs> {
        self.proofs.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn proof(&self, header: &Header, key: &[u8; 32]) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_keyed(key);
        hasher.update(&header.cluster);
        hasher.update(&header.from.to_be_bytes());
        hasher.update(&header.to.to_be_bytes());
        hasher.update(&self.sets);
        let mut proof = [0; 16];
        hasher.finalize_xof().fill(&mut proof);
        proof
    }

    /// Whether who wrote the header holds a key of the cluster. What is wrong takes the same time, however wrong it is.
    fn is_proven(&self, header: &Header) -> bool {
        let under = |key: &[u8; 32]| {
            let difference = self.proof(header, key).iter().zip(header.proof).fold(0, |all, (a, b)| all | (a ^ b));
            std::hint::black_box(difference) == 0
        };
        let proofs = self.proofs();
        under(&proofs.key) || proofs.also.as_ref().is_some_and(under)
    }

    /// Judges the header of a call, whose sender has shown `key`. Whether that one belongs to the cluster is not judged.
    pub(super) fn admit(&self, header: &Header, demand: Demand, key: Option<NodeKey>) -> Result<Caller, Refusal> {
        if !self.hears(header.protocol) {
            return Err(self.demands());
        }
        if !self.is_proven(header) {
            return Err(Refusal::WrongKey);
        }
        if let Some(key) = key
            && key.node().0 != header.from
        {
            return Err(Refusal::Refused(format!("the certificate is that of node {}", key.node())));
        }
        if header.to != self.node.0 && (header.to != 0 || demand != Demand::Greeting) {
            return Err(Refusal::WrongReceiver(self.node.0));
        }
        let (theirs, ours) = (header.cluster, self.cluster().map_or(NO_CLUSTER, |cluster| cluster.0));
        let either_may_be_new = demand == Demand::Greeting && (theirs == NO_CLUSTER || ours == NO_CLUSTER);
        if !either_may_be_new && (theirs != ours || ours == NO_CLUSTER) {
            return Err(Refusal::WrongCluster(ours));
        }
        // A greeting may be to oneself: whether the sender is this process is seen from its generation.
        if header.from == self.node.0 && demand != Demand::Greeting {
            let twice = format!("two nodes have the id {}: give one of them a data folder of its own", self.node);
            return Err(Refusal::Refused(twice));
        }
        Ok(Caller { node: NodeId(header.from), epoch: Epoch(header.epoch), key })
    }

    /// Judges the header of an answer from `from`, or from whoever was asked.
    pub(super) fn accept(&self, header: &Header, from: Option<NodeId>, demand: Demand) -> Result<(), CallError> {
        if !self.hears(header.protocol) {
            return Err(CallError::WrongProtocol { min: header.protocol, max: header.protocol });
        }
        if !self.is_proven(header) {
            return Err(CallError::WrongKey);
        }
        if from.is_some_and(|from| from.0 != header.from) || header.to != self.node.0 {
            return Err(CallError::WrongNode { theirs: NodeId(header.from) });
        }
        let ours = self.cluster().map_or(NO_CLUSTER, |cluster| cluster.0);
        if demand != Demand::Greeting && header.cluster != ours {
            return Err(CallError::of_cluster(header.cluster));
        }
        Ok(())
    }

    /// Whether a refusal is the word of a node that holds the key.
    pub(super) fn vouches_for(&self, header: &Header) -> bool {
        self.is_proven(header) && header.to == self.node.0
    }
}

impl Proofs {
    fn with(keys: &ClusterKeys) -> Self {
        let derive = |key: &ClusterKey| blake3::derive_key(PROOF_KEY, &key.0);
        Self { key: derive(&keys.key), also: keys.also.as_ref().map(derive) }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (cluster, epoch) = (self.cluster(), self.epoch());
        f.debug_struct("Credentials")
            .field("node", &self.node)
            .field("cluster", &cluster)
            .field("epoch", &epoch)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: NodeId = NodeId(1);
    const B: NodeId = NodeId(2);
    const HERE: ClusterId = ClusterId([7; 16]);

    fn member(node: NodeId) -> Credentials {
        Credentials::new(node, &ClusterKey([9; 32]), Some(HERE))
    }

    fn fresh(node: NodeId) -> Credentials {
        Credentials::new(node, &ClusterKey([9; 32]), None)
    }

    #[test]
    fn a_member_is_admitted_with_its_epoch() {
        let from = member(A);
        from.learn(Epoch(5));
        from.learn(Epoch(4));
        let caller = member(B).admit(&from.header(Some(B)), Demand::Member, None);
        assert_eq!(caller, Ok(Caller { node: A, epoch: Epoch(5), key: None }));
    }

    #[test]
    fn whoever_does_not_belong_is_refused_with_the_reason() {
        let elsewhere = ClusterId([8; 16]);
        let stranger = Credentials::new(A, &ClusterKey([1; 32]), Some(HERE));
        let neighbour = Credentials::new(A, &ClusterKey([9; 32]), Some(elsewhere));
        let header = member(A).header(Some(B));
        let twice = Refusal::Refused(
            "two nodes have the id 0000000000000002: give one of them a data folder of its own".to_owned(),
        );
        for (header, refusal) in [
            (stranger.header(Some(B)), Refusal::WrongKey),
            (Header { from: 3, ..header }, Refusal::WrongKey),
            (Header { protocol: 9, ..header }, Refusal::WrongProtocol(1, 1)),
            (neighbour.header(Some(B)), Refusal::WrongCluster(HERE.0)),
            (fresh(A).header(Some(B)), Refusal::WrongCluster(HERE.0)),
            (member(A).header(Some(NodeId(3))), Refusal::WrongReceiver(2)),
            (member(A).header(None), Refusal::WrongReceiver(2)),
            (member(B).header(Some(B)), twice),
        ] {
            assert_eq!(member(B).admit(&header, Demand::Member, None), Err(refusal));
        }
        let early = fresh(B).admit(&member(A).header(Some(B)), Demand::Member, None);
        assert_eq!(early, Err(Refusal::WrongCluster(NO_CLUSTER)));
        assert!(fresh(B).admit(&fresh(A).header(Some(B)), Demand::Member, None).is_err());
    }

    #[test]
    fn whoever_speaks_only_older_versions_than_the_active_is_told_which_to_speak() {
        let speaking = |node, max| member(node).speaking(Versions::up_to(Version(max)));
        let (old, new) = (speaking(A, 1), speaking(B, 2));
        assert!(new.admit(&old.header(Some(B)), Demand::Member, None).is_ok());
        assert!(old.admit(&new.header(Some(A)), Demand::Member, None).is_ok());
        new.activate(Version(2));
        for demand in [Demand::Member, Demand::Greeting] {
            assert_eq!(new.admit(&old.header(Some(B)), demand, None), Err(Refusal::WrongProtocol(2, 2)));
            assert!(matches!(new.accept(&old.header(Some(B)), Some(A), demand), Err(CallError::WrongProtocol { .. })));
        }
        assert!(old.admit(&new.header(Some(A)), Demand::Member, None).is_ok(), "from them it learns of the activation");
        let away = speaking(A, 2);
        assert!(new.admit(&away.header(Some(B)), Demand::Member, None).is_ok(), "who missed it and speaks it is heard");
        assert_eq!(old.admit(&speaking(B, 3).header(Some(A)), Demand::Member, None), Err(Refusal::WrongProtocol(1, 1)));
    }

    #[test]
    fn a_greeting_needs_the_key_and_no_more() {
        for (from, to) in [(fresh(A), fresh(B)), (member(A), fresh(B)), (fresh(A), member(B)), (member(A), member(B))] {
            assert!(to.admit(&from.header(None), Demand::Greeting, None).is_ok());
        }
        let stranger = Credentials::new(A, &ClusterKey([1; 32]), None);
        assert_eq!(fresh(B).admit(&stranger.header(None), Demand::Greeting, None), Err(Refusal::WrongKey));
        let neighbour = Credentials::new(A, &ClusterKey([9; 32]), Some(ClusterId([8; 16])));
        assert!(member(B).admit(&neighbour.header(None), Demand::Greeting, None).is_err());
    }

    #[test]
    fn a_node_is_in_one_cluster_for_ever() {
        let node = fresh(A);
        assert!(node.join(HERE) && node.join(HERE));
        assert!(!node.join(ClusterId([8; 16])));
        assert_eq!(node.cluster(), Some(HERE));
    }

    #[test]
    fn an_answer_must_come_from_who_was_asked() {
        let me = member(A);
        let answer = member(B).header(Some(A));
        assert_eq!(me.accept(&answer, Some(B), Demand::Member), Ok(()));
        let wrong = me.accept(&answer, Some(NodeId(3)), Demand::Member);
        assert_eq!(wrong, Err(CallError::WrongNode { theirs: B }));
        assert_eq!(me.accept(&me.blank_header(), None, Demand::Greeting), Err(CallError::WrongKey));
        let later = me.accept(&Header { protocol: 9, ..answer }, Some(B), Demand::Member);
        assert_eq!(later, Err(CallError::WrongProtocol { min: 9, max: 9 }));
    }

    #[test]
    fn while_keys_change_nodes_a_step_apart_understand_each_other() {
        let keys = |key: u8, also: Option<u8>| ClusterKeys {
            key: ClusterKey([key; 32]),
            also: also.map(|key| ClusterKey([key; 32])),
        };
        let holding = |node, keys| Credentials::new(node, keys, Some(HERE));
        let admits = |to: &Credentials, from: &Credentials| {
            to.admit(&from.header(Some(to.node())), Demand::Member, None).map(|caller| caller.node)
        };
        let steps = [keys(9, None), keys(9, Some(8)), keys(8, Some(9)), keys(8, None)];
        for (before, after) in steps.iter().zip(&steps[1..]) {
            let (one, other) = (holding(A, before.clone()), holding(B, after.clone()));
            assert_eq!((admits(&one, &other), admits(&other, &one)), (Ok(B), Ok(A)));
            one.set_keys(after);
            assert_eq!((admits(&one, &other), admits(&other, &one)), (Ok(B), Ok(A)));
        }
        let (first, last) = (holding(A, keys(9, None)), holding(B, keys(8, None)));
        assert_eq!(admits(&last, &first), Err(Refusal::WrongKey));
    }

    #[test]
    fn nodes_whose_sets_have_other_keys_are_strangers() {
        let under = |node, sets| member(node).with_sets(&SetKey::new([sets; 32]));
        let header = under(A, 1).header(Some(B));
        assert!(under(B, 1).admit(&header, Demand::Greeting, None).is_ok());
        assert_eq!(under(B, 2).admit(&header, Demand::Greeting, None), Err(Refusal::WrongKey));
    }

    #[test]
    fn secrets_are_not_printed() {
        let printed = format!("{:?}", member(A));
        assert!(!printed.contains("proofs"), "{printed}");
    }
}
