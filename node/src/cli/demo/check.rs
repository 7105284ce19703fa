//! Whether everything that was acknowledged is there, by public reads alone.
//!
//! Every claim is read by its id, and its id is computed anew from what was read; nothing is taken on trust.

use super::history::Acknowledged;
use crate::cli::client::Client;
use crate::cli::failure::Failure;
use crate::cli::stop::Stop;
use model::{RecordId, canonical};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

/// How often all nodes are asked for a claim before it counts as unanswered.
const ROUNDS_MAX: u32 = 5;
/// How long to wait between two rounds.
const REST: Duration = Duration::from_millis(300);

/// The most pages that are read.
const PAGES_MAX: usize = 1_000;

/// What became of the claims that were acknowledged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// How many were read back, whole.
    pub found: usize,
    /// Those that a node says do not exist, or that are not what was written.
    pub lost: Vec<RecordId>,
    /// Those that no node gave an answer on.
    pub unanswered: Vec<RecordId>,
}

/// What one node says of a claim.
enum Answer {
    Found,
    Lost,
    None,
}

/// Reads every claim back, taking turns among `clients`; `shown` hears how many are done. Stops early when asked to:
/// the rest then counts as unanswered.
pub fn read_back(
    acknowledged: &[Acknowledged],
    clients: &[Client],
    stop: &Stop,
    mut shown: impl FnMut(usize),
) -> Checked {
    let mut checked = Checked::default();
    for (number, claim) in acknowledged.iter().enumerate() {
        match ask_around(claim, clients, number, stop) {
            Answer::Found => checked.found += 1,
            Answer::Lost => checked.lost.push(claim.id),
            Answer::None => checked.unanswered.push(claim.id),
        }
        shown(number + 1);
    }
    checked
}

/// How many different claims `clients` show on subjects that begin with `prefix`: the most that one of them does, asked
/// again while they are fewer than `wanted`.
pub(super) fn most_shown(clients: &[Client], prefix: &str, wanted: usize, stop: &Stop) -> usize {
    let mut most = 0;
    for round in 0..ROUNDS_MAX {
        if most >= wanted || stop.is_asked() || (round > 0 && !stop.wait(REST)) {
            break;
        }
        most = clients.iter().filter_map(|client| count(client, prefix).ok()).chain([most]).max().unwrap_or(most);
    }
    most
}

/// How many a node shows, or why it does not say.
fn count(client: &Client, prefix: &str) -> Result<usize, Failure> {
    let mut ids = BTreeSet::new();
    let mut cursor = None;
    for _ in 0..PAGES_MAX {
        let mut parameters =
            vec![("prefix", prefix.to_owned()), ("lens", "none".to_owned()), ("limit", "1000".to_owned())];
        parameters.extend(cursor.map(|cursor| ("cursor", cursor)));
        let page = client.get("/v1/query", &parameters)?.taken()?;
        ids.extend(claims_of(&page));
        cursor = page.pointer("/meta/cursor").and_then(Value::as_str).map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    Ok(ids.len())
}

/// The ids of the claims on a page, candidates or not.
fn claims_of(page: &Value) -> BTreeSet<String> {
    let list = |value: &Value, name: &str| value.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let answers = page.get("result").map(|result| list(result, "answers")).unwrap_or_default();
    let claims = answers.iter().flat_map(|answer| {
        let excluded = list(answer, "excluded").into_iter().filter_map(|excluded| excluded.get("claim").cloned());
        list(answer, "candidates").into_iter().chain(excluded)
    });
    claims.filter_map(|claim| claim.get("id")?.as_str().map(str::to_owned)).collect()
}

/// Asks one node after the other until one has an answer. Which is the first depends on `number`.
fn ask_around(claim: &Acknowledged, clients: &[Client], number: usize, stop: &Stop) -> Answer {
    for round in 0..ROUNDS_MAX {
        if stop.is_asked() || (round > 0 && !stop.wait(REST)) {
            break;
        }
        for turn in 0..clients.len() {
            let client = clients.get((number + turn) % clients.len());
            match client.map_or(Answer::None, |client| ask(client, claim)) {
                Answer::None => {}
                answer @ (Answer::Found | Answer::Lost) => return answer,
            }
        }
    }
    Answer::None
}

fn ask(client: &Client, claim: &Acknowledged) -> Answer {
    let parameters = [("subject", claim.subject.clone())];
    match client.get(&format!("/v1/records/{}", claim.id), &parameters) {
        Ok(reply) if reply.status == 200 => {
            let read = api::json::parse_envelope(&reply.body, None);
            let id = read.map(|envelope| canonical::id_of(&canonical::canonical_bytes(envelope.body())));
            if id == Ok(claim.id) { Answer::Found } else { Answer::Lost }
        }
        Ok(reply) if reply.status == 404 => Answer::Lost,
        Ok(_) | Err(_) => Answer::None,
    }
}
