//! Each seed in two processes: their full logs must be the same bytes, or else a seed replays nothing.

use super::arguments::Arguments;
use crate::scenario::Scenario;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The longest part of a differing line that is shown, in characters.
const SHOWN_MAX: usize = 400;

/// Compares the logs of two runs of each seed; whether all were the same. Says of the first that differ where they do,
/// and leaves their logs in the folder for temporary files.
pub(super) fn compare(scenario: &Scenario, arguments: &Arguments) -> io::Result<bool> {
    for seed in arguments.seeds.iter() {
        let files = [1, 2].map(|run| log_of(scenario, seed, run));
        let [one, two] = &files;
        let (mut first, mut second) = (start(scenario, seed, one)?, start(scenario, seed, two)?);
        let (first, second) = (first.wait()?, second.wait()?);
        if first.code() == Some(2) || second.code() == Some(2) {
            return Err(io::Error::other(format!("seed {seed} did not run")));
        }
        match difference(one, two)? {
            Some(found) => {
                eprintln!("{}, seed {seed}: {found}", scenario.name);
                eprintln!("  the logs: {} {}", one.display(), two.display());
                return Ok(false);
            }
            None => eprintln!("{}, seed {seed}: {} bytes, twice the same", scenario.name, fs::metadata(one)?.len()),
        }
        files.iter().try_for_each(fs::remove_file)?;
    }
    Ok(true)
}

fn log_of(scenario: &Scenario, seed: u64, run: u32) -> PathBuf {
    std::env::temp_dir().join(format!("sim-{}-{}-{seed}-{run}.log", std::process::id(), scenario.name))
}

/// A process that runs one seed and writes its log to `file`.
fn start(scenario: &Scenario, seed: u64, file: &Path) -> io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .args(["--scenario", scenario.name, "--seeds", &seed.to_string(), "--trace"])
        .arg(file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

/// The first line in which two logs differ, if there is one.
fn difference(one: &Path, two: &Path) -> io::Result<Option<String>> {
    let (mut one, mut two) = (BufReader::new(File::open(one)?), BufReader::new(File::open(two)?));
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for line in 1_u64.. {
        left.clear();
        right.clear();
        let read = [one.read_until(b'\n', &mut left)?, two.read_until(b'\n', &mut right)?];
        if left != right {
            return Ok(Some(format!("line {line} differs\n  {}\n  {}", shown(&left), shown(&right))));
        }
        if read == [0, 0] {
            return Ok(None);
        }
    }
    Ok(None)
}

fn shown(line: &[u8]) -> String {
    match line {
        [] => "(the end)".to_owned(),
        line => String::from_utf8_lossy(line).trim_end().chars().take(SHOWN_MAX).collect(),
    }
}

#[test]
fn the_first_line_that_differs_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let (one, same) = (file("one", "a\nb\n"), file("same", "a\nb\n"));
    assert_eq!(difference(&one, &same).unwrap(), None);
    let found = |text: &str| difference(&one, &file("other", text)).unwrap().unwrap();
    assert_eq!(found("a\nc\n"), "line 2 differs\n  b\n  c");
    assert_eq!(found("a\n"), "line 2 differs\n  b\n  (the end)");
}
