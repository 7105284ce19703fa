//! Verifying everything: every checksum, every id, every signature, and every entry of the index.
//!
//! It repairs nothing and trusts nothing but the bytes on disk.

use super::error::ReadError;
use super::read::Reader;
use crate::index::IndexError;
use crate::log::{Damage, Frame, Item, Position};
use crate::stored::StoredRecord;
use model::{Envelope, RecordId, acceptance};

/// How many envelopes are verified together.
const BATCH: usize = 512;

/// What [`Reader::verify`] found.
#[derive(Debug, Default)]
pub struct Verified {
    /// Records read; erased and superseded ones that are still in the log, and hints, included.
    pub records: u64,
    /// What of the log is not what was written.
    pub damages: Vec<Damage>,
    /// Records with a sound checksum that are wrong all the same.
    pub wrong: Vec<(Position, RecordId, Fault)>,
    /// Where the index does not say what the log says, if somewhere; it is being rebuilt then.
    pub index: Option<IndexError>,
}

/// What is wrong with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Its archive is not well-formed.
    Archive,
    /// Its content does not hash to its id.
    Id,
    /// The acceptance rule refuses it.
    Signature,
    /// It is in another home than its subject's.
    Home,
}

impl Verified {
    /// Whether everything is as it was written.
    pub fn is_sound(&self) -> bool {
        self.damages.is_empty() && self.wrong.is_empty() && self.index.is_none()
    }
}

impl Reader {
    /// Reads the whole log and verifies it, then compares the index with it. `progress` is told how many frames and
    /// entries were seen so far. Cost: about 15 us a signature, and the reading.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if it could not go on; what is wrong is no error, it is reported.
    pub fn verify(&self, progress: &mut dyn FnMut(u64)) -> Result<Verified, ReadError> {
        let mut verified = Verified::default();
        let mut batch = Vec::with_capacity(BATCH);
        let mut seen = 0;
        self.shared.log.verify(&mut |item| {
            match item {
                Item::Damage(damage) => verified.damages.push(damage),
                Item::Frame(position, Frame::Record(record) | Frame::Hint(record)) => {
                    verified.records += 1;
                    let stored = StoredRecord::new(&record, record.stamp);
                    match stored.map(|stored| (stored.computed_id(), stored.to_envelope())) {
                        Some((Some(id), Some(_))) if id != record.id => {
                            verified.wrong.push((position, record.id, Fault::Id));
                        }
                        Some((Some(_), Some(envelope))) if envelope.body().home() != record.home => {
                            verified.wrong.push((position, record.id, Fault::Home));
                        }
                        Some((Some(_), Some(envelope))) => batch.push((position, record.id, envelope)),
                        _ => verified.wrong.push((position, record.id, Fault::Archive)),
                    }
                }
                Item::Frame(..) => {}
            }
            seen += 1;
            if batch.len() == BATCH {
                verified.wrong.extend(forged(std::mem::take(&mut batch)));
                progress(seen);
            }
        })?;
        verified.wrong.extend(forged(batch));
        progress(seen);
        match self.shared.check_all(&mut |entries| progress(seen + entries)) {
            Ok(()) => {}
            Err(ReadError::Index(error)) => verified.index = Some(error),
            Err(error) => return Err(error),
        }
        Ok(verified)
    }
}

/// Those of a batch that the acceptance rule refuses.
fn forged(batch: Vec<(Position, RecordId, Envelope)>) -> Vec<(Position, RecordId, Fault)> {
    let mut names = Vec::with_capacity(batch.len());
    let mut envelopes = Vec::with_capacity(batch.len());
    for (position, id, envelope) in batch {
        names.push((position, id));
        envelopes.push(envelope);
    }
    let verdicts = acceptance::accept_batch(envelopes).into_iter().zip(names);
    verdicts.filter(|(verdict, _)| verdict.is_err()).map(|(_, (at, id))| (at, id, Fault::Signature)).collect()
}
