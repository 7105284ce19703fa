//! The body of a request, within its limits.

use super::App;
use crate::problem::Fault;
use axum::body::{Body, BodyDataStream, Bytes};
use axum::http::{HeaderMap, header};
use futures_util::StreamExt;
use model::{Code, Refusal};
use std::time::Duration;

/// The media types of one JSON object.
pub(crate) const JSON: &[&str] = &["application/json"];
/// The media types of a JSON object a line.
pub(crate) const NDJSON: &[&str] = &["application/x-ndjson", "application/ndjson", "application/jsonl"];

/// Refuses a body that says it is something else. A body that says nothing is taken at its word.
pub(crate) fn check_media_type(headers: &HeaderMap, taken: &'static [&'static str]) -> Result<(), Fault> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let known = taken.iter().any(|media_type| essence.eq_ignore_ascii_case(media_type));
    let first = taken.first().copied().unwrap_or_default();
    if known { Ok(()) } else { Err(Fault::MediaType(first)) }
}

/// Reads the whole body, at most `body_bytes_max`.
pub(crate) async fn read(app: &App, headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Fault> {
    let max = app.settings.body_bytes_max;
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > max) {
        return Err(too_large(max));
    }
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::with_capacity(announced.unwrap_or_default());
    while let Some(chunk) = next_chunk(app, &mut stream).await? {
        if bytes.len() + chunk.len() > max {
            return Err(too_large(max));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// The next piece of a body; nothing at its end.
pub(crate) async fn next_chunk(app: &App, stream: &mut BodyDataStream) -> Result<Option<Bytes>, Fault> {
    let pause = Duration::from_millis(app.settings.body_pause_ms_max);
    match tokio::time::timeout(pause, stream.next()).await {
        Ok(Some(Ok(chunk))) => Ok(Some(chunk)),
        Ok(Some(Err(_broken))) => Err(Fault::BrokenBody),
        Ok(None) => Ok(None),
        Err(_elapsed) => Err(Fault::SlowBody),
    }
}

/// The refusal of a body or a line beyond `max` bytes.
pub(crate) fn too_large(max: usize) -> Fault {
    Fault::Body(Refusal::new(Code::TooLarge, "body", format!("at most {max} bytes")))
}
