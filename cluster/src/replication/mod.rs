//! How a record gets to its copies, how it is read from them, and what becomes of what is held for others.
//!
//! One machine a write, a read or a replay. None of them knows what a record says, sends anything, or reads a clock.

pub mod read;
pub mod replay;
pub mod write;
