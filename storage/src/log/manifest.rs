//! The manifest: which segments make up the log, and how they are chained.
//!
//! A text file that people can read and that ends with its own CRC. It is replaced whole or not at all, and it is never
//! the only place where something stands: segments name themselves, so a lost manifest is made anew from them.

use super::FIRST_VERSION as FIRST;
use super::error::LogError;
use crate::disk::{Disk, DiskFile};
use model::{Stamp, hex};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

/// The name of the file.
pub(super) const MANIFEST: &str = "MANIFEST";
/// The name under which a new one is written.
pub(super) const MANIFEST_NEW: &str = "MANIFEST.tmp";
/// What the first line begins with, before the version.
const TITLE: &str = "stemedb-log-manifest";
/// What the last line begins with, before the CRC of all before it.
const CRC_KEY: &str = "crc32c ";
/// The longest manifest that is read: a million segments.
const BYTES_MAX: u64 = 128 << 20;

/// What is known of a sealed segment without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sealed {
    /// The length of the file in bytes.
    pub(super) length: u32,
    /// Where its last batch begins.
    pub(super) last_at: u32,
    /// The number of its last batch.
    pub(super) last: u64,
    /// The CRC in the header of its last batch: the chain between segments.
    pub(super) chain: u32,
}

/// One segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its generation.
    pub(super) generation: u32,
    /// The number that its first batch has, or had before compaction, or will have.
    pub(super) first: u64,
    /// `None` for the open one.
    pub(super) sealed: Option<Sealed>,
}

/// The whole of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Manifest {
    /// The version of the formats that whoever reads the log must speak.
    pub(super) version: u16,
    /// The store's id.
    pub(super) store: [u8; 16],
    /// The clock's ceiling when the open segment was begun.
    pub(super) ceiling: Stamp,
    /// The greatest stamp of any record in the sealed segments.
    pub(super) greatest_stamp: Stamp,
    /// The segments by number.
    pub(super) segments: BTreeMap<u32, Entry>,
}

/// Why a manifest could not be taken.
#[derive(Debug)]
pub(super) enum ManifestError {
    /// There is none.
    Missing,
    /// It is not what was written.
    Damaged,
    /// Its version is later than any that is spoken here.
    Version(u16),
    /// The disk refused.
    Io(io::Error),
}

impl Manifest {
    /// A manifest of no segments.
    pub(super) fn new(store: [u8; 16]) -> Self {
        Self { version: FIRST, store, ceiling: Stamp::ZERO, greatest_stamp: Stamp::ZERO, segments: BTreeMap::new() }
    }

    fn text(&self) -> String {
        let mut store = String::new();
        self.store.iter().for_each(|byte| store.push_str(&format!("{byte:02x}")));
        let mut text = format!(
            "{TITLE} {}\nstore {store}\nceiling {}\ngreatest_stamp {}\n",
            self.version, self.ceiling, self.greatest_stamp
        );
        for (number, entry) in &self.segments {
            let line = match entry.sealed {
                None => format!("segment {number} {} open {}\n", entry.generation, entry.first),
                Some(Sealed { length, last_at, last, chain }) => format!(
                    "segment {number} {} sealed {} {last} {length} {last_at} {chain:08x}\n",
                    entry.generation, entry.first
                ),
            };
            text.push_str(&line);
        }
        let crc = crc32c::crc32c(text.as_bytes());
        if writeln!(text, "{CRC_KEY}{crc:08x}").is_err() {
            unreachable!("writing to a string does not fail");
        }
        text
    }

    fn parse(bytes: &[u8], version_max: u16) -> Result<Self, ManifestError> {
        let text = std::str::from_utf8(bytes).or(Err(ManifestError::Damaged))?;
        let checked = checked(text).ok_or(ManifestError::Damaged)?;
        let title = checked.lines().next().and_then(|line| line.strip_prefix(TITLE)).map(str::trim);
        match title.and_then(|version| version.parse().ok()) {
            Some(version) if version > version_max => Err(ManifestError::Version(version)),
            Some(version) if version >= FIRST => {
                let manifest = Self::parse_lines(checked).ok_or(ManifestError::Damaged)?;
                Ok(Self { version, ..manifest })
            }
            Some(_) | None => Err(ManifestError::Damaged),
        }
    }

    fn parse_lines(text: &str) -> Option<Self> {
        let mut lines = text.lines().skip(1);
        let mut value = |key: &str| lines.next()?.strip_prefix(key)?.strip_prefix(' ');
        let mut manifest = Self::new(hex::parse(value("store")?)?);
        manifest.ceiling = value("ceiling")?.parse().ok()?;
        manifest.greatest_stamp = value("greatest_stamp")?.parse().ok()?;
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            let (number, entry) = parse_segment(&words)?;
            if manifest.segments.insert(number, entry).is_some() {
                return None;
            }
        }
        Some(manifest)
    }

    /// Reads the manifest of the log in `dir`, if that is of a version up to `version_max`.
    pub(super) fn load(disk: &dyn Disk, dir: &Path, version_max: u16) -> Result<Self, ManifestError> {
        let path = dir.join(MANIFEST);
        let length = match disk.file_length(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(ManifestError::Missing),
            other => other.map_err(ManifestError::Io)?,
        };
        if length > BYTES_MAX {
            return Err(ManifestError::Damaged);
        }
        let mut bytes = vec![0; usize::try_from(length).or(Err(ManifestError::Damaged))?];
        let file = disk.open(&path).map_err(ManifestError::Io)?;
        file.read_exact_at(&mut bytes, 0).map_err(ManifestError::Io)?;
        Self::parse(&bytes, version_max)
    }

    /// Puts this manifest in the place of the one in `dir`, durably. On an error either of them may be there.
    pub(super) fn store(&self, disk: &dyn Disk, dir: &Path) -> io::Result<()> {
        let new = dir.join(MANIFEST_NEW);
        let write = |file: Box<dyn DiskFile>| {
            file.write_all_at(self.text().as_bytes(), 0)?;
            file.sync_all()
        };
        let written = disk.create(&new).and_then(write);
        if written.is_err() {
            // It takes room on a disk that may be full. If this fails too, the next start removes it.
            drop(disk.remove(&new));
        }
        written?;
        disk.rename(&new, &dir.join(MANIFEST))?;
        disk.sync_dir(dir)
    }
}

impl From<ManifestError> for LogError {
    fn from(error: ManifestError) -> Self {
        match error {
            ManifestError::Version(version) => Self::Later { version },
            ManifestError::Io(source) => Self::Io { what: "read the manifest", source },
            ManifestError::Missing => Self::Io { what: "read the manifest", source: io::ErrorKind::NotFound.into() },
            ManifestError::Damaged => Self::Io { what: "read the manifest", source: io::ErrorKind::InvalidData.into() },
        }
    }
}

/// The text before the last line, if that states its CRC.
fn checked(text: &str) -> Option<&str> {
    let crc_at = text.strip_suffix('\n')?.rfind('\n')? + 1;
    let (covered, last) = text.split_at_checked(crc_at)?;
    let stated = last.strip_prefix(CRC_KEY)?.strip_suffix('\n')?;
    (stated == format!("{:08x}", crc32c::crc32c(covered.as_bytes()))).then_some(covered)
}

fn parse_segment(words: &[&str]) -> Option<(u32, Entry)> {
    let (number, generation, first, sealed) = match words {
        ["segment", number, generation, "open", first] => (number, generation, first, None),
        ["segment", number, generation, "sealed", first, last, length, last_at, chain] => {
            let sealed = Sealed {
                length: length.parse().ok()?,
                last_at: last_at.parse().ok()?,
                last: last.parse().ok()?,
                chain: u32::from_str_radix(chain, 16).ok()?,
            };
            (number, generation, first, Some(sealed))
        }
        _ => return None,
    };
    Some((number.parse().ok()?, Entry { generation: generation.parse().ok()?, first: first.parse().ok()?, sealed }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::MemoryDisk;
    use expect_test::expect;

    fn example() -> Manifest {
        let sealed = Sealed { length: 4096, last_at: 4032, last: 12, chain: 0x1a2b };
        let mut manifest = Manifest::new([0xab; 16]);
        manifest.ceiling = Stamp::new(1_785_000_010_000, 0).unwrap();
        manifest.greatest_stamp = Stamp::new(1_785_000_000_000, 3).unwrap();
        manifest.segments.insert(1, Entry { generation: 2, first: 1, sealed: Some(sealed) });
        manifest.segments.insert(2, Entry { generation: 0, first: 13, sealed: None });
        manifest
    }

    #[test]
    fn a_manifest_is_a_text_that_reads_back() {
        let text = example().text();
        expect![[r#"
            stemedb-log-manifest 1
            store abababababababababababababababab
            ceiling 1785000010000.0
            greatest_stamp 1785000000000.3
            segment 1 2 sealed 1 12 4096 4032 00001a2b
            segment 2 0 open 13
            crc32c 245660db
        "#]]
        .assert_eq(&text);
        assert_eq!(Manifest::parse(text.as_bytes(), 1).unwrap(), example());
        let later = Manifest { version: 3, ..example() };
        assert_eq!(Manifest::parse(later.text().as_bytes(), 3).unwrap(), later);
        assert!(matches!(Manifest::parse(later.text().as_bytes(), 2), Err(ManifestError::Version(3))));
    }

    #[test]
    fn no_flipped_bit_and_no_cut_goes_unnoticed() {
        let mut bytes = example().text().into_bytes();
        for cut in 0..bytes.len() {
            assert!(Manifest::parse(&bytes[..cut], 1).is_err());
        }
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Manifest::parse(&bytes, 1).is_err(), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn a_stored_manifest_survives_a_crash() {
        let disk = MemoryDisk::new();
        let dir = Path::new("/wal");
        disk.make_dirs(dir).unwrap();
        example().store(&disk, dir).unwrap();
        disk.crash(crate::disk::Crash::DropUnsynced);
        assert_eq!(Manifest::load(&disk, dir, 1).unwrap(), example());
    }
}
