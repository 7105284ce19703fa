//! What a node holds the keys of its cluster for, and how they change while it runs: from the file, when it is told to look.
//!
//! It never writes the file, and what it cannot use changes nothing.

use crate::cluster_key::{ClusterKeyError, KeyFile, name};
use crate::gossip::Keyring;
use crate::metrics::Metrics;
use crate::rpc::Credentials;
use crate::settings::Settings;
use crate::world::World;
use prometheus::IntGaugeVec;
use std::path::PathBuf;
use std::sync::Arc;
use storage::disk::Disk;

/// Everything in a node that holds the cluster's keys.
#[derive(Debug)]
pub(super) struct Lock {
    disk: Arc<dyn Disk>,
    file: PathBuf,
    sets: [u8; 8],
    credentials: Arc<Credentials>,
    gossip: Keyring,
    shown: IntGaugeVec,
}

/// Why the keys stay what they were.
#[derive(Debug, thiserror::Error)]
pub enum KeepKeys {
    /// The file cannot be used: see there.
    #[error("the cluster key was not changed")]
    File(#[from] ClusterKeyError),
    /// The secret for the sets is another one. Put the line back.
    #[error(
        "cluster_key_file: {0} has another `sets` than this node started with, and the cluster key was not changed: put the \
         line `sets` of the other nodes there"
    )]
    Sets(PathBuf),
    /// The node is a cluster by itself.
    #[error("cluster_key_file is not set: a node alone has no cluster key")]
    Alone,
}

impl Lock {
    pub(super) fn new(
        world: &World,
        settings: &Settings,
        file: &KeyFile,
        credentials: Arc<Credentials>,
        gossip: Keyring,
        metrics: &Metrics,
    ) -> Self {
        let lock = Self {
            disk: Arc::clone(&world.disk),
            file: settings.cluster_key_file.clone().unwrap_or_default(),
            sets: file.set_key().fingerprint(),
            credentials,
            gossip,
            shown: metrics.cluster_keys.clone(),
        };
        lock.show(file);
        lock
    }

    /// Reads the file again and goes by it.
    ///
    /// # Errors
    ///
    /// [`KeepKeys`].
    pub(super) async fn change(&self) -> Result<(), KeepKeys> {
        let file = KeyFile::read(self.disk.as_ref(), &self.file)?;
        if file.set_key().fingerprint() != self.sets {
            return Err(KeepKeys::Sets(self.file.clone()));
        }
        let keys = file.keys();
        self.credentials.set_keys(&keys);
        self.gossip.set(keys.clone()).await;
        self.show(&file);
        let also = keys.also.as_ref().map(name);
        tracing::info!(key = name(&keys.key), also, "the cluster key was read again");
        Ok(())
    }

    fn show(&self, file: &KeyFile) {
        let keys = file.keys();
        self.shown.reset();
        self.shown.with_label_values(&["used", &name(&keys.key)]).set(1);
        if let Some(also) = &keys.also {
            self.shown.with_label_values(&["taken", &name(also)]).set(1);
        }
    }
}
