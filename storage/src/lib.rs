//! storage

pub mod disk;
pub mod index;
pub mod log;
pub mod store;
pub mod stored;
