//! `stemedb verify`: everything in a data folder read and checked while no node has it open.

use super::chain;
use super::opening::{set_key, setup, tell};
use super::state::NodeState;
use crate::cli::Verified;
use crate::cli::failure::Failure;
use crate::cluster_key::KeyFile;
use crate::identity::{self, Identity};
use crate::metrics::Metrics;
use crate::settings::Settings;
use crate::world::World;
use std::sync::Arc;
use storage::store::Store;

/// Opens the store, re-reads every frame, recomputes every id, verifies every signature and compares the index.
///
/// Opening recovers like a start does: a torn tail is cut and copied aside, and reported.
///
/// # Errors
///
/// [`Failure::Failed`] if the folder holds no node or cannot be read.
pub fn verify(settings: Settings) -> Result<Verified, Failure> {
    let failed = |error: &dyn std::error::Error| Failure::Failed(format!("cannot verify: {}", chain(error)));
    if !settings.data_dir.join(identity::FILE).exists() {
        let folder = settings.data_dir.display();
        return Err(Failure::Failed(format!("{folder} holds no node; name the folder of one with --data-dir")));
    }
    let metrics = Metrics::new().map_err(|error| failed(&error))?;
    let world = World::machine();
    let state = NodeState::new(Arc::clone(&world.clock), metrics);
    let identity = Identity::load_or_create(world.disk.as_ref(), &settings.data_dir, &settings.wal_folder(), [0; 32])
        .map_err(|error| failed(&error))?;
    let key = settings.cluster_key_file.as_ref().map(|file| KeyFile::read(world.disk.as_ref(), file)).transpose();
    let key = key.map_err(|error| failed(&error))?;
    let mut setup =
        setup(&settings, &world, &state, set_key(&identity, key.as_ref())).map_err(|error| failed(&error))?;
    setup.settings.open_frames_max = u64::MAX;
    let (appender, reader, report) = Store::open(setup).map_err(|error| failed(&error))?;
    tell(&report);
    let found = reader.verify(&mut |_| {}).map_err(|error| failed(&error))?;
    let counts = reader.counts();
    let mut problems: Vec<_> = report.recovery.damages.iter().map(ToString::to_string).collect();
    for damage in &found.damages {
        let damage = damage.to_string();
        if !problems.contains(&damage) {
            problems.push(damage);
        }
    }
    problems.extend(found.wrong.iter().map(|(position, id, fault)| format!("record {id} at {position}: {fault:?}")));
    problems.extend(found.index.iter().map(|error| chain(error)));
    appender.seal().map_err(|error| failed(&error))?;
    Ok(Verified {
        counts: vec![
            ("records read", found.records),
            ("assertions", counts.assertions),
            ("votes", counts.votes),
            ("aliases", counts.aliases),
            ("erased", counts.erased),
        ],
        problems,
    })
}
