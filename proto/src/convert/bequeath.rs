//! What a node that was removed holds, handed over.

use super::headed;
use crate::convert::record::Record;
use crate::field::{bits, home, ids, put_bits, put_ids, within};
use crate::limits::{CONFIRM_IDS_MAX, STORE_RECORDS_MAX};
use crate::malformed::{Fault, Malformed};
use crate::{Header, Message, wire};
use model::{Home, RecordId};

/// What a node that was removed asks of a member, all of one home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BequeathRequest {
    /// The home.
    pub home: Home,
    /// What it is about.
    pub what: Bequest,
}

/// What is handed over, or asked before that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bequest {
    /// Which of these has every owner synced? 1 to [`CONFIRM_IDS_MAX`].
    Ids(Vec<RecordId>),
    /// Keep these for the owners. 1 to [`STORE_RECORDS_MAX`].
    Records(Vec<Record>),
}

/// What is safe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BequeathReply {
    /// For each id or record, in their order: every owner has synced the id, or the receiver has synced the record.
    pub safe: Vec<bool>,
}

impl Message for BequeathRequest {
    headed!(BequeathRequest);

    fn seal(self, header: &Header) -> Self::Wire {
        let (ids, records) = match self.what {
            Bequest::Ids(ids) => (put_ids(&ids), Vec::new()),
            Bequest::Records(records) => (Vec::new(), records.into_iter().map(Record::into_wire).collect()),
        };
        wire::BequeathRequest { header: header.into_wire(), home: u32::from(self.home.number()), ids, records }
    }

    fn open(wire: Self::Wire) -> Result<Self, Malformed> {
        let home = home(wire.home, "home")?;
        within(wire.records.len(), STORE_RECORDS_MAX, "records")?;
        if wire.records.is_empty() {
            return Ok(Self { home, what: Bequest::Ids(ids(&wire.ids, CONFIRM_IDS_MAX, "ids")?) });
        }
        if !wire.ids.is_empty() {
            return Err(Fault::Length(wire.ids.len()).of("ids"));
        }
        let records = wire.records.into_iter().map(Record::from_wire).collect::<Result<Vec<_>, _>>()?;
        if records.iter().any(|record| record.home != home) {
            return Err(Fault::OutOfRange.of("records.home"));
        }
        Ok(Self { home, what: Bequest::Records(records) })
    }
}

impl Message for BequeathReply {
    headed!(BequeathReply);

    fn seal(self, header: &Header) -> Self::Wire {
        let (count, safe) = put_bits(&self.safe);
        wire::BequeathReply { header: header.into_wire(), count, safe }
    }

    fn open(wire: Self::Wire) -> Result<Self, Malformed> {
        Ok(Self { safe: bits(&wire.safe, wire.count, CONFIRM_IDS_MAX, "safe")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::laws::{self, refusal, sealed};
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn requests() -> impl Strategy<Value = BequeathRequest> {
        let ids = (laws::records(), vec(laws::ids(), 1..20))
            .prop_map(|(record, ids)| BequeathRequest { home: record.home, what: Bequest::Ids(ids) });
        let records = vec(laws::records(), 1..5).prop_map(|mut records| {
            let home = records[0].home;
            records.iter_mut().for_each(|record| record.home = home);
            BequeathRequest { home, what: Bequest::Records(records) }
        });
        prop_oneof![ids, records]
    }

    #[test]
    fn the_laws_hold() {
        laws::holds(requests());
        laws::holds(vec(any::<bool>(), 0..40).prop_map(|safe| BequeathReply { safe }));
    }

    #[test]
    fn it_is_about_ids_or_about_records_of_its_home() {
        let ids = || BequeathRequest { home: Home::GLOBAL, what: Bequest::Ids(vec![RecordId([1; 32])]) };
        let neither = wire::BequeathRequest { ids: Vec::new(), ..sealed(ids()) };
        assert_eq!(refusal::<BequeathRequest>(neither), Fault::Length(0).of("ids"));
        let both = wire::BequeathRequest { records: vec![wire::Record::default()], ..sealed(ids()) };
        assert_eq!(refusal::<BequeathRequest>(both), Fault::Length(32).of("ids"));
        let elsewhere = wire::BequeathRequest { home: 257, ..sealed(ids()) };
        assert_eq!(refusal::<BequeathRequest>(elsewhere), Fault::OutOfRange.of("home"));
    }
}
