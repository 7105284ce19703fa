//! Two sorted lists, page by page, and what only one of them has.
//!
//! It holds at most a page of each list, and a bounded piece of the difference.

use super::Element;
use model::{RecordId, Stamp};
use std::cmp::Ordering;
use std::collections::{BTreeSet, VecDeque};

/// The place of an element in a list.
pub(super) type Place = (Stamp, RecordId);

/// One of the lists, as far as it is known.
#[derive(Clone, Debug, Default)]
struct Side {
    page: VecDeque<Element>,
    /// The last element that came.
    after: Option<Place>,
    /// Whether nothing comes after what is here.
    ended: bool,
    /// Whether a page is on its way.
    asked: bool,
}

/// Which list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    Own,
    Peer,
}

/// What only one of the lists has, by stamp and id.
#[derive(Clone, Debug, Default)]
pub(super) struct Piece {
    pub(super) here: BTreeSet<Element>,
    pub(super) there: BTreeSet<Element>,
}

/// How far a merge is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It needs more of these lists, from these places on. Nothing if all that it needs is on its way.
    Needs(Vec<(Of, Option<Place>)>),
    /// The piece is full, or the lists have ended. There may be more after it unless `ended`.
    Piece { ended: bool },
}

/// A page that is no continuation of its list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Disorder;

/// The merge of two lists.
#[derive(Clone, Debug)]
pub(super) struct Merge {
    own: Side,
    peer: Side,
    until: Stamp,
    piece_max: usize,
    pub(super) piece: Piece,
}

impl Merge {
    pub(super) fn new(until: Stamp, piece_max: usize) -> Self {
        Self { own: Side::default(), peer: Side::default(), until, piece_max, piece: Piece::default() }
    }

    /// Takes the next page of a list.
    pub(super) fn add(&mut self, of: Of, elements: &[Element], last: bool) -> Result<(), Disorder> {
        let until = self.until;
        let side = match of {
            Of::Own => &mut self.own,
            Of::Peer => &mut self.peer,
        };
        if !std::mem::take(&mut side.asked) || (elements.is_empty() && !last) {
            return Err(Disorder);
        }
        for element in elements {
            let place = (element.stamp, element.id);
            if side.after.is_some_and(|after| place <= after) || element.stamp > until {
                return Err(Disorder);
            }
            side.after = Some(place);
        }
        side.page.extend(elements);
        side.ended = last;
        Ok(())
    }

    /// Goes as far as it can.
    pub(super) fn go_on(&mut self) -> Progress {
        while self.piece.here.len() + self.piece.there.len() < self.piece_max {
            let needs: Vec<_> = [(Of::Own, &mut self.own), (Of::Peer, &mut self.peer)]
                .into_iter()
                .filter_map(|(of, side)| side.needs().map(|after| (of, after)))
                .collect();
            if !needs.is_empty() || self.own.asked || self.peer.asked {
                return Progress::Needs(needs);
            }
            match (self.own.page.front(), self.peer.page.front()) {
                (None, None) => return Progress::Piece { ended: true },
                (Some(_), None) => self.only_here(),
                (None, Some(_)) => self.only_there(),
                (Some(own), Some(peer)) => match own.cmp(peer) {
                    Ordering::Less => self.only_here(),
                    Ordering::Greater => self.only_there(),
                    Ordering::Equal => {
                        self.own.page.pop_front();
                        self.peer.page.pop_front();
                    }
                },
            }
        }
        Progress::Piece { ended: false }
    }

    fn only_here(&mut self) {
        self.piece.here.extend(self.own.page.pop_front());
    }

    fn only_there(&mut self) {
        self.piece.there.extend(self.peer.page.pop_front());
    }
}

impl Side {
    /// From where on more is needed, if it is not on its way.
    fn needs(&mut self) -> Option<Option<Place>> {
        let needs = self.page.is_empty() && !self.ended && !self.asked;
        self.asked |= needs;
        needs.then_some(self.after)
    }
}
