//! Just enough HTTP/1.1 for a client that costs next to nothing: requests as bytes, answers found by their length.

use std::io::{self, Read, Write};
use std::net::TcpStream;

/// How much is read at once, in bytes.
pub const READ_BYTES: usize = 64 * 1024;

/// The `host:port` of an `http://` URL.
pub fn host(url: &str) -> &str {
    url.trim_start_matches("http://")
}

/// A POST of one JSON body.
pub fn post(url: &str, path: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n",
        host(url)
    );
    [head.as_bytes(), body].concat()
}

/// A GET.
pub fn get(url: &str, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", host(url)).into_bytes()
}

/// `text` as it stands in a query string.
pub fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
        out
    })
}

/// The status and the length of the answer that `bytes` begin with, once it is complete and if nothing follows it.
pub fn complete(bytes: &[u8]) -> Option<(u16, usize)> {
    let head_length = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = str::from_utf8(bytes.get(..head_length)?).unwrap();
    let status = head.split_whitespace().nth(1)?.parse().unwrap();
    let field = |name: &str| {
        head.lines().find_map(|line| line.split_once(':').filter(|(key, _)| key.eq_ignore_ascii_case(name)))
    };
    match field("content-length") {
        Some((_, length)) => {
            let length = head_length + length.trim().parse::<usize>().unwrap();
            (bytes.len() >= length).then_some((status, length))
        }
        None => bytes.ends_with(b"\r\n0\r\n\r\n").then_some((status, bytes.len())),
    }
}

/// A connection that is kept.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    /// Connects to the host of `url`.
    pub fn to(url: &str) -> Self {
        Self::try_to(url).unwrap()
    }

    /// [`Connection::to`], or why nobody takes the connection.
    pub fn try_to(url: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(host(url))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, answer: Vec::new() })
    }

    /// Sends a request and waits for its answer: the status and everything that came, head included.
    pub fn ask(&mut self, request: &[u8]) -> (u16, &[u8]) {
        self.try_ask(request).unwrap()
    }

    /// [`Connection::ask`], or why there is no answer; then the connection is of no use any more.
    pub fn try_ask(&mut self, request: &[u8]) -> io::Result<(u16, &[u8])> {
        self.stream.write_all(request)?;
        self.answer.clear();
        let mut part = [0; READ_BYTES];
        loop {
            let length = self.stream.read(&mut part)?;
            if length == 0 {
                let what = format!("closed after {}", String::from_utf8_lossy(&self.answer));
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
            }
            self.answer.extend_from_slice(part.get(..length).unwrap());
            if let Some((status, _)) = complete(&self.answer) {
                return Ok((status, &self.answer));
            }
        }
    }
}
