//! What the scenarios in which operators change a cluster share: asking for a change, and waiting until it is done.

use crate::client::{Answer, Lost, Request};
use crate::run::{Failure, Run};
use serde_json::{Value, json};
use std::time::Duration;

/// How long it may take until a change is decided, and how long until it is done once everybody is there.
pub(super) const CHANGE_MAX: Duration = Duration::from_secs(120);
/// How often nodes are asked.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The name of a node, once it says it.
pub(super) fn name_of(run: &mut Run, node: usize) -> Result<String, Failure> {
    let begun = run.cluster.elapsed();
    loop {
        let answer = run.ask(node, Request::get("/v1/health"))?;
        let name = answer.ok().and_then(|answer| Some(answer.json().get("node_id")?.as_str()?.to_owned()));
        match name {
            Some(name) => return Ok(name),
            None if run.cluster.elapsed() - begun >= CHANGE_MAX => {
                return Err(Failure::Stuck { what: format!("node {node} says who it is"), limit: CHANGE_MAX });
            }
            None => run.pass(LOOK_EVERY)?,
        }
    }
}

/// Asks one of `nodes` after the other for a change until one says that it is decided.
pub(super) fn ask_for(run: &mut Run, nodes: &[usize], change: &Value) -> Result<(), Failure> {
    post(run, nodes, "/v1/admin/changes", change)
}

/// The same for other settings of the cluster.
pub(super) fn set(run: &mut Run, nodes: &[usize], settings: &Value) -> Result<(), Failure> {
    post(run, nodes, "/v1/admin/settings", settings)
}

fn post(run: &mut Run, nodes: &[usize], path: &'static str, body: &Value) -> Result<(), Failure> {
    let begun = run.cluster.elapsed();
    for node in nodes.iter().cycle() {
        let last = match run.ask_admin(*node, Request::post(path, body.to_string().into_bytes()))? {
            Ok(answer) if answer.status == 200 => break,
            Ok(answer) => answer.text(),
            Err(lost) => lost.to_string(),
        };
        if run.cluster.elapsed() - begun >= CHANGE_MAX {
            return Err(Failure::Stuck { what: format!("{body} is decided: {last}"), limit: CHANGE_MAX });
        }
        run.pass(LOOK_EVERY)?;
    }
    Ok(())
}

/// Makes a node a member that waits for it, and from then on it is one that must be there in the end.
pub(super) fn join(run: &mut Run, members: &[usize], node: usize) -> Result<(), Failure> {
    run.cluster.start(node);
    let name = name_of(run, node)?;
    ask_for(run, members, &json!({"change": "join", "node": name}))?;
    run.welcome(node);
    Ok(())
}

/// What nodes say of the cluster; who does not answer says nothing.
fn clusters(run: &mut Run, nodes: &[usize]) -> Result<Vec<Option<Value>>, Failure> {
    let answers = run.ask_operators(nodes, &Request::get("/v1/admin/cluster"))?;
    let said =
        |answer: Result<Answer, Lost>| answer.ok().filter(|answer| answer.status == 200).map(|answer| answer.json());
    Ok(answers.into_iter().map(said).collect())
}

/// The epochs of the tables that nodes go by, as they tell operators.
pub(super) fn epochs(run: &mut Run, nodes: &[usize]) -> Result<Vec<Option<u64>>, Failure> {
    let epoch = |cluster: Option<Value>| cluster?.get("epoch").and_then(Value::as_u64);
    Ok(clusters(run, nodes)?.into_iter().map(epoch).collect())
}

/// Waits until all these nodes go by a table of that epoch or a later one.
pub(super) fn until_epoch(run: &mut Run, nodes: &[usize], epoch: u64) -> Result<(), Failure> {
    until(run, nodes, &format!("epoch {epoch}"), |cluster| {
        cluster.get("epoch").and_then(Value::as_u64).is_some_and(|found| found >= epoch)
    })
}

/// Waits until all these nodes say that nothing moves any more and nobody is draining.
pub(super) fn until_settled(run: &mut Run, nodes: &[usize]) -> Result<(), Failure> {
    until(run, nodes, "nothing moves", |cluster| {
        let left = cluster.pointer("/moves/homes_left").and_then(Value::as_u64);
        let members = cluster.get("members").and_then(Value::as_array);
        let drains = |member: &Value| member.get("is_draining").and_then(Value::as_bool) == Some(true);
        left == Some(0) && members.is_some_and(|members| !members.iter().any(drains))
    })
}

/// Waits until every one of these nodes has a cluster of so many members.
pub(super) fn until_members(run: &mut Run, nodes: &[usize], count: usize) -> Result<(), Failure> {
    until(run, nodes, &format!("{count} members"), |cluster| {
        cluster.get("members").and_then(Value::as_array).is_some_and(|members| members.len() == count)
    })
}

fn until(run: &mut Run, nodes: &[usize], what: &str, holds: impl Fn(&Value) -> bool) -> Result<(), Failure> {
    let begun = run.cluster.elapsed();
    loop {
        let said = clusters(run, nodes)?;
        if said.iter().all(|cluster| cluster.as_ref().is_some_and(&holds)) {
            return Ok(());
        }
        if run.cluster.elapsed() - begun >= CHANGE_MAX {
            let said = said.into_iter().map(|said| said.unwrap_or_default().to_string()).collect::<Vec<_>>().join("; ");
            return Err(Failure::Stuck { what: format!("nodes {nodes:?} say {what}: {said}"), limit: CHANGE_MAX });
        }
        run.pass(LOOK_EVERY)?;
    }
}

/// Something that happens to one of `nodes` in the middle of a change, or nothing: it is killed, loses power or is cut off, and
/// comes back.
pub(super) fn disturb(run: &mut Run, nodes: &[usize]) -> Result<(), Failure> {
    let before = run.chance.between(Duration::ZERO, Duration::from_secs(12));
    run.pass(before)?;
    let node = nodes.get(run.chance.index(nodes.len())).copied().unwrap_or_default();
    let away = run.chance.between(Duration::from_millis(50), Duration::from_secs(6));
    run.trouble();
    match run.chance.below(4) {
        0 => {}
        1 => run.cluster.kill(node),
        2 => run.cluster.power_loss(node),
        _ => run.cluster.isolate(node),
    }
    run.pass(away)?;
    run.cluster.heal();
    if !run.cluster.running().contains(&node) {
        run.cluster.start(node);
    }
    Ok(())
}
