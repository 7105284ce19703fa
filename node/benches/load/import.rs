//! Bulk import: `POST /v1/records` over several connections, bodies made beforehand.

use super::claims::Signed;
use super::now;
use super::wire::{Connection, READ_BYTES, complete, host};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How many connections send at the same time.
pub const CONNECTIONS: usize = 4;
/// How often a body is sent before a busy node is given up on.
const ATTEMPTS: usize = 20;
/// Lines in one chunk of the chunked encoding.
const CHUNK_LINES: usize = 128;

/// The requests of one import, one a connection, as bytes.
#[derive(Debug)]
pub struct Import {
    requests: Vec<Vec<u8>>,
    records: usize,
}

impl Import {
    /// Prepares `claims` for the node at `url`.
    pub fn of(claims: &[Signed], url: &str) -> Self {
        let shares = claims.chunks(claims.len().div_ceil(CONNECTIONS).max(1));
        Self { requests: shares.map(|share| request(share, url)).collect(), records: claims.len() }
    }

    /// Sends them all, and again what was not taken because the node was busy, until every record is stored; how long it
    /// took.
    ///
    /// Panics if a record is refused, or still not taken after [`ATTEMPTS`].
    pub fn send(&self, url: &str) -> Duration {
        let start = now();
        for _ in 0..ATTEMPTS {
            let answers: Vec<_> = std::thread::scope(|scope| {
                let senders: Vec<_> =
                    self.requests.iter().map(|request| scope.spawn(move || send_one(request, url))).collect();
                senders.into_iter().map(|sender| sender.join().unwrap()).collect()
            });
            let elapsed = start.elapsed();
            let stored = |answer: &Vec<u8>| count(answer, b"\"created\"") + count(answer, b"\"exists\"");
            if answers.iter().map(stored).sum::<usize>() == self.records {
                return elapsed;
            }
            answers.iter().for_each(|answer| check(&String::from_utf8_lossy(answer)));
        }
        panic!("the node is too busy to take {} records", self.records)
    }
}

/// Panics unless each line that was not stored may be sent again.
fn check(answer: &str) {
    let lines = answer.lines().filter(|line| line.starts_with('{'));
    let first = lines.filter(|line| !line.contains("\"created\"") && !line.contains("\"exists\"")).take(1);
    first.for_each(|line| {
        eprintln!("not stored at once: {line}");
        assert!(line.contains("503") || line.contains("sending it again is safe"), "refused: {line}");
    });
}

fn request(claims: &[Signed], url: &str) -> Vec<u8> {
    let head = format!(
        "POST /v1/records HTTP/1.1\r\nhost: {}\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n",
        host(url)
    );
    let mut request = head.into_bytes();
    for chunk in claims.chunks(CHUNK_LINES) {
        let length: usize = chunk.iter().map(|claim| claim.line.len() + 1).sum();
        request.extend_from_slice(format!("{length:x}\r\n").as_bytes());
        for claim in chunk {
            request.extend_from_slice(&claim.line);
            request.push(b'\n');
        }
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    request
}

/// Writes on one thread and reads on another, since the node answers while it is being sent to.
fn send_one(request: &[u8], url: &str) -> Vec<u8> {
    let stream = TcpStream::connect(host(url)).unwrap();
    std::thread::scope(|scope| {
        let mut writing = stream.try_clone().unwrap();
        scope.spawn(move || writing.write_all(request).unwrap());
        let (mut answer, mut part, mut reading) = (Vec::new(), [0; READ_BYTES], &stream);
        loop {
            let length = reading.read(&mut part).unwrap();
            assert!(length > 0, "the node closed the connection: {}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(part.get(..length).unwrap());
            // Answers are long and their heads short, so that the end is looked for before the whole is.
            if answer.ends_with(b"\r\n\r\n") && complete(&answer).is_some() {
                return answer;
            }
        }
    })
}

fn count(text: &[u8], word: &[u8]) -> usize {
    text.windows(word.len()).filter(|window| *window == word).count()
}

/// Waits until the node answers 200 on `/v1/ready`.
pub fn wait_until_ready(url: &str) {
    let mut connection = Connection::to(url);
    let request = super::wire::get(url, "/v1/ready");
    while connection.ask(&request).0 != 200 {
        super::sleep_until(now() + Duration::from_millis(2));
    }
}
