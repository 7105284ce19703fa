//! The folder in which an engine keeps the index: where it is, what is in it, and how it is given up.
//!
//! Nothing here opens an engine. The index of a store is in `index-N` below the folder it was given; a rebuild takes the
//! next N, so that an engine which still holds the old files open is never in the way. What is given up is kept as
//! `set-aside-N` for whoever wants to know what happened, the newest one only.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Before the number of an index in use.
const INDEX: &str = "index-";
/// Before the number of one that was given up.
const SET_ASIDE: &str = "set-aside-";
/// The file that finds out whether there is room.
const ROOM: &str = "room";
/// So much room an index that had none must find before it is tried again: 16 MiB.
const ROOM_BYTES: usize = 16 << 20;
/// What the file is filled with; not zeros, which some file systems do not store.
const ROOM_CHUNK: [u8; 4 << 10] = [0xA5; 4 << 10];

/// The folder of index number `number` below `dir`.
pub fn folder(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{INDEX}{number}"))
}

/// Renames every index folder below `dir` to `set-aside-N` and removes all of those but the newest. Returns the number
/// to give the next index: it was never used before in what `dir` still shows.
///
/// # Errors
///
/// What the file system says; another call picks up where this one stopped.
pub fn set_aside_all(dir: &Path) -> io::Result<u32> {
    std::fs::create_dir_all(dir)?;
    let (used, mut aside) = (numbers(dir, INDEX)?, numbers(dir, SET_ASIDE)?);
    let last = used.iter().chain(&aside).copied().max().unwrap_or(0);
    for number in used {
        let target = dir.join(format!("{SET_ASIDE}{number}"));
        remove_if_there(&target)?;
        std::fs::rename(folder(dir, number), target)?;
        aside.push(number);
    }
    aside.sort_unstable();
    aside.pop();
    for number in aside {
        remove_if_there(&dir.join(format!("{SET_ASIDE}{number}")))?;
    }
    Ok(last + 1)
}

/// Whether a file of 16 MiB fits beside the indexes below `dir`. Leaves nothing behind. Cost: writes and syncs it.
pub fn has_room(dir: &Path) -> bool {
    let path = dir.join(ROOM);
    let filled = std::fs::File::create(&path).and_then(|mut file| {
        (0..ROOM_BYTES / ROOM_CHUNK.len()).try_for_each(|_| file.write_all(&ROOM_CHUNK))?;
        file.sync_all()
    });
    filled.and(std::fs::remove_file(&path)).is_ok()
}

fn numbers(dir: &Path, name: &str) -> io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let file_name = entry?.file_name();
        numbers.extend(file_name.to_str().and_then(|text| text.strip_prefix(name)?.parse::<u32>().ok()));
    }
    Ok(numbers)
}

fn remove_if_there(dir: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// What is in `folder`, one line a file, in the order of their names: BLAKE3 of the content, size in bytes, path below
/// the folder. Two folders with the same text hold the same bytes. Cost: reads every file once.
///
/// # Errors
///
/// What the file system says; [`io::ErrorKind::NotFound`] if there is no such folder.
pub fn contents(folder: &Path) -> io::Result<String> {
    let mut paths = Vec::new();
    collect(folder, folder, &mut paths)?;
    paths.sort_unstable();
    let mut text = String::new();
    for path in paths {
        let mut hasher = blake3::Hasher::new();
        let size = io::copy(&mut std::fs::File::open(folder.join(&path))?, &mut hasher)?;
        let written = writeln!(text, "{} {size} {path}", hasher.finalize().to_hex());
        written.map_err(io::Error::other)?;
    }
    Ok(text)
}

fn collect(root: &Path, dir: &Path, paths: &mut Vec<String>) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(root, &path, paths)?;
        } else {
            let below = path.strip_prefix(root).unwrap_or(&path);
            paths.push(below.to_string_lossy().into_owned());
        }
    }
    Ok(())
}

#[test]
fn what_is_set_aside_is_kept_once_and_its_number_is_not_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let names = || {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(dir.path()).unwrap() {
            names.push(entry.unwrap().file_name().into_string().unwrap());
        }
        names.sort();
        names
    };
    assert_eq!(set_aside_all(dir.path()).unwrap(), 1);
    for number in 1..4 {
        std::fs::create_dir(folder(dir.path(), number)).unwrap();
        assert_eq!(set_aside_all(dir.path()).unwrap(), number + 1);
        assert_eq!(names(), [format!("set-aside-{number}")]);
    }
}

#[test]
fn the_contents_tell_any_two_folders_apart() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("sub")).unwrap();
    std::fs::write(dir.path().join("sub/a"), b"one").unwrap();
    std::fs::write(dir.path().join("b"), b"two").unwrap();
    let before = contents(dir.path()).unwrap();
    assert_eq!(before, contents(dir.path()).unwrap());
    assert!(before.lines().map(|line| line.rsplit(' ').next().unwrap()).eq(["b", "sub/a"]));
    for (path, content) in [("b", "twO"), ("c", ""), ("b", "")] {
        std::fs::write(dir.path().join(path), content).unwrap();
        assert_ne!(before, contents(dir.path()).unwrap());
    }
}
