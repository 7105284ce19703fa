//! Single-record writes: many keep-alive clients, each with one `POST /v1/assert` under way at a time.
//!
//! One thread drives all clients, so that the client leaves the cores to the node.

use super::claims::Signed;
use super::wire::{READ_BYTES, complete, host, post};
use super::{now, rate};
use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What the clients saw.
#[derive(Debug)]
pub struct Writes {
    /// Acknowledged writes per second.
    pub per_second: f64,
    /// From sending a request to having its answer, in microseconds.
    pub latency_us: Histogram<u64>,
}

/// Sends `claims`, dealt out to `clients`, and waits for every answer. Panics unless each was created.
pub fn write(claims: &[Signed], clients: usize, url: &str) -> Writes {
    let requests: Vec<_> = claims.iter().map(|claim| post(url, "/v1/assert", &claim.line)).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let start = now();
    let latency_us = runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        let shares = requests.len().div_ceil(clients).max(1);
        for share in requests.chunks(shares) {
            let (share, host) = (share.to_vec(), host(url).to_owned());
            tasks.spawn(async move { client(&share, &host).await });
        }
        let mut all = Histogram::new(3).unwrap();
        while let Some(one) = tasks.join_next().await {
            all.add(one.unwrap()).unwrap();
        }
        all
    });
    Writes { per_second: rate(claims.len(), start.elapsed()), latency_us }
}

async fn client(requests: &[Vec<u8>], host: &str) -> Histogram<u64> {
    let mut stream = TcpStream::connect(host).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut latency_us = Histogram::new(3).unwrap();
    let (mut answer, mut part) = (Vec::new(), vec![0; READ_BYTES]);
    for request in requests {
        let sent = now();
        stream.write_all(request).await.unwrap();
        answer.clear();
        let status = loop {
            let length = stream.read(&mut part).await.unwrap();
            assert!(length > 0, "the node closed the connection");
            answer.extend_from_slice(part.get(..length).unwrap());
            if let Some((status, _)) = complete(&answer) {
                break status;
            }
        };
        latency_us.record(u64::try_from(sent.elapsed().as_micros()).unwrap()).unwrap();
        assert_eq!(status, 201, "{}", String::from_utf8_lossy(&answer));
    }
    latency_us
}
