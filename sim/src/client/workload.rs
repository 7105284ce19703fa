//! What clients do in the background of a scenario: claims at a steady rate, whatever becomes of them.
//!
//! A slow or dead node does not slow the clients down, as it would not slow down the world. Only the number of writes
//! under way is limited.

use super::author::Author;
use super::choice::Choice;
use super::http::Http;
use super::policy::write;
use crate::chance::Chance;
use crate::history::History;
use crate::world::EPOCH_MS;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;

/// The most writes of one client that are under way at once; further ones are left out.
const UNDER_WAY_MAX: usize = 64;
/// One claim in so many is signed twice, and both envelopes of it are written at once, to different nodes.
const SIGNED_TWICE: u64 = 16;
/// How many authors there are; each claim is by one of them.
const AUTHORS: u64 = 4;

/// What one client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workload {
    /// The mean time between two writes; each is between half and one and a half of it.
    pub every: Duration,
    /// How many subjects there are.
    pub subjects: u64,
    /// The longest value in bytes; from 1.
    pub value_bytes_max: u64,
}

impl Default for Workload {
    fn default() -> Self {
        Self { every: Duration::from_millis(20), subjects: 50, value_bytes_max: 400 }
    }
}

/// Writes to `nodes` while `on`, for ever. Claims and times follow from `chance`, and no two claims are the same.
pub async fn run(
    workload: Workload,
    http: Http,
    nodes: Arc<[SocketAddr]>,
    mut chance: Chance,
    on: Arc<AtomicBool>,
    history: History,
) {
    let authors: Vec<_> = (0..AUTHORS).map(Author::numbered).collect();
    let (under_way, choice) = (Arc::new(Semaphore::new(UNDER_WAY_MAX)), Choice::among(nodes.len()));
    tokio::spawn(choice.clone().check(http.clone(), Arc::clone(&nodes)));
    for number in 0_u64.. {
        tokio::time::sleep(chance.between(workload.every / 2, workload.every * 3 / 2)).await;
        let Ok(permit) = Arc::clone(&under_way).try_acquire_owned() else { continue };
        let Some(author) = authors.get(chance.index(authors.len())).filter(|_| on.load(Ordering::Relaxed)) else {
            continue;
        };
        let subject = format!("sim://subject/{}", chance.below(workload.subjects));
        let length = usize::try_from(1 + chance.below(workload.value_bytes_max)).unwrap_or(1);
        let value = format!("{:016x}{number:08}{}", chance.draw(), "x".repeat(length));
        let record = author.claim(&subject, "says", &value, EPOCH_MS + number);
        let twice = (chance.below(SIGNED_TWICE) == 0).then(|| author.sign_again(&record, number));
        let start = chance.index(nodes.len());
        let (http, nodes, choice, history) = (http.clone(), Arc::clone(&nodes), choice.clone(), history.clone());
        tokio::spawn(async move {
            let first = write(&http, &nodes, &choice, start, record, &history);
            let second = async {
                if let Some(record) = twice {
                    write(&http, &nodes, &choice, start + 1, record, &history).await;
                }
            };
            tokio::join!(biased; first, second);
            drop(permit);
        });
    }
}
