//! Real nodes for tests: the built program as a process of its own, on loopback and on ports that the kernel picks.
//!
//! A server ends with the value that started it, whatever the test does. Several that are one are in [`cluster`].

#![allow(dead_code, unreachable_pub, reason = "each test is a crate of its own and uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::indexing_slicing,
    reason = "a test ends where something is not as it should be"
)]

pub mod cluster;
pub mod fabric;

use ed25519_dalek::SigningKey;
use model::record::{
    Assertion, Authors, Confidence, Lifecycle, Meta, Object, Pair, Predicate, SourceClass, Subject, Text, Validity,
    Vector, Weight,
};
use model::{AgentId, Alias, Body, Record, RecordId, Timestamp, Vote, acceptance};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

/// The longest a request may take before a test calls it lost.
const REQUEST_DEADLINE: Duration = Duration::from_secs(30);

/// A node as a process.
#[derive(Debug)]
pub struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// Where clients connect: `http://127.0.0.1:port`.
    pub url: String,
    /// Where operators connect.
    pub admin_url: String,
}

impl Server {
    /// Starts a node on `data_dir` and waits until it listens.
    pub fn start(data_dir: &Path, flags: &[&str]) -> Self {
        Self::try_start(data_dir, flags).unwrap_or_else(|status| panic!("the node ended with {status} while starting"))
    }

    /// [`Server::start`], or how the process ended before it listened.
    pub fn try_start(data_dir: &Path, flags: &[&str]) -> Result<Self, ExitStatus> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_stemedb"))
            .args(["serve", "--bind-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--data-dir"])
            .arg(data_dir)
            .args(flags)
            .env("RUST_LOG", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut address = |name: &str| {
            let mut line = String::new();
            while stdout.read_line(&mut line).unwrap() > 0 {
                if let Some(rest) = line.trim().strip_prefix(name) {
                    return Some(rest.split_whitespace().next().unwrap().to_owned());
                }
                line.clear();
            }
            None
        };
        match (address("clients"), address("admin")) {
            (Some(url), Some(admin_url)) => Ok(Self { child, stdout, url, admin_url }),
            _ => Err(child.wait().unwrap()),
        }
    }

    /// SIGKILL, and no goodbye.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; returns how the process ended.
    pub fn terminate(mut self) -> ExitStatus {
        self.signal("TERM");
        self.child.wait().unwrap()
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// The number of the process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the process to end by itself.
    pub fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if the process has ended already, which is what is wanted.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Sends a signal, by name, to a process.
pub fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), pid.to_string()]).status().unwrap();
    assert!(sent.success(), "no process {pid} takes a {name}");
}

/// An HTTP client that keeps its connection and reports statuses as values.
pub fn client() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(REQUEST_DEADLINE)).build().into()
}

/// A GET: status and body.
pub fn get(client: &ureq::Agent, url: &str) -> (u16, String) {
    let mut response = client.get(url).call().unwrap();
    (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
}

/// A POST: status and body, or the error of a connection that broke.
pub fn post(client: &ureq::Agent, url: &str, body: &[u8]) -> Result<(u16, String), ureq::Error> {
    let kind = if url.ends_with("/v1/records") { "application/x-ndjson" } else { "application/json" };
    let mut response = client.post(url).header("content-type", kind).send(body)?;
    let mut text = String::new();
    response.body_mut().as_reader().read_to_string(&mut text).map_err(ureq::Error::Io)?;
    Ok((response.status().as_u16(), text))
}

/// The key of a test agent.
pub fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

/// A signed claim that `subject` has `predicate` `value`, made at `timestamp` ms.
pub fn claim(signer: &SigningKey, subject: &str, predicate: &str, value: &str, timestamp: u64) -> Record {
    let assertion = Assertion {
        authors: Authors::new(vec![AgentId(signer.verifying_key().to_bytes())]).unwrap(),
        timestamp: Timestamp::from_ms(timestamp).unwrap(),
        subject: Subject::new(subject).unwrap(),
        predicate: Predicate::new(predicate).unwrap(),
        object: Object::Text(Text::new(value).unwrap()),
        confidence: Confidence::new(0.8).unwrap(),
        source_class: SourceClass::Expert,
        lifecycle: Lifecycle::Approved,
        source_hash: None,
        parent_hash: None,
        epoch: None,
        visual_hash: None,
        vector: Vector::default(),
        validity: Validity::default(),
        meta: Meta::default(),
    };
    acceptance::sign(Body::Assertion(Box::new(assertion)), std::slice::from_ref(signer)).unwrap()
}

/// A signed vote for `target`, said to be about `subject`.
pub fn vote(signer: &SigningKey, subject: &str, target: RecordId) -> Record {
    let vote = Vote {
        authors: Authors::new(vec![AgentId(signer.verifying_key().to_bytes())]).unwrap(),
        timestamp: Timestamp::from_ms(1).unwrap(),
        subject: Subject::new(subject).unwrap(),
        target,
        weight: Weight::new(1.0).unwrap(),
    };
    acceptance::sign(Body::Vote(Box::new(vote)), std::slice::from_ref(signer)).unwrap()
}

/// A signed alias: `from` is another name of `to`.
pub fn alias(signer: &SigningKey, from: &str, to: &str) -> Record {
    let alias = Alias {
        authors: Authors::new(vec![AgentId(signer.verifying_key().to_bytes())]).unwrap(),
        timestamp: Timestamp::from_ms(1).unwrap(),
        pair: Pair::new(Subject::new(from).unwrap(), Subject::new(to).unwrap()).unwrap(),
    };
    acceptance::sign(Body::Alias(Box::new(alias)), std::slice::from_ref(signer)).unwrap()
}

/// A number that an environment variable holds.
pub fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// A small generator for choices that need no quality: Marsaglia's xorshift64 (Journal of Statistical Software 8(14), 2003).
#[derive(Debug)]
pub struct Chance(pub u64);

impl Chance {
    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }

    /// A time below so many milliseconds.
    pub fn millis(&mut self, limit: usize) -> Duration {
        Duration::from_millis(self.below(limit) as u64)
    }
}
