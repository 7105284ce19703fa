//! A stored record: the rkyv archive behind a `record` frame, read in place.
//!
//! The archive is checked once when it is read, its structure and the limits of the format; nothing here computes an id
//! over it, since many archives decode to one record.

use crate::log::{self, RecordKind};
use model::record::{
    ArchivedSignedAlias, ArchivedSignedAssertion, ArchivedSignedOpaque, ArchivedSignedVote, Authors, Opaque,
    SignedAlias, SignedAssertion, SignedOpaque, SignedVote,
};
use model::{Body, Envelope, Home, RecordId, Signature, Stamp, canonical};
use rkyv::rancor::Error;

/// The kind and the archive of an envelope.
///
/// # Errors
///
/// Only what the allocator says: every envelope has an archive.
pub fn encode(envelope: &Envelope) -> Result<(RecordKind, Vec<u8>), Error> {
    let signatures = envelope.signatures().to_vec();
    match envelope.body() {
        Body::Assertion(assertion) => {
            let signed = SignedAssertion { assertion: assertion.as_ref().clone(), signatures };
            Ok((RecordKind::Assertion, rkyv::api::high::to_bytes_in(&signed, Vec::new())?))
        }
        Body::Vote(vote) => {
            let signed = SignedVote { vote: vote.as_ref().clone(), signatures };
            Ok((RecordKind::Vote, rkyv::api::high::to_bytes_in(&signed, Vec::new())?))
        }
        Body::Alias(alias) => {
            let signed = SignedAlias { alias: alias.as_ref().clone(), signatures };
            Ok((RecordKind::Alias, rkyv::api::high::to_bytes_in(&signed, Vec::new())?))
        }
        Body::Opaque(opaque) => {
            let Opaque { authors, canonical, .. } = opaque.as_ref().clone();
            let signed = SignedOpaque { authors, canonical, signatures };
            Ok((RecordKind::Opaque, rkyv::api::high::to_bytes_in(&signed, Vec::new())?))
        }
    }
}

/// A record as it came from the log, with its stamp. Its archive is well-formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    id: RecordId,
    home: Home,
    stamp: Stamp,
    kind: RecordKind,
    archive: Vec<u8>,
}

impl StoredRecord {
    /// Takes what a frame holds; `stamp` is the one that counts now, which may differ from the frame's. `None` if the
    /// archive is not well-formed. Cost: one pass over the archive, about 100 ns, and a copy.
    pub fn new(record: &log::StoredRecord<'_>, stamp: Stamp) -> Option<Self> {
        let log::StoredRecord { home, kind, id, archive, .. } = *record;
        Self::checked(kind, archive).then(|| Self { id, home, stamp, kind, archive: archive.to_vec() })
    }

    /// Whether `archive` is a well-formed archive of a record of this kind: its structure, and every limit of the format.
    pub fn checked(kind: RecordKind, archive: &[u8]) -> bool {
        match kind {
            RecordKind::Assertion => rkyv::access::<ArchivedSignedAssertion, Error>(archive)
                .is_ok_and(ArchivedSignedAssertion::is_well_formed),
            RecordKind::Vote => {
                rkyv::access::<ArchivedSignedVote, Error>(archive).is_ok_and(ArchivedSignedVote::is_well_formed)
            }
            RecordKind::Alias => {
                rkyv::access::<ArchivedSignedAlias, Error>(archive).is_ok_and(ArchivedSignedAlias::is_well_formed)
            }
            RecordKind::Opaque => {
                rkyv::access::<ArchivedSignedOpaque, Error>(archive).is_ok_and(ArchivedSignedOpaque::is_well_formed)
            }
        }
    }

    /// Its name.
    pub fn id(&self) -> RecordId {
        self.id
    }

    /// The home it lives in.
    pub fn home(&self) -> Home {
        self.home
    }

    /// When a node accepted it.
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// The same record under another stamp.
    #[must_use]
    pub fn with_stamp(self, stamp: Stamp) -> Self {
        Self { stamp, ..self }
    }

    /// What the archive holds.
    pub fn kind(&self) -> RecordKind {
        self.kind
    }

    /// The archive.
    pub fn archive(&self) -> &[u8] {
        &self.archive
    }

    /// The assertion in place, if it is one. Cost: a check of the archive, about 100 ns.
    pub fn assertion(&self) -> Option<&ArchivedSignedAssertion> {
        match self.kind {
            RecordKind::Assertion => rkyv::access::<_, Error>(&self.archive).ok(),
            RecordKind::Vote | RecordKind::Alias | RecordKind::Opaque => None,
        }
    }

    /// The vote in place, if it is one. Cost as [`StoredRecord::assertion`].
    pub fn vote(&self) -> Option<&ArchivedSignedVote> {
        match self.kind {
            RecordKind::Vote => rkyv::access::<_, Error>(&self.archive).ok(),
            RecordKind::Assertion | RecordKind::Alias | RecordKind::Opaque => None,
        }
    }

    /// The alias in place, if it is one. Cost as [`StoredRecord::assertion`].
    pub fn alias(&self) -> Option<&ArchivedSignedAlias> {
        match self.kind {
            RecordKind::Alias => rkyv::access::<_, Error>(&self.archive).ok(),
            RecordKind::Assertion | RecordKind::Vote | RecordKind::Opaque => None,
        }
    }

    /// The envelope, decoded; `None` only if the archive breaks a rule that every release has kept.
    pub fn to_envelope(&self) -> Option<Envelope> {
        let (body, signatures) = match self.kind {
            RecordKind::Assertion => {
                let signed = rkyv::from_bytes::<SignedAssertion, Error>(&self.archive).ok()?;
                (Body::Assertion(Box::new(signed.assertion)), signed.signatures)
            }
            RecordKind::Vote => {
                let signed = rkyv::from_bytes::<SignedVote, Error>(&self.archive).ok()?;
                (Body::Vote(Box::new(signed.vote)), signed.signatures)
            }
            RecordKind::Alias => {
                let signed = rkyv::from_bytes::<SignedAlias, Error>(&self.archive).ok()?;
                (Body::Alias(Box::new(signed.alias)), signed.signatures)
            }
            RecordKind::Opaque => {
                let signed = rkyv::from_bytes::<SignedOpaque, Error>(&self.archive).ok()?;
                let SignedOpaque { authors, canonical, signatures } = signed;
                (Body::Opaque(Box::new(Opaque { home: self.home, authors, canonical })), signatures)
            }
        };
        Envelope::new(body, signatures).ok()
    }

    /// The signatures, in the order of the authors; read in place.
    pub fn signatures(&self) -> Vec<Signature> {
        let signatures = match self.kind {
            RecordKind::Assertion => self.assertion().map(|signed| signed.signatures.as_slice()),
            RecordKind::Vote => self.vote().map(|signed| signed.signatures.as_slice()),
            RecordKind::Alias => self.alias().map(|signed| signed.signatures.as_slice()),
            RecordKind::Opaque => rkyv::access::<ArchivedSignedOpaque, Error>(&self.archive)
                .ok()
                .map(|signed| signed.signatures.as_slice()),
        };
        signatures.unwrap_or_default().iter().map(Signature::from).collect()
    }

    /// BLAKE3 of the signatures: what the element of a record in its home's set, and an `erased` frame, keep of them.
    pub fn signatures_digest(&self) -> [u8; 32] {
        canonical::signatures_digest(&self.signatures())
    }

    /// Who signed, each with the signature.
    pub fn parts(&self) -> Option<(Authors, Vec<Signature>)> {
        let envelope = self.to_envelope()?;
        Some((envelope.body().authors().clone(), envelope.signatures().to_vec()))
    }

    /// The id computed anew from the canonical bytes of what is stored.
    pub fn computed_id(&self) -> Option<RecordId> {
        let mut bytes = Vec::with_capacity(self.archive.len() * 2);
        match self.kind {
            RecordKind::Assertion => canonical::write_archived_assertion(&self.assertion()?.assertion, &mut bytes),
            RecordKind::Vote => canonical::write_archived_vote(&self.vote()?.vote, &mut bytes),
            RecordKind::Alias => canonical::write_archived_alias(&self.alias()?.alias, &mut bytes),
            RecordKind::Opaque => {
                let signed = rkyv::access::<ArchivedSignedOpaque, Error>(&self.archive).ok()?;
                bytes.extend_from_slice(signed.canonical.as_slice());
            }
        }
        Some(canonical::id_of(&bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::record::{
        Confidence, Finite, Lifecycle, Meta, Object, Pair, Predicate, SourceClass, Subject, Validity, Vector,
    };
    use model::{AgentId, Alias, Assertion, Timestamp};

    const CONFIDENCE: f64 = 0.8125;
    const NUMBER: f64 = 6.5e30;
    const TIME: u64 = 0x0001_0203_0405_0607;

    fn claim() -> Vec<u8> {
        let assertion = Assertion {
            authors: Authors::new(vec![AgentId([0xaa; 32]), AgentId([0xbb; 32])]).unwrap(),
            timestamp: Timestamp::from_ms(TIME).unwrap(),
            subject: Subject::new("the subject of the claim").unwrap(),
            predicate: Predicate::new("its predicate").unwrap(),
            object: Object::Number(Finite::new(NUMBER).unwrap()),
            confidence: Confidence::new(CONFIDENCE).unwrap(),
            source_class: SourceClass::Expert,
            lifecycle: Lifecycle::Approved,
            source_hash: None,
            parent_hash: None,
            epoch: None,
            visual_hash: None,
            vector: Vector::new(&[0.375]).unwrap(),
            validity: Validity::new(None, Timestamp::from_ms(TIME + 1)).unwrap(),
            meta: Meta::new(vec![("key one".into(), "x".into()), ("key two".into(), "x".into())]).unwrap(),
        };
        let signatures = vec![Signature([1; 64]), Signature([2; 64])];
        encode(&Envelope::new(Body::Assertion(Box::new(assertion)), signatures).unwrap()).unwrap().1
    }

    /// Puts `new` in the place of `old`, which stands in the archive once.
    fn replaced(archive: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
        let places = (0..archive.len()).filter(|at| archive[*at..].starts_with(old)).collect::<Vec<_>>();
        assert_eq!((places.len(), old.len()), (1, new.len()));
        [&archive[..places[0]], new, &archive[places[0] + new.len()..]].concat()
    }

    #[test]
    fn an_alias_is_stored_in_place_and_one_of_a_subject_to_itself_is_not_taken() {
        let subject = |text| Subject::new(text).unwrap();
        let alias = Alias {
            authors: Authors::new(vec![AgentId([0xaa; 32])]).unwrap(),
            timestamp: Timestamp::from_ms(TIME).unwrap(),
            pair: Pair::new(subject("the name it has"), subject("the name it had")).unwrap(),
        };
        let body = Body::Alias(Box::new(alias));
        let envelope = Envelope::new(body.clone(), vec![Signature([1; 64])]).unwrap();
        let (kind, archive) = encode(&envelope).unwrap();
        let frame = log::StoredRecord {
            home: body.home(),
            stamp: Stamp::ZERO,
            kind,
            id: canonical::id_of(&canonical::canonical_bytes(&body)),
            archive: &archive,
        };
        let stored = StoredRecord::new(&frame, Stamp::ZERO).unwrap();
        assert_eq!((stored.home(), stored.kind()), (Home::GLOBAL, RecordKind::Alias));
        assert_eq!((stored.to_envelope(), stored.computed_id()), (Some(envelope), Some(frame.id)));
        assert!(stored.alias().is_some() && stored.assertion().is_none() && stored.vote().is_none());
        for broken in [&b"the name it has"[..], b"the name\0it had"] {
            assert!(!StoredRecord::checked(kind, &replaced(&archive, b"the name it had", broken)));
        }
    }

    #[test]
    fn an_archive_that_breaks_a_limit_of_the_format_is_not_taken() {
        let archive = claim();
        let is_taken = |archive: &[u8]| StoredRecord::checked(RecordKind::Assertion, archive);
        assert!(is_taken(&archive));
        let (confidence, number) = (CONFIDENCE.to_le_bytes(), NUMBER.to_le_bytes());
        let broken: [(&[u8], &[u8]); 13] = [
            (&confidence, &f64::NAN.to_le_bytes()),
            (&confidence, &1.5_f64.to_le_bytes()),
            (&confidence, &(-0.0_f64).to_le_bytes()),
            (&number, &f64::INFINITY.to_le_bytes()),
            (&number, &(-0.0_f64).to_le_bytes()),
            (&0.375_f32.to_le_bytes(), &f32::NAN.to_le_bytes()),
            (&TIME.to_le_bytes(), &Timestamp::LIMIT.to_le_bytes()),
            (&(TIME + 1).to_le_bytes(), &u64::MAX.to_le_bytes()),
            (b"the subject of the claim", b"the subject\0of the claim"),
            (b"its predicate", "its\u{80}predicat".as_bytes()),
            (b"key one", b"key two"),
            (&[0xaa; 32], &[0xbb; 32]),
            (&[0xaa; 32], &[0xcc; 32]),
        ];
        for (old, new) in broken {
            assert!(!is_taken(&replaced(&archive, old, new)), "{old:x?} became {new:x?}");
        }
    }
}
