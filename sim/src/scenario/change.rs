//! What the scenarios in which operators change a cluster share: asking for a change, and waiting until it is done.

use crate::client::{Answer, Lost, Request};
use crate::cluster::Site;
use crate::invariants::Placed;
use crate::run::{Failure, Run};
use cluster::placement::homes;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long it may take until a change is decided, and how long until it is done once everybody is there.
pub(super) const CHANGE_MAX: Duration = Duration::from_secs(120);
/// How long it may take until homes set out.
const SET_OUT_MAX: Duration = Duration::from_secs(30);
/// How often nodes are asked.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The name of a node, once it says it.
pub(super) fn name_of(run: &mut Run, node: usize) -> Result<String, Failure> {
    until_found(run, &format!("node {node} says who it is"), CHANGE_MAX, |run| {
        let answer = run.ask(node, Request::get("/v1/health"))?;
        let said = answer.map_or_else(|lost| lost.to_string(), |answer| answer.text());
        let name = serde_json::from_str::<Value>(&said).ok();
        let name = name.and_then(|health| Some(health.get("node_id")?.as_str()?.to_owned()));
        Ok(name.ok_or(said))
    })
}

/// Looks again and again until `look` finds something; as long as it does not, it tells why.
///
/// # Errors
///
/// [`Failure::Stuck`] with what it told last, after `limit`; those of `look`.
pub(super) fn until_found<T>(
    run: &mut Run,
    what: &str,
    limit: Duration,
    mut look: impl FnMut(&mut Run) -> Result<Result<T, String>, Failure>,
) -> Result<T, Failure> {
    let begun = run.cluster.elapsed();
    loop {
        match look(run)? {
            Ok(found) => return Ok(found),
            Err(told) if run.cluster.elapsed() - begun >= limit => {
                return Err(Failure::Stuck { what: format!("{what}: {told}"), limit });
            }
            Err(_) => run.pass(LOOK_EVERY)?,
        }
    }
}

/// The version that a node says that it goes by; nothing if it does not answer or goes by none.
pub(super) fn version_of(run: &mut Run, node: usize) -> Result<Option<u64>, Failure> {
    let answer = run.ask(node, Request::get("/v1/health"))?;
    Ok(answer.ok().and_then(|answer| answer.json().get("active_version")?.as_u64()))
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
    let mut asked = nodes.iter().cycle();
    until_found(run, &format!("{body} is decided"), CHANGE_MAX, |run| {
        let Some(node) = asked.next() else { return Ok(Ok(())) };
        Ok(match run.ask_admin(*node, Request::post(path, body.to_string().into_bytes()))? {
            Ok(answer) if answer.status == 200 => Ok(()),
            Ok(answer) => Err(answer.text()),
            Err(lost) => Err(lost.to_string()),
        })
    })
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

/// Waits until homes are in transit, as the first of these nodes that answers tells.
pub(super) fn until_homes_set_out(run: &mut Run, nodes: &[usize]) -> Result<(), Failure> {
    until_found(run, "homes set out", SET_OUT_MAX, |run| {
        let told = clusters(run, nodes)?.into_iter().flatten();
        let mut counts = told.filter_map(|cluster| cluster.pointer("/moves/homes_in_transit")?.as_u64());
        Ok(if counts.next() > Some(0) { Ok(()) } else { Err("none is in transit".to_owned()) })
    })
}

/// One of the first three nodes loses its disk for ever, and the fourth takes its place; `meanwhile` happens between the loss, of
/// the node with that number, and the change. Returns the two that stay.
pub(super) fn replace_one_of_three(
    run: &mut Run,
    meanwhile: impl FnOnce(&mut Run, usize) -> Result<(), Failure>,
) -> Result<Vec<usize>, Failure> {
    run.pass_up_to_seconds(2)?;
    let gone = run.chance.index(3);
    let stay: Vec<_> = (0..3).filter(|node| *node != gone).collect();
    let old = name_of(run, gone)?;
    run.trouble();
    run.cluster.lose_disk(gone);
    run.forget(gone);
    run.cluster.start(3);
    let new = name_of(run, 3)?;
    meanwhile(run, gone)?;
    ask_for(run, &stay, &json!({"change": "replace", "node": old, "by": new}))?;
    run.welcome(3);
    Ok(stay)
}

/// Waits until one of `nodes` tells that this member owns nothing any more.
pub(super) fn until_it_owns_nothing(run: &mut Run, nodes: &[usize], name: &str) -> Result<(), Failure> {
    let owns = |cluster: &Value| {
        let members = cluster.get("members").and_then(Value::as_array)?;
        let member = members.iter().find(|member| member.get("node_id").and_then(Value::as_str) == Some(name))?;
        member.get("homes").and_then(Value::as_u64)
    };
    until_found(run, &format!("{name} owns nothing any more"), CHANGE_MAX, |run| {
        let said = clusters(run, nodes)?;
        let done = said.iter().flatten().any(|cluster| owns(cluster).unwrap_or_default() == 0);
        Ok(if done { Ok(()) } else { Err(listed(&said)) })
    })
}

/// Whether by the newest table no zone has two copies of a home.
pub(super) fn placed_in_zones(run: &Run, nodes: &[usize], zones: &[&str]) -> Result<(), Failure> {
    let violated = |detail| Failure::Violated { invariant: "no_zone_has_two_copies", detail };
    let placed = Placed::of(&run.cluster, nodes).map_err(violated)?;
    for home in homes() {
        let owners = placed.table.owners(home);
        let nodes = owners.iter().filter_map(|owner| placed.nodes.get(owner));
        let spread: BTreeSet<_> = nodes.filter_map(|node| zones.get(*node)).collect();
        if spread.len() != owners.len() {
            return Err(violated(format!("home {home:?} is owned by {owners:?}, in {spread:?}")));
        }
    }
    Ok(())
}

/// Waits until something holds of the cluster as each of these nodes tells it.
pub(super) fn until(run: &mut Run, nodes: &[usize], what: &str, holds: impl Fn(&Value) -> bool) -> Result<(), Failure> {
    until_found(run, &format!("nodes {nodes:?} say {what}"), CHANGE_MAX, |run| {
        let said = clusters(run, nodes)?;
        let all = said.iter().all(|cluster| cluster.as_ref().is_some_and(&holds));
        Ok(if all { Ok(()) } else { Err(listed(&said)) })
    })
}

/// What nodes said, in one line.
fn listed(said: &[Option<Value>]) -> String {
    said.iter().map(|said| said.as_ref().unwrap_or_default().to_string()).collect::<Vec<_>>().join("; ")
}

/// Something that happens to one of `nodes` in the middle of a change, or nothing: it is killed, loses power, is cut off from all
/// others or from one of them, and comes back.
pub(super) fn disturb(run: &mut Run, nodes: &[usize]) -> Result<(), Failure> {
    let before = run.chance.between(Duration::ZERO, Duration::from_secs(12));
    run.pass(before)?;
    let node = nodes.get(run.chance.index(nodes.len())).copied().unwrap_or_default();
    let away = run.chance.between(Duration::from_millis(50), Duration::from_secs(6));
    run.trouble();
    let other = nodes.get(run.chance.index(nodes.len())).copied().unwrap_or_default();
    match run.chance.below(5) {
        0 => {}
        1 => run.cluster.kill(node),
        2 => run.cluster.power_loss(node),
        3 => run.cluster.partition(&[Site::Node(node)], &[Site::Node(other)]),
        _ => run.cluster.isolate(node),
    }
    run.pass(away)?;
    run.cluster.heal();
    if !run.cluster.running().contains(&node) {
        run.cluster.start(node);
    }
    Ok(())
}
