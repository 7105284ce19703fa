//! storage

pub mod disk;
pub mod index;
pub mod log;
