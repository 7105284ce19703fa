//! storage

pub mod disk;
pub mod log;
