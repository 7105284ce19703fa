//! From generated types to plain ones and back, a file a message. Strict on the way in: what breaks a rule is [`Malformed`].
//!
//! [`Malformed`]: crate::Malformed

mod bequeath;
mod bodies;
mod confirm;
mod elements;
mod fetch;
mod greet;
mod header;
mod propose;
mod raft;
#[cfg(feature = "next")]
mod raised;
mod record;
mod refusal;
mod report;
mod roots;
mod scan;
mod store;
mod table;

#[cfg(test)]
mod laws;

pub use bequeath::{BequeathReply, BequeathRequest, Bequest};
pub use bodies::{BodiesPage, BodiesRequest};
pub use confirm::{ConfirmReply, ConfirmRequest};
pub use elements::{Element, ElementsPage, ElementsRequest};
pub use fetch::{FetchReply, FetchRequest};
pub use greet::{GreetReply, GreetRequest, Greeting, Membership, Reachable, Standing};
pub use header::Header;
pub use propose::{ProposeReply, ProposeRequest};
pub use raft::{RaftKind, RaftReply, RaftRequest};
#[cfg(feature = "next")]
pub use raised::{RaisedReply, RaisedRequest};
pub use record::{Erasure, Found, Held, Record, State};
pub use refusal::Refusal;
pub use report::{HomeHints, HomeShortfall, PeerLag, Report, ReportRequest};
pub use roots::{HomeSum, RootsReply, RootsRequest};
pub use scan::{Piece, Question, ScanEnd, ScanPage, ScanRequest, Selector};
pub use store::{Role, StoreReply, StoreRequest, Verdict};
pub use table::{TableReply, TableRequest};

/// The two methods of [`crate::Message`] that are the same for every message.
macro_rules! headed {
    ($($wire:ident)::+) => {
        type Wire = crate::wire::$($wire)::+;

        fn header(wire: &Self::Wire) -> Result<crate::Header, crate::Malformed> {
            crate::Header::from_wire(wire.header.as_ref())
        }
    };
}
use headed;
