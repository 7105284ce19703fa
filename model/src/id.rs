//! Names that are bytes: records, agents and signatures.
//!
//! They are plain bytes and never promise that anything was verified.

#![expect(missing_debug_implementations, reason = "the resolver types that rkyv derives have no Debug")]

use crate::hex;
use rkyv::{Archive, Deserialize, Serialize};
use std::fmt;

macro_rules! fixed_bytes {
    ($(#[$doc:meta])* $name:ident, $archived:ident, $length:literal) => {
        $(#[$doc])*
        #[derive(Archive, Serialize, Deserialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[rkyv(derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord))]
        pub struct $name(pub [u8; $length]);

        impl $name {
            /// Its length in bytes; as hex it is twice as many characters.
            pub const LENGTH: usize = $length;

            /// Parses lower-case hex of exactly the right length.
            pub fn from_hex(text: &str) -> Option<Self> {
                hex::parse(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                hex::write(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        impl From<&$archived> for $name {
            fn from(archived: &$archived) -> Self {
                Self(archived.0)
            }
        }

        impl fmt::Debug for $archived {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $name(self.0).fmt(f)
            }
        }
    };
}

fixed_bytes! {
    /// The name of a record: the BLAKE3-256 hash of its canonical bytes, 64 hex digits.
    RecordId, ArchivedRecordId, 32
}
fixed_bytes! {
    /// The name of an agent: its Ed25519 public key, compressed, 64 hex digits. Not checked to be a usable key.
    AgentId, ArchivedAgentId, 32
}
fixed_bytes! {
    /// An Ed25519 signature, R then S, 128 hex digits. Not checked against anything.
    Signature, ArchivedSignature, 64
}
fixed_bytes! {
    /// A perceptual hash of an image, 16 hex digits.
    VisualHash, ArchivedVisualHash, 8
}
