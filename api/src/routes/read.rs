//! Questions in, resolved answers out; and one record by its id.

use super::App;
use super::describe::{AnyEnvelope, QueryProblems, RecordProblems};
use crate::answer::{self, shape::QueryAnswer};
use crate::database::Observation;
use crate::json::envelope_json;
use crate::problem::Fault;
use crate::query::{self, LensedQuery, Parameters, Query};
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use model::lens::Lens;
use model::record::Subject;
use model::{Code, RecordId};

/// Says when a record was accepted; it is no part of the envelope.
const RECEIVED_AT: HeaderName = HeaderName::from_static("stemedb-received-at");
/// Says of a vote what is known of its target here.
const TARGET: HeaderName = HeaderName::from_static("stemedb-target");

/// Ask questions, resolved by a lens.
///
/// All questions (subject and predicate) that match `subject`, `prefix` and `predicate` are answered, page by page.
/// Without any of them that is every question there is.
#[utoipa::path(
    get, path = "/v1/query", tag = "read", params(Query),
    responses((status = 200, description = "One page of answers.", body = QueryAnswer), QueryProblems),
)]
pub(crate) async fn query(State(app): State<App>, RawQuery(query): RawQuery) -> Result<Json<QueryAnswer>, Fault> {
    resolve(&app, query.as_deref(), None).await
}

/// How contested each question is: one row a value, with its share.
#[utoipa::path(
    get, path = "/v1/skeptic", tag = "read", params(LensedQuery),
    responses((status = 200, description = "One page of answers.", body = QueryAnswer), QueryProblems),
)]
pub(crate) async fn skeptic(State(app): State<App>, RawQuery(query): RawQuery) -> Result<Json<QueryAnswer>, Fault> {
    resolve(&app, query.as_deref(), Some(Lens::Skeptic)).await
}

/// The answer tier by tier, and how far the tiers disagree.
#[utoipa::path(
    get, path = "/v1/layered", tag = "read", params(LensedQuery),
    responses((status = 200, description = "One page of answers.", body = QueryAnswer), QueryProblems),
)]
pub(crate) async fn layered(State(app): State<App>, RawQuery(query): RawQuery) -> Result<Json<QueryAnswer>, Fault> {
    resolve(&app, query.as_deref(), Some(Lens::Layered)).await
}

async fn resolve(app: &App, query: Option<&str>, lens: Option<Lens>) -> Result<Json<QueryAnswer>, Fault> {
    let request = query::request(query, lens, &app.settings)?;
    let before = app.database.monotonic();
    let page = app.database.query(request.plan.clone()).await?;
    let seconds = app.database.monotonic().saturating_sub(before).as_secs_f64();
    app.database.observe(Observation::Query { lens: request.plan.lens, seconds });
    Ok(Json(answer::render(&request.plan, &request.digest, page)))
}

/// One record as it was signed, verifiable offline.
///
/// The header `stemedb-received-at` says when a node accepted it; of a vote, `stemedb-target` says whether its target is
/// `known` here, `unknown` (it may come later), `misrouted` (in another home: the vote never counts) or `erased`.
#[utoipa::path(
    get, path = "/v1/records/{id}", tag = "read",
    params(
        ("id" = String, Path, description = "The record's id.", pattern = "^[0-9a-f]{64}$"),
        ("subject" = Option<String>, Query, description = "Its subject, if known: then only those who keep it are asked.", min_length = 1, max_length = 1024),
    ),
    responses(
        (status = 200, description = "The envelope of a claim, or of a record of another kind.", body = AnyEnvelope),
        RecordProblems,
    ),
)]
pub(crate) async fn record(
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let parameters = Parameters::parse(query.as_deref(), &["subject"])?;
    let subject = parameters.field("subject", |text| Subject::new(text))?;
    let id = id.ok().and_then(|Path(text)| RecordId::from_hex(&text));
    let id = id.ok_or_else(|| query::refuse(Code::BadHex, "id", "64 lower-case hex digits"))?;
    let stored = app.database.record(id, subject).await?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (RECEIVED_AT, HeaderValue::try_from(stored.received_at.to_string()).or(Err(Fault::Internal))?),
    ];
    let target = stored.target.map(|target| [(TARGET, HeaderValue::from_static(target.as_str()))]);
    Ok((headers, target.map(AppendHeaders), envelope_json(&stored.envelope)).into_response())
}
