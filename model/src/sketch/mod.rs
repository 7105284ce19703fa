//! A rateless sketch of a set of elements: symbols from which two nodes find what one has and the other lacks.
//!
//! It sees no record and no log; it adds up what it is given. Equal sets give equal sketches, whatever came and went in
//! which order, and the difference of two sketches is the sketch of the difference, at about 1.4 symbols a differing element
//! however large the sets are. Source: Yang, Gilad and Alizadeh, "Practical Rateless Set Reconciliation", SIGCOMM 2024
//! (arXiv 2402.02668).
//!
//! An element is an [`Item`] of 12 bytes: home, millisecond and 40 bits of hash, so that who holds the element finds it. Each
//! item is in symbol 0, and in symbol `i` with probability `1/(1 + i/2)`; a [`Symbol`] is the xor of its items, the xor of
//! their checks, and how many they are. A symbol of a difference that holds one item shows it; taken out of the others it
//! leaves more that hold one, until all are empty ([`Decoder`]). Being linear, sketches of homes add up: two nodes sum those
//! that they share and exchange one.
//!
//! What is fixed, since nodes must agree on it: the bits of an item, the 17 bytes of a symbol, the draws behind its indices
//! (64 bits from the key, SplitMix64 from there), and that indices are found in integers alone.
//!
//! **What is kept**: the first 1,024 symbols of a set ([`SYMBOLS_KEPT`]), current with each element. Up to 650 differences
//! they suffice, at 700 they do 98 times in 100, at 750 37 times; then trees are compared in their place. Memory: 20 bytes a
//! symbol, so 20,480 a home and 5.3 MB for 257. An element changes 13 symbols on average (`2 ln(1,024/2 + 1)` is 12.5), and
//! with its two hashes costs 0.7 us where the sketch is in the processor's cache, 1.2 to 1.7 us where elements come in all
//! homes in turn. Measured on a machine that was busy, by `cargo run --release -p model --example sketch`.
//!
//! **What chance can do**. A symbol of several items may look like one by a check of 32 bits. With 700 differences symbols
//! change 10,000 times, and each change is looked at once at most; so a decoder is misled less than once in 400,000 times. It
//! then ends without a difference, or with one that names an item which nobody has. Elements of one home and one millisecond
//! that agree in 40 bits of hash, one in 10^12 such pairs, have the same item: if one of them is in one set and the other in
//! the other, nothing shows it here; the sums of [`crate::set`] do.
//!
//! **What malice can do**. Hashes, checks and indices depend on the [`SketchKey`], which clients never see, so chosen ids
//! cancel out or crowd as rarely as others. A node that lies has the key. It can send symbols that decode to whatever it
//! likes, so what is decoded is only a hint where to look; but it costs no more than [`SYMBOLS_KEPT`] symbols, one item a
//! symbol, and one walk along the indices an item.

mod decoder;
mod indices;
mod item;
mod symbol;

#[cfg(test)]
mod tests;

pub use decoder::{Decoder, Difference, ITEMS_PER_SYMBOL_MAX, State};
pub use item::{Item, SketchKey};
pub use symbol::Symbol;

use std::fmt;
use std::ops::{AddAssign, SubAssign};

/// How many symbols of a set are kept, sent and taken at most.
pub const SYMBOLS_KEPT: usize = 1_024;

/// The first [`SYMBOLS_KEPT`] symbols of a set, 20,480 bytes.
///
/// Sketches under different keys mean nothing to each other, which nothing here notices. To have an item twice is not the
/// same as to have it once: who adds an element that is there already breaks the sketch.
#[derive(Clone, PartialEq, Eq)]
pub struct Sketch {
    symbols: Box<[Symbol; SYMBOLS_KEPT]>,
}

impl Sketch {
    /// The sketch of nothing.
    pub fn new() -> Self {
        Self { symbols: Box::new([Symbol::EMPTY; SYMBOLS_KEPT]) }
    }

    /// Adds an item that is not there. Cost: one hash of 12 bytes and 13 symbols, about 0.6 us.
    pub fn add(&mut self, key: &SketchKey, item: Item) {
        let (one, indices) = key.one(item);
        indices.for_each(|index| self.put(index, self.at(index).plus(one)));
    }

    /// Takes an item out that was added before. Costs as much.
    pub fn remove(&mut self, key: &SketchKey, item: Item) {
        let (one, indices) = key.one(item);
        indices.for_each(|index| self.put(index, self.at(index).minus(one)));
    }

    /// The symbols in order, as they are sent.
    pub fn symbols(&self) -> &[Symbol; SYMBOLS_KEPT] {
        &self.symbols
    }

    /// The symbol at `index`, which is below [`SYMBOLS_KEPT`].
    fn at(&self, index: usize) -> Symbol {
        self.symbols.get(index).copied().unwrap_or_default()
    }

    fn put(&mut self, index: usize, symbol: Symbol) {
        if let Some(place) = self.symbols.get_mut(index) {
            *place = symbol;
        }
    }
}

impl Default for Sketch {
    fn default() -> Self {
        Self::new()
    }
}

/// The sketch of both sets together, which share nothing. About 2 us.
impl AddAssign<&Self> for Sketch {
    fn add_assign(&mut self, other: &Self) {
        self.symbols.iter_mut().zip(other.symbols()).for_each(|(symbol, other)| *symbol = symbol.plus(*other));
    }
}

/// What is left without the items of `other`; also what [`AddAssign`] undoes.
impl SubAssign<&Self> for Sketch {
    fn sub_assign(&mut self, other: &Self) {
        self.symbols.iter_mut().zip(other.symbols()).for_each(|(symbol, other)| *symbol = symbol.minus(*other));
    }
}

impl fmt::Debug for Sketch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sketch({:?}, ..)", self.symbols.first())
    }
}
