//! Which path is answered by what, and what stands in front of all of them.
//!
//! Every route is registered together with its description, so none is missing from the OpenAPI document.

mod admin;
mod body;
mod bulk;
mod describe;
mod export;
mod layers;
mod probe;
mod read;
mod write;

pub use describe::openapi;

use crate::database::Database;
use crate::settings::Settings;
use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::{Config, SwaggerUi};

/// What every handler shares.
pub(crate) struct Shared {
    pub(crate) database: Arc<dyn Database>,
    pub(crate) settings: Settings,
    pub(crate) inflight: Arc<Semaphore>,
    pub(crate) openapi: String,
}

/// The state of a handler.
pub(crate) type App = Arc<Shared>;

/// The interface for clients: everything under `/v1` but the administration, `/metrics` and `/docs`.
pub fn client_router(database: Arc<dyn Database>, settings: Settings) -> Router {
    let app = share(database, settings, &client_openapi());
    let bounded = answers().layer(from_fn_with_state(app.clone(), layers::deadline));
    let limited = bounded.merge(streams()).layer(from_fn_with_state(app.clone(), layers::inflight));
    let (router, _described) = limited.merge(probes()).split_for_parts();
    let docs: Router<App> = SwaggerUi::new("/docs").config(Config::from("/v1/openapi.json")).into();
    finish(router.merge(docs), app)
}

/// The interface for operators: `/v1/admin`, with health, readiness and metrics. Only for an internal network.
pub fn admin_router(database: Arc<dyn Database>, settings: Settings) -> Router {
    let app = share(database, settings, &admin_openapi());
    let (router, _described) = administration().merge(probes()).split_for_parts();
    finish(router, app)
}

fn client_openapi() -> utoipa::openapi::OpenApi {
    describe::document(answers().merge(streams()).merge(probes()).into_openapi())
}

fn admin_openapi() -> utoipa::openapi::OpenApi {
    describe::document(administration().merge(probes()).into_openapi())
}

/// Routes whose answer must begin within `request_ms_max`.
fn answers() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(write::assert))
        .routes(routes!(write::vote))
        .routes(routes!(write::alias))
        .routes(routes!(read::query))
        .routes(routes!(read::skeptic))
        .routes(routes!(read::layered))
        .routes(routes!(read::record))
}

/// Routes whose answer is as long as what they are about.
fn streams() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(bulk::records, export::export))
}

/// Routes that answer however busy the node is.
fn probes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(probe::health))
        .routes(routes!(probe::ready))
        .routes(routes!(probe::metrics))
        .routes(routes!(probe::openapi))
}

fn administration() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(admin::erase))
        .routes(routes!(admin::compact))
        .routes(routes!(admin::status))
        .routes(routes!(admin::cluster))
        .routes(routes!(admin::settings))
        .routes(routes!(admin::change))
        .routes(routes!(admin::nodes))
}

fn share(database: Arc<dyn Database>, settings: Settings, document: &utoipa::openapi::OpenApi) -> App {
    let inflight = Arc::new(Semaphore::new(settings.inflight_requests_max.min(Semaphore::MAX_PERMITS)));
    let openapi = document.to_json().unwrap_or_default();
    Arc::new(Shared { database, settings, inflight, openapi })
}

fn finish(router: Router<App>, app: App) -> Router {
    router
        .fallback(layers::no_such_path)
        .layer(CatchPanicLayer::custom(layers::panicked))
        .layer(from_fn(layers::as_problem))
        .layer(from_fn_with_state(app.clone(), layers::observed))
        .with_state(app)
}
