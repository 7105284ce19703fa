//! The HTTP interface of a node: strict JSON in, resolved answers out, and a document that describes both.
//!
//! It knows a node only as a [`Database`] and never stores, verifies or resolves anything itself; it has no clock, no
//! socket and no disk.

mod answer;
pub mod database;
pub mod json;
mod problem;
mod query;
mod routes;
mod settings;

pub use database::{Ack, Database, Observation};
pub use routes::{admin_router, client_router, openapi};
pub use settings::Settings;
