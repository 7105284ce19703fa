//! The HTTP interface of a node: strict JSON in, resolved answers out, and a document that describes both.
//!
//! It knows a node only as a [`Database`] and never stores, verifies or resolves anything itself; it has no clock, no
//! socket and no disk.

pub mod database;
pub mod json;
mod settings;

pub use database::Database;
pub use settings::Settings;
