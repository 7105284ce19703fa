//! StemeDB's node and its command line, as a library.
//!
//! It joins the other crates with the real clock, disk and network; it holds no rule that nodes must agree on.

pub mod advertise;
pub mod cli;
pub mod clock;
pub mod cluster_key;
pub mod control;
pub mod gossip;
pub mod identity;
pub mod metrics;
pub mod rpc;
pub mod serve;
pub mod settings;
pub mod world;

mod accept;
mod cluster;
mod founding_file;
mod timed_disk;
