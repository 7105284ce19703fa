//! Every record out, a line each.

use super::App;
use super::describe::ExportProblems;
use super::layers::Underway;
use crate::database::Export;
use crate::json::write_envelope;
use crate::problem::Fault;
use crate::query::Parameters;
use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use std::io;

/// How many records are read at once.
const STRETCH: usize = 256;

/// All records as signed envelopes, one a line.
///
/// In the order in which this node stored them, without those erased. `POST /v1/records` takes them anywhere, byte for
/// byte. If the node cannot go on, the answer breaks off instead of ending.
#[utoipa::path(
    get, path = "/v1/records", tag = "read",
    responses(
        (status = 200, description = "One envelope a line.", body = String, content_type = "application/x-ndjson"),
        ExportProblems,
    ),
)]
pub(crate) async fn export(
    State(app): State<App>,
    Extension(underway): Extension<Underway>,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    Parameters::parse(query.as_deref(), &[])?;
    let first = app.database.export(None, STRETCH).await?;
    let stretches = stream::try_unfold((Some(first), underway), move |(stretch, underway)| {
        let app = app.clone();
        async move {
            let Some(stretch) = stretch else { return Ok::<_, io::Error>(None) };
            let following = match stretch.next {
                Some(next) => Some(app.database.export(Some(next), STRETCH).await.map_err(io::Error::other)?),
                None => None,
            };
            Ok(Some((printed(&stretch), (following, underway))))
        }
    });
    let media_type = HeaderValue::from_static("application/x-ndjson");
    Ok(([(header::CONTENT_TYPE, media_type)], Body::from_stream(stretches)).into_response())
}

fn printed(stretch: &Export) -> Bytes {
    let mut out = Vec::with_capacity(stretch.envelopes.len() * 1024);
    for envelope in &stretch.envelopes {
        write_envelope(envelope, &mut out);
        out.push(b'\n');
    }
    out.into()
}
