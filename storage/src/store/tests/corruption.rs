//! An index folder that is damaged, deleted, torn or of another store always ends in a correct index.

use super::super::note::{Condition, Note};
use super::super::{Incoming, RebuildReason, Role, Source};
use super::world::{Expected, World, record};
use crate::disk::Crash;
use crate::index::conformance::copy_folder;
use crate::index::{Engine, folder};
use model::Stamp;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const ENGINES: [Engine; 2] = [Engine::Sled, Engine::Fjall];
/// How many records are in the small store.
const FEW: usize = 12;
/// How many records are kept for others in a store that was killed.
const HINTED: usize = 3;
/// How many are in the one whose bytes are all flipped.
const FEWER: usize = 4;
/// A folder with more bytes would take too long to be tried byte by byte.
const FOLDER_BYTES_MAX: u64 = 8 << 10;

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// A folder whose syncs cost nothing, where the machine has a place for it: the engines sync at each rebuild.
fn in_memory_if_possible() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Every byte below `dir`: its file, relative to `dir`, and where in it.
fn every_byte(dir: &Path) -> Vec<(PathBuf, u64)> {
    let of_one = |path: PathBuf| {
        let length = path.metadata().unwrap().len();
        let file = path.strip_prefix(dir).unwrap().to_path_buf();
        (0..length).map(move |at| (file.clone(), at))
    };
    files(dir).into_iter().flat_map(of_one).collect()
}

/// Turns one bit of the byte at `at`: another one in the next byte. Done twice, nothing has changed.
fn flip(path: &Path, at: u64) {
    let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ (1 << (at % 8))], at).unwrap();
}

/// A store that was closed in order, twice: fjall cuts its preallocated journal down to what is in it when it opens one,
/// so that the folder is small enough for all of its bytes.
fn closed_twice(engine: Engine, dir: &Path) -> World {
    let mut world = World::on(engine, dir);
    world.settings.index.sled_segment_bytes = 2 << 10;
    let world = world.filled(0..FEWER).filled(0..0);
    let bytes = every_byte(dir).len() as u64;
    assert!(bytes < FOLDER_BYTES_MAX, "{engine}: {bytes} bytes are too many to flip each");
    world
}

/// The folder is flipped where it is: a rebuild sets it aside unread, from where it is taken back.
fn every_byte_flipped_after_a_clean_stop_is_found_and_ends_in_a_rebuild(engine: Engine) {
    let dir = in_memory_if_possible();
    let world = closed_twice(engine, dir.path());
    let (index, aside) = (folder::folder(dir.path(), 1), dir.path().join("set-aside-1"));
    for (file, at) in every_byte(&index) {
        flip(&index.join(&file), at);
        let damaged = World { disk: world.disk.fork(), ..world.clone() };
        let (appender, reader, report) = damaged.open();
        let changed = matches!(report.rebuilt, Some(RebuildReason::Changed));
        assert!(changed, "{engine}: {} at {at}: {:?}", file.display(), report.rebuilt);
        Expected::of(0..FEWER, &reader).check(&reader);
        drop((appender, reader));
        fs::remove_dir_all(folder::folder(dir.path(), 2)).unwrap();
        fs::rename(&aside, &index).unwrap();
        flip(&index.join(&file), at);
    }
    let (_appender, _reader, report) = world.open();
    assert!(report.rebuilt.is_none(), "{engine}: what was flipped back is not as it was: {:?}", report.rebuilt);
}

#[test]
fn every_byte_of_sled_flipped_after_a_clean_stop_is_found_and_ends_in_a_rebuild() {
    every_byte_flipped_after_a_clean_stop_is_found_and_ends_in_a_rebuild(Engine::Sled);
}

#[test]
fn every_byte_of_fjall_flipped_after_a_clean_stop_is_found_and_ends_in_a_rebuild() {
    every_byte_flipped_after_a_clean_stop_is_found_and_ends_in_a_rebuild(Engine::Fjall);
}

/// So many bytes are flipped after an unclean stop, evenly spread; the environment variable `STORE_FLIPS` asks for more,
/// up to all of them.
const FLIPS: usize = 200;

fn any_byte_flipped_after_an_unclean_stop_ends_in_a_correct_index(engine: Engine) {
    let most = std::env::var("STORE_FLIPS").ok().and_then(|flips| flips.parse().ok()).unwrap_or(FLIPS);
    let dir = in_memory_if_possible();
    let world = killed(engine, &dir.path().join("killed"));
    let copy = dir.path().join("copy");
    let bytes = every_byte(&world.db_dir);
    for (file, at) in bytes.iter().step_by(bytes.len().div_ceil(most)) {
        copy_folder(&world.db_dir, &copy);
        flip(&copy.join(file), *at);
        let damaged = World { db_dir: copy.clone(), disk: world.disk.fork(), ..world.clone() };
        let (mut appender, reader, report) = damaged.open();
        assert!(!report.checking);
        let expected = Expected::of(0..FEW, &reader);
        assert_eq!(expected.hints.len(), HINTED);
        expected.check(&reader);
        assert!(reader.verify(&mut |_| {}).unwrap().is_sound());
        appender.append(vec![record(FEW)], damaged.wall_ms).unwrap();
        Expected::of(0..FEW + 1, &reader).check(&reader);
        drop((appender, reader));
        fs::remove_dir_all(&copy).unwrap();
    }
}

#[test]
fn any_byte_of_sled_flipped_after_an_unclean_stop_ends_in_a_correct_index() {
    any_byte_flipped_after_an_unclean_stop_ends_in_a_correct_index(Engine::Sled);
}

#[test]
fn any_byte_of_fjall_flipped_after_an_unclean_stop_ends_in_a_correct_index() {
    any_byte_flipped_after_an_unclean_stop_ends_in_a_correct_index(Engine::Fjall);
}

#[test]
fn a_panic_of_fjall_while_it_opens_is_a_rebuild_and_does_not_end_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let world = killed(Engine::Fjall, &dir.path().join("killed"));
    // How many levels fjall's own keyspace has: on another number it panics with a lock held, which poisons its drop.
    flip(&folder::folder(&world.db_dir, 1).join("keyspaces/0/v2"), 10);
    let (_appender, reader, report) = world.open();
    assert!(matches!(report.rebuilt, Some(RebuildReason::Failed(_))), "{:?}", report.rebuilt);
    Expected::of(0..FEW, &reader).check(&reader);
}

/// Some changed bytes make an engine ask for more memory than there is, which no process survives. So the note says
/// `trying` while an engine opens what a crash left, and who finds it so does not try again.
#[test]
fn an_index_that_ended_the_process_while_it_was_opened_is_not_opened_again() {
    for engine in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let world = killed(engine, &dir.path().join("killed"));
        let left = Note::read(&world.disk, Path::new("/wal")).unwrap().unwrap();
        assert_eq!(left.condition, Condition::Open);
        Note { condition: Condition::Trying, ..left }.write(&world.disk, Path::new("/wal")).unwrap();
        let (appender, reader, report) = world.open();
        assert!(matches!(report.rebuilt, Some(RebuildReason::EndedTheProcess)), "{:?}", report.rebuilt);
        Expected::of(0..FEW, &reader).check(&reader);
        drop((appender, reader));
        let noted = Note::read(&world.disk, Path::new("/wal")).unwrap().unwrap();
        assert_eq!(noted.condition, Condition::Open, "the next kill is no reason to rebuild");
    }
}

/// A store that was killed: part of its index is of an earlier run, part was flushed, part was not.
fn killed(engine: Engine, copy: &Path) -> World {
    let dir = tempfile::tempdir().unwrap();
    let world = World::on(engine, dir.path()).filled(0..FEW / 3);
    let (mut appender, reader, _) = world.open();
    for n in FEW / 3..FEW {
        appender.append(vec![record(n)], world.wall_ms).unwrap();
        if n == FEW / 3 * 2 {
            reader.shared.with_index(|index| Ok(index.flush()?)).unwrap();
        }
    }
    let hint = |n: usize| Incoming {
        record: record(n),
        stamp: Stamp::from_bits(1 + n as u64),
        role: Role::Hint,
        source: Source::Other,
    };
    appender.merge((0..HINTED + 1).map(hint).collect(), world.wall_ms).unwrap();
    appender.discharge(vec![(record(0).home(), record(0).id())]).unwrap();
    copy_folder(dir.path(), copy);
    let disk = world.disk.fork();
    disk.crash(Crash::KeepAll);
    World { disk, db_dir: copy.to_path_buf(), ..world }
}

#[test]
fn a_killed_store_opens_with_the_index_it_has() {
    for engine in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let world = killed(engine, &dir.path().join("killed"));
        let (_appender, reader, report) = world.open();
        assert!(report.rebuilt.is_none(), "{engine}: {:?}", report.rebuilt);
        assert!(!report.recovery.clean && !report.checking);
        let expected = Expected::of(0..FEW, &reader);
        assert_eq!(expected.hints.len(), HINTED);
        expected.check(&reader);
    }
}

#[test]
fn a_check_that_is_not_finished_before_the_stop_is_done_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = killed(Engine::Sled, &dir.path().join("killed"));
    world.settings.open_frames_max = 1;
    for _ in 0..2 {
        let (appender, _, report) = world.open();
        assert!(report.checking && report.rebuilt.is_none());
        appender.seal().unwrap();
    }
}

#[test]
fn a_deleted_folder_or_file_is_a_rebuild() {
    for engine in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let world = World::on(engine, &dir.path().join("clean")).filled(0..FEW);
        for file in files(&world.db_dir).into_iter().map(Some).chain([None]) {
            let copy = dir.path().join("copy");
            copy_folder(&world.db_dir, &copy);
            match &file {
                Some(file) => fs::remove_file(copy.join(file.strip_prefix(&world.db_dir).unwrap())).unwrap(),
                None => fs::remove_dir_all(&copy).unwrap(),
            }
            let damaged = World { db_dir: copy.clone(), disk: world.disk.fork(), ..world.clone() };
            let (appender, reader, report) = damaged.open();
            assert!(report.rebuilt.is_some(), "{engine}: {file:?}");
            Expected::of(0..FEW, &reader).check(&reader);
            drop((appender, reader));
            fs::remove_dir_all(copy).unwrap();
        }
    }
}

#[test]
fn an_index_that_reflects_more_than_the_log_holds_is_a_rebuild() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::on(Engine::Sled, dir.path());
    let (mut appender, reader, _) = world.open();
    appender.append(vec![record(0)], world.wall_ms).unwrap();
    let earlier = world.disk.fork();
    earlier.crash(Crash::KeepAll);
    appender.append(vec![record(1)], world.wall_ms).unwrap();
    reader.shared.with_index(|index| Ok(index.flush()?)).unwrap();
    drop((appender, reader));
    let (_appender, reader, report) = World { disk: earlier, ..world }.open();
    assert!(matches!(report.rebuilt, Some(RebuildReason::AheadOfLog)), "{:?}", report.rebuilt);
    Expected::of(0..1, &reader).check(&reader);
}
