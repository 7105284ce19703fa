//! What the scenarios share: a store on a disk in memory. What is written to it is in [`super::records`], what must be in
//! it then in [`super::expected`].

pub(super) use super::expected::{Expected, check_sets};
pub(super) use super::records::{CLAIMS, RECORDS, agent, key, question, record, records};

use super::super::{Appender, Maintenance, OpenReport, Reader, Settings, Setup, Store, StoreError};
use crate::disk::MemoryDisk;
use crate::index::Engine;
use crate::log;
use model::set::SetKey;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// When the scenarios begin, in milliseconds since the Unix epoch.
pub(super) const START_MS: u64 = 1_785_000_000_000;
/// Segments so short that a handful of records fill one.
const LOG: log::Settings =
    log::Settings { segment_bytes_max: 8 << 10, batch_bytes_max: 4 << 10, version_max: log::FIRST_VERSION };

/// Under which the sums of the sets are made.
pub(super) const SET_KEY: SetKey = SetKey::new([3; 32]);

/// Where a store is, and with which engine it is opened.
#[derive(Clone)]
pub(super) struct World {
    pub(super) disk: MemoryDisk,
    pub(super) db_dir: PathBuf,
    pub(super) engine: Engine,
    pub(super) settings: Settings,
    pub(super) set_key: SetKey,
    pub(super) wall_ms: u64,
}

impl World {
    /// A new one, with the index in memory.
    pub(super) fn new() -> Self {
        let mut settings = Settings::with_log(LOG);
        settings.index = crate::index::conformance::SMALL;
        settings.open_frames_max = u64::MAX;
        Self {
            disk: MemoryDisk::new(),
            db_dir: PathBuf::from("unused"),
            engine: Engine::Memory,
            settings,
            set_key: SET_KEY,
            wall_ms: START_MS,
        }
    }

    /// A new one, with the index of an engine below `dir`.
    pub(super) fn on(engine: Engine, dir: &Path) -> Self {
        Self { engine, db_dir: dir.to_path_buf(), ..Self::new() }
    }

    pub(super) fn try_open(&self) -> Result<(Appender, Reader, OpenReport), StoreError> {
        Store::open(Setup {
            disk: Arc::new(self.disk.clone()),
            wal_dir: "/wal".into(),
            db_dir: self.db_dir.clone(),
            engine: self.engine,
            settings: self.settings,
            store_id_seed: [7; 16],
            set_key: self.set_key,
            wall_ms: self.wall_ms,
        })
    }

    pub(super) fn open(&self) -> (Appender, Reader, OpenReport) {
        self.try_open().unwrap()
    }

    /// A store that holds the records `range` and was closed in order.
    pub(super) fn filled(self, range: std::ops::Range<usize>) -> Self {
        let (mut appender, _, _) = self.open();
        for n in range {
            appender.append(vec![record(n)], self.wall_ms).unwrap();
        }
        appender.seal().unwrap();
        self
    }
}

/// Works off what maintenance is due to the index.
pub(super) fn settle(maintenance: &mut Maintenance) {
    while maintenance.step().unwrap() {}
}
