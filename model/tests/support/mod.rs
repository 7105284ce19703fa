//! What several test files build on.

#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod bodies;
pub(crate) mod refusals;

use ed25519_dalek::SigningKey;

/// The signing key of the seed `byte` repeated.
pub(crate) fn key(byte: u8) -> SigningKey {
    SigningKey::from_bytes(&[byte; 32])
}
