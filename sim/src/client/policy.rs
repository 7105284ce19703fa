//! How a client writes a record: with a deadline, and again on other nodes if that fails. Recovery times and failed
//! writes are counted by this policy and no other.

use super::choice::Choice;
use super::http::{Http, Request};
use crate::history::{Acknowledgement, Attempt, Ending, History};
use api::json::envelope_json;
use model::Record;
use std::net::SocketAddr;
use std::time::Duration;

/// How long one attempt may take.
pub const ATTEMPT_DEADLINE: Duration = Duration::from_millis(250);
/// The pauses before the second, third and fourth attempt, each on another node. There is no fifth.
pub const PAUSES: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(200), Duration::from_millis(400)];

/// Writes a record to one of `nodes`, and notes what comes of it in `history`: first to the `choice` from `start` on, then
/// to that from the node after the last.
pub async fn write(
    http: &Http,
    nodes: &[SocketAddr],
    choice: &Choice,
    start: usize,
    record: Record,
    history: &History,
) {
    let body = envelope_json(record.envelope());
    let (number, mut start) = (history.begin(record), start);
    for pause in std::iter::once(Duration::ZERO).chain(PAUSES) {
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        let began = now();
        let node = choice.from(start);
        let Some(to) = nodes.get(node) else { break };
        start = (node + 1) % nodes.len();
        let answer = http.ask(*to, Request::post("/v1/assert", body.clone()), ATTEMPT_DEADLINE).await;
        let ending = answer.map_or(Ending::Silence, |answer| ending(answer.status, &answer.json()));
        let done = matches!(ending, Ending::Acknowledged(_));
        choice.note(node, done, now());
        history.attempted(number, Attempt { node, began, ended: now(), ending });
        if done {
            break;
        }
    }
    history.finished(number);
}

/// What an answer to a write comes to.
pub(crate) fn ending(status: u16, body: &serde_json::Value) -> Ending {
    let text = |field: &str| body.get(field).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    match status {
        200 | 201 => Ending::Acknowledged(Acknowledgement {
            created: status == 201,
            copies: body.get("copies").and_then(serde_json::Value::as_u64).unwrap_or_default(),
            received_at: text("received_at"),
        }),
        status => Ending::Refused(status, text("code")),
    }
}

/// The time since the start of the simulation.
fn now() -> Duration {
    turmoil::sim_elapsed().unwrap_or_default()
}
