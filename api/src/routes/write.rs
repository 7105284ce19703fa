//! One record in, one receipt out.

use super::App;
use super::body::{self, JSON};
use super::describe::{AliasEnvelope, AssertionEnvelope, Receipt, VoteEnvelope, WriteParameters, WriteProblems};
use crate::database::{Ack, Outcome, SubmitError, SubmitTerms};
use crate::json::{Kind, parse_envelope};
use crate::problem::Fault;
use crate::query::Parameters;
use axum::Json;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use model::Code;

/// The answer to one record that was taken: 201 for a new one, 200 for one that was there.
type Taken = (StatusCode, [(HeaderName, String); 1], Json<Receipt>);

/// Store one claim.
///
/// Answered once the claim is durable on as many nodes as `ack` asks for and visible to queries here. Sending the same
/// claim again is safe: it is the same record.
#[utoipa::path(
    post, path = "/v1/assert", tag = "write",
    params(WriteParameters),
    request_body = AssertionEnvelope,
    responses(
        (status = 201, description = "The claim is new.", body = Receipt),
        (status = 200, description = "The claim was there already.", body = Receipt),
        WriteProblems,
    ),
)]
pub(crate) async fn assert(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Taken, Fault> {
    take(&app, query.as_deref(), &headers, body, Kind::Assertion).await
}

/// Store one vote on a claim.
///
/// The claim need not be known yet; `target_known` says whether it is.
#[utoipa::path(
    post, path = "/v1/vote", tag = "write",
    params(WriteParameters),
    request_body = VoteEnvelope,
    responses(
        (status = 201, description = "The vote is new.", body = Receipt),
        (status = 200, description = "The vote was there already.", body = Receipt),
        WriteProblems,
    ),
)]
pub(crate) async fn vote(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Taken, Fault> {
    take(&app, query.as_deref(), &headers, body, Kind::Vote).await
}

/// Store one alias: two subjects that name one thing.
///
/// Every node keeps it, whatever the homes of the two subjects are.
#[utoipa::path(
    post, path = "/v1/aliases", tag = "write",
    params(WriteParameters),
    request_body = AliasEnvelope,
    responses(
        (status = 201, description = "The alias is new.", body = Receipt),
        (status = 200, description = "The alias was there already.", body = Receipt),
        WriteProblems,
    ),
)]
pub(crate) async fn alias(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Taken, Fault> {
    take(&app, query.as_deref(), &headers, body, Kind::Alias).await
}

async fn take(app: &App, query: Option<&str>, headers: &HeaderMap, body: Body, kind: Kind) -> Result<Taken, Fault> {
    let parameters = Parameters::parse(query, &["ack"])?;
    let ack = ack(&parameters)?;
    body::check_media_type(headers, JSON)?;
    let bytes = body::read(app, headers, body).await?;
    let envelope = parse_envelope(&bytes, Some(kind)).map_err(Fault::Body)?;
    let results = app.database.submit(vec![envelope], SubmitTerms { ack, dry_run: false }).await;
    let receipt = results.into_iter().next().unwrap_or(Err(SubmitError::Fault))?;
    let status = match receipt.outcome {
        Outcome::Created(_) => StatusCode::CREATED,
        Outcome::Exists(_) | Outcome::WouldCreate => StatusCode::OK,
    };
    Ok((status, [(header::LOCATION, format!("/v1/records/{}", receipt.id))], Json(receipt.into())))
}

/// The parameter `ack`.
pub(crate) fn ack(parameters: &Parameters) -> Result<Ack, Fault> {
    let read = |word: &str| Ack::ALL.into_iter().find(|ack| ack.as_str() == word);
    Ok(parameters.get("ack", Code::UnknownValue, "`default`, `1` or `all`", read)?.unwrap_or_default())
}
