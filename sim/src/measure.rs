//! How long the survivors of a fault need to notice it, by what they tell operators.

use crate::client::{Answer, Lost, Request};
use crate::invariants::node_on;
use crate::run::{Failure, Run};
use std::time::Duration;

/// How often survivors are asked.
const ASK_EVERY: Duration = Duration::from_millis(10);
/// Where they say who leads, without asking others.
pub(crate) const CLUSTER: &str = "/v1/admin/cluster";
/// Where they say how many nodes they take for down, without asking others: the line of the metric, up to its value.
const METRICS: &str = "/metrics";
const MEMBERS_DOWN: &str = "stemedb_members{state=\"down\"} ";

impl Run {
    /// The node that leads the control plane, as the first node that runs says.
    ///
    /// # Errors
    ///
    /// As [`Run::step`].
    pub fn leader(&mut self) -> Result<Option<usize>, Failure> {
        let first: Vec<_> = self.cluster.running().into_iter().take(1).collect();
        let answers = self.ask_operators(&first, &Request::get(CLUSTER))?;
        let leader = answers.first().and_then(leader_in);
        Ok((0..self.cluster.nodes()).find(|node| leader.is_some() && Some(self.name(*node)) == leader))
    }

    /// Waits until every node that runs tells operators that a node is down, `node` being the only one that is, and until one
    /// of them names another leader if it `led`, and counts how long each took from now.
    ///
    /// # Errors
    ///
    /// [`Failure::Stuck`] if that takes longer than `limit`; as [`Run::step`].
    pub fn until_noticed(&mut self, node: usize, led: bool, limit: Duration) -> Result<(), Failure> {
        let (begun, name) = (self.cluster.elapsed(), self.name(node));
        let (mut unaware, mut leaderless) = (self.cluster.running(), led);
        while !unaware.is_empty() || leaderless {
            let survivors = self.cluster.running();
            let metrics = self.ask_operators(&survivors, &Request::get(METRICS))?;
            let at = self.cluster.elapsed() - begun;
            for (survivor, _) in survivors.iter().zip(&metrics).filter(|(_, answer)| knows_of_one_down(answer)) {
                if unaware.contains(survivor) {
                    unaware.retain(|node| node != survivor);
                    self.figures.detection.push(at);
                }
            }
            if leaderless {
                let answers = self.ask_operators(&survivors, &Request::get(CLUSTER))?;
                if answers.iter().filter_map(leader_in).any(|leader| leader != name) {
                    leaderless = false;
                    self.figures.failover.push(self.cluster.elapsed() - begun);
                }
            }
            if at >= limit {
                let what = format!("{unaware:?} know that {node} is down, and somebody leads: {}", !leaderless);
                return Err(Failure::Stuck { what, limit });
            }
            self.pass(ASK_EVERY)?;
        }
        Ok(())
    }

    /// The id of a node, by its disk.
    fn name(&self, node: usize) -> String {
        node_on(self.cluster.disk(node)).map(|id| id.to_string()).unwrap_or_default()
    }
}

/// Who leads, by what a node answered that was asked for [`CLUSTER`].
pub(crate) fn leader_in(answer: &Result<Answer, Lost>) -> Option<String> {
    Some(answer.as_ref().ok()?.json().get("leader")?.as_str()?.to_owned())
}

/// Whether a node that was asked for its metrics takes another one for down.
fn knows_of_one_down(answer: &Result<Answer, Lost>) -> bool {
    let text = answer.as_ref().map(Answer::text).unwrap_or_default();
    let down = text.lines().find_map(|line| line.strip_prefix(MEMBERS_DOWN));
    down.is_some_and(|count| count.trim() != "0")
}
