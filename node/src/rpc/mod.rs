//! Calls between nodes: the client that makes them and the server that takes them.
//!
//! It carries messages and never decides what they mean: the other side of the client is [`Peers`], whoever answers is a
//! [`Service`].
//!
//! Every call has a deadline. To each peer there are three connections, so that a stream which nobody reads holds up
//! neither Raft nor control.
//!
//! On a network that others have access to, both sides of every connection show a certificate, and whoever called must
//! speak under the id of its key. Members alone are answered, by the newest control state that is known; whoever else holds
//! the cluster's key may say who it is and ask who this is. Whoever does not hold it gets no answer but that.
//!
//! In a simulation there are no certificates. The proof in a header, which is the same for every message from one node to
//! another, is all there is then.

mod call;
mod certificate;
mod credentials;
mod door;
mod error;
mod gather;
mod latency;
mod line;
mod pages;
mod peers;
mod questions;
mod reception;
mod refusal;
mod roster;
mod server;
mod service;
mod sink;

#[cfg(test)]
mod tests;

pub use certificate::{Certificate, NoCertificate};
pub use credentials::Credentials;
pub use error::CallError;
pub use gather::Stored;
pub use pages::Pages;
pub use peers::Peers;
pub use questions::{Questions, Scanned};
pub use server::Server;
pub use service::{Caller, Service};
pub use sink::{Gone, Page, Sink};
