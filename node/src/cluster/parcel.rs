//! Records on their way between nodes, in each form that they take: verified, stored, and on the wire.
//!
//! What comes from the wire is checked to be an archive of its kind and in the home that it says; its signatures are not
//! looked at here.

use model::{Envelope, Home, Record, RecordId, Stamp};
use proto::{ARCHIVE_FORMAT, Bytes};
use storage::log::RecordKind;
use storage::store::{Incoming, Role, Source};
use storage::stored::{self, StoredRecord};

/// A record that was verified and stamped here.
#[derive(Clone, Debug)]
pub(crate) struct Stamped {
    pub(crate) record: Record,
    pub(crate) stamp: Stamp,
}

/// Records that go the same way, as often as they are needed.
#[derive(Debug)]
pub(crate) struct Parcel {
    records: Vec<Stamped>,
    wire: Vec<proto::Record>,
}

/// Why something from the wire is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoRecord {
    /// A later release wrote it. Upgrade this node.
    #[error("archives of format {0} are not known here")]
    Format(u32),
    /// It is not what it says it is.
    #[error("record {0} is not what it says it is")]
    Wrong(RecordId),
}

impl Parcel {
    /// Packs records. `None` only if the allocator gives no room for an archive.
    pub(crate) fn pack(records: Vec<Stamped>) -> Option<Self> {
        let wire = records.iter().map(|Stamped { record, stamp }| {
            let (kind, archive) = stored::encode(record.envelope()).ok()?;
            Some(wire_record(kind, (record.id(), record.home(), *stamp), archive))
        });
        Some(Self { wire: wire.collect::<Option<_>>()?, records })
    }

    /// The records.
    pub(crate) fn records(&self) -> &[Stamped] {
        &self.records
    }

    /// For another node.
    pub(crate) fn wire(&self) -> Vec<proto::Record> {
        self.wire.clone() // archives are shared, not copied
    }

    /// For this node's own log.
    pub(crate) fn incoming(&self, role: proto::Role) -> Vec<Incoming> {
        let incoming = |Stamped { record, stamp }: &Stamped| Incoming {
            record: record.clone(),
            stamp: *stamp,
            role: store_role(role),
            source: Source::Other,
        };
        self.records.iter().map(incoming).collect()
    }
}

/// A record from this node's log, for another node.
pub(crate) fn to_wire(record: &StoredRecord) -> proto::Record {
    wire_record(record.kind(), (record.id(), record.home(), record.stamp()), record.archive().to_vec())
}

/// A record from another node, in place: well-formed, in its home, and not verified.
pub(crate) fn from_wire(record: &proto::Record) -> Result<StoredRecord, NoRecord> {
    if record.format != ARCHIVE_FORMAT {
        return Err(NoRecord::Format(record.format));
    }
    let wrong = NoRecord::Wrong(record.id);
    let kind = RecordKind::from_number(record.kind).ok_or(wrong)?;
    let frame = storage::log::StoredRecord {
        home: record.home,
        stamp: record.stamp,
        kind,
        id: record.id,
        archive: &record.archive,
    };
    StoredRecord::new(&frame, record.stamp).ok_or(wrong)
}

/// The envelope of a record from another node, for the gate.
pub(crate) fn envelope(record: &proto::Record) -> Result<Envelope, NoRecord> {
    from_wire(record)?.to_envelope().ok_or(NoRecord::Wrong(record.id))
}

/// The role in the store of a role on the wire.
pub(crate) fn store_role(role: proto::Role) -> Role {
    match role {
        proto::Role::Owned => Role::Owned,
        proto::Role::Hint => Role::Hint,
    }
}

fn wire_record(kind: RecordKind, (id, home, stamp): (RecordId, Home, Stamp), archive: Vec<u8>) -> proto::Record {
    proto::Record { format: ARCHIVE_FORMAT, kind: kind.number(), id, home, stamp, archive: Bytes::from(archive) }
}
