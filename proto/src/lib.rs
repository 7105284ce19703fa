//! What nodes say to each other: messages and services over gRPC.
//!
//! Messages and the services that carry them, no decision: who is asked, what is answered and what an answer means is
//! decided elsewhere, and no secret is known here.
//!
//! Each message is a plain type here and a generated one in [`wire`]; one file in `convert/` translates between the two, and
//! whatever it lets through is within the limits of [`limits`]. Archives of records travel as the bytes that they are on
//! disk, with the version of their format. The files in `proto/` say how the format may change; after editing them run
//! `cargo run -p proto --example generate`.

pub mod limits;
pub mod wire;

mod convert;
mod field;
mod homes;
mod malformed;

pub use convert::{
    BequeathReply, BequeathRequest, Bequest, BodiesPage, BodiesRequest, ConfirmReply, ConfirmRequest, Element,
    ElementsPage, ElementsRequest, Erasure, FetchReply, FetchRequest, Found, GreetReply, GreetRequest, Greeting,
    Header, Held, HomeHints, HomeShortfall, HomeSum, Membership, PeerLag, Piece, ProposeReply, ProposeRequest,
    Question, RaftKind, RaftReply, RaftRequest, Reachable, Record, Refusal, Report, ReportRequest, Role, RootsReply,
    RootsRequest, ScanEnd, ScanPage, ScanRequest, Selector, Standing, State, StoreReply, StoreRequest, TableReply,
    TableRequest, Verdict,
};
#[cfg(feature = "next")]
pub use convert::{RaisedReply, RaisedRequest};
pub use homes::Homes;
pub use malformed::{Fault, Malformed};
pub use prost::bytes::Bytes;

/// The version of the archives that this release writes.
pub const ARCHIVE_FORMAT: u32 = 1;

/// A message without its header, and how it travels.
pub trait Message: Sized + Send + 'static {
    /// The generated type.
    type Wire: prost::Message + Default + Send + 'static;

    /// The message for the wire, under `header`. Texts for people that are longer than the format takes are cut.
    fn seal(self, header: &Header) -> Self::Wire;

    /// Takes the header of a message that arrived, before anything else of it is looked at.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if there is none, or one of its fields is not what the format says.
    fn header(wire: &Self::Wire) -> Result<Header, Malformed>;

    /// Takes the rest of a message that arrived.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if a field is not what the format says.
    fn open(wire: Self::Wire) -> Result<Self, Malformed>;
}
