//! Everything that can go wrong with a request, as RFC 9457 problem details.
//!
//! A [`Fault`] says what happened; its status and code are fixed here and nowhere else. Details of a node's own faults go
//! to its log, never into an answer.

use crate::database::{ChangeError, EraseError, Part, ReadError, RecordError, SubmitError};
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::{Code, Refusal};
use serde::Serialize;
use std::borrow::Cow;
use utoipa::ToSchema;

/// The media type of every answer with a status of 400 or more.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";
/// After how many seconds to try again where the database did not say.
const RETRY_AFTER_S: u32 = 1;

/// Why a request was not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The body of the request breaks a rule.
    Body(Refusal),
    /// The path or the query string breaks a rule.
    Parameter(Refusal),
    /// The cursor is none of ours, or belongs to another query.
    Cursor,
    /// There is no such path or record.
    NotFound(&'static str),
    /// The path has other methods.
    Method,
    /// The body is of another media type.
    MediaType(&'static str),
    /// The framework could not make sense of the request.
    Unreadable,
    /// The client paused too long in the middle of its body.
    SlowBody,
    /// The client's body broke off.
    BrokenBody,
    /// The answer took too long.
    Late,
    /// The database did not take a record.
    Submit(SubmitError),
    /// The database did not answer.
    Read(ReadError),
    /// The cluster as it is does not allow a change.
    Conflict(String),
    /// Parts of the node that must hold do not.
    Unready(Vec<Part>),
    /// A fault of our own.
    Internal,
}

impl From<SubmitError> for Fault {
    fn from(error: SubmitError) -> Self {
        Self::Submit(error)
    }
}

impl From<ReadError> for Fault {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl From<RecordError> for Fault {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::NotFound => Self::NotFound("no record of that id is known"),
            RecordError::Erased => Self::Submit(SubmitError::Erased),
            RecordError::Read(error) => Self::Read(error),
        }
    }
}

impl From<ChangeError> for Fault {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Unheard(node) => Self::Conflict(format!(
                "node {node} waits for nothing here: start it with `seeds` in this cluster, the cluster's key and an empty \
                 data folder"
            )),
            ChangeError::Refused(why) => Self::Conflict(why),
            ChangeError::Read(error) => Self::Read(error),
        }
    }
}

impl From<EraseError> for Fault {
    fn from(error: EraseError) -> Self {
        match error {
            EraseError::NotFound => Self::NotFound("no record of that id is known"),
            EraseError::Submit(error) => Self::Submit(error),
        }
    }
}

/// RFC 9457 problem details.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// A name for the kind of problem: `urn:stemedb:problem:` and the code.
    #[serde(rename = "type")]
    #[schema(examples("urn:stemedb:problem:bad_hex"))]
    kind: String,
    /// What happened, in a few words; the same for every problem of the code.
    #[schema(examples("Not lower-case hex of the right length"))]
    title: &'static str,
    /// The status of the answer.
    #[schema(value_type = i32, minimum = 400, maximum = 599, examples(422))]
    status: u16,
    /// What a program should look at; never changes its meaning.
    #[schema(examples("bad_hex"))]
    code: &'static str,
    /// What happened this time, for people.
    #[schema(examples("signatures[0].agent_id: 64 lower-case hex digits"))]
    detail: String,
    /// The field or parameter at fault, as a path in what was sent; `body` for the whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, examples("signatures[0].agent_id"))]
    field: Option<Cow<'static, str>>,
    /// What would have been accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, examples("64 lower-case hex digits"))]
    expected: Option<Cow<'static, str>>,
    /// Of a node that is not ready: every part that must hold, the failing ones included.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    parts: Vec<Part>,
    #[serde(skip)]
    retry_after_s: Option<u32>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:stemedb:problem:{code}"),
            title,
            status: status.as_u16(),
            code,
            detail: detail.into(),
            field: None,
            expected: None,
            parts: Vec::new(),
            retry_after_s: None,
        }
    }

    fn of_refusal(status: StatusCode, refusal: Refusal) -> Self {
        let detail = format!("{}: {}", refusal.field, refusal.expected);
        let problem = Self::new(status, refusal.code.as_str(), title_of(refusal.code), detail);
        Self { field: Some(refusal.field), expected: Some(refusal.expected), ..problem }
    }

    fn unavailable(code: &'static str, title: &'static str, detail: impl Into<String>, retry_after_s: u32) -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, code, title, detail);
        Self { retry_after_s: Some(retry_after_s), ..problem }
    }

    fn overloaded() -> Self {
        Self::unavailable("overloaded", "Too much is under way", "try again a little later", RETRY_AFTER_S)
    }

    fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "A fault of the node", "the node's log says more")
    }

    /// The parts that a line of results shows: code, detail, field, expected.
    pub(crate) fn parts(&self) -> (&'static str, &str, Option<&str>, Option<&str>) {
        (self.code, &self.detail, self.field.as_deref(), self.expected.as_deref())
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Body(refusal) => Self::of_refusal(status_of(&refusal), refusal),
            Fault::Parameter(refusal) => Self::of_refusal(StatusCode::BAD_REQUEST, refusal),
            Fault::Cursor => Self {
                field: Some("cursor".into()),
                expected: Some("the cursor of the page before, with the same parameters".into()),
                ..Self::new(
                    StatusCode::BAD_REQUEST,
                    "bad_cursor",
                    "Not a cursor of this query",
                    "cursor: the cursor of the page before, with the same parameters",
                )
            },
            Fault::NotFound(detail) => Self::new(StatusCode::NOT_FOUND, "not_found", "Not found", detail),
            Fault::Method => Self::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "Method not allowed",
                "the header Allow lists the methods of this path",
            ),
            Fault::MediaType(expected) => Self {
                field: Some("content-type".into()),
                expected: Some(expected.into()),
                ..Self::new(
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    "unsupported_media_type",
                    "Unsupported media type",
                    format!("content-type: {expected}"),
                )
            },
            Fault::Unreadable => Self::new(
                StatusCode::BAD_REQUEST,
                "bad_request",
                "The request cannot be read",
                "a well-formed HTTP request",
            ),
            Fault::SlowBody => Self::new(
                StatusCode::REQUEST_TIMEOUT,
                "request_timeout",
                "The request took too long to arrive",
                "send the body without long pauses",
            ),
            Fault::BrokenBody => Self::new(
                StatusCode::BAD_REQUEST,
                "broken_body",
                "The body broke off",
                "the body ended before its announced end",
            ),
            Fault::Late => Self::unavailable(
                "timeout",
                "The answer took too long",
                "a write may still become durable; sending it again is safe",
                RETRY_AFTER_S,
            ),
            Fault::Submit(error) => error.into(),
            Fault::Read(error) => error.into(),
            Fault::Conflict(detail) => {
                Self::new(StatusCode::CONFLICT, "conflict", "The cluster as it is does not allow that", detail)
            }
            Fault::Unready(parts) => {
                let failing = parts.iter().filter(|part| !part.ok);
                let named: Vec<String> = failing.map(|part| format!("{}: {}", part.name, part.detail)).collect();
                Self { parts, ..Self::unavailable("not_ready", "Not ready", named.join("; "), RETRY_AFTER_S) }
            }
            Fault::Internal => Self::internal(),
        }
    }
}

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Refused(refusal) => Self::of_refusal(status_of(&refusal), refusal),
            SubmitError::Erased => {
                Self::new(StatusCode::GONE, "erased", "The record was erased", "an erased record never comes back")
            }
            SubmitError::DiskFull => Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "disk_full",
                "The disk is full",
                "reads go on; writes do once the operator has made room",
            ),
            SubmitError::NotReady { what } => Self::unavailable("not_ready", "Not ready", what, RETRY_AFTER_S),
            SubmitError::Unavailable { durable, wanted, who, retry_after_s } => Self::unavailable(
                "unavailable",
                "Not enough copies in time",
                format!(
                    "{durable} of {wanted} copies are durable, no answer from {who}; the record may still become \
                     durable; sending it again is safe"
                ),
                retry_after_s,
            ),
            SubmitError::Overloaded => Self::overloaded(),
            SubmitError::Fault => Self::internal(),
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::NotReady { what } => Self::unavailable("not_ready", "Not ready", what, RETRY_AFTER_S),
            ReadError::Unavailable { who, retry_after_s } => Self::unavailable(
                "unavailable",
                "Somebody did not answer",
                format!("no answer from {who}"),
                retry_after_s,
            ),
            ReadError::TooManyClaims { max } => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "too_many_claims",
                "Too many claims on one question",
                format!("at most {max} claims on one question are read; ask for an earlier as_of"),
            ),
            ReadError::TooLarge { bytes_max } => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "too_many_claims",
                "Too many claims on one question",
                format!("at most {bytes_max} bytes of claims on one question are read; ask for an earlier as_of"),
            ),
            ReadError::Overloaded => Self::overloaded(),
            ReadError::Fault => Self::internal(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after_s = self.retry_after_s;
        let mut response = (status, Json(self)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(seconds) = retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}

/// The status for a body that breaks a rule: 400 what is not JSON, 413 what is too long, 422 what says something wrong.
fn status_of(refusal: &Refusal) -> StatusCode {
    match refusal.code {
        Code::MalformedJson | Code::TooDeep | Code::DuplicateKey => StatusCode::BAD_REQUEST,
        Code::TooLarge if refusal.field == "body" => StatusCode::PAYLOAD_TOO_LARGE,
        Code::TooLarge
        | Code::UnknownField
        | Code::MissingField
        | Code::WrongType
        | Code::OutOfRange
        | Code::Empty
        | Code::ControlCharacter
        | Code::BadHex
        | Code::UnknownValue
        | Code::NotSorted
        | Code::NotDistinct
        | Code::UnknownKind
        | Code::MissingSignature
        | Code::ExtraSignature
        | Code::UnsortedSignatures
        | Code::WeakKey
        | Code::BadSignature => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

fn title_of(code: Code) -> &'static str {
    match code {
        Code::MalformedJson => "Not JSON",
        Code::TooDeep => "Nested too deep",
        Code::TooLarge => "Too large",
        Code::UnknownField => "Unknown field",
        Code::DuplicateKey => "A key stands twice",
        Code::MissingField => "A field is missing",
        Code::WrongType => "A value of another type",
        Code::OutOfRange => "Out of range",
        Code::Empty => "Empty",
        Code::ControlCharacter => "A control character",
        Code::BadHex => "Not lower-case hex of the right length",
        Code::UnknownValue => "Not one of the words listed",
        Code::NotSorted => "Not sorted, or not distinct",
        Code::NotDistinct => "Two fields that must differ do not",
        Code::UnknownKind => "Not a kind that is taken here",
        Code::MissingSignature => "An author without a signature",
        Code::ExtraSignature => "A signature of somebody who is no author",
        Code::UnsortedSignatures => "Signatures out of order",
        Code::WeakKey => "A weak public key",
        Code::BadSignature => "A signature that does not verify",
    }
}
