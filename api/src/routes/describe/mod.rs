//! What the OpenAPI document says beside the routes: its head, the shapes, and which problems a route can have.

mod cluster;
mod receipt;
mod request;

pub(crate) use cluster::{ClusterShape, Glance, NodesShape, StatusShape};
pub(crate) use receipt::{Erased, Health, LineResult, Readiness, Receipt};
pub(crate) use request::{
    AliasEnvelope, AnyEnvelope, AssertionEnvelope, ChangeShape, Naming, SettingsChange, VoteEnvelope, WriteParameters,
};

use crate::problem::{PROBLEM_JSON, Problem};
use std::collections::BTreeMap;
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, OpenApi as _};

/// The OpenAPI 3.1 document of the client interface.
pub fn openapi() -> OpenApi {
    super::client_openapi()
}

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "StemeDB",
        description = "Signed claims in, resolved answers out. Errors are RFC 9457 problem details with a stable `code`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    components(schemas(Problem, LineResult)),
    tags(
        (name = "write", description = "Records in."),
        (name = "read", description = "Answers out."),
        (name = "probe", description = "For load balancers, Prometheus and readers of this document."),
        (name = "admin", description = "For operators, on a listener of their own."),
    ),
)]
struct Head;

/// Adds to the described routes what is said once for all of them.
pub(crate) fn document(routes: OpenApi) -> OpenApi {
    let mut document = Head::openapi();
    document.merge(routes);
    document
}

macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident: $($status:literal)*;)*) => {$(
        $(#[$doc])*
        pub(crate) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                [$($status),*].into_iter().map(|status| (status.to_string(), problem(status).into())).collect()
            }
        }
    )*};
}

problems! {
    /// Of a route that takes one record.
    WriteProblems: 400 408 410 413 415 422 500 503 507;
    /// Of a route that takes a stream of records; what is wrong with one of them stands in its line.
    StreamProblems: 400 415 500 503;
    /// Of a route that gives a stream of records.
    ExportProblems: 400 500 503;
    /// Of a query.
    QueryProblems: 400 422 500 503;
    /// Of a read by id.
    RecordProblems: 400 404 410 500 503;
    /// Of a probe.
    ProbeProblems: 503;
    /// Of an erasure.
    EraseProblems: 400 404 408 413 415 422 500 503 507;
    /// Of a change of settings.
    SettingsProblems: 400 408 413 415 422 500 503;
    /// Of a change of the cluster.
    ChangeProblems: 400 408 409 413 415 422 500 503;
    /// Of other administration.
    AdminProblems: 500 503;
}

/// One status with problem details.
fn problem(status: u16) -> Response {
    let what = match status {
        400 => {
            "The request is not well-formed: not JSON, a key twice, a parameter that is not known or not well spelt."
        }
        404 => "There is no such record.",
        409 => "The cluster as it is does not allow it; the detail says why and what to do.",
        408 => "The body took too long to arrive.",
        410 => "The record was erased.",
        413 => "The body is too large.",
        415 => "The body is of another media type.",
        422 => "What the request says breaks a rule.",
        500 => "A fault of the node.",
        503 => "Not now: not ready, overloaded, or too few copies in time. `Retry-After` says when to try again.",
        507 => "The disk is full.",
        _ => "Something went wrong.",
    };
    let content = Content::new(Some(Ref::from_schema_name("Problem")));
    ResponseBuilder::new().description(what).content(PROBLEM_JSON, content).build()
}
