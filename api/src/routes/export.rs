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
use model::{Code, Refusal};
use std::io;
use utoipa::ToSchema;

/// How many records are read at once.
const STRETCH: usize = 256;

/// All records as signed envelopes, one a line.
///
/// In the order in which this node stored them, without those erased. `POST /v1/records` takes them anywhere, byte for
/// byte. If the node cannot go on, or if damage on its disk keeps records out, the answer breaks off instead of ending,
/// so that nobody takes it for whole; with `damaged=skip` damage is passed over.
#[utoipa::path(
    get, path = "/v1/records", tag = "read",
    params(("damaged" = inline(Option<WhatOfDamage>), Query, description = "What to do about damage: `refuse` by default.")),
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
    let parameters = Parameters::parse(query.as_deref(), &["damaged"])?;
    let damage = parameters.field("damaged", WhatOfDamage::parse)?.unwrap_or_default();
    let first = app.database.export(None, STRETCH).await?;
    let stretches = stream::try_unfold((Next::Print(first, 0), underway), move |(next, underway)| {
        let app = app.clone();
        async move {
            let (stretch, damaged) = match next {
                Next::Print(stretch, damaged) => (stretch, damaged),
                Next::End(0) => return Ok::<_, io::Error>(None),
                Next::End(damaged) => return Err(io::Error::other(format!("{damaged} damaged stretches are missing"))),
            };
            let damaged = match damage {
                WhatOfDamage::Refuse => damaged + stretch.damaged,
                WhatOfDamage::Skip => 0,
            };
            let following = match stretch.next {
                Some(next) => {
                    Next::Print(app.database.export(Some(next), STRETCH).await.map_err(io::Error::other)?, damaged)
                }
                None => Next::End(damaged),
            };
            Ok(Some((printed(&stretch), (following, underway))))
        }
    });
    let media_type = HeaderValue::from_static("application/x-ndjson");
    Ok(([(header::CONTENT_TYPE, media_type)], Body::from_stream(stretches)).into_response())
}

/// What an export does about records that it cannot read.
#[derive(Clone, Copy, Debug, Default, ToSchema)]
#[schema(rename_all = "snake_case")]
enum WhatOfDamage {
    /// Break off at the end.
    #[default]
    Refuse,
    /// Pass over them.
    Skip,
}

impl WhatOfDamage {
    fn parse(word: &str) -> Result<Self, Refusal> {
        match word {
            "refuse" => Ok(Self::Refuse),
            "skip" => Ok(Self::Skip),
            _ => Err(Refusal::new(Code::UnknownValue, "damaged", "refuse or skip")),
        }
    }
}

/// What an export does next, and how many damaged stretches it has passed.
enum Next {
    Print(Export, usize),
    End(usize),
}

fn printed(stretch: &Export) -> Bytes {
    let mut out = Vec::with_capacity(stretch.envelopes.len() * 1024);
    for envelope in &stretch.envelopes {
        write_envelope(envelope, &mut out);
        out.push(b'\n');
    }
    out.into()
}
