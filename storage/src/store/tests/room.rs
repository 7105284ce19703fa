//! An index engine whose disk is full: nothing is given up before there is room to rebuild it.

use super::super::summary::about;
use super::super::{AppendError, Lookup, ReadError, State};
use super::world::{Expected, RECORDS, World, question, record, records, settle};
use crate::index::{Batch, Engine, Index, IndexError, Settings, Visit};
use model::Stamp;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// An index in memory whose disk is full while `full`; once it met that, it takes nothing any more if it `sulks`.
#[derive(Debug)]
struct Cramped {
    inner: Box<dyn Index>,
    full: Arc<AtomicBool>,
    sulks: bool,
    met: AtomicBool,
}

impl Cramped {
    fn write(&self) -> Result<(), IndexError> {
        if self.full.load(Ordering::SeqCst) || (self.sulks && self.met.load(Ordering::SeqCst)) {
            self.met.store(true, Ordering::SeqCst);
            let source = Box::new(io::Error::from(io::ErrorKind::StorageFull));
            return Err(IndexError::Broken { engine: Engine::Memory, doing: "write", source });
        }
        Ok(())
    }
}

impl Index for Cramped {
    fn apply(&self, batch: Batch) -> Result<(), IndexError> {
        self.write()?;
        self.inner.apply(batch)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError> {
        self.inner.get(key)
    }

    fn scan(&self, prefix: &[u8], from: &[u8], visit: &mut Visit<'_>) -> Result<(), IndexError> {
        self.inner.scan(prefix, from, visit)
    }

    fn flush(&self) -> Result<(), IndexError> {
        self.write()?;
        self.inner.flush()
    }
}

#[test]
fn an_index_without_room_answers_by_id_and_catches_up_when_there_is_some() {
    for sulks in [false, true] {
        let world = World::new();
        let (mut appender, reader, _) = world.open();
        let full = Arc::new(AtomicBool::new(false));
        let inner = Engine::Memory.open(Path::new("unused"), &Settings::default()).unwrap();
        let (key, value) = about(Engine::Memory, reader.store_id(), &world.set_key);
        let mut batch = Batch::default();
        batch.put(key, value);
        inner.apply(batch).unwrap();
        let (met, shared) = (AtomicBool::new(false), Arc::clone(&reader.shared));
        reader.shared.put(Box::new(Cramped { inner, full: Arc::clone(&full), sulks, met }));
        let mut expected = Expected::default();
        expected.note(&[0, 1, 2], &appender.append(records(0..3), world.wall_ms).unwrap());
        full.store(true, Ordering::SeqCst);
        assert!(matches!(appender.append(records(3..6), world.wall_ms), Err(AppendError::Index(_))));
        assert!(matches!(reader.state(), State::Rebuilding { ids_known: true, .. }));
        assert!(matches!(reader.get(&record(1).id()).unwrap(), Lookup::Found(_)));
        assert!(matches!(appender.append(records(6..7), world.wall_ms), Err(AppendError::Rebuilding(_))));
        let asked = question(0);
        let waits = reader.claims(&asked.subject, &asked.predicate, Stamp::MAX, 99, u64::MAX);
        assert!(matches!(waits, Err(ReadError::Rebuilding(_))));
        assert!(shared.lacks_room());
        full.store(false, Ordering::SeqCst);
        settle(&mut appender.maintenance());
        assert_eq!((reader.state(), shared.lacks_room()), (State::Ready, false));
        expected.check_at_least(&reader);
        assert!(reader.verify(&mut |_| {}).unwrap().is_sound());
        appender.append(records(3..RECORDS), world.wall_ms).unwrap();
        Expected::of(0..RECORDS, &reader).check(&reader);
    }
}
