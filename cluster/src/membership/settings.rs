//! How fast membership notices and how sure it wants to be.

use crate::Millis;
use std::num::{NonZeroU8, NonZeroUsize};
use std::time::Duration;

/// The longest packet, in bytes, seal included: fits in one frame of any network that is not ancient.
pub const PACKET_BYTES_MAX: usize = 1400;

/// What can be tuned. All nodes of a cluster should have the same.
///
/// The defaults find a crashed node of three within 3 s (p99, at all survivors) and accuse nobody falsely in 1,000
/// node-hours at 5 % loss: `cargo run --release -p cluster --example membership` measures both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How often one of the others is probed. Default 350 ms.
    pub probe_period: Millis,
    /// How long a probe waits before it goes round through others. Less than half of `probe_period`. Default 150 ms.
    pub probe_rtt: Millis,
    /// Through how many others a probe goes round. Default 3.
    pub indirect_probes: NonZeroUsize,
    /// How long a node that is suspected has for its answer, when the one that suspects it is well. Default 1,500 ms.
    pub suspicion: Millis,
    /// How often news is passed on while there is any. Default 200 ms.
    pub gossip_period: Millis,
    /// To how many it is passed on each time. Default 3.
    pub gossip_members: NonZeroUsize,
    /// In how many packets one piece of news travels before it is old. Default 30: as many as a node of three sends in
    /// the time that a suspected node has for its answer.
    pub transmissions: NonZeroU8,
    /// How often nodes that are down, and seeds that are not members, are spoken to. Default 2 s.
    pub announce_period: Millis,
    /// A timer that fires so late means that this node stood still. Default 100 ms.
    pub stall_min: Millis,
    /// How bad the node's own health can get: suspicion takes up to so many times as long. Default 3.
    pub health_max: u8,
    /// How many other nodes are known at most, those that are down included. Default 256.
    pub members_max: usize,
    /// How many seeds are known at most. Default 64.
    pub seeds_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            probe_period: Millis(350),
            probe_rtt: Millis(150),
            indirect_probes: NonZeroUsize::MIN.saturating_add(2),
            suspicion: Millis(1500),
            gossip_period: Millis(200),
            gossip_members: NonZeroUsize::MIN.saturating_add(2),
            transmissions: NonZeroU8::MIN.saturating_add(29),
            announce_period: Millis(2000),
            stall_min: Millis(100),
            health_max: 3,
            members_max: 256,
            seeds_max: 64,
        }
    }
}

/// Why settings cannot be used. Correct the setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A probe has no time to go round.
    #[error("the probe's round trip must be longer than 0 and less than half of the probe period")]
    ProbeTooLong,
    /// A period is 0.
    #[error("{0} must not be 0")]
    Zero(&'static str),
}

impl Settings {
    /// Checks what the types leave open.
    ///
    /// # Errors
    ///
    /// The first setting that makes no sense.
    pub fn check(&self) -> Result<(), SettingsError> {
        if self.probe_rtt.0 == 0 || self.probe_rtt.0 * 2 >= self.probe_period.0 {
            return Err(SettingsError::ProbeTooLong);
        }
        let periods = [
            ("the time of suspicion", self.suspicion),
            ("the gossip period", self.gossip_period),
            ("the announce period", self.announce_period),
            ("the shortest stall", self.stall_min),
        ];
        match periods.iter().find(|(_, period)| period.0 == 0) {
            Some((name, _)) => Err(SettingsError::Zero(name)),
            None => Ok(()),
        }
    }

    /// The same for foca, whose packets may be `packet_bytes_max` long.
    ///
    /// foca never forgets a node that is down (it is told to), since memory is bounded by the number of nodes.
    pub(super) fn foca(&self, packet_bytes_max: NonZeroUsize) -> foca::Config {
        foca::Config {
            probe_period: duration(self.probe_period),
            probe_rtt: duration(self.probe_rtt),
            num_indirect_probes: self.indirect_probes,
            max_transmissions: self.transmissions,
            suspect_to_down_after: duration(self.suspicion),
            remove_down_after: None,
            max_packet_size: packet_bytes_max,
            notify_down_members: true,
            periodic_announce: None,
            periodic_announce_to_down_members: Some(foca::PeriodicParams {
                frequency: duration(self.announce_period),
                num_members: self.gossip_members,
            }),
            periodic_gossip: Some(foca::PeriodicParams {
                frequency: duration(self.gossip_period),
                num_members: self.gossip_members,
            }),
        }
    }
}

fn duration(millis: Millis) -> Duration {
    Duration::from_millis(millis.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_make_sense() {
        assert_eq!(Settings::default().check(), Ok(()));
    }

    #[test]
    fn a_probe_without_time_to_go_round_is_refused() {
        let settings = Settings { probe_rtt: Millis(200), ..Settings::default() };
        assert_eq!(settings.check(), Err(SettingsError::ProbeTooLong));
    }

    #[test]
    fn a_period_of_nothing_is_refused() {
        let settings = Settings { gossip_period: Millis(0), ..Settings::default() };
        assert_eq!(settings.check(), Err(SettingsError::Zero("the gossip period")));
    }
}
