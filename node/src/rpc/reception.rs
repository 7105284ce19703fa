//! Who comes in: the handshake with whoever connects, and what strangers may take of the room there is.
//!
//! It finds out whose key a caller holds and tells the door; what that caller may ask is judged there, call by call.

use super::certificate::key_of;
use super::credentials::Credentials;
use crate::accept::{Reception, Visit};
use crate::world::Stream;
use axum::{Extension, Router};
use cluster::NodeKey;
use prometheus::IntCounterVec;
use std::future::{Future, pending};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

/// The most handshakes at once. Whoever comes while there are so many is turned away.
const HANDSHAKES_MAX: usize = 64;
/// How long a handshake may take. A caller waits no longer than this for it.
const HANDSHAKE_MAX: Duration = Duration::from_secs(2);
/// The most connections of callers that belong to no cluster, or to another one: enough for greetings.
const GUESTS_MAX: usize = 64;
/// How long such a caller may stay, unless it comes to belong here meanwhile.
const GUEST_STAYS: Duration = Duration::from_secs(10);

/// Takes connections from whoever shows a key. Clones are the same.
#[derive(Clone)]
pub(super) struct Sealed {
    acceptor: TlsAcceptor,
    members: Router,
    strangers: Router,
    credentials: Arc<Credentials>,
    handshakes: Arc<Semaphore>,
    guests: Arc<Semaphore>,
    refused: IntCounterVec,
}

impl Sealed {
    pub(super) fn new(
        acceptor: TlsAcceptor,
        members: Router,
        strangers: Router,
        credentials: Arc<Credentials>,
        refused: IntCounterVec,
    ) -> Self {
        let places = |max| Arc::new(Semaphore::new(max));
        let (handshakes, guests) = (places(HANDSHAKES_MAX), places(GUESTS_MAX));
        Self { acceptor, members, strangers, credentials, handshakes, guests, refused }
    }

    /// What is served to whoever showed `key`: what members are or what strangers are, as it stands at each call. Who was
    /// removed stays no longer than a stranger, and may bring records.
    fn services(&self, key: NodeKey) -> Router {
        let (credentials, members, strangers) =
            (Arc::clone(&self.credentials), self.members.clone(), self.strangers.clone());
        let services = tower::service_fn(move |call| {
            let is_heard = credentials.belongs(key.node(), Some(key)) || credentials.was_removed(key.node());
            if is_heard { members.clone() } else { strangers.clone() }.oneshot(call)
        });
        Router::new().fallback_service(services).layer(Extension(key))
    }

    /// Finds out who is there, and whether there is room.
    async fn meet(&self, stream: Stream) -> Result<Visit, Turned> {
        let place = self.handshakes.try_acquire().or(Err(Turned::Crowded))?;
        let shaken = timeout(HANDSHAKE_MAX, self.acceptor.accept(stream)).await.or(Err(Turned::Late))?;
        let mut stream = shaken.map_err(Turned::Failed)?;
        drop(place);
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::split_first);
        let key = shown.and_then(|(first, others)| key_of(first, others).ok());
        let key = key.ok_or_else(|| Turned::Failed(io::ErrorKind::PermissionDenied.into()))?;
        let guest = if self.credentials.belongs(key.node(), Some(key)) {
            None
        } else {
            match Arc::clone(&self.guests).try_acquire_owned() {
                Ok(place) => Some(place),
                Err(_) => {
                    stream.shutdown().await.ok(); // it is turned away either way
                    return Err(Turned::Crowded);
                }
            }
        };
        let credentials = Arc::clone(&self.credentials);
        let leave = Box::pin(async move {
            until_it_belongs_no_more(&credentials, key, GUEST_STAYS).await;
            drop(guest);
        });
        Ok(Visit { stream: Stream::new(stream), router: self.services(key), leave })
    }
}

impl Reception for Sealed {
    async fn receive(self, stream: Stream) -> Option<Visit> {
        let turned = match self.meet(stream).await {
            Ok(visit) => return Some(visit),
            Err(turned) => turned,
        };
        self.refused.with_label_values(&[turned.word()]).inc();
        if let Turned::Failed(error) = turned {
            tracing::debug!(%error, "a connection without a node's certificate");
        }
        None
    }
}

/// Why nobody came in.
#[derive(Debug)]
enum Turned {
    /// There are too many already.
    Crowded,
    /// It took too long.
    Late,
    /// It speaks no TLS, or shows no key.
    Failed(io::Error),
}

impl Turned {
    fn word(&self) -> &'static str {
        match self {
            Self::Crowded => "crowded",
            Self::Late => "late",
            Self::Failed(_) => "failed",
        }
    }
}

/// Returns when whoever holds `key` has been a stranger for as long as one stays.
fn until_it_belongs_no_more(
    credentials: &Credentials,
    key: NodeKey,
    stays: Duration,
) -> impl Future<Output = ()> + use<> {
    let mut roster = credentials.roster();
    async move {
        loop {
            if !roster.borrow_and_update().has(key.node(), Some(key)) {
                sleep(stays).await;
                if !roster.borrow_and_update().has(key.node(), Some(key)) {
                    return;
                }
            }
            if roster.changed().await.is_err() {
                pending::<()>().await; // the node is gone, and its connections with it
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cluster::membership::ClusterKey;
    use futures_util::FutureExt as _;
    use std::collections::BTreeMap;

    #[tokio::test]
    async fn a_stranger_leaves_and_a_member_when_it_is_one_no_more() {
        let key = NodeKey([1; 32]);
        let credentials = Credentials::new(NodeKey([2; 32]).node(), &ClusterKey([3; 32]), None);
        until_it_belongs_no_more(&credentials, key, Duration::ZERO).await;

        let stays = until_it_belongs_no_more(&credentials, key, GUEST_STAYS);
        assert!(stays.now_or_never().is_none(), "not at once");
        credentials.set_members([(key.node(), key)].into());
        let leaves = until_it_belongs_no_more(&credentials, key, Duration::ZERO);
        tokio::pin!(leaves);
        assert!(leaves.as_mut().now_or_never().is_none(), "it belongs here");
        credentials.set_members(BTreeMap::new());
        leaves.await;
    }
}
