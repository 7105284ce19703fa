//! Many records in one request: a line each in, a line each out, in order.
//!
//! Lines are gathered into batches, a bounded number of batches is under way at once, and the client's body is read no
//! faster than its results are taken. Memory is bounded by `batch_bytes_max` times `batches_in_flight_max`.

use super::App;
use super::body::{self, NDJSON};
use super::describe::{LineResult, StreamProblems, WriteParameters};
use super::layers::Underway;
use crate::database::{Receipt, SubmitError, SubmitTerms};
use crate::json::parse_envelope;
use crate::problem::{Fault, Problem};
use crate::query::Parameters;
use crate::settings::Settings;
use axum::Extension;
use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use model::{Code, Envelope};
use std::convert::Infallible;
use std::io::BufRead;
use std::time::Duration;

/// Store many records of any kind.
///
/// One envelope a line, `kind` included; one result a line, in the same order, blank lines skipped. A line that is
/// refused affects no other. Results flow back while lines are still being sent: a client that does not read them is
/// not read from either, so it should send at most some thousands of lines before it reads.
#[utoipa::path(
    post, path = "/v1/records", tag = "write",
    params(
        WriteParameters,
        ("dry_run" = Option<bool>, Query, description = "Verify and look up, but store nothing."),
    ),
    request_body(content = Option<String>, content_type = "application/x-ndjson", description = "One envelope a line."),
    responses(
        (status = 200, description = "One `LineResult` a line.", body = String, content_type = "application/x-ndjson"),
        StreamProblems,
    ),
)]
pub(crate) async fn records(
    State(app): State<App>,
    Extension(underway): Extension<Underway>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Fault> {
    let parameters = Parameters::parse(query.as_deref(), &["ack", "dry_run"])?;
    let dry_run = parameters.get("dry_run", Code::UnknownValue, "`true` or `false`", |word| word.parse().ok())?;
    let terms = SubmitTerms { ack: super::write::ack(&parameters)?, dry_run: dry_run.unwrap_or(false) };
    body::check_media_type(&headers, NDJSON)?;
    let batches_max = app.settings.batches_in_flight_max.max(1);
    let batches = stream::unfold(Lines::new(app.clone(), body), async |mut lines| {
        let batch = lines.batch().await?;
        Some((batch, lines))
    });
    let results =
        batches.map(move |batch| submit(app.clone(), batch, terms)).buffered(batches_max).map(move |results| {
            let _held_to_the_end = &underway;
            Ok::<_, Infallible>(results)
        });
    let media_type = HeaderValue::from_static("application/x-ndjson");
    Ok(([(header::CONTENT_TYPE, media_type)], Body::from_stream(results)).into_response())
}

/// Lines that are handed over together: what was read of each, with its number.
#[derive(Default)]
struct Batch {
    lines: Vec<(u64, Option<Problem>)>,
    envelopes: Vec<Envelope>,
    bytes: usize,
}

impl Batch {
    fn refuse(&mut self, number: u64, fault: Fault) {
        self.lines.push((number, Some(fault.into())));
    }

    fn is_full(&self, settings: &Settings) -> bool {
        self.lines.len() >= settings.batch_lines_max || self.bytes >= settings.batch_bytes_max
    }
}

/// Submits a batch and prints its results.
async fn submit(app: App, batch: Batch, terms: SubmitTerms) -> Bytes {
    let mut results = if batch.envelopes.is_empty() {
        Vec::new().into_iter()
    } else {
        app.database.submit(batch.envelopes, terms).await.into_iter()
    };
    let mut out = Vec::with_capacity(batch.lines.len() * 192);
    for (number, problem) in batch.lines {
        let result = match problem {
            Some(problem) => LineResult::refused(number, &problem),
            None => line_result(number, results.next().unwrap_or(Err(SubmitError::Fault))),
        };
        // A line of plain values always prints; the reader would miss one that did not.
        if serde_json::to_writer(&mut out, &result).is_ok() {
            out.push(b'\n');
        }
    }
    out.into()
}

fn line_result(number: u64, result: Result<Receipt, SubmitError>) -> LineResult {
    match result {
        Ok(receipt) => LineResult::taken(number, receipt.into()),
        Err(error @ (SubmitError::Refused(_) | SubmitError::Erased)) => LineResult::refused(number, &error.into()),
        Err(
            error @ (SubmitError::DiskFull
            | SubmitError::NotReady { .. }
            | SubmitError::Unavailable { .. }
            | SubmitError::Overloaded
            | SubmitError::Fault),
        ) => LineResult::failed(number, &error.into()),
    }
}

/// The lines of a body, as they arrive.
struct Lines {
    app: App,
    body: BodyDataStream,
    /// What of the last piece of the body is not yet read.
    piece: Bytes,
    /// The beginning of a line whose end has not arrived.
    partial: Vec<u8>,
    /// Whether that line is too long already; then it is not kept.
    overlong: bool,
    number: u64,
    ended: bool,
}

impl Lines {
    fn new(app: App, body: Body) -> Self {
        let body = body.into_data_stream();
        Self { app, body, piece: Bytes::new(), partial: Vec::new(), overlong: false, number: 0, ended: false }
    }

    /// The next batch: full, or all that arrived within `batch_linger_ms`; nothing at the end of the body.
    async fn batch(&mut self) -> Option<Batch> {
        let mut batch = Batch::default();
        let app = self.app.clone();
        let linger = Duration::from_millis(app.settings.batch_linger_ms);
        let mut patience = None;
        loop {
            self.take_lines(&mut batch);
            if self.ended || batch.is_full(&app.settings) {
                break;
            }
            let piece = body::next_chunk(&app, &mut self.body);
            let piece = if batch.lines.is_empty() {
                piece.await
            } else {
                let until = *patience.get_or_insert_with(|| tokio::time::Instant::now() + linger);
                let Ok(piece) = tokio::time::timeout_at(until, piece).await else { break };
                piece
            };
            match piece {
                Ok(Some(piece)) => self.piece = piece,
                Ok(None) => self.end(&mut batch),
                Err(fault) => self.break_off(&mut batch, fault),
            }
        }
        (!batch.lines.is_empty()).then_some(batch)
    }

    /// Moves whole lines from the piece to the batch until either is at its end.
    fn take_lines(&mut self, batch: &mut Batch) {
        while !batch.is_full(&self.app.settings) && !self.piece.is_empty() {
            let end = line_end(&self.piece);
            let bytes = self.piece.split_to(end.unwrap_or(self.piece.len()));
            match end {
                Some(_) if self.partial.is_empty() && !self.overlong => self.line(&bytes, batch),
                Some(_) => {
                    self.keep(&bytes);
                    self.partial_line(batch);
                }
                None => self.keep(&bytes),
            }
        }
    }

    /// Keeps the beginning of a line, unless it is too long already.
    fn keep(&mut self, bytes: &[u8]) {
        self.overlong |= self.partial.len() + bytes.trim_ascii_end().len() > self.app.settings.line_bytes_max;
        if self.overlong {
            self.partial = Vec::new();
        } else {
            self.partial.extend_from_slice(bytes);
        }
    }

    fn partial_line(&mut self, batch: &mut Batch) {
        let line = std::mem::take(&mut self.partial);
        if std::mem::take(&mut self.overlong) {
            self.number += 1;
            batch.refuse(self.number, body::too_large(self.app.settings.line_bytes_max));
        } else {
            self.line(&line, batch);
        }
    }

    /// Reads one whole line.
    fn line(&mut self, line: &[u8], batch: &mut Batch) {
        self.number += 1;
        let line = line.trim_ascii();
        if line.is_empty() {
            return;
        }
        if line.len() > self.app.settings.line_bytes_max {
            return batch.refuse(self.number, body::too_large(self.app.settings.line_bytes_max));
        }
        batch.bytes += line.len();
        let parsed = parse_envelope(line, None);
        #[cfg(feature = "next")]
        let parsed = parsed.and_then(|envelope| self.must_be_active(envelope));
        match parsed {
            Ok(envelope) => {
                batch.lines.push((self.number, None));
                batch.envelopes.push(envelope);
            }
            Err(refusal) => batch.refuse(self.number, Fault::Body(refusal)),
        }
    }

    /// Refuses what a version brought that this node does not go by.
    #[cfg(feature = "next")]
    fn must_be_active(&self, envelope: Envelope) -> Result<Envelope, model::Refusal> {
        use model::record::Note;
        let active = self.app.database.versions().active;
        if !matches!(envelope.body(), model::Body::Opaque(_)) || active >= Some(Note::SINCE) {
            return Ok(envelope);
        }
        let active = active.map_or_else(|| "none".to_owned(), |active| active.to_string());
        let expected =
            format!("`{}` is taken from version {} on, and version {active} is active", Note::KIND, Note::SINCE);
        Err(model::Refusal::new(Code::UnknownKind, "kind", expected))
    }

    /// The body is at its end; a last line needs no line end.
    fn end(&mut self, batch: &mut Batch) {
        self.ended = true;
        if self.overlong || !self.partial.is_empty() {
            self.partial_line(batch);
        }
    }

    /// The body broke off: what has arrived of a last line does not count.
    fn break_off(&mut self, batch: &mut Batch, fault: Fault) {
        self.ended = true;
        batch.refuse(self.number + 1, fault);
    }
}

/// Just after the first line end in `bytes`.
fn line_end(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    let end = rest.skip_until(b'\n').ok()?;
    bytes.get(..end)?.ends_with(b"\n").then_some(end)
}
