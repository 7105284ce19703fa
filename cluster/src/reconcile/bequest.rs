//! What a node that was removed does with what it holds: a member keeps of it, for the owners, what they lack.
//!
//! [`Bequest`] decides and does nothing else. Home by home it has everything named to some member, the heir, which says what
//! every owner has synced; the rest is brought to the heir, and named again later. It never forgets a record: what becomes of
//! its disk is for people to decide.
//!
//! Invariants: it is over only when of each home that was found everything was named once more, and all of it was safe with
//! the owners; it is over once. One home is under way at a time. Nothing expires: with nobody to inherit it waits.

use crate::id::{Millis, NodeId};
use model::Home;
use std::collections::{BTreeSet, VecDeque};

/// How a bequest is paced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The pause after a failure, or before what was brought is named again. It doubles each time nothing came of it.
    pub pause_min: Millis,
    /// The longest such pause.
    pub pause_max: Millis,
}

/// What has happened to a bequest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The homes of which this node holds anything, hints among it.
    Found(BTreeSet<Home>),
    /// These members are there, as far as is known.
    Heirs(BTreeSet<NodeId>),
    /// The home that was given was gone through; so many of its records are not safe with the owners yet.
    Given {
        /// How many.
        left: u64,
    },
    /// It could not be read, or the heir did not answer.
    Failed,
    /// Time has passed.
    Tick,
}

/// What a bequest asks the outside world to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Find the homes of which this node holds anything. Answered by [`Input::Found`] or [`Input::Failed`].
    Find,
    /// Name all of a home to an heir, and bring it what is not safe. Answered by [`Input::Given`] or [`Input::Failed`].
    Give {
        /// The home.
        home: Home,
        /// The heir.
        to: NodeId,
    },
    /// All that was held is safe with the owners.
    Over,
}

/// What is done, and what is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// What there is has to be found.
    Empty,
    Finding,
    Giving {
        /// Not yet gone through in this round, the one that is under way first.
        queue: VecDeque<Home>,
        /// To be gone through again in the next round.
        again: VecDeque<Home>,
        under_way: bool,
    },
    Over,
}

/// The machine of a node that was removed. See the module.
#[derive(Clone, Debug)]
pub struct Bequest {
    settings: Settings,
    heirs: Vec<NodeId>,
    /// Counts up with every failure: the next heir has its turn.
    turn: usize,
    stage: Stage,
    /// How often in a row nothing came of it.
    vain: u32,
    due: Millis,
}

impl Bequest {
    /// A bequest of which nothing is done, due at once.
    pub fn start(settings: Settings, now: Millis) -> Self {
        Self { settings, heirs: Vec::new(), turn: 0, stage: Stage::Empty, vain: 0, due: now }
    }

    /// How many homes are not known to be safe; `None` while they are not found.
    pub fn left(&self) -> Option<usize> {
        match &self.stage {
            Stage::Empty | Stage::Finding => None,
            Stage::Giving { queue, again, .. } => Some(queue.len() + again.len()),
            Stage::Over => Some(0),
        }
    }

    /// When the next [`Input::Tick`] is due; `None` if nothing is to be done before something else happens.
    pub fn wake_at(&self) -> Option<Millis> {
        let waits = match &self.stage {
            Stage::Empty => true,
            Stage::Giving { under_way, .. } => !under_way && !self.heirs.is_empty(),
            Stage::Finding | Stage::Over => false,
        };
        waits.then_some(self.due)
    }

    /// Takes one step. `now` never goes back.
    pub fn handle(&mut self, input: Input, now: Millis, out: &mut Vec<Output>) {
        match (input, &mut self.stage) {
            (Input::Found(homes), Stage::Finding) => {
                (self.vain, self.due) = (0, now);
                self.stage =
                    Stage::Giving { queue: homes.into_iter().collect(), again: VecDeque::new(), under_way: false };
            }
            (Input::Failed, Stage::Finding) => {
                self.stage = Stage::Empty;
                self.put_off(now);
            }
            (Input::Given { left }, Stage::Giving { queue, again, under_way: under_way @ true }) => {
                *under_way = false;
                let home = queue.pop_front();
                if left == 0 {
                    self.vain = 0;
                } else {
                    again.extend(home);
                }
            }
            (Input::Failed, Stage::Giving { under_way: under_way @ true, .. }) => {
                *under_way = false;
                self.turn = self.turn.wrapping_add(1);
                self.put_off(now);
            }
            (Input::Heirs(heirs), _) => self.heirs = heirs.into_iter().collect(),
            (Input::Found(_) | Input::Given { .. } | Input::Failed | Input::Tick, _) => {}
        }
        self.go_on(now, out);
    }

    fn go_on(&mut self, now: Millis, out: &mut Vec<Output>) {
        if let Stage::Giving { queue, again, under_way: false } = &mut self.stage
            && queue.is_empty()
        {
            if again.is_empty() {
                self.stage = Stage::Over;
                return out.push(Output::Over);
            }
            std::mem::swap(queue, again);
            self.put_off(now);
        }
        if now < self.due {
            return;
        }
        match &mut self.stage {
            Stage::Empty => {
                self.stage = Stage::Finding;
                out.push(Output::Find);
            }
            Stage::Giving { queue, under_way: under_way @ false, .. } if !self.heirs.is_empty() => {
                let heir = self.heirs.get(self.turn % self.heirs.len());
                if let (Some(home), Some(to)) = (queue.front(), heir) {
                    *under_way = true;
                    out.push(Output::Give { home: *home, to: *to });
                }
            }
            Stage::Giving { .. } | Stage::Finding | Stage::Over => {}
        }
    }

    fn put_off(&mut self, now: Millis) {
        let pause = Millis(self.settings.pause_min.0.saturating_mul(1 << self.vain.min(32)));
        self.vain = self.vain.saturating_add(1);
        self.due = now + pause.min(self.settings.pause_max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const SETTINGS: Settings = Settings { pause_min: Millis(100), pause_max: Millis(400) };
    const A: NodeId = NodeId(1);
    const B: NodeId = NodeId(2);

    fn homes(numbers: impl IntoIterator<Item = u16>) -> BTreeSet<Home> {
        numbers.into_iter().filter_map(Home::from_number).collect()
    }

    fn step(bequest: &mut Bequest, input: Input, now: u64) -> Vec<Output> {
        let mut out = Vec::new();
        bequest.handle(input, Millis(now), &mut out);
        out
    }

    fn give(home: u16, to: NodeId) -> Vec<Output> {
        homes([home]).into_iter().map(|home| Output::Give { home, to }).collect()
    }

    #[test]
    fn every_home_is_named_until_all_of_it_is_safe() {
        let mut bequest = Bequest::start(SETTINGS, Millis(0));
        assert_eq!(step(&mut bequest, Input::Tick, 0), [Output::Find]);
        assert_eq!(step(&mut bequest, Input::Found(homes([3, 7])), 1), []);
        assert_eq!((bequest.left(), bequest.wake_at()), (Some(2), None), "with nobody to inherit it waits");
        assert_eq!(step(&mut bequest, Input::Heirs([A].into()), 2), give(3, A));
        assert_eq!(step(&mut bequest, Input::Given { left: 5 }, 3), give(7, A));
        assert_eq!(step(&mut bequest, Input::Given { left: 0 }, 4), []);
        assert_eq!((bequest.left(), bequest.wake_at()), (Some(1), Some(Millis(104))));
        assert_eq!(step(&mut bequest, Input::Tick, 104), give(3, A), "what was brought is named again");
        assert_eq!(step(&mut bequest, Input::Given { left: 0 }, 105), [Output::Over]);
        assert_eq!(step(&mut bequest, Input::Tick, 9_999), [], "once");
    }

    #[test]
    fn after_a_failure_the_next_heir_has_its_turn() {
        let mut bequest = Bequest::start(SETTINGS, Millis(0));
        step(&mut bequest, Input::Tick, 0);
        assert_eq!(step(&mut bequest, Input::Failed, 0), [], "the disk");
        assert_eq!(step(&mut bequest, Input::Tick, 100), [Output::Find]);
        step(&mut bequest, Input::Heirs([A, B].into()), 100);
        assert_eq!(step(&mut bequest, Input::Found(homes([3])), 100), give(3, A));
        assert_eq!(step(&mut bequest, Input::Failed, 200), []);
        assert_eq!(step(&mut bequest, Input::Tick, 299), []);
        assert_eq!(step(&mut bequest, Input::Tick, 300), give(3, B));
        assert_eq!(step(&mut bequest, Input::Heirs(BTreeSet::new()), 301), []);
        assert_eq!(step(&mut bequest, Input::Failed, 302), []);
        assert_eq!(bequest.wake_at(), None, "nobody is there");
    }

    #[test]
    fn who_has_nothing_is_done_at_once() {
        let mut bequest = Bequest::start(SETTINGS, Millis(0));
        step(&mut bequest, Input::Tick, 0);
        assert_eq!(step(&mut bequest, Input::Found(BTreeSet::new()), 0), [Output::Over]);
    }

    proptest! {
        /// Whatever the heir answers, it is over only after a last answer for each home that nothing is left, and then it is.
        #[test]
        fn it_is_over_when_the_last_word_on_each_home_is_that_all_is_safe(
            numbers in vec(0..257u16, 0..6),
            answers in vec(prop_oneof![Just(None), (0..3u64).prop_map(Some)], 0..40),
        ) {
            let (mut bequest, mut now, mut answers) = (Bequest::start(SETTINGS, Millis(0)), 0, answers.into_iter());
            let found = homes(numbers);
            let mut last = std::collections::BTreeMap::new();
            let mut out = step(&mut bequest, Input::Heirs([A, B].into()), now);
            for _ in 0..1_000 {
                now += 50;
                prop_assert!(out.len() <= 1);
                let input = match out.pop() {
                    None => Input::Tick,
                    Some(Output::Find) => Input::Found(found.clone()),
                    Some(Output::Give { home, .. }) => match answers.next().unwrap_or(Some(0)) {
                        None => Input::Failed,
                        Some(left) => {
                            last.insert(home, left);
                            Input::Given { left }
                        }
                    },
                    Some(Output::Over) => {
                        prop_assert_eq!(last.keys().copied().collect::<BTreeSet<_>>(), found);
                        prop_assert!(last.values().all(|left| *left == 0));
                        return Ok(());
                    }
                };
                out = step(&mut bequest, input, now);
            }
            prop_assert!(false, "it is never over");
        }
    }
}
