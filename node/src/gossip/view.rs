//! What gossip knows, as a value, and in words.

use crate::settings::Seeds;
use cluster::membership::{Identity, Membership, Reason, Refused};
use cluster::{Generation, NodeId};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// What gossip knows at some moment. It advises: whoever is down may be slow, or out of reach from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// This node, as it introduces itself.
    pub own: Identity,
    /// The other nodes that are there.
    pub alive: BTreeMap<NodeId, Identity>,
    /// The nodes that were there and are not.
    pub down: BTreeSet<NodeId>,
    /// How bad this node's own health is; 0 is well.
    pub health: u8,
    /// The packets that were dropped, by reason.
    pub refused: BTreeMap<Reason, Refused>,
    /// Where calls are taken by whoever speaks under this node's id from another address.
    pub twin: Option<SocketAddr>,
    /// Whom it was to look for.
    seeds: String,
}

impl View {
    pub(super) fn of(membership: &Membership, seeds: &Seeds) -> Self {
        let mut view = Self {
            own: *membership.own(),
            alive: BTreeMap::new(),
            down: BTreeSet::new(),
            health: 0,
            refused: BTreeMap::new(),
            twin: None,
            seeds: seeds.0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        };
        view.update(membership);
        view
    }

    /// Brings the view up to date. Returns whether anything is different.
    pub(super) fn update(&mut self, membership: &Membership) -> bool {
        let now = Self {
            own: *membership.own(),
            alive: membership.alive().map(|member| (member.id, *member)).collect(),
            down: membership.down().collect(),
            health: membership.health(),
            refused: membership.refused().clone(),
            twin: membership.twin().map(|twin| twin.rpc),
            seeds: std::mem::take(&mut self.seeds),
        };
        let before = std::mem::replace(self, now);
        (self.own, &self.alive, &self.down, self.health, &self.refused, self.twin)
            != (before.own, &before.alive, &before.down, before.health, &before.refused, before.twin)
    }

    /// Whether a node is there. This one is.
    pub fn is_alive(&self, node: NodeId) -> bool {
        node == self.own.id || self.alive.contains_key(&node)
    }

    /// Which life of a node is there.
    pub fn generation(&self, node: NodeId) -> Option<Generation> {
        self.alive.get(&node).map(|member| member.generation)
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

    /// Why this node finds nobody, as well as it can tell; nothing if it was to look for nobody, or has met somebody.
    pub fn trouble(&self) -> Option<String> {
        if self.seeds.is_empty() || self.has_met_somebody() {
            return None;
        }
        let silence = || {
            let Self { seeds, own, .. } = self;
            format!(
                "no answer from the seeds {seeds}: if they run, compare cluster_key_file with theirs, and see whether \
                 they reach this node at {} (advertise_host)",
                own.gossip
            )
        };
        Some(self.misfit().unwrap_or_else(silence))
    }

    /// What is wrong with this node or with its seeds, by the packets that it had to refuse.
    ///
    /// Once somebody was met, packets that are refused are only counted: anybody can send those.
    pub fn misfit(&self) -> Option<String> {
        if self.has_met_somebody() {
            return None;
        }
        let worst = self.refused.iter().filter_map(|(reason, refused)| Some((advice(*reason)?, reason, refused)));
        let (advice, reason, Refused { packets, last_from }) = worst.max_by_key(|(_, _, refused)| refused.packets)?;
        Some(format!("found no other node, but {packets} packets {reason}, the last from {last_from}: {advice}"))
    }

    fn has_met_somebody(&self) -> bool {
        !self.alive.is_empty() || !self.down.is_empty()
    }
}

/// What an operator may do about packets that are dropped; nothing if they are nobody's fault here.
fn advice(reason: Reason) -> Option<&'static str> {
    match reason {
        Reason::OtherKey => Some("compare the file that cluster_key_file names with that of the others"),
        Reason::OtherCluster => Some(
            "seeds or data_dir: the nodes that seeds names are in another cluster than the one that this data_dir is of",
        ),
        Reason::OtherVersion => Some("the others run another release"),
        Reason::Removed | Reason::NoPacket | Reason::TooLong | Reason::Malformed | Reason::Ourselves | Reason::Full => {
            None
        }
    }
}

/// The word for a reason in metrics.
pub(super) fn word(reason: Reason) -> &'static str {
    match reason {
        Reason::NoPacket => "no_packet",
        Reason::TooLong => "too_long",
        Reason::OtherVersion => "other_version",
        Reason::OtherKey => "other_key",
        Reason::OtherCluster => "other_cluster",
        Reason::Malformed => "malformed",
        Reason::Ourselves => "ourselves",
        Reason::Removed => "removed",
        Reason::Full => "full",
    }
}
