//! HTTP/1.1 over simulated streams. Connections are kept and used again; a request that is not answered in time costs all
//! that are kept to that address, since they may be as dead. It never tries anything twice.

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, header};
use hyper_util::rt::TokioIo;
use node::world::Network;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The most idle connections that are kept to one address.
const IDLE_MAX: usize = 16;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Request {
    /// How.
    pub method: Method,
    /// The path, with the query.
    pub path: String,
    /// The body; JSON if there is one.
    pub body: Vec<u8>,
}

impl Request {
    /// A GET.
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), body: Vec::new() }
    }

    /// A POST of JSON.
    pub fn post(path: impl Into<String>, body: Vec<u8>) -> Self {
        Self { method: Method::POST, path: path.into(), body }
    }
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; null if it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Nothing came back: in time, or at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no answer")]
pub struct Lost;

/// A client. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Http {
    network: Arc<dyn Network>,
    idle: Arc<Mutex<Idle>>,
}

/// A connection.
type Connection = SendRequest<Full<Bytes>>;
/// Connections that nobody uses at the moment.
type Idle = BTreeMap<SocketAddr, Vec<Connection>>;

impl Http {
    /// A client on the host with that network.
    pub fn new(network: Arc<dyn Network>) -> Self {
        Self { network, idle: Arc::default() }
    }

    /// Asks the node at `to`, and waits for the whole answer at most as long as `deadline`.
    ///
    /// # Errors
    ///
    /// [`Lost`]. What was asked may have been done.
    pub async fn ask(&self, to: SocketAddr, request: Request, deadline: Duration) -> Result<Answer, Lost> {
        let answer = tokio::time::timeout(deadline, self.exchange(to, request)).await.unwrap_or(Err(Lost));
        if answer.is_err() {
            self.idle().remove(&to);
        }
        answer
    }

    async fn exchange(&self, to: SocketAddr, request: Request) -> Result<Answer, Lost> {
        let mut connection = self.connection(to).await?;
        let kind = if request.path.starts_with("/v1/records") { "application/x-ndjson" } else { "application/json" };
        let request = hyper::Request::builder()
            .method(request.method)
            .uri(request.path)
            .header(header::HOST, to.to_string())
            .header(header::CONTENT_TYPE, kind)
            .body(Full::new(Bytes::from(request.body)))
            .or(Err(Lost))?;
        let response = connection.send_request(request).await.or(Err(Lost))?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.or(Err(Lost))?.to_bytes().to_vec();
        let mut idle = self.idle();
        let idle = idle.entry(to).or_default();
        if idle.len() < IDLE_MAX {
            idle.push(connection);
        }
        Ok(Answer { status, body })
    }

    /// A connection that waits for a request: a kept one, or a new one.
    async fn connection(&self, to: SocketAddr) -> Result<Connection, Lost> {
        loop {
            let kept = self.idle().get_mut(&to).and_then(Vec::pop);
            let Some(mut kept) = kept else { break };
            if kept.ready().await.is_ok() {
                return Ok(kept);
            }
        }
        let stream = self.network.connect(to).await.or(Err(Lost))?;
        let (mut connection, driver) = handshake(TokioIo::new(stream)).await.or(Err(Lost))?;
        tokio::spawn(async move {
            if let Err(error) = driver.await {
                tracing::debug!(%error, %to, "a connection broke");
            }
        });
        connection.ready().await.or(Err(Lost))?;
        Ok(connection)
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
