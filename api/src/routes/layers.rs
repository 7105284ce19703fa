//! What stands in front of every handler: counting, limits, and problem details for whatever goes wrong.

use super::App;
use crate::database::{Observation, SubmitError};
use crate::problem::{Fault, PROBLEM_JSON};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::any::Any;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// The right to be under way; an answer that streams holds it until its end.
#[derive(Clone, Debug)]
pub(crate) struct Underway(#[expect(dead_code, reason = "held, never read")] Arc<OwnedSemaphorePermit>);

/// Counts and times a request.
pub(crate) async fn observed(State(app): State<App>, request: Request, next: Next) -> Response {
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let before = app.database.monotonic();
    let response = next.run(request).await;
    let seconds = app.database.monotonic().saturating_sub(before).as_secs_f64();
    let route = matched.as_ref().map_or("unmatched", MatchedPath::as_str);
    app.database.observe(Observation::Request { route, status: response.status().as_u16(), seconds });
    response
}

/// Turns whatever the framework itself refuses into problem details.
pub(crate) async fn as_problem(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let status = response.status();
    let failed = status.is_client_error() || status.is_server_error();
    let described = response.headers().get(header::CONTENT_TYPE).is_some_and(|value| value == PROBLEM_JSON);
    if !failed || described {
        return response;
    }
    let fault = match status {
        StatusCode::NOT_FOUND => Fault::NotFound("there is no such path"),
        StatusCode::METHOD_NOT_ALLOWED => Fault::Method,
        StatusCode::SERVICE_UNAVAILABLE => Fault::Submit(SubmitError::Overloaded),
        _ if status.is_client_error() => Fault::Unreadable,
        _ => Fault::Internal,
    };
    let allow = response.headers_mut().remove(header::ALLOW);
    let mut problem = fault.into_response();
    problem.headers_mut().extend(allow.map(|allow| (header::ALLOW, allow)));
    problem
}

/// Refuses a request when too many are under way.
pub(crate) async fn inflight(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let Ok(permit) = app.inflight.clone().try_acquire_owned() else {
        return Fault::Submit(SubmitError::Overloaded).into_response();
    };
    let underway = Underway(Arc::new(permit));
    request.extensions_mut().insert(underway.clone());
    let response = next.run(request).await;
    drop(underway);
    response
}

/// Gives up on an answer that does not begin in time.
pub(crate) async fn deadline(State(app): State<App>, request: Request, next: Next) -> Response {
    let limit = Duration::from_millis(app.settings.request_ms_max);
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_elapsed) => Fault::Late.into_response(),
    }
}

/// The answer to a path that nobody has.
pub(crate) async fn no_such_path() -> Fault {
    Fault::NotFound("there is no such path")
}

/// The answer in place of that of a handler that panicked.
pub(crate) fn panicked(payload: Box<dyn Any + Send>) -> Response {
    let said = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    tracing::error!(said, "a handler panicked");
    Fault::Internal.into_response()
}
