//! Finds what one set has and the other lacks, from the symbols of both.

use super::{Item, SYMBOLS_KEPT, Sketch, SketchKey, Symbol};

/// How many items a symbol that was received can show at most: none is empty, then shows another.
pub const ITEMS_PER_SYMBOL_MAX: usize = 1;

/// How far a decoder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Feed it more.
    Open,
    /// All symbols received are empty, the one that every item is in among them: the difference is known.
    Decoded,
    /// [`SYMBOLS_KEPT`] symbols did not suffice: too many differences. Compare in another way.
    Exhausted,
    /// The symbols are those of no set under this key: the peer lies, has another key, or a check fitted by chance. Compare in
    /// another way.
    Contradicted,
}

/// What two sets differ by, ascending.
///
/// From a peer that lies it is anything at all, so look each up: whoever has an item here has its element, else it is a lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Items of the own set that the other lacks.
    pub mine: Vec<Item>,
    /// Items of the other set that the own one lacks.
    pub theirs: Vec<Item>,
}

/// Takes the symbols of another set one after the other, and takes apart what they differ by from those of the own.
///
/// An item that is found leaves the symbols received, and the own ones that those to come are subtracted from: so nothing is
/// done twice, and there is no list of items to apply to each new symbol.
///
/// It ends whatever it is fed: it takes [`SYMBOLS_KEPT`] symbols, finds [`ITEMS_PER_SYMBOL_MAX`] items in each at most, and an
/// item costs at most a hash for each of its indices. Memory: a sketch, and 32 bytes an item found.
#[derive(Clone, Debug)]
pub struct Decoder {
    key: SketchKey,
    /// Up to `received` the difference less what was found; from there on the other's set, as far as it is known.
    rest: Sketch,
    received: usize,
    /// How many of the symbols received are not empty.
    filled: usize,
    candidates: Candidates,
    mine: Vec<Item>,
    theirs: Vec<Item>,
    is_contradicted: bool,
}

impl Decoder {
    /// A decoder that knows the own set.
    pub fn new(key: SketchKey, own: Sketch) -> Self {
        Self {
            key,
            rest: own,
            received: 0,
            filled: 0,
            candidates: Candidates::default(),
            mine: Vec::new(),
            theirs: Vec::new(),
            is_contradicted: false,
        }
    }

    /// Takes the next symbols of the other's sketch, in its order. Those past [`SYMBOLS_KEPT`] are ignored.
    ///
    /// Cost: about 1.3 us an item found.
    pub fn feed(&mut self, theirs: &[Symbol]) -> State {
        for symbol in theirs.iter().take(SYMBOLS_KEPT - self.received) {
            if self.is_contradicted {
                break;
            }
            let index = self.received;
            self.received += 1;
            let symbol = self.rest.at(index).minus(*symbol);
            self.rest.put(index, symbol);
            self.filled += usize::from(!symbol.is_empty());
            self.candidates.weigh(index, symbol);
            while !self.is_contradicted
                && let Some(index) = self.candidates.take()
            {
                self.peel(index);
            }
        }
        self.state()
    }

    /// How far it is.
    pub fn state(&self) -> State {
        match self.received {
            _ if self.is_contradicted => State::Contradicted,
            0 => State::Open,
            _ if self.filled == 0 => State::Decoded,
            SYMBOLS_KEPT => State::Exhausted,
            _ => State::Open,
        }
    }

    /// How many symbols it has taken.
    pub fn received(&self) -> usize {
        self.received
    }

    /// How many items it has found.
    pub fn found(&self) -> usize {
        self.mine.len() + self.theirs.len()
    }

    /// What the sets differ by; `None` unless [`State::Decoded`].
    pub fn difference(mut self) -> Option<Difference> {
        if self.state() != State::Decoded {
            return None;
        }
        self.mine.sort_unstable();
        self.theirs.sort_unstable();
        Some(Difference { mine: self.mine, theirs: self.theirs })
    }

    /// If the symbol at `index` holds one item, takes that out of all that it is in.
    fn peel(&mut self, index: usize) {
        let symbol = self.rest.at(index);
        let is_mine = match symbol.count() {
            1 => true,
            -1 => false,
            _ => return,
        };
        let Some(item) = symbol.item() else { return };
        let (one, indices) = self.key.one(item);
        if !symbol.sums_to(one) {
            return;
        }
        // An item can stand alone only where it belongs, and no symbol of a true difference shows a second one.
        if self.found() >= ITEMS_PER_SYMBOL_MAX * self.received || !indices.clone().any(|each| each == index) {
            self.is_contradicted = true;
            return;
        }
        let found = if is_mine { &mut self.mine } else { &mut self.theirs };
        found.push(item);
        for index in indices {
            self.take_out(index, one, is_mine);
        }
    }

    fn take_out(&mut self, index: usize, one: Symbol, is_mine: bool) {
        let before = self.rest.at(index);
        let after = if is_mine { before.minus(one) } else { before.plus(one) };
        self.rest.put(index, after);
        if index < self.received {
            self.filled += usize::from(before.is_empty());
            self.filled -= usize::from(after.is_empty());
            self.candidates.weigh(index, after);
        }
    }
}

/// Symbols that hold one item by their number, each at most once: a bit a symbol.
#[derive(Clone, Debug, Default)]
struct Candidates([u64; SYMBOLS_KEPT / Self::WORD]);

impl Candidates {
    const WORD: usize = 64;

    /// Notes whether the symbol now at `index` is one.
    fn weigh(&mut self, index: usize, symbol: Symbol) {
        let bit = 1 << (index % Self::WORD);
        if let Some(word) = self.0.get_mut(index / Self::WORD) {
            *word = if symbol.count().unsigned_abs() == 1 { *word | bit } else { *word & !bit };
        }
    }

    /// Takes the one of the least index. Cost: a look at 16 words at most.
    fn take(&mut self) -> Option<usize> {
        let (number, word) = self.0.iter_mut().enumerate().find(|(_, word)| **word != 0)?;
        let bit = word.trailing_zeros();
        *word &= *word - 1;
        Some(number * Self::WORD + usize::try_from(bit).ok()?)
    }
}
