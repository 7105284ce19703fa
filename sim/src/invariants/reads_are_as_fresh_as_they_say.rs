//! Reads are as fresh as they say.
//!
//! Whatever was acknowledged longer before a read began than its `freshness_ms` is in its answer: a node that was away, or
//! stood still, does not answer with what it had before. An answer that does not say how fresh it is promises nothing, and
//! comes only from an owner that could reach no other; where a scenario leaves every owner somebody to meet, there is none.
//!
//! Source: the design, 4.4 (an owner is not chosen until it has met another one at a fence, unless none can be reached;
//! freshness is the age of that fence).

use super::reading::{Read, Reading, subject_of};
use super::{Invariant, Verdict};
use crate::cluster::Cluster;
use crate::history::Write;
use crate::run::{Failure, Run};
use model::RecordId;
use std::collections::BTreeMap;
use std::time::Duration;

/// The time between two reads, at least.
const EVERY: Duration = Duration::from_millis(10);

/// See the module.
#[derive(Debug)]
pub struct ReadsAreAsFreshAsTheySay {
    reading: Reading,
    /// What was acknowledged of each subject, and when.
    acknowledged: BTreeMap<String, Vec<(Duration, RecordId)>>,
}

impl Default for ReadsAreAsFreshAsTheySay {
    fn default() -> Self {
        Self { reading: Reading::new("one", EVERY), acknowledged: BTreeMap::new() }
    }
}

impl Invariant for ReadsAreAsFreshAsTheySay {
    fn name(&self) -> &'static str {
        "reads_are_as_fresh_as_they_say"
    }

    fn watch(&mut self, cluster: &Cluster, news: &[Write]) -> Verdict {
        for write in news {
            let acknowledged = (cluster.elapsed(), write.record.id());
            self.acknowledged.entry(subject_of(&write.record)).or_default().push(acknowledged);
        }
        let read = self.reading.go_on(cluster, self.acknowledged.keys());
        read.map_or(Ok(()), |read| self.is_fresh(&read))
    }

    fn check(&mut self, _: &mut Run) -> Result<Verdict, Failure> {
        Ok(Ok(()))
    }
}

impl ReadsAreAsFreshAsTheySay {
    fn is_fresh(&self, read: &Read) -> Verdict {
        let Read { node, subject, began, claims, freshness } = read;
        let Some(freshness) = freshness else {
            return Err(format!("node {node}, asked at {began:?} for {subject}, does not say how fresh its answer is"));
        };
        let until = began.saturating_sub(*freshness);
        let due = self.acknowledged.get(subject).into_iter().flatten().filter(|(at, _)| *at < until);
        match due.clone().find(|(_, id)| !claims.contains(id)) {
            None => Ok(()),
            Some((at, id)) => Err(format!(
                "node {node}, asked at {began:?} for {subject}, answered with {} claims, at most {freshness:?} old, and \
                 without {id}, acknowledged at {at:?}",
                claims.len()
            )),
        }
    }
}
