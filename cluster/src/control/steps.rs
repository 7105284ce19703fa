//! From the present table to the goal, by tables in which few homes are in transit at once.
//!
//! A home moves in two steps. First its new owners join and those that are not to own it any more are leaving: both are
//! written to, and whoever held it before is read. Once every owner has taken all that each reader holds, nobody joins or
//! leaves any more. A home in transit is left alone until then, whatever the goal is by now: it comes to rest first.

use crate::id::{Epoch, NodeId};
use crate::placement::{Move, Table, TableError, homes};
use model::Home;
use std::collections::{BTreeMap, BTreeSet};

/// The most homes that are in transit at once.
pub const HOMES_IN_TRANSIT_MAX: usize = 64;

/// The table after `table` on the way to `goal`; `None` if there is nothing to do now.
///
/// `taken` are the homes in transit of which every owner has taken all that each reader holds. No home sets out to a node that
/// stores nothing yet and is not among `there`: whoever was just admitted has to find its cluster first. None at all does if
/// `paused`; those under way arrive.
///
/// # Errors
///
/// [`TableError`] never comes of tables that the control plane took.
pub fn next(
    table: &Table,
    goal: &Table,
    taken: &BTreeSet<Home>,
    there: &BTreeSet<NodeId>,
    paused: bool,
) -> Result<Option<Table>, TableError> {
    let stores = table.nodes();
    let may_set_out = |home: &Home| goal.owners(*home).iter().all(|node| stores.contains(node) || there.contains(node));
    let mut moves: BTreeMap<Home, Move> = table.moves().clone();
    moves.retain(|home, _| !taken.contains(home));
    let mut owners: Vec<_> = homes().map(|home| table.owners(home).to_vec()).collect();
    let room = if paused { 0 } else { HOMES_IN_TRANSIT_MAX.saturating_sub(moves.len()) };
    let waiting = homes().filter(|home| table.transit(*home).is_none() && is_away(table, goal, *home));
    for home in waiting.filter(may_set_out).take(room) {
        let (now, then) = (set(table, home), set(goal, home));
        moves.insert(home, Move { joining: &then - &now, leaving: &now - &then });
        if let Some(list) = owners.get_mut(usize::from(home.number())) {
            *list = goal.owners(home).to_vec();
        }
    }
    let next = Table::new(Epoch(table.epoch().0 + 1), owners)?.in_transit(moves)?;
    let moved = next.moves() != table.moves();
    Ok(moved.then_some(next))
}

/// How many homes are not yet where `goal` has them, or still in transit.
pub fn left(table: &Table, goal: &Table) -> usize {
    homes().filter(|home| table.transit(*home).is_some() || is_away(table, goal, *home)).count()
}

/// The table without a node that is gone for good. Whoever was leaving a home of which it was an owner stays, since it holds all of it.
/// `None` if nobody else holds all of one of its homes: then it is that home that would be gone.
pub fn without(table: &Table, gone: NodeId) -> Option<Table> {
    let (mut owners, mut moves) = (Vec::new(), BTreeMap::new());
    for home in homes() {
        let mut list = table.owners(home).to_vec();
        let mut transit = table.transit(home).cloned().unwrap_or_default();
        transit.leaving.remove(&gone);
        if list.contains(&gone) {
            list.retain(|node| *node != gone);
            list.extend(std::mem::take(&mut transit.leaving));
        }
        transit.joining.remove(&gone);
        if list.len() == transit.joining.len() && transit.leaving.is_empty() {
            return None;
        }
        owners.push(list);
        if transit != Move::default() {
            moves.insert(home, transit);
        }
    }
    Table::new(Epoch(table.epoch().0 + 1), owners).ok()?.in_transit(moves).ok()
}

fn is_away(table: &Table, goal: &Table, home: Home) -> bool {
    set(table, home) != set(goal, home)
}

fn set(table: &Table, home: Home) -> BTreeSet<NodeId> {
    table.owners(home).iter().copied().collect()
}
