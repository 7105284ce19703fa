//! Scenarios of the whole store, on a disk that crashes and fails and with every engine.

mod close;
mod compaction;
mod corruption;
mod crashes;
mod damage;
mod drops;
mod erasure;
mod expected;
mod merges;
mod queries;
mod records;
mod room;
mod sets;
mod stamps;
mod world;
