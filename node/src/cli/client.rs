//! A node as commands see it: requests over HTTP, answers told apart into taken, refused and failed.
//!
//! It never retries by itself; what may be sent again is for the command to know.

use super::failure::Failure;
use serde_json::Value;
use std::io::Read;
use std::time::Duration;
use ureq::Agent;
use ureq::http::Response;

/// The longest answer that is held in memory, in bytes.
const ANSWER_BYTES_MAX: u64 = 256 * 1024 * 1024;
const CONNECT_SECONDS_MAX: u64 = 5;
const ANSWER_SECONDS_MAX: u64 = 60;

/// Where a node is.
#[derive(Clone, Debug)]
pub struct Client {
    agent: Agent,
    base: String,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// After how long the node wants to be asked again.
    pub retry_after: Option<Duration>,
    /// The body.
    pub body: Vec<u8>,
}

impl Client {
    /// A client of the node at `url`, like `http://127.0.0.1:18180`. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`Failure::Usage`] if the URL is of another kind.
    pub fn new(url: &str) -> Result<Self, Failure> {
        Self::limited(url, None)
    }

    /// A client that gives up on an answer that is not whole after `deadline`.
    ///
    /// # Errors
    ///
    /// Those of [`Client::new`].
    pub fn with_deadline(url: &str, deadline: Duration) -> Result<Self, Failure> {
        Self::limited(url, Some(deadline))
    }

    fn limited(url: &str, deadline: Option<Duration>) -> Result<Self, Failure> {
        let base = url.trim_end_matches('/').to_owned();
        if !base.starts_with("http://") {
            return Err(Failure::Usage(format!("the URL of a node begins with http://, not {url:?}")));
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .user_agent(concat!("stemedb/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(Duration::from_secs(CONNECT_SECONDS_MAX)))
            .timeout_recv_response(Some(Duration::from_secs(ANSWER_SECONDS_MAX)))
            .timeout_global(deadline);
        Ok(Self { agent: config.build().into(), base })
    }

    /// The URL without a slash at the end.
    pub fn url(&self) -> &str {
        &self.base
    }

    /// Asks for `path` with these parameters.
    ///
    /// # Errors
    ///
    /// [`Failure::Failed`] if no answer came.
    pub fn get(&self, path: &str, parameters: &[(&str, String)]) -> Result<Reply, Failure> {
        let response = self.request(path, parameters).call().map_err(|error| self.unreached(&error))?;
        self.read(response)
    }

    /// Asks for `path` and hands the body over as it comes.
    ///
    /// # Errors
    ///
    /// [`Failure::Failed`] if no answer came, and what [`Reply::taken`] makes of a refusal.
    pub fn stream(&self, path: &str, parameters: &[(&str, String)]) -> Result<impl Read + use<>, Failure> {
        let response = self.request(path, parameters).call().map_err(|error| self.unreached(&error))?;
        if response.status().is_success() {
            return Ok(response.into_body().into_with_config().limit(u64::MAX).reader());
        }
        Err(self.read(response)?.refusal())
    }

    /// Posts `body` to `path`.
    ///
    /// # Errors
    ///
    /// [`Failure::Failed`] if no answer came; what was posted may have been taken.
    pub fn post(&self, path: &str, parameters: &[(&str, String)], kind: &str, body: &[u8]) -> Result<Reply, Failure> {
        let url = format!("{}{path}", self.base);
        let request = parameters
            .iter()
            .fold(self.agent.post(&url), |request, (name, value)| request.query(*name, value.as_str()))
            .header("content-type", kind);
        self.read(request.send(body).map_err(|error| self.unreached(&error))?)
    }

    fn request(&self, path: &str, parameters: &[(&str, String)]) -> ureq::RequestBuilder<ureq::typestate::WithoutBody> {
        let url = format!("{}{path}", self.base);
        parameters.iter().fold(self.agent.get(&url), |request, (name, value)| request.query(*name, value.as_str()))
    }

    fn read(&self, response: Response<ureq::Body>) -> Result<Reply, Failure> {
        let status = response.status().as_u16();
        let header = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        let body = response.into_body().into_with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let body = body.map_err(|error| self.unreached(&error))?;
        Ok(Reply { status, retry_after: header.map(Duration::from_secs), body })
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "all others are told in ureq's own words")]
    fn unreached(&self, error: &ureq::Error) -> Failure {
        let base = &self.base;
        Failure::Failed(match error {
            ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => format!(
                "nobody listens at {base}: is a node running? Start one with `stemedb serve`, or name another with --url"
            ),
            ureq::Error::HostNotFound => format!("there is no host of the name in {base}; name another with --url"),
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => format!("{base} is no URL of a node"),
            error => format!("no answer from {base}: {error}"),
        })
    }
}

impl Reply {
    /// The JSON of an answer that is no refusal.
    ///
    /// # Errors
    ///
    /// [`Failure::Refused`] for a 4xx, [`Failure::Failed`] for any other status and for an answer that is not JSON.
    pub fn taken(&self) -> Result<Value, Failure> {
        if !self.is_success() {
            return Err(self.refusal());
        }
        serde_json::from_slice(&self.body)
            .map_err(|_not_json| Failure::Failed("the answer is not JSON: is this a StemeDB node?".to_owned()))
    }

    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether sending the same again may be answered otherwise.
    pub fn is_worth_retrying(&self) -> bool {
        matches!(self.status, 408 | 429 | 500..=599)
    }

    /// What an answer that is no success means.
    pub fn refusal(&self) -> Failure {
        let problem: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let words = describe(&problem).unwrap_or_else(|| format!("the node answered with status {}", self.status));
        if (400..500).contains(&self.status) && !self.is_worth_retrying() {
            Failure::Refused(words)
        } else {
            Failure::Failed(words)
        }
    }
}

/// A problem document (RFC 9457) in a line.
pub fn describe(problem: &Value) -> Option<String> {
    let member = |name| problem.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let code = member("code")?;
    Some(match (member("field"), member("expected"), member("detail").or(member("title"))) {
        (Some(field), Some(expected), _) => format!("{field}: expected {expected} ({code})"),
        (_, _, Some(detail)) => format!("{detail} ({code})"),
        _ => code.to_owned(),
    })
}

#[test]
fn a_problem_is_told_in_a_line() {
    let told = |json: &str, status| Reply { status, retry_after: None, body: json.into() }.refusal().to_string();
    assert_eq!(
        told(r#"{"code":"wrong_type","field":"object.value","expected":"a number","detail":"no"}"#, 400),
        "object.value: expected a number (wrong_type)"
    );
    assert_eq!(told(r#"{"code":"not_found","detail":"no such record"}"#, 404), "no such record (not_found)");
    assert_eq!(told("<html>", 502), "the node answered with status 502");
}

#[test]
fn a_node_that_is_not_there_is_told_with_the_next_step() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let failure = Client::new(&format!("http://{free}/")).unwrap().get("/v1/health", &[]).unwrap_err();
    assert!(failure.to_string().contains("stemedb serve"), "{failure}");
    assert!(matches!(Client::new("https://x"), Err(Failure::Usage(_))));
}
