//! What nodes decide together: who is there, who stores what, and what becomes of a write, a read and a difference.
//!
//! Decisions only: every machine takes inputs and a monotonic time and appends outputs. Nothing here opens a socket, reads
//! a clock, draws a random number of its own, or knows how a message travels.

pub mod accounting;
pub mod control;
pub mod founding;
pub mod frontier;
mod id;
pub mod membership;
pub mod placement;
pub mod reconcile;
pub mod replication;
mod wire;

pub use id::{ClusterId, Epoch, Generation, Millis, NodeId, NodeKey};
pub use wire::WireError;
