//! From the settings and the world to a store: what opening it takes, and what it found. It opens nothing itself.

use super::StartError;
use super::state::NodeState;
use crate::cluster_key::KeyFile;
use crate::identity::Identity;
use crate::settings::{Engine, Settings};
use crate::timed_disk::TimedDisk;
use crate::world::World;
use model::set::SetKey;
use std::sync::Arc;
use storage::store;

/// What a node without a cluster derives the key of its sets for.
const LONE_SET_KEY: &str = "stemedb-v1 the sets of a node without a cluster";

/// What opening the store takes.
pub(super) fn setup(
    settings: &Settings,
    world: &World,
    state: &NodeState,
    set_key: SetKey,
) -> Result<store::Setup, StartError> {
    let (disk, clock) = (Arc::clone(&world.disk), Arc::clone(&world.clock));
    let mut store_id_seed = [0; 16];
    world.entropy.fill(&mut store_id_seed).map_err(|source| StartError::System { what: "randomness", source })?;
    Ok(store::Setup {
        disk: Arc::new(TimedDisk::new(disk, clock, state.metrics.fsync_latency.clone())),
        wal_dir: settings.wal_folder(),
        db_dir: settings.db_folder(),
        engine: world.engine.unwrap_or_else(|| engine(settings.index_engine)),
        settings: store_settings(settings, world.speaks.max.0),
        store_id_seed,
        set_key,
        wall_ms: world.clock.wall_ms(),
    })
}

/// The key of this node's sets: every node of a cluster has the same, and no client knows it.
pub(super) fn set_key(identity: &Identity, cluster: Option<&KeyFile>) -> SetKey {
    cluster.map_or_else(|| SetKey::new(identity.derived_key(LONE_SET_KEY)), KeyFile::set_key)
}

fn engine(setting: Engine) -> storage::index::Engine {
    match setting {
        Engine::Sled => storage::index::Engine::Sled,
        Engine::Fjall => storage::index::Engine::Fjall,
    }
}

/// The part of the settings that the store wants. Their limits were checked when they were read.
fn store_settings(settings: &Settings, version_max: u16) -> store::Settings {
    let log = storage::log::Settings {
        segment_bytes_max: u32::try_from(settings.log_segment_bytes_max).unwrap_or(u32::MAX),
        version_max,
        ..storage::log::Settings::default()
    };
    store::Settings {
        index: storage::index::Settings {
            cache_bytes: settings.index_cache_bytes,
            ..storage::index::Settings::default()
        },
        clock_offset_ms_max: settings.clock_offset_max_ms,
        garbage_percent_max: u8::try_from(settings.compaction_garbage_percent).unwrap_or(100),
        ..store::Settings::with_log(log)
    }
}

/// What the operator should know of how the store opened.
pub(super) fn tell(report: &store::OpenReport) {
    let recovery = &report.recovery;
    if recovery.damages.is_empty() {
        tracing::info!(%recovery, "opened the log");
    } else {
        tracing::error!(%recovery, "opened the log; what is damaged was copied aside and is not served");
    }
    if report.checking {
        tracing::info!("the index is compared with the log, since the last stop was not clean");
    }
}
