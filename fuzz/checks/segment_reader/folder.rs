//! The folder of a log that the fuzzer's bytes describe.
//!
//! The first byte says what to begin with, the second what to do with it, and the rest is either a segment or a list of
//! edits, six bytes each. Nothing here judges the result.

use super::{Files, forge};
use std::path::Path;
use std::sync::OnceLock;
use storage::disk::{Disk, MemoryDisk};
use storage::log::{FIRST_VERSION, Log, Position, Settings};

/// Where the log is.
pub(super) const DIR: &str = "/wal";
/// The id of the store, as in the fixture.
pub(super) const STORE: [u8; 16] = [7; 16];
/// Segments as short as they may be, as in the fixture.
pub(super) const SETTINGS: Settings =
    Settings { segment_bytes_max: 1024, batch_bytes_max: 700, version_max: FIRST_VERSION };
/// The longest file in bytes that an edit makes.
const FILE_BYTES_MAX: usize = 4096;
/// How long one edit is.
const EDIT: usize = 6;
/// How many bytes an edit copies or clears.
const RUN: usize = 48;
const MANIFEST: &str = "MANIFEST";

/// All CRCs of the segments are made right.
const RIGHT_CRCS: u8 = 1;
/// There is no manifest.
const NO_MANIFEST: u8 = 2;
/// A lone segment is a compacted one.
const COMPACTED: u8 = 4;
/// A lone segment is filled with zeros to its full length.
const FULL_LENGTH: u8 = 8;
/// The CRC of the manifest is made right.
const RIGHT_MANIFEST: u8 = 16;
/// Sealed segments are compacted while the log is open.
const COMPACTS: u8 = 32;

/// A log that the first release wrote, with a frame of every type.
const FIXTURE: [(&str, &[u8]); 5] = [
    (MANIFEST, include_bytes!("../../../storage/fixtures/log-v1/MANIFEST")),
    ("0000000001-0001.log", include_bytes!("../../../storage/fixtures/log-v1/0000000001-0001.log")),
    ("0000000002-0000.log", include_bytes!("../../../storage/fixtures/log-v1/0000000002-0000.log")),
    ("0000000003-0000.log", include_bytes!("../../../storage/fixtures/log-v1/0000000003-0000.log")),
    ("0000000004-0000.log", include_bytes!("../../../storage/fixtures/log-v1/0000000004-0000.log")),
];

/// What the fuzzer's bytes ask for.
pub(super) struct Plan<'a> {
    begin: u8,
    flags: u8,
    rest: &'a [u8],
}

impl<'a> Plan<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        match bytes {
            [begin, flags, rest @ ..] => Self { begin: *begin, flags: *flags, rest },
            _ => Self { begin: 0, flags: 0, rest: bytes },
        }
    }

    /// Whether sealed segments are to be compacted.
    pub(super) fn compacts(&self) -> bool {
        self.has(COMPACTS)
    }

    /// Places to read at: positions and lengths.
    pub(super) fn places(&self) -> impl Iterator<Item = (Position, u32)> {
        self.rest.chunks_exact(4).filter_map(|chunk| {
            let [a, b, c, d] = *chunk.first_chunk()?;
            let at = u32::from(u16::from_le_bytes([a, b]) & 0x0fff);
            Some((Position { segment: u32::from(b >> 5), at }, u32::from(u16::from_le_bytes([c, d]))))
        })
    }

    /// A disk with the folder on it, durably.
    pub(super) fn disk(&self) -> MemoryDisk {
        let mut files = match self.begin % 4 {
            0 => self.lone(Vec::new()),
            1 => self.lone(forge::segment_header(1, u32::from(self.has(COMPACTED))).to_vec()),
            2 => self.edited(FIXTURE.map(|(name, bytes)| (name.to_owned(), bytes.to_vec())).into()),
            _ => self.edited(crashed().clone()),
        };
        if self.has(NO_MANIFEST) {
            files.remove(MANIFEST);
        }
        if let Some(manifest) = files.get_mut(MANIFEST).filter(|_| self.has(RIGHT_MANIFEST)) {
            forge::right_manifest(manifest);
        }
        if self.has(RIGHT_CRCS) {
            files.iter_mut().filter(|(name, _)| *name != MANIFEST).for_each(|(_, bytes)| forge::right_crcs(bytes));
        }
        disk_of(&files)
    }

    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// One segment that begins with `bytes`, and no manifest.
    fn lone(&self, mut bytes: Vec<u8>) -> Files {
        bytes.extend_from_slice(self.rest);
        if self.has(FULL_LENGTH) {
            bytes.resize(bytes.len().max(SETTINGS.segment_bytes_max as usize), 0);
        }
        let name = if self.has(COMPACTED) { "0000000001-0001.log" } else { "0000000001-0000.log" };
        Files::from([(name.to_owned(), bytes)])
    }

    /// `files`, edited.
    fn edited(&self, mut files: Files) -> Files {
        for edit in self.rest.chunks_exact(EDIT).filter_map(|edit| edit.first_chunk().copied()) {
            let [file, operation, a, b, c, d]: [u8; EDIT] = edit;
            let name = files.keys().nth(usize::from(file) % files.len().max(1)).cloned();
            let Some((name, bytes)) = name.and_then(|name| files.get_mut(&name).map(|bytes| (name.clone(), bytes)))
            else {
                return files;
            };
            let (at, value) = (usize::from(u16::from_le_bytes([a, b])), [c, d]);
            match operation % 8 {
                7 => drop(files.remove(&name)),
                operation => edit_file(bytes, operation, at % (bytes.len() + 1), value),
            }
        }
        files
    }
}

/// Does one operation on a file.
fn edit_file(bytes: &mut Vec<u8>, operation: u8, at: usize, value: [u8; 2]) {
    let number = u16::from_le_bytes(value);
    let source = usize::from(number) % (bytes.len() + 1);
    let run = |from: usize| bytes.get(from..).unwrap_or_default().iter().copied().take(RUN).collect();
    let written: Vec<u8> = match operation {
        0 => bytes.get(at).map(|byte| byte ^ value[0]).into_iter().collect(),
        1 => vec![value[0]],
        2 => i32::from(number.cast_signed()).to_le_bytes().to_vec(),
        3 => run(source),
        4 => vec![0; source.min(RUN)],
        5 => {
            bytes.truncate(at);
            return;
        }
        _ => {
            let inserted: Vec<u8> = run(source);
            bytes.splice(at..at, inserted);
            bytes.truncate(FILE_BYTES_MAX);
            return;
        }
    };
    bytes.iter_mut().skip(at).zip(written).for_each(|(slot, byte)| *slot = byte);
}

/// The fixture after three more appends and a crash.
fn crashed() -> &'static Files {
    static CRASHED: OnceLock<Files> = OnceLock::new();
    CRASHED.get_or_init(|| {
        let disk = disk_of(&FIXTURE.map(|(name, bytes)| (name.to_owned(), bytes.to_vec())).into());
        let Ok((mut log, _)) = super::open(&disk) else { panic!("the fixture opens") };
        for _ in 0..3 {
            assert!(log.append(&[super::record()]).is_ok(), "the fixture takes a record");
        }
        drop::<Log>(log);
        read(&disk)
    })
}

fn disk_of(files: &Files) -> MemoryDisk {
    let disk = MemoryDisk::new();
    let dir = Path::new(DIR);
    let write = || {
        disk.make_dirs(dir)?;
        for (name, bytes) in files {
            let file = disk.create(&dir.join(name))?;
            file.write_all_at(bytes, 0)?;
            file.sync_all()?;
        }
        disk.sync_dir(dir)
    };
    let written: std::io::Result<()> = write();
    assert!(written.is_ok(), "a disk in memory takes files");
    disk
}

/// The segments and the manifest on `disk`.
pub(super) fn read(disk: &MemoryDisk) -> Files {
    let read = |name: String| {
        let file = disk.open(&Path::new(DIR).join(&name))?;
        let mut bytes = vec![0; usize::try_from(file.length()?).unwrap_or_default()];
        file.read_exact_at(&mut bytes, 0)?;
        Ok((name, bytes))
    };
    let names = disk.list(Path::new(DIR)).unwrap_or_default();
    let names = names.into_iter().filter(|name| name == MANIFEST || name.ends_with(".log"));
    let files: std::io::Result<Files> = names.map(read).collect();
    files.unwrap_or_else(|error| panic!("a disk in memory gives files back: {error}"))
}
