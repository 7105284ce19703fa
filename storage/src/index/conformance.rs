//! What every engine must do, run on all of them.

use super::{Batch, Engine, Index, Settings};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

/// Small files, so that a test does not write half a megabyte to keep ten entries.
pub(crate) const SMALL: Settings = Settings { cache_bytes: 4 << 20, sled_segment_bytes: 8 << 10, sled_flush_ms: None };

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn on_every_engine(check: impl Fn(Engine, &Path)) {
    for engine in Engine::ALL {
        let dir = tempfile::tempdir().unwrap();
        check(*engine, &dir.path().join("index"));
    }
}

fn batch(changes: &[(&str, Option<&str>)]) -> Batch {
    let mut batch = Batch::default();
    for (key, value) in changes {
        match value {
            Some(value) => batch.put(key.as_bytes().to_vec(), value.as_bytes().to_vec()),
            None => batch.delete(key.as_bytes().to_vec()),
        }
    }
    batch
}

fn scanned(index: &dyn Index, prefix: &[u8], from: &[u8], most: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    let mut visit = |key: &[u8], value: &[u8]| {
        found.push((key.to_vec(), value.to_vec()));
        if found.len() == most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    index.scan(prefix, from, &mut visit).unwrap();
    found
}

fn everything(index: &dyn Index) -> Model {
    scanned(index, b"", b"", usize::MAX).into_iter().collect()
}

#[test]
fn a_key_holds_what_was_put_there_last() {
    on_every_engine(|engine, folder| {
        let index = engine.open(folder, &SMALL).unwrap();
        index.apply(batch(&[("a", Some("1")), ("b", Some("2")), ("a", Some("3"))])).unwrap();
        assert_eq!(index.get(b"a").unwrap(), Some(b"3".to_vec()), "{engine}");
        index.apply(batch(&[("a", None), ("b", None), ("b", Some(""))])).unwrap();
        assert_eq!(index.get(b"a").unwrap(), None, "{engine}");
        assert_eq!(index.get(b"b").unwrap(), Some(Vec::new()), "{engine}");
        index.apply(Batch::default()).unwrap();
    });
}

#[test]
fn a_scan_stays_in_its_prefix_starts_where_it_is_told_and_stops_when_it_is_told() {
    on_every_engine(|engine, folder| {
        let index = engine.open(folder, &SMALL).unwrap();
        index.apply(batch(&["a", "b", "b\0", "b1", "b2", "b\u{7f}", "c"].map(|key| (key, Some(""))))).unwrap();
        let keys = |prefix: &str, from: &str, most| {
            let entries = scanned(&*index, prefix.as_bytes(), from.as_bytes(), most);
            entries.into_iter().map(|(key, _)| String::from_utf8(key).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(keys("b", "", 9), ["b", "b\0", "b1", "b2", "b\u{7f}"], "{engine}");
        assert_eq!(keys("b", "b1", 2), ["b1", "b2"], "{engine}");
        assert_eq!(keys("b", "a", 1), ["b"], "{engine}");
        assert!(keys("b", "c", 9).is_empty() && keys("d", "", 9).is_empty(), "{engine}");
    });
}

#[test]
fn what_was_flushed_is_there_after_the_folder_was_copied_under_a_running_engine() {
    for engine in [Engine::Sled, Engine::Fjall] {
        let dir = tempfile::tempdir().unwrap();
        let (live, copy) = (dir.path().join("live"), dir.path().join("copy"));
        let index = engine.open(&live, &SMALL).unwrap();
        for round in 0..50 {
            index.apply(batch(&[(&format!("{round}"), Some("x")), (&format!("also {round}"), Some("x"))])).unwrap();
        }
        index.flush().unwrap();
        index.apply(batch(&[("late 1", Some("x")), ("late 2", Some("x"))])).unwrap();
        copy_folder(&live, &copy);
        let found = everything(&*engine.open(&copy, &SMALL).unwrap());
        let late = found.keys().filter(|key| key.starts_with(b"late")).count();
        assert!(late == 0 || late == 2, "{engine}: half a batch");
        assert_eq!(found.len() - late, 100, "{engine}");
    }
}

#[test]
fn a_folder_is_open_once() {
    for engine in [Engine::Sled, Engine::Fjall] {
        let dir = tempfile::tempdir().unwrap();
        let held = engine.open(dir.path(), &SMALL).unwrap();
        engine.open(dir.path(), &SMALL).unwrap_err();
        drop(held);
        engine.open(dir.path(), &SMALL).unwrap();
    }
}

/// Copies a folder and what is in it: what a killed process leaves behind.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn changes() -> impl Strategy<Value = Vec<(Vec<u8>, Option<Vec<u8>>)>> {
    let key = prop::collection::vec(prop::sample::select(vec![0u8, 1, b'a', 255]), 1..4);
    let value = prop::option::of(prop::collection::vec(any::<u8>(), 0..4));
    prop::collection::vec((key, value), 0..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn every_engine_is_an_ordered_map(batches in prop::collection::vec(changes(), 1..12), reopen_at in 0usize..12) {
        for engine in Engine::ALL {
            let dir = tempfile::tempdir().unwrap();
            let mut index = engine.open(dir.path(), &SMALL).unwrap();
            let mut model = Model::new();
            for (number, changes) in batches.iter().enumerate() {
                let mut batch = Batch::default();
                for (key, value) in changes.clone() {
                    match value {
                        Some(value) => {
                            model.insert(key.clone(), value.clone());
                            batch.put(key, value);
                        }
                        None => {
                            model.remove(&key);
                            batch.delete(key);
                        }
                    }
                }
                index.apply(batch).unwrap();
                if number == reopen_at && engine.has_folder() {
                    index.flush().unwrap();
                    drop(index);
                    index = engine.open(dir.path(), &SMALL).unwrap();
                }
                prop_assert_eq!(&everything(&*index), &model);
            }
        }
    }
}
