//! Calls between nodes: the client that makes them and the server that takes them.
//!
//! It carries messages and never decides what they mean: the other side of the client is [`Peers`], whoever answers is a
//! [`Service`].
//!
//! Every call has a deadline. To each peer there are three connections, so that a stream which nobody reads holds up
//! neither Raft nor control. Whoever knows not the cluster's key gets no answer but that.
//!
//! The proof in a header is the same for every message from one node to another: it keeps strangers and other clusters out
//! of a network that nobody listens in on, and no more. Mutual TLS takes its place when nodes get certificates.

mod call;
mod credentials;
mod door;
mod error;
mod gather;
mod latency;
mod line;
mod pages;
mod peers;
mod questions;
mod refusal;
mod server;
mod service;
mod sink;

#[cfg(test)]
mod tests;

pub use credentials::Credentials;
pub use error::CallError;
pub use gather::Stored;
pub use pages::Pages;
pub use peers::Peers;
pub use questions::{Questions, Scanned};
pub use server::Server;
pub use service::{Caller, Service};
pub use sink::{Gone, Page, Sink};
