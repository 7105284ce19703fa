//! A set of homes, as messages carry it.

use crate::field;
use crate::malformed::{Fault, Malformed};
use model::Home;
use std::fmt;

const BYTES: usize = (Home::COUNT as usize).div_ceil(8);

/// A set of homes. In a message: a bit for each of 257, lowest first, in 33 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Homes([u8; BYTES]);

impl Homes {
    /// No home.
    pub const NONE: Self = Self([0; BYTES]);

    /// Every home.
    pub fn all() -> Self {
        (0..Home::COUNT).filter_map(Home::from_number).collect()
    }

    /// Adds a home.
    pub fn insert(&mut self, home: Home) {
        let (byte, bit) = place(home);
        if let Some(byte) = self.0.get_mut(byte) {
            *byte |= bit;
        }
    }

    /// Whether a home is one of them.
    pub fn contains(&self, home: Home) -> bool {
        let (byte, bit) = place(home);
        self.0.get(byte).is_some_and(|byte| byte & bit != 0)
    }

    /// The homes, ascending.
    pub fn iter(&self) -> impl Iterator<Item = Home> + '_ {
        (0..Home::COUNT).filter_map(Home::from_number).filter(|home| self.contains(*home))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::NONE
    }

    pub(crate) fn into_wire(self) -> Vec<u8> {
        self.0.to_vec()
    }

    pub(crate) fn from_wire(bytes: &[u8], name: &'static str) -> Result<Self, Malformed> {
        let set = Self(field::fixed(bytes, name)?);
        // What is set and is no home's bit.
        let strange = set.iter().collect::<Self>() != set;
        if strange { Err(Fault::OutOfRange.of(name)) } else { Ok(set) }
    }
}

fn place(home: Home) -> (usize, u8) {
    let number = home.number();
    (usize::from(number / 8), 1 << (number % 8))
}

impl FromIterator<Home> for Homes {
    fn from_iter<T: IntoIterator<Item = Home>>(homes: T) -> Self {
        let mut set = Self::NONE;
        homes.into_iter().for_each(|home| set.insert(home));
        set
    }
}

impl fmt::Debug for Homes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[test]
fn a_set_holds_what_was_put_in_and_takes_no_bit_beyond_the_last_home() {
    let few: Vec<Home> = [0, 7, 8, 255, 256].into_iter().filter_map(Home::from_number).collect();
    let set: Homes = few.iter().copied().collect();
    assert_eq!(set.iter().collect::<Vec<_>>(), few);
    assert_eq!(Homes::from_wire(&set.into_wire(), "homes"), Ok(set));
    assert_eq!(Homes::all().iter().count(), 257);
    let mut strange = set.into_wire();
    strange[32] |= 2;
    assert_eq!(Homes::from_wire(&strange, "homes"), Err(Fault::OutOfRange.of("homes")));
    assert_eq!(Homes::from_wire(&strange[1..], "homes"), Err(Fault::Length(32).of("homes")));
}
