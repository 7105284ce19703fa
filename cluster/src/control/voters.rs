//! Who votes in the control plane.

use super::State;
use crate::id::NodeId;
use std::collections::BTreeSet;

/// The most nodes that vote. The others follow.
pub const VOTERS_MAX: usize = 5;

/// Who is to vote, if `now` do: an odd number of members, so that no vote is of no use; those who vote already first, those
/// that are leaving last, and of the others only who is `ready`, with the log as long as anybody's.
///
/// It never asks for fewer than there are ready, and never for nobody.
pub fn voters(state: &State, now: &BTreeSet<NodeId>, ready: impl Fn(NodeId) -> bool) -> BTreeSet<NodeId> {
    let members: Vec<NodeId> = state.members().into_iter().flatten().map(|(node, _)| *node).collect();
    let draining: BTreeSet<_> = state.draining().collect();
    let may = |node: &NodeId| now.contains(node) || ready(*node);
    let mut ranked: Vec<_> = members.into_iter().filter(may).collect();
    ranked.sort_by_key(|node| (draining.contains(node), !now.contains(node), *node));
    let staying = ranked.iter().filter(|node| !draining.contains(node)).count().max(1);
    let most = staying.min(VOTERS_MAX);
    ranked.into_iter().take(most - (most + 1) % 2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{Command, Member, Settings, Versions};
    use crate::id::NodeKey;
    use std::num::NonZeroU8;

    fn member(id: u64) -> Member {
        let at = ([10, 0, 0, 1], 1).into();
        let mut key = [0; 32];
        key[..8].copy_from_slice(&id.to_be_bytes());
        Member { key: NodeKey(key), rpc: at, gossip: at, api: at, zone: String::new(), versions: Versions::SHIPPED }
    }

    fn set(ids: &[u64]) -> BTreeSet<NodeId> {
        ids.iter().copied().map(NodeId).collect()
    }

    fn of(members: &[u64], draining: &[u64], now: &[u64], ready: &[u64]) -> Vec<u64> {
        let mut state = State::default();
        let all = members.iter().map(|id| (NodeId(*id), member(*id))).collect();
        let settings = Settings { replication_factor: NonZeroU8::new(2).unwrap() };
        state.apply(&Command::found(all, settings).unwrap());
        for id in draining {
            state.apply(&Command::Drain { node: NodeId(*id), leaves: true });
        }
        let ready = set(ready);
        voters(&state, &set(now), |node| ready.contains(&node)).into_iter().map(|node| node.0).collect()
    }

    #[test]
    fn an_odd_number_votes_and_whoever_votes_already_goes_on() {
        assert_eq!(of(&[1], &[], &[1], &[]), [1]);
        assert_eq!(of(&[1, 2], &[], &[1], &[2]), [1]);
        assert_eq!(of(&[1, 2, 3], &[], &[1], &[2, 3]), [1, 2, 3]);
        assert_eq!(of(&[1, 2, 3], &[], &[2], &[3]), [2], "who lags behind does not vote yet");
        assert_eq!(of(&[1, 2, 3, 4], &[], &[2, 3, 4], &[1]), [2, 3, 4]);
        assert_eq!(of(&[1, 2, 3, 4, 5, 6, 7], &[], &[5, 6, 7], &[1, 2, 3, 4]), [1, 2, 5, 6, 7]);
    }

    #[test]
    fn who_leaves_stops_voting_as_soon_as_there_is_somebody_else() {
        assert_eq!(of(&[1, 2, 3, 4], &[1], &[1, 2, 3], &[4]), [2, 3, 4]);
        assert_eq!(of(&[1, 2, 3], &[1], &[1, 2, 3], &[]), [2]);
        assert_eq!(of(&[1, 2], &[1], &[1, 2], &[]), [2]);
        assert_eq!(of(&[2, 3, 4], &[], &[1, 2, 3], &[4]), [2, 3, 4], "a removed voter is replaced");
    }
}
