//! The generated types, clients and servers. Nothing here is written by hand; see the files in `proto/`.

#![allow(missing_docs, reason = "generated: what the .proto files leave unsaid is said by the types of this crate")]
#![allow(clippy::all, clippy::missing_errors_doc, clippy::too_many_lines, clippy::use_self, reason = "generated")]
#![allow(unused_qualifications, reason = "generated")]

include!("generated/stemedb.node.v1.rs");

/// What a second version of the protocol would bring.
#[cfg(feature = "next")]
pub mod next {
    include!("generated/stemedb.node.next.rs");
}
