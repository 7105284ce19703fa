//! A node that is cut off acknowledges claims with one copy, as its clients ask it to; it is removed, and returns.
//!
//! Nobody but it has those claims. It may hand them over and nothing else: whatever it was asked before it knew, it has not
//! answered for the cluster; it serves nothing from the moment it knows; and its id never comes back.

use super::change::{CHANGE_MAX, ask_for, name_of, until_found, until_settled};
use super::replication_factor_changes::invariants;
use super::{LIVENESS_MAX, Scenario, three_nodes};
use crate::client::{Author, Request, ending};
use crate::history::{Attempt, Ending};
use crate::run::{Failure, Run};
use crate::world::EPOCH_MS;
use api::json::envelope_json;
use model::Record;
use serde_json::json;
use std::time::Duration;

/// How many claims only the node has that is to be removed.
const ALONE: usize = 12;
/// How long it is asked to write after it is back.
const ASKED: Duration = Duration::from_secs(6);
/// What is violated if it serves.
const SERVES_NOTHING: &str = "a_removed_node_serves_nothing";

pub(super) const SCENARIO: Scenario = Scenario {
    name: "a_removed_node_returns",
    about: "a node is removed while it is cut off with claims that nobody else has, and returns",
    shape: three_nodes,
    faults,
    liveness_max: LIVENESS_MAX,
    invariants,
};

fn faults(run: &mut Run) -> Result<(), Failure> {
    run.pass_up_to_seconds(3)?;
    let gone = run.any_node();
    let stay: Vec<_> = (0..run.cluster.nodes()).filter(|node| *node != gone).collect();
    let name = name_of(run, gone)?;
    run.trouble();
    run.cluster.isolate(gone);
    for number in 0..ALONE {
        write_alone(run, gone, number)?;
    }
    ask_for(run, &stay, &json!({"change": "remove", "node": name}))?;
    run.forget(gone);
    if run.chance.below(2) == 0 {
        run.cluster.kill(gone);
        run.pass_up_to_seconds(2)?;
        run.cluster.start(gone);
    }
    run.pass_up_to_seconds(4)?;
    run.cluster.heal();
    answers_for_nobody(run, gone)?;
    until_handed_over(run, gone)?;
    never_comes_back(run, &stay, &name)?;
    until_settled(run, &stay)
}

fn violated(detail: String) -> Failure {
    Failure::Violated { invariant: SERVES_NOTHING, detail }
}

fn claim(name: &str, number: usize) -> Record {
    let text = format!("{name} {number}");
    Author::numbered(9).claim(&format!("alone://{text}"), "is", &text, EPOCH_MS)
}

/// Has a node that is cut off acknowledge a claim with the one copy that it can make.
fn write_alone(run: &mut Run, node: usize, number: usize) -> Result<(), Failure> {
    let record = claim("written by", number);
    let write = run.cluster.history().begin(record.clone());
    until_found(run, &format!("node {node} takes a claim with one copy"), CHANGE_MAX, |run| {
        let began = run.cluster.elapsed();
        let request = Request::post("/v1/assert?ack=1", envelope_json(record.envelope()));
        let answer = run.ask(node, request)?;
        let ending = answer.map_or(Ending::Silence, |answer| ending(answer.status, &answer.json()));
        let told = if matches!(ending, Ending::Acknowledged(_)) { Ok(()) } else { Err(format!("{ending:?}")) };
        let ended = run.cluster.elapsed();
        run.cluster.history().attempted(write, Attempt { node, began, ended, ending });
        Ok(told)
    })?;
    run.cluster.history().finished(write);
    Ok(())
}

/// From the moment at which the others hear it again, nothing that it is asked is acknowledged with the copy of another.
fn answers_for_nobody(run: &mut Run, gone: usize) -> Result<(), Failure> {
    let begun = run.cluster.elapsed();
    let mut number = 0;
    while run.cluster.elapsed() - begun < ASKED {
        let record = claim("too late", number);
        let request = Request::post("/v1/assert", envelope_json(record.envelope()));
        if let Some(answer) = run.ask(gone, request)?.ok().filter(|answer| matches!(answer.status, 200 | 201)) {
            return Err(violated(format!("node {gone} acknowledged {}: {}", record.id(), answer.text())));
        }
        number += 1;
        run.pass(Duration::from_millis(50))?;
    }
    Ok(())
}

/// Waits until it says that all it holds is with the others; by then it answers no question.
fn until_handed_over(run: &mut Run, gone: usize) -> Result<(), Failure> {
    until_found(run, "what it holds is handed over", CHANGE_MAX, |run| {
        let answer = run.ask(gone, Request::get("/v1/ready"))?;
        let says = answer.map_or_else(|lost| lost.to_string(), |answer| answer.text());
        Ok(if says.contains("all that it holds is safe") { Ok(()) } else { Err(says) })
    })?;
    match run.ask(gone, Request::get("/v1/query?subject=alone://written%20by%200"))? {
        Ok(answer) if answer.status == 200 => Err(violated(format!("node {gone} answered a query: {}", answer.text()))),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Its id is refused to whoever asks for it, for the reason that it was removed.
fn never_comes_back(run: &mut Run, stay: &[usize], name: &str) -> Result<(), Failure> {
    let join = json!({"change": "join", "node": name}).to_string().into_bytes();
    for node in stay {
        let answer = run.ask_admin(*node, Request::post("/v1/admin/changes", join.clone()))?;
        let said = answer.map_or_else(|lost| lost.to_string(), |answer| format!("{} {}", answer.status, answer.text()));
        if !said.contains("never comes back") {
            return Err(violated(format!("node {node}, asked to let the id join again, said: {said}")));
        }
    }
    Ok(())
}
