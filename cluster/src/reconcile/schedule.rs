//! With whom to compare next.
//!
//! It starts nothing itself, and knows of time and chance only what it is told.

use crate::id::{Millis, NodeId};
use std::collections::{BTreeMap, BTreeSet};

/// How often, and how many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// From one session with a peer to the next.
    pub period: Millis,
    /// The most sessions under way at once, at least 1.
    pub sessions_max: usize,
    /// The longest pause after a session that failed. It doubles from `period` on.
    pub pause_max: Millis,
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// These are the nodes that share homes with this one. Sessions with others should be dropped.
    Peers(BTreeSet<NodeId>),
    /// A session that was started is over.
    Finished {
        /// With whom.
        peer: NodeId,
        /// Whether it went through to the end.
        complete: bool,
    },
    /// This node is thought to be back: worth a session at once if the last one failed.
    Up(NodeId),
    /// A session with this node is worth more now than later.
    Wanted(NodeId),
    /// Time has passed.
    Tick,
}

/// The machine that says with whom to hold the next session.
///
/// Invariants: at most one session with a peer, and [`Settings::sessions_max`] in all, are under way; a peer that does not
/// fail is never passed over for one that was due later.
#[derive(Clone, Debug)]
pub struct Schedule {
    settings: Settings,
    peers: BTreeMap<NodeId, Peer>,
}

#[derive(Clone, Debug)]
struct Peer {
    due: Millis,
    /// When the session that is under way began.
    running: Option<Millis>,
    failures: u32,
}

impl Schedule {
    /// A schedule without peers.
    pub fn new(settings: Settings) -> Self {
        Self { settings, peers: BTreeMap::new() }
    }

    /// Takes one step and appends the peers with whom a session is to be started now.
    ///
    /// `now` never goes back. `jitter` is drawn anew for every call and is added to the next pause, so that nodes do not
    /// stay in step.
    pub fn handle(&mut self, input: Input, now: Millis, jitter: Millis, out: &mut Vec<NodeId>) {
        match input {
            Input::Peers(peers) => self.set_peers(peers, now),
            Input::Finished { peer, complete } => self.finished(peer, complete, now, jitter),
            Input::Up(node) => {
                if let Some(peer) = self.peers.get_mut(&node).filter(|peer| peer.failures > 0) {
                    (peer.due, peer.failures) = (now, 0);
                }
            }
            Input::Wanted(node) => {
                if let Some(peer) = self.peers.get_mut(&node) {
                    peer.due = peer.due.min(now);
                }
            }
            Input::Tick => {}
        }
        self.start(now, out);
    }

    /// When the next [`Input::Tick`] is due; `None` if nothing will be before a session ends or a peer comes.
    pub fn wake_at(&self) -> Option<Millis> {
        let idle = self.peers.values().filter(|peer| peer.running.is_none());
        idle.map(|peer| peer.due).min().filter(|_| self.has_room())
    }

    fn set_peers(&mut self, peers: BTreeSet<NodeId>, now: Millis) {
        self.peers.retain(|node, _| peers.contains(node));
        for node in peers {
            self.peers.entry(node).or_insert(Peer { due: now, running: None, failures: 0 });
        }
    }

    fn finished(&mut self, node: NodeId, complete: bool, now: Millis, jitter: Millis) {
        let Settings { period, pause_max, .. } = self.settings;
        let Some(peer) = self.peers.get_mut(&node) else { return };
        let Some(began) = peer.running.take() else { return };
        if complete {
            peer.failures = 0;
            peer.due = now.max(began + period) + jitter;
        } else {
            let pause = Millis(period.0.saturating_mul(1 << peer.failures.min(32)));
            peer.failures = peer.failures.saturating_add(1);
            peer.due = now + pause.min(pause_max) + jitter;
        }
    }

    fn has_room(&self) -> bool {
        self.peers.values().filter(|peer| peer.running.is_some()).count() < self.settings.sessions_max.max(1)
    }

    fn start(&mut self, now: Millis, out: &mut Vec<NodeId>) {
        while self.has_room() {
            let due = self.peers.iter_mut().filter(|(_, peer)| peer.running.is_none() && peer.due <= now);
            let Some((node, peer)) = due.min_by_key(|(node, peer)| (peer.due, **node)) else { return };
            peer.running = Some(now);
            out.push(*node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: NodeId = NodeId(1);
    const B: NodeId = NodeId(2);
    const C: NodeId = NodeId(3);

    const SETTINGS: Settings = Settings { period: Millis(1_000), sessions_max: 2, pause_max: Millis(8_000) };

    struct Story(Schedule, Vec<NodeId>);

    impl Story {
        fn begin(peers: &[NodeId]) -> Self {
            Self(Schedule::new(SETTINGS), Vec::new()).then(0, Input::Peers(peers.iter().copied().collect()))
        }

        fn then(mut self, at: u64, input: Input) -> Self {
            self.0.handle(input, Millis(at), Millis(7), &mut self.1);
            self
        }

        fn done(self, at: u64, peer: NodeId, complete: bool) -> Self {
            self.then(at, Input::Finished { peer, complete })
        }
    }

    #[test]
    fn every_peer_has_its_turn_each_period_and_only_so_many_at_once() {
        let story = Story::begin(&[A, B, C]);
        assert_eq!(story.1, [A, B]);
        let story = story.done(50, A, true);
        assert_eq!(story.1, [A, B, C]);
        let story = story.done(60, B, true).done(70, C, true);
        assert_eq!(story.0.wake_at(), Some(Millis(1_007)));
        assert_eq!(story.then(1_006, Input::Tick).then(1_007, Input::Tick).1, [A, B, C, A, B]);
    }

    #[test]
    fn a_peer_that_fails_is_asked_less_and_less_and_at_once_when_it_is_back() {
        let mut story = Story::begin(&[A]);
        let mut now = 0;
        for pause in [1_000, 2_000, 4_000, 8_000, 8_000] {
            story = story.done(now, A, false);
            assert_eq!(story.0.wake_at(), Some(Millis(now + pause + 7)));
            now += pause + 7;
            story = story.then(now, Input::Tick);
        }
        let story = story.done(now, A, false).then(now + 1, Input::Up(A));
        assert_eq!(story.1.len(), 7);
        assert_eq!(story.0.wake_at(), None);
    }

    #[test]
    fn a_session_that_is_wanted_does_not_wait_for_its_turn() {
        let story = Story::begin(&[A, B]).done(50, A, true).done(60, B, false);
        let story = story.then(100, Input::Wanted(B)).then(110, Input::Wanted(C)).done(120, B, true);
        assert_eq!(story.1, [A, B, B]);
        assert_eq!(story.then(200, Input::Wanted(A)).1, [A, B, B, A]);
    }

    #[test]
    fn who_shares_nothing_any_more_is_left_alone() {
        let story = Story::begin(&[A, B]).then(1, Input::Peers([B].into())).done(2, A, true).done(3, B, true);
        assert_eq!(story.0.wake_at(), Some(Millis(1_007)));
        assert_eq!(story.then(2_000, Input::Tick).1, [A, B, B]);
    }

    proptest! {
        #[test]
        fn no_peer_starves_and_limits_hold(events in prop::collection::vec((0..5_u64, any::<bool>(), 0..400_u64), 1..200)) {
            let all: BTreeSet<_> = (0..5).map(NodeId).collect();
            let (mut schedule, mut out, mut now) = (Schedule::new(SETTINGS), Vec::new(), Millis(0));
            schedule.handle(Input::Peers(all.clone()), now, Millis(0), &mut out);
            let (mut running, mut last) = (BTreeSet::new(), BTreeMap::new());
            for (node, complete, pass) in events {
                for node in out.drain(..) {
                    prop_assert!(running.insert(node), "twice at once");
                    last.insert(node, now);
                }
                prop_assert!(running.len() <= SETTINGS.sessions_max);
                now = now + Millis(pass);
                let input = if running.remove(&NodeId(node)) { Input::Finished { peer: NodeId(node), complete } } else { Input::Tick };
                schedule.handle(input, now, Millis(pass % 10), &mut out);
            }
            running.extend(out.drain(..));
            for _ in 0..100 {
                now = schedule.wake_at().map_or(now, |due| due.max(now));
                for peer in std::mem::take(&mut running) {
                    schedule.handle(Input::Finished { peer, complete: true }, now, Millis(0), &mut out);
                }
                schedule.handle(Input::Tick, now, Millis(0), &mut out);
                for node in out.drain(..) {
                    running.insert(node);
                    last.insert(node, now);
                }
            }
            prop_assert!(all.iter().all(|node| now - last[node] <= SETTINGS.period + SETTINGS.period));
        }
    }
}
