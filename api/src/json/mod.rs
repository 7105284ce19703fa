//! The JSON rim: bytes in, well-formed envelopes out, and back.
//!
//! Everything a body's types cannot refuse by themselves is refused here: what is not JSON, keys that stand twice or are
//! not known, wrong types, other spellings of bytes. Signatures are not verified here.

mod change;
mod envelope;
mod naming;
mod path;
mod print;
mod reader;
mod settings;

#[cfg(test)]
mod tests;

pub use change::parse_change;
pub use envelope::{Kind, parse_envelope};
pub use naming::parse_naming;
pub use print::{envelope_json, write_envelope};
pub use reader::DEPTH_MAX;
pub use settings::parse_settings;
