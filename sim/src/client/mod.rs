//! Clients of a cluster: HTTP over simulated streams, claims signed with keys from the seed, and the policy by which
//! they try again.
//!
//! They know nothing of a node but its address, and believe nothing but its answers.

mod author;
mod choice;
mod http;
mod policy;
mod workload;

pub use author::Author;
pub use choice::{CHECK_DEADLINE, CHECK_EVERY, Choice};
pub use http::{Answer, Http, Lost, Request};
pub(crate) use policy::ending;
pub use policy::{ATTEMPT_DEADLINE, PAUSES, write};
pub use workload::{Workload, run};
