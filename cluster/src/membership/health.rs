//! How well this node itself is, so that a node in trouble blames itself before it blames others.
//!
//! It never judges another node. Source: Dadgar, Phillips and Currey, *Lifeguard: Local Health Awareness for More Accurate
//! Failure Detection*, 2018. Where Lifeguard asks helpers for a negative acknowledgement, a helper is greeted here beside
//! its errand, and whatever it sends counts: a probe that failed while a helper was heard says nothing against this node, a
//! probe that failed while no helper was heard does.

use crate::NodeId;

/// The score of this node: 0 is well.
#[derive(Debug)]
pub(super) struct Health {
    score: u8,
    score_max: u8,
    /// Who is being probed.
    probed: Option<NodeId>,
    /// Whether others help with that.
    helped: bool,
    /// Whether any other was heard meanwhile.
    others_heard: bool,
}

impl Health {
    /// A node that is well.
    pub(super) fn new(score_max: u8) -> Self {
        Self { score: 0, score_max, probed: None, helped: false, others_heard: false }
    }

    /// 0 is well, `score_max` is as bad as it gets.
    pub(super) fn score(&self) -> u8 {
        self.score
    }

    /// How many times as long a suspected node has for its answer. One bad sign alone changes nothing: where packets are
    /// lost it is chance.
    pub(super) fn patience(&self) -> u64 {
        u64::from(self.score.max(1))
    }

    /// The node stood still: a sign that counts twice, since it cannot be chance.
    pub(super) fn stood_still(&mut self) {
        self.worsen(2);
    }

    /// The node had to contradict a suspicion.
    pub(super) fn was_suspected(&mut self) {
        self.worsen(1);
    }

    fn worsen(&mut self, by: u8) {
        self.score = self.score.saturating_add(by).min(self.score_max);
    }

    /// The probe goes round through others.
    pub(super) fn goes_round(&mut self) {
        self.helped = true;
    }

    /// A packet of `node` came.
    pub(super) fn heard(&mut self, node: NodeId) {
        self.others_heard |= self.probed != Some(node);
    }

    /// A probe is over, one of `next` begins.
    pub(super) fn probed(&mut self, failed: bool, next: NodeId) {
        if !failed {
            self.score = self.score.saturating_sub(1);
        } else if self.helped && !self.others_heard {
            self.worsen(1);
        }
        *self = Self { probed: Some(next), helped: false, others_heard: false, ..*self };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROBED: NodeId = NodeId(2);
    const HELPER: NodeId = NodeId(3);

    fn failed_probe(health: &mut Health, helper_heard: bool) {
        health.probed(false, PROBED);
        health.goes_round();
        health.heard(PROBED);
        if helper_heard {
            health.heard(HELPER);
        }
        health.probed(true, HELPER);
    }

    #[test]
    fn a_probe_that_failed_while_a_helper_was_heard_says_nothing_against_this_node() {
        let mut health = Health::new(2);
        failed_probe(&mut health, true);
        assert_eq!(health.score(), 0);
    }

    #[test]
    fn a_probe_that_failed_in_silence_does_up_to_the_limit() {
        let mut health = Health::new(2);
        for expected in [1, 2, 2] {
            health.goes_round();
            health.probed(true, PROBED);
            assert_eq!(health.score(), expected);
        }
    }

    #[test]
    fn a_probe_that_succeeds_makes_up_for_one_that_did_not() {
        let mut health = Health::new(2);
        failed_probe(&mut health, false);
        health.probed(false, PROBED);
        assert_eq!(health.score(), 0);
    }

    #[test]
    fn without_anybody_to_help_a_failed_probe_says_nothing() {
        let mut health = Health::new(2);
        health.probed(true, PROBED);
        assert_eq!(health.score(), 0);
    }
}
