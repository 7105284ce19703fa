//! The placement table: the owners of every home, under one number.

use super::homes;
use crate::id::{Epoch, NodeId};
use model::Home;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The first byte of an encoded table.
const VERSION: u8 = 1;

/// Which nodes store which home.
///
/// The owners of a home are distinct and in the order in which it prefers them. Equal tables have equal bytes. A clone costs next
/// to nothing.
///
/// A home **in transit** has owners that are still *joining*: they take its writes, and may not be read before they have
/// taken all the rest; or nodes that are *leaving*: they hold all of it, are read and written to, and count for nothing. So
/// a write that is acknowledged meanwhile is where it has to be when the move is over, and a reader finds it at any time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "Wire", try_from = "Wire")]
pub struct Table {
    epoch: Epoch,
    // Shared: every request looks at the table, and nobody changes one.
    owners: Arc<Vec<Vec<NodeId>>>,
    moves: Arc<BTreeMap<Home, Move>>,
}

/// Who comes to a home in transit, and who goes. Not both empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Move {
    /// Owners that may lack records.
    pub joining: BTreeSet<NodeId>,
    /// Nodes that lack none, and are owners no more.
    pub leaving: BTreeSet<NodeId>,
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
    /// A home in transit in which a stranger joins, an owner leaves, or nobody may be read.
    #[error("home {0} is in transit in an impossible way")]
    Move(Home),
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
            None => Ok(Self { epoch, owners: Arc::new(owners), moves: Arc::default() }),
        }
    }

    /// The same with these homes in transit.
    ///
    /// # Errors
    ///
    /// [`TableError::Move`] unless each has somebody who comes or goes, whoever joins is an owner, nobody who leaves is one,
    /// and somebody holds all of the home.
    pub fn in_transit(mut self, moves: BTreeMap<Home, Move>) -> Result<Self, TableError> {
        for (home, Move { joining, leaving }) in &moves {
            let owners = self.owners(*home);
            let joins = joining.iter().all(|node| owners.contains(node));
            let leaves = leaving.iter().all(|node| !owners.contains(node));
            let is_read = !leaving.is_empty() || joining.len() < owners.len();
            if !joins || !leaves || !is_read || (joining.is_empty() && leaving.is_empty()) {
                return Err(TableError::Move(*home));
            }
        }
        self.moves = Arc::new(moves);
        Ok(self)
    }

    /// Its number.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The owners of `home`, the preferred first; at least one.
    pub fn owners(&self, home: Home) -> &[NodeId] {
        self.owners.get(usize::from(home.number())).map_or(&[], Vec::as_slice)
    }

    /// Who comes to `home` and who goes; `None` if it is not in transit.
    pub fn transit(&self, home: Home) -> Option<&Move> {
        self.moves.get(&home)
    }

    /// The homes in transit.
    pub fn moves(&self) -> &BTreeMap<Home, Move> {
        &self.moves
    }

    /// Those that hold all of `home` and may be read, the preferred first: its owners but those that are joining, then those
    /// that are leaving. At least one.
    pub fn readers(&self, home: Home) -> impl Iterator<Item = NodeId> {
        let transit = self.transit(home);
        let joins = move |node: &NodeId| transit.is_some_and(|transit| transit.joining.contains(node));
        let leaving = transit.into_iter().flat_map(|transit| &transit.leaving);
        self.owners(home).iter().filter(move |node| !joins(node)).chain(leaving).copied()
    }

    /// Those to which a record of `home` is written: its owners, then those that are leaving.
    pub fn holders(&self, home: Home) -> impl Iterator<Item = NodeId> {
        let leaving = self.transit(home).into_iter().flat_map(|transit| &transit.leaving);
        self.owners(home).iter().chain(leaving).copied()
    }

    /// Whether `node` may be read about `home`.
    pub fn reads(&self, node: NodeId, home: Home) -> bool {
        self.readers(home).any(|reader| reader == node)
    }

    /// Whether `node` is to have the records of `home`, as an owner or until it has left.
    pub fn holds(&self, node: NodeId, home: Home) -> bool {
        self.holders(home).any(|holder| holder == node)
    }

    /// Whether `node` is an owner of `home`.
    pub fn owns(&self, node: NodeId, home: Home) -> bool {
        self.owners(home).contains(&node)
    }

    /// The homes that `node` owns, by number.
    pub fn homes_of(&self, node: NodeId) -> impl Iterator<Item = Home> {
        homes().filter(move |home| self.owns(node, *home))
    }

    /// The homes whose records both are to have, by number.
    pub fn shared(&self, one: NodeId, other: NodeId) -> impl Iterator<Item = Home> {
        homes().filter(move |home| self.holds(one, *home) && self.holds(other, *home))
    }

    /// Every node that owns a home or is leaving one.
    pub fn nodes(&self) -> BTreeSet<NodeId> {
        let leaving = self.moves.values().flat_map(|transit| &transit.leaving);
        self.owners.iter().flatten().chain(leaving).copied().collect()
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

/// A table on the wire: each node once, ascending, and everything else as places in that list. The homes in transit are
/// ascending, and so are those who join and those who leave.
#[derive(Serialize, Deserialize)]
struct Wire {
    epoch: Epoch,
    nodes: Vec<NodeId>,
    owners: Vec<Vec<u16>>,
    moves: Vec<(u16, Vec<u16>, Vec<u16>)>,
}

impl From<Table> for Wire {
    fn from(table: Table) -> Self {
        let nodes: Vec<_> = table.nodes().into_iter().collect();
        let places: BTreeMap<_, _> = nodes.iter().copied().zip(0_u16..).collect();
        let place = |node: &NodeId| places.get(node).copied();
        let owners = table.owners.iter().map(|list| list.iter().filter_map(place).collect()).collect();
        let places = |set: &BTreeSet<NodeId>| set.iter().filter_map(place).collect();
        let moves = table
            .moves
            .iter()
            .map(|(home, Move { joining, leaving })| (home.number(), places(joining), places(leaving)));
        Self { epoch: table.epoch, owners, moves: moves.collect(), nodes }
    }
}

impl TryFrom<Wire> for Table {
    type Error = TableError;

    fn try_from(wire: Wire) -> Result<Self, TableError> {
        let node = |place: &u16| wire.nodes.get(usize::from(*place)).copied().ok_or(TableError::Form);
        let owners = wire.owners.iter().map(|list| list.iter().map(node).collect::<Result<_, _>>());
        let set = |places: &[u16]| {
            let ascends = places.is_sorted_by(|one, next| one < next);
            if ascends { places.iter().map(node).collect() } else { Err(TableError::Form) }
        };
        let mut moves = BTreeMap::new();
        for (home, joining, leaving) in &wire.moves {
            let home = Home::from_number(*home).ok_or(TableError::Form)?;
            if moves.last_key_value().is_some_and(|(last, _)| *last >= home) {
                return Err(TableError::Form);
            }
            moves.insert(home, Move { joining: set(joining)?, leaving: set(leaving)? });
        }
        let table = Self::new(wire.epoch, owners.collect::<Result<_, _>>()?)?.in_transit(moves)?;
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

    /// Home 3 is owned by 0 and 8, home 4 by 1 and 7, home 5 by 2 and 8.
    fn table() -> Table {
        let owners = (0..ALL).map(|home| vec![NodeId(home as u64 % 3), NodeId(7 + home as u64 % 2)]).collect();
        let moves = [(3, transit(&[8], &[5])), (4, transit(&[], &[2])), (5, transit(&[2], &[]))];
        let moves = moves.map(|(number, transit)| (home(number), transit));
        Table::new(Epoch(9), owners).unwrap().in_transit(moves.into()).unwrap()
    }

    fn home(number: u16) -> Home {
        Home::from_number(number).unwrap()
    }

    fn transit(joining: &[u64], leaving: &[u64]) -> Move {
        let set = |ids: &[u64]| ids.iter().copied().map(NodeId).collect();
        Move { joining: set(joining), leaving: set(leaving) }
    }

    #[test]
    fn who_leaves_is_read_and_written_to_and_who_joins_is_only_written_to() {
        let numbers = |nodes: Vec<NodeId>| nodes.into_iter().map(|node| node.0).collect::<Vec<_>>();
        for (number, readers, holders) in [
            (2, vec![2, 7], vec![2, 7]),
            (3, vec![0, 5], vec![0, 8, 5]),
            (4, vec![1, 7, 2], vec![1, 7, 2]),
            (5, vec![8], vec![2, 8]),
        ] {
            assert_eq!(numbers(table().readers(home(number)).collect()), readers, "home {number}");
            assert_eq!(numbers(table().holders(home(number)).collect()), holders, "home {number}");
        }
    }

    #[test]
    fn a_move_that_cannot_be_is_not_taken() {
        let with = |joining: &[u64], leaving: &[u64]| {
            let settled = Table::new(Epoch(9), table().owners.to_vec()).unwrap();
            settled.in_transit([(home(3), transit(joining, leaving))].into()).map(drop)
        };
        assert_eq!(with(&[0, 8], &[1]), Ok(()));
        for (joining, leaving) in [(vec![], vec![]), (vec![1], vec![]), (vec![], vec![0]), (vec![0, 8], vec![])] {
            assert_eq!(with(&joining, &leaving), Err(TableError::Move(home(3))), "{joining:?} {leaving:?}");
        }
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
            let mut lists = table().owners.to_vec();
            change(&mut lists);
            Table::new(Epoch(1), lists)
        };
        assert_eq!(lists(|lists| lists[4].clear()), Err(TableError::Owners(home(4))));
        assert_eq!(lists(|lists| lists[256] = vec![NodeId(1); 2]), Err(TableError::Owners(home(256))));
        assert_eq!(lists(|lists| drop(lists.pop())), Err(TableError::Homes(256)));
        assert_eq!(Table::new(Epoch(0), table().owners.to_vec()), Err(TableError::Epoch));
    }

    #[test]
    fn a_table_has_one_form_only() {
        let wire = |nodes: &[u64], owner| Wire {
            epoch: Epoch(1),
            nodes: nodes.iter().copied().map(NodeId).collect(),
            owners: vec![vec![owner]; ALL],
            moves: Vec::new(),
        };
        assert!(Table::try_from(wire(&[1], 0)).is_ok());
        for (nodes, owner) in [(vec![1, 2], 0), (vec![2, 1], 0), (vec![1, 1], 0), (vec![1], 1)] {
            assert_eq!(Table::try_from(wire(&nodes, owner)), Err(TableError::Form), "{nodes:?}");
        }
        let moving = |moves: &[(u16, &[u16])]| {
            let moves = moves.iter().map(|(home, leaving)| (*home, Vec::new(), leaving.to_vec())).collect();
            Table::try_from(Wire { moves, ..wire(&[1, 2, 3], 0) })
        };
        assert!(moving(&[(3, &[1, 2]), (4, &[1])]).is_ok());
        for moves in [
            [(3, &[2, 1][..]), (4, &[1])],
            [(4, &[1, 2]), (3, &[1])],
            [(3, &[1, 1]), (4, &[2])],
            [(3, &[1, 2]), (257, &[1])],
        ] {
            assert_eq!(moving(&moves), Err(TableError::Form), "{moves:?}");
        }
    }
}
