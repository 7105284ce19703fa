//! Nodes on loopback sockets that call each other.

mod calls;
mod faults;
mod node;
mod sealed;
mod streams;
