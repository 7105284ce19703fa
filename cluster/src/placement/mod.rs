//! Who stores which home, and who stands in for an owner that is away.
//!
//! Values and pure functions: nothing here knows who is alive, and nothing moves a record. The control plane holds the one
//! [`Table`] that counts; [`plan`] only proposes the next.
//!
//! Invariants: a table lists every home with at least one owner and none twice; equal tables have equal bytes; a plan is a
//! function of its arguments as sets, whatever their order; every node of every release computes the same [`stand_ins`].

mod flow;
mod plan;
mod route;
mod table;

pub use plan::{COPIES_MAX, Member, NODES_MAX, PlanError, plan};
pub use route::{Route, stand_ins};
pub use table::{Move, Table, TableError};

use model::Home;

/// Every home, by number.
pub fn homes() -> impl DoubleEndedIterator<Item = Home> {
    (0..Home::COUNT).filter_map(Home::from_number)
}
