//! Which engines there are, and how they are tuned.
//!
//! Nothing here touches an entry; what is stored is the same under every engine.

use super::{Index, IndexError, fjall, memory, sled};
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// An index engine, chosen by setting. A change of it is a rebuild, by itself, at the next start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Engine {
    /// sled: the default. Takes about 400 bytes of memory an entry, whatever its cache is set to.
    #[default]
    Sled,
    /// fjall: several times faster to write, and its memory stays within what is configured.
    Fjall,
    /// An ordered map in memory, empty at every start and rebuilt from the log: for simulation and tests.
    Memory,
}

impl Engine {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Sled, Self::Fjall, Self::Memory];

    /// The word that stands for it in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sled => "sled",
            Self::Fjall => "fjall",
            Self::Memory => "memory",
        }
    }

    /// Its number on disk: never reused.
    pub fn number(self) -> u8 {
        match self {
            Self::Sled => 1,
            Self::Fjall => 2,
            Self::Memory => 3,
        }
    }

    /// Whether its entries outlive the process, in a folder.
    pub fn has_folder(self) -> bool {
        self != Self::Memory
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an index engine: use sled, fjall or memory")]
pub struct UnknownEngine;

impl FromStr for Engine {
    type Err = UnknownEngine;

    fn from_str(word: &str) -> Result<Self, UnknownEngine> {
        Self::ALL.iter().copied().find(|engine| engine.as_str() == word).ok_or(UnknownEngine)
    }
}

/// How an engine is tuned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Memory for cached pages and, under fjall, for entries not yet in a table: bytes, at least 4 MiB under fjall.
    /// Default 256 MiB. sled takes it as advice.
    pub cache_bytes: u64,
    /// Size of the segments of sled's file: bytes, a power of two from 256. Default 512 KiB, sled's own.
    pub sled_segment_bytes: usize,
    /// How often sled writes by itself what nobody flushed: milliseconds. Default 500, sled's own. `None`: never, so
    /// that what a kill leaves depends on no clock.
    pub sled_flush_ms: Option<u64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { cache_bytes: 256 << 20, sled_segment_bytes: 512 << 10, sled_flush_ms: Some(500) }
    }
}

impl Engine {
    /// Opens the index in `folder`, or makes one there. One process at a time; the engine locks the folder.
    ///
    /// # Errors
    ///
    /// [`IndexError::Broken`] and [`IndexError::Panicked`]: the folder cannot be opened as it is.
    pub fn open(self, folder: &Path, settings: &Settings) -> Result<Box<dyn Index>, IndexError> {
        Ok(match self {
            Self::Sled => Box::new(sled::SledIndex::open(folder, settings)?),
            Self::Fjall => Box::new(fjall::FjallIndex::open(folder, settings)?),
            Self::Memory => Box::new(memory::MemoryIndex::default()),
        })
    }
}

#[test]
fn an_engine_is_named_by_its_word() {
    for engine in Engine::ALL {
        assert_eq!(engine.as_str().parse(), Ok(*engine));
    }
    assert_eq!("redb".parse::<Engine>(), Err(UnknownEngine));
}
