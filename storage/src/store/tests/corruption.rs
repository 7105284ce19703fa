//! An index folder that is damaged, deleted, torn or of another store always ends in a correct index.

use super::super::RebuildReason;
use super::world::{Expected, World, record};
use crate::disk::Crash;
use crate::index::Engine;
use crate::index::conformance::copy_folder;
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const ENGINES: [Engine; 2] = [Engine::Sled, Engine::Fjall];
/// How many records are in the small store.
const FEW: usize = 12;

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// About so many bytes are tried, spread over the files by their size; the environment variable `STORE_FLIPS` asks for
/// more, up to every byte.
const FLIPS: usize = 24;
/// A file that is zero up to its end is tried so far into the zeros.
const ZEROS: usize = 64;

/// Which bytes of which files are flipped: some of each file, its first and its last.
fn places(dir: &Path) -> Vec<(PathBuf, usize)> {
    let most = std::env::var("STORE_FLIPS").ok().and_then(|flips| flips.parse().ok()).unwrap_or(FLIPS);
    let mut lengths = Vec::new();
    for path in files(dir) {
        let content = fs::read(&path).unwrap();
        let filled = content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + ZEROS);
        lengths.push((path.strip_prefix(dir).unwrap().to_path_buf(), filled.min(content.len()), content.len()));
    }
    let stride = lengths.iter().map(|(_, filled, _)| filled).sum::<usize>().div_ceil(most);
    let of_one = |(path, filled, length): (PathBuf, usize, usize)| {
        let places: BTreeSet<usize> = (0..filled).step_by(stride).chain(length.checked_sub(1)).collect();
        places.into_iter().map(move |at| (path.clone(), at))
    };
    lengths.into_iter().flat_map(of_one).collect()
}

fn flip(path: &Path, at: usize) {
    let mut file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.seek(SeekFrom::Start(at as u64)).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(SeekFrom::Start(at as u64)).unwrap();
    file.write_all(&[byte[0] ^ (1 << (at % 8))]).unwrap();
}

#[test]
fn any_flipped_byte_after_a_clean_stop_is_found_and_ends_in_a_rebuild() {
    for engine in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let world = World::on(engine, &dir.path().join("clean")).filled(0..FEW);
        for (number, (file, at)) in places(&world.db_dir).into_iter().enumerate() {
            let copy = dir.path().join(format!("copy-{number}"));
            copy_folder(&world.db_dir, &copy);
            flip(&copy.join(&file), at);
            let damaged = World { db_dir: copy.clone(), disk: world.disk.fork(), ..world.clone() };
            let (appender, reader, report) = damaged.open();
            let changed = matches!(report.rebuilt, Some(RebuildReason::Changed));
            assert!(changed, "{engine}: {} at {at}: {:?}", file.display(), report.rebuilt);
            Expected::of(0..FEW, &reader).check(&reader);
            drop((appender, reader));
            fs::remove_dir_all(copy).unwrap();
        }
    }
}

#[test]
fn any_flipped_byte_after_an_unclean_stop_ends_in_a_correct_index() {
    for engine in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let world = killed(engine, &dir.path().join("killed"));
        for (number, (file, at)) in places(&world.db_dir).into_iter().enumerate() {
            let copy = dir.path().join(format!("copy-{number}"));
            copy_folder(&world.db_dir, &copy);
            flip(&copy.join(&file), at);
            let damaged = World { db_dir: copy.clone(), disk: world.disk.fork(), ..world.clone() };
            let (mut appender, reader, report) = damaged.open();
            assert!(!report.checking);
            Expected::of(0..FEW, &reader).check(&reader);
            assert!(reader.verify(&mut |_| {}).unwrap().is_sound());
            appender.append(vec![record(FEW)], damaged.wall_ms).unwrap();
            Expected::of(0..FEW + 1, &reader).check(&reader);
            drop((appender, reader));
            fs::remove_dir_all(copy).unwrap();
        }
    }
}

/// A store that was killed: part of its index was flushed, part was not.
fn killed(engine: Engine, copy: &Path) -> World {
    let dir = tempfile::tempdir().unwrap();
    let world = World::on(engine, dir.path());
    let (mut appender, reader, _) = world.open();
    for n in 0..FEW {
        appender.append(vec![record(n)], world.wall_ms).unwrap();
        if n == FEW / 2 {
            reader.shared.with_index(|index| Ok(index.flush()?)).unwrap();
        }
    }
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
        Expected::of(0..FEW, &reader).check(&reader);
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
