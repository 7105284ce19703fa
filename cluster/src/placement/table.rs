//! The placement table: the owners of every home, under one number.

use super::homes;
use crate::id::{Epoch, NodeId};
use model::Home;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The first byte of an encoded table.
const VERSION: u8 = 1;

/// Which nodes store which home.
///
/// The owners of a home are distinct and in the order in which it prefers them. Equal tables have equal bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "Wire", try_from = "Wire")]
pub struct Table {
    epoch: Epoch,
    owners: Vec<Vec<NodeId>>,
}

/// Why a table, or bytes that should be one, is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// The bytes are of a later release, or no table at all.
    #[error("not a placement table of version {VERSION}")]
    Version,
    /// The bytes end early, go on too long, or hold an impossible number.
    #[error("placement table cannot be decoded")]
    Bytes,
    /// Epoch 0 is before any table.
    #[error("placement table has epoch 0")]
    Epoch,
    /// There are 257 homes, no more and no fewer.
    #[error("placement table has {0} homes, not {count}", count = Home::COUNT)]
    Homes(usize),
    /// A home without an owner, or with the same one twice.
    #[error("home {0} has no owner, or one twice")]
    Owners(Home),
    /// The list of nodes is unsorted, or names one that owns nothing: not the one form that a table has.
    #[error("placement table is not in its canonical form")]
    Form,
}

impl Table {
    /// A table of `owners`, one list a home by number.
    ///
    /// # Errors
    ///
    /// [`TableError`] unless the epoch is at least 1 and each of the 257 lists has a node and none twice.
    pub fn new(epoch: Epoch, owners: Vec<Vec<NodeId>>) -> Result<Self, TableError> {
        if epoch == Epoch(0) {
            return Err(TableError::Epoch);
        }
        if owners.len() != usize::from(Home::COUNT) {
            return Err(TableError::Homes(owners.len()));
        }
        let wrong = homes().zip(&owners).find(|(_, list)| list.is_empty() || distinct(list).len() < list.len());
        match wrong {
            Some((home, _)) => Err(TableError::Owners(home)),
            None => Ok(Self { epoch, owners }),
        }
    }

    /// Its number.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The owners of `home`, the preferred first; at least one.
    pub fn owners(&self, home: Home) -> &[NodeId] {
        self.owners.get(usize::from(home.number())).map_or(&[], Vec::as_slice)
    }

    /// Whether `node` is an owner of `home`.
    pub fn owns(&self, node: NodeId, home: Home) -> bool {
        self.owners(home).contains(&node)
    }

    /// The homes that `node` owns, by number.
    pub fn homes_of(&self, node: NodeId) -> impl Iterator<Item = Home> {
        homes().filter(move |home| self.owns(node, *home))
    }

    /// The homes that both own, by number.
    pub fn shared(&self, one: NodeId, other: NodeId) -> impl Iterator<Item = Home> {
        self.homes_of(one).filter(move |home| self.owns(other, *home))
    }

    /// Every node that owns a home.
    pub fn nodes(&self) -> BTreeSet<NodeId> {
        self.owners.iter().flatten().copied().collect()
    }

    /// How many copies of a home this table has that `before` has not: what must be sent to get from there to here.
    pub fn moves_from(&self, before: &Self) -> usize {
        homes().map(|home| self.owners(home).iter().filter(|node| !before.owns(**node, home)).count()).sum()
    }

    /// Its bytes: a version, then postcard. Some 3 bytes a home and 9 a node.
    pub fn encode(&self) -> Vec<u8> {
        crate::wire::encode(VERSION, self)
    }

    /// The inverse of [`Table::encode`].
    ///
    /// # Errors
    ///
    /// [`TableError`] for bytes that `encode` cannot have made.
    pub fn decode(bytes: &[u8]) -> Result<Self, TableError> {
        crate::wire::decode(VERSION, bytes)
            .map_err(|error| if error.is_version() { TableError::Version } else { TableError::Bytes })
    }
}

/// A table on the wire: each node once, ascending, and a home's owners as places in that list.
#[derive(Serialize, Deserialize)]
struct Wire {
    epoch: Epoch,
    nodes: Vec<NodeId>,
    owners: Vec<Vec<u16>>,
}

impl From<Table> for Wire {
    fn from(table: Table) -> Self {
        let nodes: Vec<_> = table.nodes().into_iter().collect();
        let places: BTreeMap<_, _> = nodes.iter().copied().zip(0_u16..).collect();
        let place = |list: &Vec<NodeId>| list.iter().filter_map(|node| places.get(node).copied()).collect();
        Self { epoch: table.epoch, owners: table.owners.iter().map(place).collect(), nodes }
    }
}

impl TryFrom<Wire> for Table {
    type Error = TableError;

    fn try_from(wire: Wire) -> Result<Self, TableError> {
        let node = |place: &u16| wire.nodes.get(usize::from(*place)).copied().ok_or(TableError::Form);
        let owners = wire.owners.iter().map(|list| list.iter().map(node).collect::<Result<_, _>>());
        let table = Self::new(wire.epoch, owners.collect::<Result<_, _>>()?)?;
        if table.nodes().into_iter().eq(wire.nodes) { Ok(table) } else { Err(TableError::Form) }
    }
}

fn distinct(list: &[NodeId]) -> BTreeSet<NodeId> {
    list.iter().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: usize = Home::COUNT as usize;

    fn table() -> Table {
        let owners = (0..ALL).map(|home| vec![NodeId(home as u64 % 3), NodeId(7 + home as u64 % 2)]).collect();
        Table::new(Epoch(9), owners).unwrap()
    }

    #[test]
    fn a_table_reads_back_from_its_bytes_and_is_small() {
        let bytes = table().encode();
        assert!(bytes.len() < 1_000, "{}", bytes.len());
        assert_eq!(Table::decode(&bytes), Ok(table()));
    }

    #[test]
    fn no_cut_extended_or_newer_table_is_taken() {
        let bytes = table().encode();
        for cut in 0..bytes.len() {
            assert!(Table::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        assert_eq!(Table::decode(&[bytes.as_slice(), &[0]].concat()), Err(TableError::Bytes));
        assert_eq!(Table::decode(&[&[2], &bytes[1..]].concat()), Err(TableError::Version));
    }

    #[test]
    fn a_table_lists_every_home_and_no_owner_twice() {
        let lists = |change: fn(&mut Vec<Vec<NodeId>>)| {
            let mut lists = table().owners;
            change(&mut lists);
            Table::new(Epoch(1), lists)
        };
        let home = |number| Home::from_number(number).unwrap();
        assert_eq!(lists(|lists| lists[4].clear()), Err(TableError::Owners(home(4))));
        assert_eq!(lists(|lists| lists[256] = vec![NodeId(1); 2]), Err(TableError::Owners(home(256))));
        assert_eq!(lists(|lists| drop(lists.pop())), Err(TableError::Homes(256)));
        assert_eq!(Table::new(Epoch(0), table().owners), Err(TableError::Epoch));
    }

    #[test]
    fn a_table_has_one_form_only() {
        let wire = |nodes: &[u64], owner| Wire {
            epoch: Epoch(1),
            nodes: nodes.iter().copied().map(NodeId).collect(),
            owners: vec![vec![owner]; ALL],
        };
        assert!(Table::try_from(wire(&[1], 0)).is_ok());
        for (nodes, owner) in [(vec![1, 2], 0), (vec![2, 1], 0), (vec![1, 1], 0), (vec![1], 1)] {
            assert_eq!(Table::try_from(wire(&nodes, owner)), Err(TableError::Form), "{nodes:?}");
        }
    }
}
