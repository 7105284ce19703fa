//! What nodes agree on, byte for byte.
//!
//! Records, canonical bytes, ids, signatures, homes, sets, sketches, stamps and lenses. Nothing here does I/O, reads a clock, draws a
//! random number or knows a transport: every function is a pure function of its arguments, so that any two nodes of any
//! two releases compute the same answer from the same records.

pub mod acceptance;
pub mod canonical;
pub mod clock;
pub mod hex;
pub mod home;
pub mod id;
pub mod lens;
pub mod record;
pub mod refusal;
pub mod set;
pub mod sketch;
pub mod time;

pub use home::Home;
pub use id::{AgentId, RecordId, Signature};
pub use record::{Alias, Assertion, Body, Envelope, Record, Vote};
pub use refusal::{Code, Refusal};
pub use time::{Stamp, Timestamp};
