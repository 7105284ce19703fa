//! Seeds as they are named on the command line: `17`, or `0..200`, whose end is not in it.

use std::ops::Range;
use std::str::FromStr;

/// Some seeds, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeds(Range<u64>);

/// Text that names no seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a seed is a number, a range of seeds two of them: 17 or 0..200")]
pub struct NoSeeds;

impl Seeds {
    /// The first.
    pub fn first(&self) -> u64 {
        self.0.start
    }

    /// All of them, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u64> + use<> {
        self.0.clone()
    }
}

impl FromStr for Seeds {
    type Err = NoSeeds;

    fn from_str(text: &str) -> Result<Self, NoSeeds> {
        let number = |text: &str| text.parse::<u64>().or(Err(NoSeeds));
        let range = match text.split_once("..") {
            Some((start, end)) => number(start)?..number(end)?,
            None => {
                let seed = number(text)?;
                seed..seed.checked_add(1).ok_or(NoSeeds)?
            }
        };
        if range.is_empty() { Err(NoSeeds) } else { Ok(Self(range)) }
    }
}

#[test]
fn seeds_are_one_or_a_range() {
    let seeds = |text: &str| text.parse::<Seeds>().map(|seeds| seeds.iter().collect::<Vec<_>>());
    assert_eq!(seeds("17"), Ok(vec![17]));
    assert_eq!(seeds("3..6"), Ok(vec![3, 4, 5]));
    for wrong in ["", "x", "1..", "5..5", "6..3", "-1", "18446744073709551615"] {
        assert_eq!(seeds(wrong), Err(NoSeeds), "{wrong}");
    }
}
