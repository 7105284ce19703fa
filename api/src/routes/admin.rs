//! What operators ask, on a listener of their own.

use super::App;
use super::body::{self, JSON};
use super::describe::{
    AdminProblems, ChangeProblems, ChangeShape, ClusterShape, EraseProblems, Erased, Glance, Naming, NodesShape,
    SettingsChange, SettingsProblems, StatusShape,
};
use crate::database::{Changed, ClusterSettings, Compaction, Erasure};
use crate::json::{parse_change, parse_naming, parse_settings};
use crate::problem::Fault;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use model::{Code, Refusal};

/// Erase the body of a record for ever.
///
/// Its id and stamp remain, so that it never comes back. Compaction removes the bytes from the log.
#[utoipa::path(
    post, path = "/v1/admin/erase", tag = "admin", request_body = Naming,
    responses((status = 200, description = "The record is erased.", body = Erased), EraseProblems),
)]
pub(crate) async fn erase(State(app): State<App>, headers: HeaderMap, body: Body) -> Result<Json<Erased>, Fault> {
    body::check_media_type(&headers, JSON)?;
    let bytes = body::read(&app, &headers, body).await?;
    let id = parse_naming(&bytes).map_err(Fault::Body)?;
    let status = match app.database.erase(id).await? {
        Erasure::Erased => "erased",
        Erasure::AlreadyErased => "already_erased",
    };
    Ok(Json(Erased { id: id.to_string(), status }))
}

/// Rewrite sealed segments of the log without what is no longer needed.
#[utoipa::path(
    post, path = "/v1/admin/compact", tag = "admin",
    responses((status = 200, description = "What was rewritten.", body = Compaction), AdminProblems),
)]
pub(crate) async fn compact(State(app): State<App>) -> Result<Json<Compaction>, Fault> {
    Ok(Json(app.database.compact().await?))
}

/// Figures of this node, and its cluster at a glance.
#[utoipa::path(
    get, path = "/v1/admin/status", tag = "admin",
    responses((status = 200, description = "Figures of this node.", body = StatusShape), AdminProblems),
)]
pub(crate) async fn status(State(app): State<App>) -> Result<Json<StatusShape>, Fault> {
    let (node, cluster, nodes) = tokio::join!(app.database.status(), app.database.cluster(), app.database.nodes());
    // A node that cannot tell of its cluster still tells of itself.
    let cluster = cluster.ok().zip(nodes.ok()).map(|(cluster, nodes)| Glance::of(cluster, &nodes));
    Ok(Json(StatusShape { node: node?, cluster }))
}

/// The cluster as this node has it: who belongs to it, and what holds for all of it.
#[utoipa::path(
    get, path = "/v1/admin/cluster", tag = "admin",
    responses((status = 200, description = "The cluster.", body = ClusterShape), AdminProblems),
)]
pub(crate) async fn cluster(State(app): State<App>) -> Result<Json<ClusterShape>, Fault> {
    Ok(Json(app.database.cluster().await?.into()))
}

/// Change what holds for the whole cluster.
///
/// It is decided when this answers. The placement table follows within moments, and the data by itself; reads and writes go
/// on meanwhile. Before another change, wait until nothing is under-replicated.
#[utoipa::path(
    post, path = "/v1/admin/settings", tag = "admin", request_body = SettingsChange,
    responses((status = 200, description = "The settings from now on.", body = ClusterSettings), SettingsProblems),
)]
pub(crate) async fn settings(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<ClusterSettings>, Fault> {
    body::check_media_type(&headers, JSON)?;
    let bytes = body::read(&app, &headers, body).await?;
    let copies = parse_settings(&bytes).map_err(Fault::Body)?;
    if app.database.cluster().await?.members.len() == 1 {
        let expected = "nothing: this node is alone, and keeps one copy of each record";
        return Err(Fault::Body(Refusal::new(Code::OutOfRange, "replication_factor", expected)));
    }
    app.database.set_replication_factor(copies).await?;
    Ok(Json(ClusterSettings { replication_factor: copies.get() }))
}

/// Change who is in the cluster, what moves in it, or the active version.
///
/// It is decided when this answers, or only planned. The data follows by itself, a few homes at a time; reads and writes go
/// on meanwhile. `GET /v1/admin/cluster` tells how far it is. To ask again is harmless.
#[utoipa::path(
    post, path = "/v1/admin/changes", tag = "admin", request_body = ChangeShape,
    responses((status = 200, description = "What it comes to.", body = Changed), ChangeProblems),
)]
pub(crate) async fn change(State(app): State<App>, headers: HeaderMap, body: Body) -> Result<Json<Changed>, Fault> {
    body::check_media_type(&headers, JSON)?;
    let bytes = body::read(&app, &headers, body).await?;
    let (change, plan_only) = parse_change(&bytes).map_err(Fault::Body)?;
    Ok(Json(app.database.change(change, plan_only).await?))
}

/// How every node of the cluster is.
///
/// All of them are asked. One that does not answer is there, with what this node knows of it.
#[utoipa::path(
    get, path = "/v1/admin/nodes", tag = "admin",
    responses((status = 200, description = "Every node.", body = NodesShape), AdminProblems),
)]
pub(crate) async fn nodes(State(app): State<App>) -> Result<Json<NodesShape>, Fault> {
    let (cluster, nodes) = tokio::join!(app.database.cluster(), app.database.nodes());
    let own = app.database.identity().node_id;
    Ok(Json(NodesShape::new(nodes?, &own, cluster?.leader.as_deref())))
}
