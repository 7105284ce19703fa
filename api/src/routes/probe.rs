//! What load balancers, Prometheus and readers of the interface ask.

use super::App;
use super::describe::{Health, ProbeProblems, Readiness};
use crate::problem::Fault;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, header};

/// Whether the node is alive. It never says whether the node can serve.
#[utoipa::path(
    get, path = "/v1/health", tag = "probe",
    responses((status = 200, description = "The node is alive.", body = Health)),
)]
pub(crate) async fn health(State(app): State<App>) -> Json<Health> {
    let (identity, versions) = (app.database.identity(), app.database.versions());
    Json(Health {
        status: "healthy",
        version: identity.version,
        node_id: identity.node_id,
        speaks: versions.speaks,
        active_version: versions.active,
    })
}

/// Whether the node should get traffic.
#[utoipa::path(
    get, path = "/v1/ready", tag = "probe",
    responses((status = 200, description = "The node can serve.", body = Readiness), ProbeProblems),
)]
pub(crate) async fn ready(State(app): State<App>) -> Result<Json<Readiness>, Fault> {
    let parts = app.database.readiness();
    if parts.iter().all(|part| part.ok) {
        Ok(Json(Readiness { status: "ready", parts }))
    } else {
        Err(Fault::Unready(parts))
    }
}

/// All metrics, in Prometheus' text format.
#[utoipa::path(
    get, path = "/metrics", tag = "probe",
    responses((status = 200, description = "All metrics.", body = String, content_type = "text/plain")),
)]
pub(crate) async fn metrics(State(app): State<App>) -> ([(HeaderName, &'static str); 1], String) {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.database.metrics())
}

/// This document.
#[utoipa::path(
    get, path = "/v1/openapi.json", tag = "probe",
    responses((status = 200, description = "An OpenAPI 3.1 document.", body = Object, content_type = "application/json")),
)]
pub(crate) async fn openapi(State(app): State<App>) -> ([(HeaderName, &'static str); 1], String) {
    ([(header::CONTENT_TYPE, "application/json")], app.openapi.clone())
}
