//! What one call is going to write: the decision on each record, before anything is written.
//!
//! It reads what is known of an id and gives no stamp; the frames follow from it. Of one id at most one frame comes for
//! each role, however often the call names it.
//!
//! The rule, in both roles: the smaller stamp and the bytewise smaller signatures stay, in whatever order they come, as
//! far as the [`Terms`] allow. Only an erased id takes nothing.

use super::error::{AppendError, ReadError};
use super::merge::{Role, Terms};
use super::read::Lookup;
use super::shared::Shared;
use crate::log::{self, Frame, RecordKind};
use crate::stored;
use model::{Home, Record, RecordId, Signature, Stamp};
use std::collections::{BTreeMap, BTreeSet};

/// What is decided on one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is new, and at this place in the plan.
    Created(usize),
    /// It was known, and is at this place.
    Exists(usize),
    /// It was erased.
    Erased,
    /// It does not fit in a segment.
    TooLarge,
}

/// What is to be written of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Write {
    Nothing,
    Stamp,
    Body,
}

/// An id in one role, as the call leaves it.
#[derive(Debug)]
struct Held {
    role: Role,
    id: RecordId,
    home: Home,
    /// `None` while the clock has to give it one.
    stamp: Option<Stamp>,
    signatures: Vec<Signature>,
    /// The kind and the archive of the body with these signatures, if they are at hand; those of a hint are.
    body: Option<(RecordKind, Vec<u8>)>,
    write: Write,
}

impl Held {
    fn new(record: &Record, role: Role, stamp: Option<Stamp>) -> Result<Self, AppendError> {
        let body = stored::encode(record.envelope()).map_err(AppendError::Archive)?;
        let signatures = record.envelope().signatures().to_vec();
        Ok(Self { role, id: record.id(), home: record.home(), stamp, signatures, body: Some(body), write: Write::Body })
    }

    /// The frame with the body, if that is at hand.
    fn body_frame(&self, stamp: Stamp) -> Option<Frame<'_>> {
        let (kind, archive) = self.body.as_ref()?;
        let record = log::StoredRecord { home: self.home, stamp, kind: *kind, id: self.id, archive };
        Some(match self.role {
            Role::Owned => Frame::Record(record),
            Role::Hint => Frame::Hint(record),
        })
    }

    /// What is to be written, if something is.
    fn frame(&self) -> Option<Frame<'_>> {
        let stamp = self.stamp?;
        match self.write {
            Write::Nothing => None,
            Write::Stamp => Some(Frame::Stamp { home: self.home, stamp, id: self.id }),
            Write::Body => self.body_frame(stamp),
        }
    }

    /// Whether the frame with the body is at most so many bytes long.
    fn fits(&self, bytes_max: usize) -> bool {
        self.body_frame(Stamp::ZERO).is_none_or(|frame| frame.length() <= bytes_max)
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Plan {
    held: Vec<Held>,
    /// Where in `held` an id is.
    places: BTreeMap<(Role, RecordId), usize>,
    /// The ids that have no entry in the index.
    pub(super) unknown: BTreeSet<RecordId>,
    /// The longest frame that the log takes, in bytes.
    frame_bytes_max: usize,
}

impl Plan {
    /// Nothing yet.
    pub(super) fn new(frame_bytes_max: usize) -> Self {
        Self { held: Vec::new(), places: BTreeMap::new(), unknown: BTreeSet::new(), frame_bytes_max }
    }

    /// Decides on a record under the stamp of `terms`, or, if it is new and that is `None`, under one that the clock is to
    /// give.
    pub(super) fn admit(
        &mut self,
        shared: &Shared,
        record: &Record,
        role: Role,
        terms: Terms,
    ) -> Result<Verdict, AppendError> {
        let stamp = terms.stamp;
        if let Some(place) = self.places.get(&(role, record.id())).copied() {
            return self.again(place, record, terms);
        }
        let known = match role {
            Role::Owned => shared.known(&record.id()),
            Role::Hint => shared.known_hint(record.home(), &record.id()),
        };
        match known.map_err(AppendError::Index)? {
            Known::No => {
                if role == Role::Owned {
                    self.unknown.insert(record.id());
                }
                self.add(record, role, stamp, Verdict::Created)
            }
            Known::Gone => self.add(record, role, stamp, Verdict::Created),
            Known::Erased => Ok(Verdict::Erased),
            Known::Sound { stamp: first, signatures, body } => {
                let (id, home, write) = (record.id(), record.home(), Write::Nothing);
                let place = self.keep(Held { role, id, home, stamp: Some(first), signatures, body, write });
                self.again(place, record, terms)
            }
            Known::Damaged { stamp: first } if terms.is_exact(Some(first)) => {
                self.add(record, role, stamp, Verdict::Exists)
            }
            // What the disk lost comes back with the envelope.
            Known::Damaged { stamp: first } => {
                let least = stamp.map_or(first, |stamp| stamp.min(first));
                self.add(record, role, Some(least), Verdict::Exists)
            }
        }
    }

    /// Gives a stamp to every record that has none; `next` is asked in the order of the call.
    ///
    /// # Errors
    ///
    /// The first of `next`.
    pub(super) fn stamp<E>(&mut self, mut next: impl FnMut() -> Result<Stamp, E>) -> Result<(), E> {
        for held in self.held.iter_mut().filter(|held| held.stamp.is_none()) {
            held.stamp = Some(next()?);
        }
        Ok(())
    }

    /// The stamp at a place of the plan.
    pub(super) fn stamp_at(&self, place: usize) -> Stamp {
        self.held.get(place).and_then(|held| held.stamp).unwrap_or_default()
    }

    /// Whether nothing is to be written.
    pub(super) fn is_empty(&self) -> bool {
        self.held.iter().all(|held| held.write == Write::Nothing)
    }

    /// What is to be written, in the order of the call; nothing of a record without a stamp.
    pub(super) fn frames(&self) -> impl Iterator<Item = Frame<'_>> {
        self.held.iter().filter_map(Held::frame)
    }

    /// An id that the plan holds is named again: keeps the smaller stamp and the smaller signatures.
    fn again(&mut self, place: usize, record: &Record, terms: Terms) -> Result<Verdict, AppendError> {
        let Some(held) = self.held.get_mut(place) else { return Ok(Verdict::Exists(place)) };
        if terms.is_exact(held.stamp)
            && (held.stamp != terms.stamp || record.envelope().signatures() != held.signatures.as_slice())
        {
            let exactly = Held::new(record, held.role, terms.stamp)?;
            if exactly.fits(self.frame_bytes_max) {
                *held = exactly;
            }
            return Ok(Verdict::Exists(place));
        }
        match (held.stamp, terms.stamp) {
            (Some(kept), Some(stamp)) if stamp < kept => {
                held.stamp = Some(stamp);
                held.write = if held.body.is_some() { Write::Body } else { Write::Stamp };
            }
            (None, Some(stamp)) => held.stamp = Some(stamp),
            (Some(_) | None, _) => {}
        }
        if !terms.may_change(held.stamp) {
            return Ok(Verdict::Exists(place));
        }
        #[cfg(feature = "planted")]
        if planted::is(planted::Bug::FirstEnvelopeStays) {
            return Ok(Verdict::Exists(place));
        }
        if record.envelope().signatures() < held.signatures.as_slice() {
            let again = Held::new(record, held.role, held.stamp)?;
            if again.fits(self.frame_bytes_max) {
                *held = again;
            }
        }
        Ok(Verdict::Exists(place))
    }

    /// A record that is written, if it fits in a segment.
    fn add(
        &mut self,
        record: &Record,
        role: Role,
        stamp: Option<Stamp>,
        verdict: impl Fn(usize) -> Verdict,
    ) -> Result<Verdict, AppendError> {
        let held = Held::new(record, role, stamp)?;
        Ok(if held.fits(self.frame_bytes_max) { verdict(self.keep(held)) } else { Verdict::TooLarge })
    }

    fn keep(&mut self, held: Held) -> usize {
        let place = self.held.len();
        self.places.insert((held.role, held.id), place);
        self.held.push(held);
        place
    }
}

/// What the store holds of an id in one role.
pub(super) enum Known {
    /// It has no entry.
    No,
    /// It has an entry, and there is no record of it any more.
    Gone,
    Erased,
    Sound {
        stamp: Stamp,
        signatures: Vec<Signature>,
        /// Of a hint.
        body: Option<(RecordKind, Vec<u8>)>,
    },
    Damaged {
        stamp: Stamp,
    },
}

impl Shared {
    fn known(&self, id: &RecordId) -> Result<Known, ReadError> {
        let Some(entry) = self.id_entry_left(id)? else { return Ok(Known::No) };
        if self.dropped(entry.home).takes(&entry) {
            return Ok(Known::Gone);
        }
        let stamp = entry.stamp;
        Ok(match self.lookup_at(id, &entry) {
            Ok(Lookup::Found(record)) => Known::Sound { stamp, signatures: record.signatures(), body: None },
            Ok(Lookup::Erased(_)) => Known::Erased,
            Ok(Lookup::Absent) => Known::Gone,
            Ok(Lookup::Damaged(_)) if entry.erased => Known::Erased,
            Ok(Lookup::Damaged(_)) | Err(ReadError::Archive(_)) => Known::Damaged { stamp },
            Err(error) => return Err(error),
        })
    }

    fn known_hint(&self, home: Home, id: &RecordId) -> Result<Known, ReadError> {
        if self.id_entry(id)?.is_some_and(|entry| entry.erased) {
            return Ok(Known::Erased);
        }
        let Some(entry) = self.hint_entry(home, id)? else { return Ok(Known::No) };
        let stamp = entry.stamp;
        Ok(match self.read_hint(id, &entry)? {
            None => Known::Damaged { stamp },
            Some(kept) => {
                let body = (kept.kind(), kept.archive().to_vec());
                Known::Sound { stamp, signatures: kept.signatures(), body: Some(body) }
            }
        })
    }
}
