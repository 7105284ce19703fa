//! Where in a JSON text a value stands, for people: `object.value`, `signatures[1].agent_id`.
//!
//! A path is a chain of borrowed links and is never printed on the way to success.

use model::{Code, Refusal};
use std::borrow::Cow;
use std::fmt;

/// The most characters of a key that a path shows.
const KEY_CHARS_SHOWN: usize = 64;

/// One link of the chain, the last one first.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Path<'p> {
    /// The whole text.
    Body,
    /// A member of the outermost object.
    Field(&'p str),
    /// A member of the object at a path.
    Member(&'p Self, &'p str),
    /// An element of the array at a path.
    Element(&'p Self, usize),
}

impl Path<'_> {
    /// A refusal of the value that stands here.
    #[cold]
    pub(crate) fn refuse(&self, code: Code, expected: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal::new(code, self.to_string(), expected)
    }

    /// The same refusal, of the value that stands here.
    #[cold]
    pub(crate) fn relocate(&self, refusal: Refusal) -> Refusal {
        Refusal { field: self.to_string().into(), ..refusal }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body => f.write_str("body"),
            Self::Field(key) => write!(f, "{}", Shown(key)),
            Self::Member(Self::Body, key) => write!(f, "{}", Shown(key)),
            Self::Member(path, key) => write!(f, "{path}.{}", Shown(key)),
            Self::Element(path, index) => write!(f, "{path}[{index}]"),
        }
    }
}

/// A key as a path shows it: cut to a readable length, control characters replaced.
struct Shown<'k>(&'k str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        let visible = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
        self.0.chars().take(KEY_CHARS_SHOWN).try_for_each(|c| f.write_char(visible(c)))?;
        if self.0.chars().nth(KEY_CHARS_SHOWN).is_some() { f.write_char('…') } else { Ok(()) }
    }
}

#[test]
fn a_path_reads_like_code() {
    let signatures = Path::Field("signatures");
    let second = Path::Element(&signatures, 1);
    assert_eq!(Path::Member(&second, "agent_id").to_string(), "signatures[1].agent_id");
    assert_eq!(Path::Body.to_string(), "body");
    assert_eq!(Path::Field("a\nb").to_string(), "a\u{fffd}b");
    assert_eq!(Path::Field(&"k".repeat(65)).to_string(), format!("{}…", "k".repeat(64)));
}
