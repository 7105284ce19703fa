//! Whole clusters of nodes in one thread, under faults, reproducible by seed.
//!
//! The nodes are those that ship: the library `node`, in a [`world`] of its own making. Nothing here is shipped, and
//! nothing here looks inside a node: what holds is read from disks and public answers.
//!
//! A [`scenario`] says how a cluster is made, what goes wrong with it and which [`invariants`] hold. A [`run`] is one seed
//! of one scenario: a phase with faults, a phase without, in which everything must come to rest, and the invariants. The
//! same seed gives the same run to the byte of its [`trace`]; the [`runner`] runs many, and says how to run one again.

pub mod chance;
pub mod client;
pub mod cluster;
pub mod history;
pub mod invariants;
mod lag;
mod measure;
pub mod run;
pub mod runner;
pub mod scenario;
pub mod trace;
pub mod world;
