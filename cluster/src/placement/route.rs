//! Whom a home's records go to: its owners, and who stands in for them.

use super::Table;
use crate::id::NodeId;
use model::Home;
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// The way of a record: its owners, those who are leaving its home, then everybody else in the order in which they stand in.
///
/// Homes with equal routes can share one write. Disjoint and without repetition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// The owners of the home, the preferred first.
    pub owners: Vec<NodeId>,
    /// Who still gets the record, so that it can be read there, and counts for nothing.
    pub leaving: Vec<NodeId>,
    /// Who keeps a hint when an owner cannot, the first to be asked first.
    pub stand_ins: Vec<NodeId>,
}

impl Route {
    /// The route of `home` under `table` among `members`. Cost: a hash a member.
    pub fn of(home: Home, table: &Table, members: &BTreeSet<NodeId>) -> Self {
        let (owners, holders) = (table.owners(home).to_vec(), table.holders(home).collect::<Vec<_>>());
        let leaving = holders.get(owners.len()..).unwrap_or_default().to_vec();
        Self { stand_ins: stand_ins(home, &holders, members), leaving, owners }
    }
}

/// The members that are not to have the records of `home`, in the order in which they stand in for an owner. `holders` are
/// those that are.
///
/// Source: Thaler and Ravishankar, IEEE/ACM Transactions on Networking 6(1), 1998: whoever leaves, the others keep their
/// order, and different homes lean on different nodes. Every node of every release must agree. Cost: a hash a member.
pub fn stand_ins(home: Home, holders: &[NodeId], members: &BTreeSet<NodeId>) -> Vec<NodeId> {
    let others = members.iter().copied().filter(|node| !holders.contains(node));
    by_preference(home, others)
}

/// `nodes` in the order in which `home` prefers them: the largest hash first, ties to the lower id.
pub(super) fn by_preference(home: Home, nodes: impl Iterator<Item = NodeId>) -> Vec<NodeId> {
    let mut ranked: Vec<_> = nodes.map(|node| (Reverse(weight(home, node)), node)).collect();
    ranked.sort_unstable();
    ranked.into_iter().map(|(_, node)| node).collect()
}

/// The first 8 bytes, big-endian, of BLAKE3 over the home's number (2 bytes, big-endian) and the node's id (8, likewise).
fn weight(home: Home, node: NodeId) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&home.number().to_be_bytes()).update(&node.0.to_be_bytes());
    let [a, b, c, d, e, f, g, h, ..] = *hasher.finalize().as_bytes();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn members(ids: std::ops::Range<u64>) -> BTreeSet<NodeId> {
        ids.map(NodeId).collect()
    }

    #[test]
    fn the_order_of_stand_ins_is_frozen() {
        let order = |home| {
            let home = Home::from_number(home).unwrap();
            stand_ins(home, &[NodeId(2)], &members(1..7)).iter().map(|node| node.0).collect::<Vec<_>>()
        };
        expect!["[[6, 5, 1, 4, 3], [5, 1, 6, 3, 4], [5, 4, 3, 6, 1]]"]
            .assert_eq(&format!("{:?}", [0, 1, 256].map(order)));
    }

    #[test]
    fn who_leaves_changes_nothing_in_the_order_of_the_others() {
        for home in crate::placement::homes() {
            let all = stand_ins(home, &[], &members(1..9));
            for gone in members(1..9) {
                let mut left = members(1..9);
                left.remove(&gone);
                let expected: Vec<_> = all.iter().copied().filter(|node| *node != gone).collect();
                assert_eq!(stand_ins(home, &[], &left), expected);
            }
        }
    }
}
