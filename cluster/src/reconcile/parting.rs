//! When a node that is to leave may be let go: it holds nothing of others, and takes nothing for them any more.
//!
//! [`Parting`] decides and does nothing else. That a node was found empty says nothing of the next moment, in which a hint may
//! come; so it shuts itself first, and is ready only when it is found empty once more after all that was let in before.
//!
//! Invariants: from the look at which it shuts until it opens again it takes no hint; it is ready only while it is shut; whoever
//! is found with anything, or is to stay after all, opens.

/// How far a node is with leaving.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Parting {
    /// It takes hints like any other.
    #[default]
    Open,
    /// It was found empty, and takes no hint any more.
    Shut,
    /// It was found empty since, and nothing is on its way that was let in before.
    Ready,
}

/// What a look at the node found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// It is to leave, and has no home, nor is one to come to it.
    pub is_spare: bool,
    /// It holds no record of a home that is not its own, and no hint.
    pub is_empty: bool,
    /// Nothing is on its way into its store that was let in before it shut.
    pub is_quiet: bool,
}

impl Parting {
    /// How far it is after a look.
    #[must_use]
    pub fn after(self, found: Found) -> Self {
        match self {
            _ if !(found.is_spare && found.is_empty) => Self::Open,
            Self::Open => Self::Shut,
            Self::Shut if !found.is_quiet => Self::Shut,
            Self::Shut | Self::Ready => Self::Ready,
        }
    }

    /// Whether it keeps records for others.
    pub fn takes_hints(self) -> bool {
        self == Self::Open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAVES: Found = Found { is_spare: true, is_empty: true, is_quiet: true };

    #[test]
    fn it_shuts_before_it_is_ready() {
        let shut = Parting::Open.after(LEAVES);
        assert!(shut == Parting::Shut && !shut.takes_hints());
        assert_eq!(shut.after(Found { is_quiet: false, ..LEAVES }), Parting::Shut, "something is on its way");
        assert_eq!(shut.after(LEAVES), Parting::Ready);
        assert_eq!(Parting::Ready.after(LEAVES), Parting::Ready);
    }

    #[test]
    fn it_opens_for_whatever_came_and_if_it_is_to_stay() {
        for parting in [Parting::Open, Parting::Shut, Parting::Ready] {
            assert!(parting.after(Found { is_empty: false, ..LEAVES }).takes_hints());
            assert!(parting.after(Found { is_spare: false, ..LEAVES }).takes_hints());
        }
    }

    /// Every order in which hints are let in, arrive and are found: whoever is ready holds none and gets none.
    #[test]
    fn no_hint_comes_to_a_node_that_is_ready() {
        // (how far, on their way and let in before it shut, held)
        let mut worlds = std::collections::BTreeSet::from([(0_u8, 0_u8, 0_u8)]);
        let stage = |number: u8| [Parting::Open, Parting::Shut, Parting::Ready][usize::from(number)];
        let number = |parting: Parting| parting as u8;
        loop {
            let mut next = worlds.clone();
            for (at, coming, held) in worlds.iter().copied() {
                let found = Found { is_spare: true, is_empty: held == 0, is_quiet: coming == 0 };
                next.insert((number(stage(at).after(found)), coming, held));
                if stage(at).takes_hints() && coming + held < 3 {
                    next.insert((at, coming + 1, held));
                }
                if coming > 0 {
                    next.insert((at, coming - 1, held + 1));
                }
                if held > 0 {
                    next.insert((at, coming, held - 1));
                }
            }
            if next == worlds {
                break;
            }
            worlds = next;
        }
        assert!(worlds.iter().any(|(at, ..)| stage(*at) == Parting::Ready));
        let broken = worlds.iter().find(|(at, coming, held)| stage(*at) == Parting::Ready && coming + held > 0);
        assert_eq!(broken, None);
    }
}
