//! The note on the index folder: the file `INDEX` beside the log's manifest.
//!
//! It says which folder holds the index and, after a clean stop, what every file in it contains, so that a flipped byte is
//! found before an engine sees it. The list of contents is gone, durably, before the index is opened for writing. The
//! note is only ever a reason to rebuild, never a source of anything.
//!
//! A folder that was not closed in order is marked `trying` before an engine sees it: bytes that changed may make an
//! engine end the process, and then the next start rebuilds instead of trying again.
//!
//! Lines of text: `stemedb-index 1`, `engine sled`, `store <32 hex>`, `number N`, then `open`, or `trying`, or `clean` and
//! one line a file as [`crate::index::folder::contents`] prints them; at last `end <64 hex>`, the BLAKE3 of all lines before it.

use crate::disk::Disk;
use crate::index::Engine;
use std::fmt;
use std::io;
use std::path::Path;

/// The first line, with the version of the form.
const TITLE: &str = "stemedb-index 1";
/// The name of the file.
const NAME: &str = "INDEX";
/// The name under which it is written.
const TEMPORARY: &str = "INDEX.new";
/// A longer note is no note: room for about 200,000 files.
const BYTES_MAX: u64 = 32 << 20;

/// What is known of the index folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Note {
    /// The engine that wrote it.
    pub(super) engine: Engine,
    /// The store whose log it reflects.
    pub(super) store: [u8; 16],
    /// The number of the folder.
    pub(super) number: u32,
    /// How it was left.
    pub(super) condition: Condition,
}

/// How an index folder was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    /// In use, or after a crash.
    Open,
    /// Being opened after a crash; what came of it nobody noted.
    Trying,
    /// Closed in order, with these contents.
    Clean(String),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let store = u128::from_be_bytes(self.store);
        writeln!(f, "{TITLE}\nengine {}\nstore {store:032x}\nnumber {}", self.engine, self.number)?;
        match &self.condition {
            Condition::Open => writeln!(f, "open"),
            Condition::Trying => writeln!(f, "trying"),
            Condition::Clean(contents) => write!(f, "clean\n{contents}"),
        }
    }
}

impl Note {
    /// Reads the note in `dir`; `None` if there is none or it is not as it was written.
    ///
    /// # Errors
    ///
    /// What the disk says.
    pub(super) fn read(disk: &dyn Disk, dir: &Path) -> io::Result<Option<Self>> {
        let file = match disk.open(&dir.join(NAME)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let length = file.length()?;
        if length > BYTES_MAX {
            return Ok(None);
        }
        let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(str::from_utf8(&bytes).ok().and_then(Self::parse))
    }

    fn parse(text: &str) -> Option<Self> {
        let (body, end) = text.split_at_checked(text.rfind("end ")?)?;
        if end != ending(body) {
            return None;
        }
        let (head, state) = body.match_indices('\n').nth(3).and_then(|(at, _)| body.split_at_checked(at + 1))?;
        let mut lines = head.lines();
        let mut field = |name: &str| lines.next()?.strip_prefix(name);
        field(TITLE).filter(|rest| rest.is_empty())?;
        let engine = field("engine ")?.parse().ok()?;
        let store = u128::from_str_radix(field("store ")?, 16).ok()?.to_be_bytes();
        let number = field("number ")?.parse().ok()?;
        let condition = match state {
            "open\n" => Condition::Open,
            "trying\n" => Condition::Trying,
            _ => Condition::Clean(state.strip_prefix("clean\n")?.to_owned()),
        };
        Some(Self { engine, store, number, condition })
    }

    /// Writes the note, durably, in place of the one before.
    ///
    /// # Errors
    ///
    /// What the disk says; then the note of before may still stand.
    pub(super) fn write(&self, disk: &dyn Disk, dir: &Path) -> io::Result<()> {
        let body = self.to_string();
        let text = format!("{body}{}", ending(&body));
        let temporary = dir.join(TEMPORARY);
        let file = disk.create(&temporary)?;
        file.write_all_at(text.as_bytes(), 0)?;
        file.sync_all()?;
        disk.rename(&temporary, &dir.join(NAME))?;
        disk.sync_dir(dir)
    }
}

fn ending(body: &str) -> String {
    format!("end {}\n", blake3::hash(body.as_bytes()).to_hex())
}

#[test]
fn a_note_reads_back_and_no_changed_one_does() {
    let clean = |contents: &str| Condition::Clean(contents.to_owned());
    for condition in [Condition::Open, Condition::Trying, clean(""), clean("ab 3 file\ncd 4 friend end\n")] {
        let note = Note { engine: Engine::Fjall, store: [7; 16], number: 12, condition };
        let body = note.to_string();
        let text = format!("{body}{}", ending(&body));
        assert_eq!(Note::parse(&text), Some(note));
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] ^= 1;
            assert_eq!(str::from_utf8(&changed).ok().and_then(Note::parse), None, "byte {at}");
            assert_eq!(Note::parse(&text[..at]), None);
        }
    }
}
