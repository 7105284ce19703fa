//! One home of a session: its lists are merged, and what differs is repaired, piece by piece. It asks for nothing itself.

use super::Direction;
use crate::reconcile::merge::{Disorder, Merge, Of, Place, Progress};
use crate::reconcile::{Difference, Element, Missing};
use model::{Home, RecordId, Stamp};
use std::collections::BTreeSet;

/// The home whose lists are being compared.
#[derive(Clone, Debug)]
pub(super) struct Current {
    pub(super) home: Home,
    pub(super) merge: Merge,
    /// What the present piece still waits for.
    pulling: Option<Sent>,
    pushing: Option<Sent>,
    /// Whether the present piece is the last.
    ended: bool,
    /// Whether all that was pulled so far is stored.
    pub(super) met: bool,
    pub(super) difference: Difference,
}

/// What the present home wants next.
pub(super) enum Step {
    Needs(Vec<(Of, Option<Place>)>),
    Piece,
    Done,
}

impl Current {
    pub(super) fn new(home: Home, fence: Stamp, piece_elements: usize) -> Self {
        let merge = Merge::new(fence, piece_elements.max(1));
        let difference = Difference::default();
        Self { home, merge, pulling: None, pushing: None, ended: false, met: true, difference }
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.pulling.is_some() || self.pushing.is_some()
    }

    pub(super) fn go_on(&mut self) -> Step {
        if self.ended {
            return Step::Done;
        }
        match self.merge.go_on() {
            Progress::Needs(needs) => Step::Needs(needs),
            Progress::Piece { ended } => {
                self.ended = ended;
                self.difference.in_pieces |= !ended;
                Step::Piece
            }
        }
    }

    /// Turns the piece into what is to be pulled and pushed. What is not repaired in this direction stays missing.
    pub(super) fn take_piece(&mut self, direction: Direction) -> [BTreeSet<RecordId>; 2] {
        let piece = std::mem::take(&mut self.merge.piece);
        let ids = |elements: &BTreeSet<Element>| elements.iter().map(|element| element.id).collect::<BTreeSet<_>>();
        let (here, there) = (ids(&piece.here), ids(&piece.there));
        let unlike: BTreeSet<_> = here.intersection(&there).copied().collect();
        self.difference.unlike += unlike.len() as u64;
        let lacking = |elements: BTreeSet<Element>| {
            elements.into_iter().filter(|element| !unlike.contains(&element.id)).collect::<BTreeSet<_>>()
        };
        let (lacking_here, lacking_there) = (lacking(piece.there), lacking(piece.here));
        let sent = |ids: &BTreeSet<_>, lacking| (!ids.is_empty()).then(|| Sent { ids: ids.clone(), lacking });
        let (pulls, pushes) = match direction {
            Direction::Pull => (true, false),
            Direction::Push => (false, true),
            Direction::PullAndPush => (true, true),
        };
        let pull = if pulls {
            self.pulling = sent(&there, lacking_here);
            there
        } else {
            self.met = false;
            lacking_here.iter().for_each(|element| self.difference.missing_here.add(element));
            BTreeSet::new()
        };
        let push = if pushes {
            self.pushing = sent(&here, lacking_there);
            here
        } else {
            lacking_there.iter().for_each(|element| self.difference.missing_there.add(element));
            BTreeSet::new()
        };
        [pull, push]
    }

    pub(super) fn pulled(&mut self, stored: &BTreeSet<RecordId>) -> Result<(), Disorder> {
        let sent = self.pulling.take().ok_or(Disorder)?;
        self.met &= sent.ids.is_subset(stored);
        sent.note(stored, &mut self.difference.missing_here);
        Ok(())
    }

    pub(super) fn pushed(&mut self, stored: &BTreeSet<RecordId>) -> Result<(), Disorder> {
        let sent = self.pushing.take().ok_or(Disorder)?;
        sent.note(stored, &mut self.difference.missing_there);
        Ok(())
    }
}

/// What is under way one way.
#[derive(Clone, Debug)]
struct Sent {
    ids: BTreeSet<RecordId>,
    /// Those of them that the receiver has in no form.
    lacking: BTreeSet<Element>,
}

impl Sent {
    /// Notes what is still missing although it was sent.
    fn note(&self, stored: &BTreeSet<RecordId>, missing: &mut Missing) {
        self.lacking.iter().filter(|element| !stored.contains(&element.id)).for_each(|element| missing.add(element));
    }
}
