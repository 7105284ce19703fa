//! The claim log and the index rebuilt from it: what one node keeps on disk.
//!
//! Synchronous, behind the traits [`disk::Disk`] and [`index::Index`]. Nothing here knows a network, reads a clock, spawns
//! a thread or decides who may write: time, disk and settings come in as arguments.
//!
//! [`store::Store`] is what the rest of the node uses; [`log`] is the truth below it, [`index`] what finds things in it,
//! [`stored`] a record as it is read in place.

pub mod control;
pub mod disk;
pub mod index;
pub mod log;
pub mod store;
pub mod stored;
