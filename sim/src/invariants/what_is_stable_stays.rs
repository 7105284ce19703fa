//! What an answer says is stable stays as it is.
//!
//! Now and then a node is asked about a subject, and asked again as of the `stable_at` that it said. That answer, and what
//! the disks of the home's owners hold at or below that time, are kept. At the end every node gives the same bytes of
//! `result`, and the disk of every owner holds the same at or below it: nothing was added, moved or signed anew.
//!
//! Source: the design, 3.3 (nothing at or below `stable_at` is added, moved or re-signed; the `result` of an answer as of a
//! time at or before its `stable_at` never changes again, on any node).

use super::reading::subject_of;
use super::standing::Placed;
use super::{Invariant, OnDisk, Verdict};
use crate::client::{Answer, Request};
use crate::cluster::{Asking, Cluster, Process};
use crate::history::Write;
use crate::run::{Failure, Run};
use model::record::Subject;
use model::{Home, Stamp};
use std::collections::BTreeSet;
use std::time::Duration;
use storage::store::Element;

/// The time between two questions, at least; it grows as the run does.
const EVERY: Duration = Duration::from_millis(100);
/// The pause is at most this part of the time that has passed.
const PAUSE_PART: u32 = 64;
/// The most answers that are kept, spread over the run.
const ANSWERS_MAX: usize = 96;
/// How often the disks are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The most looks at the disks.
const LOOKS_MAX: usize = 6;
/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(2);
/// How often a question is put again at the end, and how long after the one before.
const TRIES_MAX: usize = 20;
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// A question under way.
#[derive(Debug)]
struct Question {
    node: usize,
    subject: String,
    consistency: &'static str,
    /// As of when; the first time that is asked nobody knows yet what is stable.
    as_of: Option<Stamp>,
    asking: Asking,
}

/// An answer that may not change.
#[derive(Debug)]
struct Kept {
    by: usize,
    at: Duration,
    path: String,
    stable_at: Stamp,
    result: String,
}

/// What the owners of a home held at or below a time that was said to be stable.
#[derive(Debug)]
struct Held {
    at: Duration,
    home: Home,
    stable_at: Stamp,
    elements: BTreeSet<Element>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct WhatIsStableStays {
    subjects: BTreeSet<String>,
    asked: usize,
    next: Duration,
    next_look: Duration,
    under_way: Option<Question>,
    kept: Vec<Kept>,
    held: Vec<Held>,
    /// So many answers must come to be kept, or the run has shown nothing.
    kept_min: usize,
}

impl WhatIsStableStays {
    /// Where nothing keeps answers from becoming stable: at least so many must.
    pub fn of_at_least(kept_min: usize) -> Self {
        Self { kept_min, ..Self::default() }
    }
}

impl Invariant for WhatIsStableStays {
    fn name(&self) -> &'static str {
        "what_is_stable_stays"
    }

    fn watch(&mut self, cluster: &Cluster, news: &[Write]) -> Verdict {
        self.subjects.extend(news.iter().map(|write| subject_of(&write.record)).filter(|subject| !subject.is_empty()));
        match self.under_way.take() {
            None => {
                self.ask(cluster);
                Ok(())
            }
            Some(question) => match question.asking.answer() {
                None => {
                    self.under_way = Some(question);
                    Ok(())
                }
                Some(answer) => answer.map_or(Ok(()), |answer| self.take(cluster, &question, &answer)),
            },
        }
    }

    fn check(&mut self, run: &mut Run) -> Result<Verdict, Failure> {
        if self.kept.len() < self.kept_min {
            return Ok(Err(format!("{} answers were stable, and {} should have been", self.kept.len(), self.kept_min)));
        }
        for kept in &self.kept {
            for node in run.staying() {
                if let Err(what) = asked_again(run, node, kept)? {
                    return Ok(Err(what));
                }
            }
        }
        Ok(self.check_disks(run))
    }
}

impl WhatIsStableStays {
    fn ask(&mut self, cluster: &Cluster) {
        let nodes: Vec<_> = (0..cluster.nodes()).filter(|node| cluster.process(*node) == Process::Up).collect();
        if cluster.elapsed() < self.next || nodes.is_empty() || self.subjects.is_empty() {
            return;
        }
        self.next = cluster.elapsed() + EVERY.max(cluster.elapsed() / PAUSE_PART);
        self.asked += 1;
        let Some(node) = nodes.get(self.asked % nodes.len()).copied() else { return };
        let Some(subject) = self.subjects.iter().nth(self.asked * 7 % self.subjects.len()).cloned() else { return };
        let consistency = if self.asked.is_multiple_of(3) { "all" } else { "one" };
        self.put(cluster, (node, subject, consistency), None);
    }

    fn put(
        &mut self,
        cluster: &Cluster,
        (node, subject, consistency): (usize, String, &'static str),
        as_of: Option<Stamp>,
    ) {
        let asking = cluster.put(node, Request::get(path(&subject, consistency, as_of)), DEADLINE);
        self.under_way = Some(Question { node, subject, consistency, as_of, asking });
    }

    /// Takes an answer: if it says what is stable, the same is asked as of that, and what comes back is kept.
    fn take(&mut self, cluster: &Cluster, question: &Question, answer: &Answer) -> Verdict {
        let Question { node, subject, consistency, as_of, .. } = question;
        let Some(stable_at) = stable_at(answer) else { return Ok(()) };
        let Some(as_of) = as_of else {
            self.put(cluster, (*node, subject.clone(), consistency), Some(stable_at));
            return Ok(());
        };
        if stable_at < *as_of {
            return Ok(());
        }
        let path = path(subject, "one", Some(*as_of));
        self.keep(Kept { by: *node, at: cluster.elapsed(), path, stable_at: *as_of, result: result(answer) });
        self.look(cluster, subject, *as_of)
    }

    /// Keeps an answer; when there are too many, every other one is dropped.
    fn keep(&mut self, kept: Kept) {
        if self.kept.len() >= ANSWERS_MAX {
            let mut at = 0;
            self.kept.retain(|_| {
                at += 1;
                at % 2 == 0
            });
        }
        self.kept.push(kept);
    }

    /// Looks at the disks of the owners of a subject's home now and then: they hold the same at or below what is stable.
    fn look(&mut self, cluster: &Cluster, subject: &str, stable_at: Stamp) -> Verdict {
        let Ok(subject) = Subject::new(subject) else { return Ok(()) };
        if cluster.elapsed() < self.next_look || self.held.len() >= LOOKS_MAX {
            return Ok(());
        }
        self.next_look = cluster.elapsed() + LOOK_EVERY;
        let home = Home::of(&subject);
        let all: Vec<_> = (0..cluster.nodes()).collect();
        let mut held = held_by_readers(cluster, &all, home, stable_at)?;
        let Some((one, elements)) = held.pop() else { return Ok(()) };
        if let Some((other, _)) = held.iter().find(|(_, held)| *held != elements) {
            return Err(format!(
                "nodes {one} and {other} differ in home {home} at or below {stable_at}, which is stable"
            ));
        }
        self.held.push(Held { at: cluster.elapsed(), home, stable_at, elements });
        Ok(())
    }

    fn check_disks(&self, run: &Run) -> Verdict {
        for Held { at, home, stable_at, elements } in &self.held {
            for (node, now) in held_by_readers(&run.cluster, &run.staying(), *home, *stable_at)? {
                if let Some(element) = now.symmetric_difference(elements).next() {
                    return Err(format!(
                        "home {home} was stable at {stable_at}, as was said until {at:?}, and node {node} holds it otherwise: {element:?}"
                    ));
                }
            }
        }
        Ok(())
    }
}

/// What those of `nodes` that may be read about a home hold of it at or below a time, by the newest table that a disk knows:
/// its owners, but for who is joining yet.
fn held_by_readers(
    cluster: &Cluster,
    nodes: &[usize],
    home: Home,
    until: Stamp,
) -> Result<Vec<(usize, BTreeSet<Element>)>, String> {
    let placed = Placed::of(cluster, nodes)?;
    let readers = placed.table.readers(home).filter_map(|reader| placed.nodes.get(&reader).copied());
    let held = readers.map(|node| {
        let elements = OnDisk::read(cluster.disk(node)).and_then(|disk| disk.elements(home));
        let elements = elements.map_err(|error| format!("node {node}: {error}"))?;
        Ok((node, elements.into_iter().filter(|element| element.stamp <= until).collect()))
    });
    held.collect()
}

fn asked_again(run: &mut Run, node: usize, kept: &Kept) -> Result<Verdict, Failure> {
    let Kept { by, at, path, stable_at, result: before } = kept;
    let mut last = String::new();
    for _ in 0..TRIES_MAX {
        match run.ask(node, Request::get(path.clone()))? {
            Ok(answer) if answer.status == 200 => {
                let now = result(&answer);
                return Ok(if now == *before {
                    Ok(())
                } else {
                    Err(format!(
                        "node {by} answered {path} at {at:?}, stable at {stable_at}, with {before}, and node {node} in the end with {now}"
                    ))
                });
            }
            Ok(answer) => last = answer.text(),
            Err(lost) => last = lost.to_string(),
        }
        run.pass(TRY_AGAIN_AFTER)?;
    }
    Ok(Err(format!("node {node} does not answer {path}: {last}")))
}

fn path(subject: &str, consistency: &str, as_of: Option<Stamp>) -> String {
    let as_of = as_of.map(|as_of| format!("&as_of={as_of}")).unwrap_or_default();
    format!("/v1/query?subject={subject}&lens=none&consistency={consistency}{as_of}")
}

fn stable_at(answer: &Answer) -> Option<Stamp> {
    let answer = Some(answer).filter(|answer| answer.status == 200)?.json();
    answer.pointer("/meta/stable_at")?.as_str()?.parse().ok()
}

/// The bytes of `result`, which come first.
fn result(answer: &Answer) -> String {
    let text = answer.text();
    text.split_once(",\"meta\":{\"lens\"").map_or(text.clone(), |(result, _)| result.to_owned())
}

#[test]
fn the_result_of_an_answer_is_what_comes_before_its_meta() {
    let body = br#"{"result":{"answers":[{"meta":{"a":"b"}}]},"meta":{"lens":"none","stable_at":"5.1"}}"#.to_vec();
    let answer = Answer { status: 200, body };
    assert_eq!(result(&answer), r#"{"result":{"answers":[{"meta":{"a":"b"}}]}"#);
    assert_eq!(stable_at(&answer), Stamp::new(5, 1));
    assert_eq!(stable_at(&Answer { status: 503, ..answer }), None);
}
