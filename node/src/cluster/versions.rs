//! The version that this node goes by: which formats it writes, and what it sends and takes.
//!
//! Which one is active is decided by the control plane. A node goes by it once its log says so, and never by one that is not
//! active, whatever it speaks.

use super::Cluster;
use super::founder::GREET_DEADLINE;
use ::cluster::control::{Member, Version, Versions};
use ::cluster::{Millis, NodeId};
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long to wait before a log is raised again that was not.
const RAISE_EVERY: Duration = Duration::from_millis(200);

/// Goes by every version as it becomes active, until the node stops.
pub(crate) async fn go_by_the_active(cluster: Arc<Cluster>) {
    let mut newest = cluster.newest.subscribe();
    loop {
        let active = newest.borrow_and_update().active_version();
        if let Some(version) = active.filter(|active| cluster.speaks.speak(*active)) {
            let to = cluster.log_version(version);
            while let Err(error) = cluster.local.raise_version(to.0).await {
                tracing::warn!(%version, ?error, "the log cannot be raised to the active version now");
                tokio::time::sleep(RAISE_EVERY).await;
            }
            if cluster.goes_by.swap(version.0, Ordering::AcqRel) != version.0 {
                tracing::info!(%version, "this node goes by the active version");
            }
        }
        if newest.changed().await.is_err() {
            return;
        }
    }
}

impl Cluster {
    /// The version that this node goes by; none before there is a cluster.
    pub(crate) fn version(&self) -> Option<Version> {
        Some(Version(self.goes_by.load(Ordering::Acquire))).filter(|version| version.0 > 0)
    }

    /// Whether this node may send what a version brought.
    #[cfg(feature = "next")]
    fn may_send(&self, since: Version) -> bool {
        #[cfg(feature = "planted")]
        if planted::is(planted::Bug::NextSentBeforeActive) {
            return self.speaks.speak(since);
        }
        self.version() >= Some(since)
    }

    /// The version that the log of a member was raised to; nothing if it does not answer, or this node does not go by the version
    /// that brought the question.
    #[cfg(feature = "next")]
    pub(super) async fn log_version_of(&self, node: NodeId, deadline: Duration) -> Option<Version> {
        if !self.may_send(Version(proto::RaisedRequest::SINCE)) {
            return None;
        }
        if node == self.me {
            return self.version();
        }
        self.peers.raised(node, deadline).await.ok()?.version.map(Version)
    }

    /// What the log is to be of while `active` is active.
    fn log_version(&self, active: Version) -> Version {
        #[cfg(feature = "planted")]
        if planted::is(planted::Bug::NextWrittenBeforeActive) {
            return self.speaks.max;
        }
        active
    }

    /// Why this node serves nothing, if it does not.
    pub(crate) fn out_of_service(&self) -> Option<String> {
        self.removed().or_else(|| self.foreign_version())
    }

    /// The active version is none that this node speaks.
    fn foreign_version(&self) -> Option<String> {
        let active = self.newest.borrow().active_version().filter(|active| !self.speaks.speak(*active))?;
        Some(format!(
            "this node's release speaks version {} of formats and protocol, and version {active} is active in its cluster: run \
             a release that speaks version {active}",
            self.speaks
        ))
    }

    /// Others were asked who they are: so many answered, and these refused, since they take other versions.
    pub(super) fn note_refusals(&self, answered: usize, refused: &[(u32, u32)]) {
        let most = refused.iter().filter(|_| refused.len() > answered).max();
        let told = most.filter(|(min, max)| !overlaps(self.speaks, *min, *max)).map(|told| (*told, self.now()));
        self.health.note_foreign(told);
    }

    /// Most of the others that were asked lately do not take what this node speaks.
    pub(super) fn refused_by_others(&self) -> Option<String> {
        let (min, max) = self.health.foreign(self.now())?;
        Some(format!(
            "this node's release speaks version {} of formats and protocol, and other nodes take versions {min} to {max}: run a \
             release that speaks version {min}",
            self.speaks
        ))
    }

    /// Hears anew from every member, and returns what those say that they speak who answer: one that went back to the build before
    /// may not have told the control plane yet. What the others said once may be older than what the control plane knows.
    pub(super) async fn hear_members(&self) -> BTreeMap<NodeId, Versions> {
        let state = self.control_state();
        let others = state.members().into_iter().flatten().filter(|(node, _)| **node != self.me);
        let heard = join_all(others.map(|(node, member)| async move {
            let greeting = self.greet(member.rpc, false, GREET_DEADLINE).await.ok()?.greeting;
            let version = |number| u16::try_from(number).ok().map(Version);
            Some((*node, Versions { min: version(greeting.protocol_min)?, max: version(greeting.protocol_max)? }))
        }));
        heard.await.into_iter().flatten().chain([(self.me, self.speaks)]).collect()
    }

    /// The members that do not speak a version, by the control plane or by what they `said` just now, for people.
    pub(super) fn mute(&self, version: Version, said: &BTreeMap<NodeId, Versions>) -> Option<String> {
        let state = self.control_state();
        let speaks = |(node, member): (&NodeId, &Member)| {
            let told = [Some(member.versions), said.get(node).copied()];
            let mute = told.into_iter().flatten().find(|versions| !versions.speak(version));
            mute.map(|versions| format!("{node} speaks {versions}"))
        };
        let mute: Vec<_> = state.members().into_iter().flatten().filter_map(speaks).collect();
        (!mute.is_empty()).then(|| {
            format!("not every member speaks version {version}: {}. Upgrade or remove them first", mute.join(", "))
        })
    }
}

fn overlaps(speaks: Versions, min: u32, max: u32) -> bool {
    u32::from(speaks.min.0) <= max && min <= u32::from(speaks.max.0)
}

/// How long it counts that others refused this node.
pub(super) const REFUSED_MS_MAX: Millis = Millis(15_000);
