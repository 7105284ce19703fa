//! Refusals as gRPC carries them: the reason in the details of a status, beside a code and a text for people.

use super::credentials::Credentials;
use super::error::CallError;
use cluster::{Epoch, NodeId};
use proto::{Header, Refusal};
use std::time::Duration;
use tonic::{Code, Status};

/// The status that says `refusal`, under `header`.
pub(super) fn status(refusal: Refusal, header: &Header) -> Status {
    let (code, text) = match &refusal {
        Refusal::StaleEpoch(epoch) => (Code::FailedPrecondition, format!("stale epoch: the table is of epoch {epoch}")),
        Refusal::BehindEpoch(epoch) => (Code::FailedPrecondition, format!("the table here is still of epoch {epoch}")),
        Refusal::WrongCluster(_) => (Code::PermissionDenied, "this node is in another cluster, or in none".to_owned()),
        Refusal::WrongKey => {
            let text = "wrong cluster key: the file that cluster_key_file names is not the same on both nodes";
            (Code::PermissionDenied, text.to_owned())
        }
        Refusal::WrongReceiver(node) => (Code::FailedPrecondition, format!("this is node {}", NodeId(*node))),
        Refusal::WrongProtocol(min, max) => (
            Code::Unimplemented,
            format!("this node takes versions {min} to {max} of the protocol: run a release that speaks one of them"),
        ),
        Refusal::Overloaded(ms) => (Code::ResourceExhausted, format!("overloaded: try again in {ms} ms")),
        Refusal::Refused(text) => (Code::FailedPrecondition, text.clone()),
        Refusal::Malformed(text) => (Code::InvalidArgument, text.clone()),
    };
    Status::with_details(code, text, refusal.encode(header))
}

/// Why a call failed, from the status that came back. A reason that needs the key is taken only from who holds it.
pub(super) fn error(status: &Status, credentials: &Credentials) -> CallError {
    if status.details().is_empty() {
        return unexplained(status);
    }
    let (header, refusal) = match Refusal::decode(status.details()) {
        Ok(refusal) => refusal,
        Err(malformed) => return CallError::Malformed(format!("a refusal: {malformed}")),
    };
    match refusal {
        Refusal::WrongKey => CallError::WrongKey,
        Refusal::WrongProtocol(min, max) => CallError::WrongProtocol { min, max },
        Refusal::Malformed(text) => CallError::Malformed(text),
        _ if !credentials.vouches_for(&header) => CallError::WrongKey,
        Refusal::StaleEpoch(epoch) => CallError::StaleEpoch { theirs: Epoch(epoch) },
        Refusal::BehindEpoch(epoch) => CallError::BehindEpoch { theirs: Epoch(epoch) },
        Refusal::WrongCluster(theirs) => CallError::of_cluster(theirs),
        Refusal::WrongReceiver(node) => CallError::WrongNode { theirs: NodeId(node) },
        Refusal::Overloaded(ms) => CallError::Overloaded { retry_after: Duration::from_millis(ms) },
        Refusal::Refused(text) => CallError::Refused(text),
    }
}

/// A status that no node gave: the connection's, or gRPC's own.
fn unexplained(status: &Status) -> CallError {
    let text = || status.message().to_owned();
    match status.code() {
        Code::Unimplemented => CallError::Malformed(format!("no such call: {}", text())),
        Code::OutOfRange | Code::InvalidArgument | Code::DataLoss => CallError::Malformed(text()),
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::Internal
        | Code::Unavailable
        | Code::Unauthenticated => CallError::Unreachable(text()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cluster::ClusterId;
    use cluster::membership::ClusterKey;

    fn credentials(node: u64, key: u8) -> Credentials {
        Credentials::new(NodeId(node), &ClusterKey([key; 32]), Some(ClusterId([7; 16])))
    }

    #[test]
    fn a_refusal_arrives_as_what_it_was() {
        let (here, there) = (credentials(1, 9), credentials(2, 9));
        for (refusal, expected) in [
            (Refusal::StaleEpoch(4), CallError::StaleEpoch { theirs: Epoch(4) }),
            (Refusal::BehindEpoch(4), CallError::BehindEpoch { theirs: Epoch(4) }),
            (Refusal::WrongCluster([3; 16]), CallError::WrongCluster { theirs: Some(ClusterId([3; 16])) }),
            (Refusal::WrongCluster([0; 16]), CallError::WrongCluster { theirs: None }),
            (Refusal::WrongKey, CallError::WrongKey),
            (Refusal::WrongReceiver(3), CallError::WrongNode { theirs: NodeId(3) }),
            (Refusal::WrongProtocol(1, 2), CallError::WrongProtocol { min: 1, max: 2 }),
            (Refusal::Overloaded(50), CallError::Overloaded { retry_after: Duration::from_millis(50) }),
            (Refusal::Refused("no".into()), CallError::Refused("no".into())),
            (Refusal::Malformed("field".into()), CallError::Malformed("field".into())),
        ] {
            assert_eq!(error(&status(refusal, &there.header(Some(here.node()))), &here), expected);
        }
    }

    #[test]
    fn a_stranger_cannot_say_what_only_a_member_knows() {
        let (here, stranger) = (credentials(1, 9), credentials(2, 8));
        let lie = status(Refusal::StaleEpoch(u64::MAX), &stranger.header(Some(here.node())));
        assert_eq!(error(&lie, &here), CallError::WrongKey);
        let blank = status(Refusal::WrongKey, &stranger.blank_header());
        assert_eq!(error(&blank, &here), CallError::WrongKey);
        assert!(blank.message().contains("cluster_key_file"));
    }
}
