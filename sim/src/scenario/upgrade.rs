//! What the scenarios share in which nodes get another build: replacing it, what must not happen before a version is active, and
//! what must be possible after.

use super::change::{until_found, version_of};
use crate::client::{Author, Request};
use crate::cluster::Process;
use crate::run::{Failure, Run};
use crate::world::EPOCH_MS;
use serde_json::{Value, json};
use std::time::Duration;

/// How long a node may take to stop in order, to start, and to end by itself.
pub(super) const STOP_MAX: Duration = Duration::from_secs(30);
/// How long it may take until every node goes by a version that was activated, and until all know that of each other.
const ACTIVE_MAX: Duration = Duration::from_secs(20);
/// The next version, and the one that is shipped.
pub(super) const NEXT: u16 = 2;
pub(super) const SHIPPED: u16 = 1;
/// The call between nodes that the next version brings.
const NEW_CALL: &str = "raised";
/// How many notes are written on each node.
const NOTES: u64 = 5;
/// What is violated where something of this does not hold.
const UPGRADES: &str = "nothing_of_a_version_before_it_is_active_and_all_of_it_after";

/// Stops a node in order and starts it with another build.
pub(super) fn replace_build(run: &mut Run, node: usize, version: u16) -> Result<(), Failure> {
    run.cluster.stop(node);
    run.until("the node has stopped", STOP_MAX, |run| run.cluster.process(node) == Process::Stopped)?;
    run.cluster.install(node, version);
    run.cluster.start(node);
    Ok(())
}

/// A note is not taken as long as the next version is not active, whichever build the node is of.
pub(super) fn refuses_a_note(run: &mut Run, node: usize, number: usize) -> Result<(), Failure> {
    let number = u64::try_from(number).unwrap_or(u64::MAX);
    let text = format!("too early {number}");
    let note = Author::numbered(node as u64).note("sim://note", &text, EPOCH_MS + number);
    let line = post(run, node, &api::json::envelope_json(note.envelope()))?;
    let code = line.get("code").and_then(Value::as_str);
    held(code == Some("unknown_kind"), || {
        format!("node {node} answers a note with {line} before version {NEXT} is active")
    })
}

/// Nobody lets the next version be activated while somebody does not speak it.
pub(super) fn refuses_activation(run: &mut Run, node: usize) -> Result<(), Failure> {
    let body = json!({"change": "activate", "version": NEXT}).to_string();
    let answer = run.ask_admin(node, Request::post("/v1/admin/changes", body.into_bytes()))?;
    let refused = answer.as_ref().is_ok_and(|answer| answer.status == 409 && answer.text().contains("speaks 1"));
    let lost = answer.as_ref().map_or(true, |answer| answer.status == 503);
    held(refused || lost, || format!("node {node} was asked to activate version {NEXT} too early: {answer:?}"))
}

/// What the next version brings to calls between nodes was sent by nobody so far, also when a node is asked for what it is good
/// for.
pub(super) fn nothing_new_is_sent(run: &mut Run, nodes: &[usize]) -> Result<(), Failure> {
    log_versions(run, nodes)?;
    let sent = nodes.iter().find(|node| run.cluster.calls(**node, NEW_CALL) > 0);
    held(sent.is_none(), || format!("node {sent:?} sent `{NEW_CALL}` before version {NEXT} is active"))
}

/// Waits until each of these nodes tells of each that its log was raised to a version, as it was told by a call between them.
pub(super) fn until_all_logs_are_raised(run: &mut Run, nodes: &[usize], version: u16) -> Result<(), Failure> {
    until_found(run, "each node knows all logs to be raised", ACTIVE_MAX, |run| {
        let told = log_versions(run, nodes)?;
        let raised =
            told.len() == nodes.len() * nodes.len() && told.iter().all(|told| *told == Some(u64::from(version)));
        Ok(if raised { Ok(()) } else { Err(format!("{told:?}")) })
    })?;
    let silent = nodes.iter().find(|node| run.cluster.calls(**node, NEW_CALL) == 0);
    held(silent.is_none(), || format!("node {silent:?} never sent `{NEW_CALL}`"))
}

/// The version of each log, as each of these nodes tells it, one after the other.
fn log_versions(run: &mut Run, nodes: &[usize]) -> Result<Vec<Option<u64>>, Failure> {
    let answers = run.ask_operators(nodes, &Request::get("/v1/admin/nodes"))?;
    let told = answers.into_iter().filter_map(Result::ok).filter_map(|answer| {
        let nodes = answer.json().get("nodes")?.as_array()?.clone();
        Some(nodes.into_iter().map(|node| node.get("log_version")?.as_u64()).collect::<Vec<_>>())
    });
    Ok(told.flatten().collect())
}

/// Waits until these nodes say that they go by a version.
pub(super) fn until_all_go_by(run: &mut Run, nodes: &[usize], version: u16) -> Result<(), Failure> {
    until_found(run, &format!("all go by version {version}"), ACTIVE_MAX, |run| {
        let said = nodes.iter().map(|node| version_of(run, *node)).collect::<Result<Vec<_>, _>>()?;
        let all = said.iter().all(|said| *said == Some(u64::from(version)));
        Ok(if all { Ok(()) } else { Err(format!("{said:?}")) })
    })
}

/// Notes are taken by every node and read from every node, signatures and all.
pub(super) fn notes_everywhere(run: &mut Run, nodes: &[usize]) -> Result<(), Failure> {
    let mut notes = Vec::new();
    for node in nodes {
        for number in 0..NOTES {
            let (subject, text) = (format!("sim://note/{number}"), format!("by way of {node}"));
            let note = Author::numbered(number).note(&subject, &text, EPOCH_MS + number);
            let printed = api::json::envelope_json(note.envelope());
            let line = post(run, *node, &printed)?;
            let copies = line.get("copies").and_then(Value::as_u64);
            held(copies >= Some(2), || format!("node {node} answers a note with {line}"))?;
            notes.push((note.id(), printed));
        }
    }
    for node in nodes {
        for (id, printed) in &notes {
            let answer = run.ask(*node, Request::get(format!("/v1/records/{id}")))?;
            let told = answer.as_ref().map(|answer| answer.json()).unwrap_or_default();
            let wanted: Value = serde_json::from_slice(printed).unwrap_or_default();
            let same =
                ["subject", "text", "kind", "signatures"].iter().all(|field| told.get(field) == wanted.get(field));
            held(same, || format!("node {node} answers {answer:?} for note {id}"))?;
        }
    }
    Ok(())
}

/// The first version's build is not run again: its node ends, names the version to run, and leaves the disk as it is.
pub(super) fn the_old_build_does_not_start(run: &mut Run, node: usize) -> Result<(), Failure> {
    replace_build(run, node, SHIPPED)?;
    run.until("the old build has ended", STOP_MAX, |run| matches!(run.cluster.process(node), Process::Ended(_)))?;
    let Process::Ended(why) = run.cluster.process(node) else { return Ok(()) };
    held(why.contains("run a release that speaks version 2"), || format!("the old build ended with: {why}"))?;
    run.cluster.install(node, NEXT);
    run.cluster.start(node);
    Ok(())
}

/// Sends one record of any kind, and returns what is said of it.
fn post(run: &mut Run, node: usize, record: &[u8]) -> Result<Value, Failure> {
    let answer = run.ask(node, Request::post("/v1/records", record.to_vec()))?;
    Ok(answer.map(|answer| answer.json()).unwrap_or_default())
}

/// What upgrades are about, if it does not hold.
fn held(holds: bool, detail: impl FnOnce() -> String) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::Violated { invariant: UPGRADES, detail: detail() }) }
}
