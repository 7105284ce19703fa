//! Where a page ended, as an opaque text that the client hands back.
//!
//! ```text
//! hex of: version 1 | as_of 8, big-endian | digest 8 | length of the subject 2, big-endian | subject | predicate
//! ```
//!
//! It pins the time, so that all pages are of one moment, and the digest of the parameters, so that it is refused with
//! any other query. It is no secret and proves nothing: whoever makes one up only starts somewhere else.

use crate::database::Question;
use model::record::{Predicate, Subject};
use model::{Stamp, canonical, hex};

const VERSION: u8 = 1;
const DIGEST_BYTES: usize = 8;

/// What a cursor holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The moment that all pages are of.
    pub(crate) as_of: Stamp,
    /// The last question of the page before.
    pub(crate) after: Question,
}

impl Cursor {
    /// The text for a query with this digest.
    pub(crate) fn print(&self, digest: &Digest) -> String {
        let subject = self.after.subject.as_str().as_bytes();
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.as_of.to_bits().to_be_bytes());
        bytes.extend_from_slice(&digest.0);
        bytes.extend_from_slice(&u16::try_from(subject.len()).unwrap_or(u16::MAX).to_be_bytes());
        bytes.extend_from_slice(subject);
        bytes.extend_from_slice(self.after.predicate.as_str().as_bytes());
        let mut text = Vec::with_capacity(bytes.len() * 2);
        hex::push(&bytes, &mut text);
        String::from_utf8(text).unwrap_or_default()
    }

    /// Reads the text; `None` unless it was printed for a query with this digest.
    pub(crate) fn parse(text: &str, digest: &Digest) -> Option<Self> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let pair = |pair: &[u8; 2]| hex::parse::<1>(str::from_utf8(pair).ok()?).map(|[byte]| byte);
        let bytes: Vec<u8> = pairs.iter().map(pair).collect::<Option<_>>().filter(|_| rest.is_empty())?;
        let (&version, bytes) = bytes.split_first()?;
        let (&as_of, bytes) = bytes.split_first_chunk::<8>()?;
        let (&theirs, bytes) = bytes.split_first_chunk::<DIGEST_BYTES>()?;
        let (&length, bytes) = bytes.split_first_chunk::<2>()?;
        let (subject, predicate) = bytes.split_at_checked(usize::from(u16::from_be_bytes(length)))?;
        (version == VERSION && theirs == digest.0).then_some(())?;
        let subject = Subject::new(str::from_utf8(subject).ok()?).ok()?;
        let predicate = Predicate::new(str::from_utf8(predicate).ok()?).ok()?;
        Some(Self { as_of: Stamp::from_bits(u64::from_be_bytes(as_of)), after: Question { subject, predicate } })
    }
}

/// What tells one query from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest([u8; DIGEST_BYTES]);

impl Digest {
    /// The digest of a route and its parameters.
    pub(crate) fn of(route: &str, parameters: &[(&str, &str)]) -> Self {
        let mut text = route.to_owned();
        for (name, value) in parameters {
            text.extend(["\0", name, "\0", value]);
        }
        let hash = canonical::id_of(text.as_bytes()).0;
        Self(hash.first_chunk().copied().unwrap_or_default())
    }
}

#[test]
fn a_cursor_reads_back_for_its_own_query_alone() {
    let question = Question { subject: Subject::new("geo://é").unwrap(), predicate: Predicate::new("p").unwrap() };
    let cursor = Cursor { as_of: Stamp::from_bits(77), after: question };
    let (ours, other) = (Digest::of("/v1/query", &[("lens", "none")]), Digest::of("/v1/query", &[("lens", "recency")]));
    let text = cursor.print(&ours);
    assert_eq!(Cursor::parse(&text, &ours), Some(cursor));
    assert_eq!(Cursor::parse(&text, &other), None);
    for wrong in ["", "0", "00", "zz", &text[..40], &text.to_uppercase(), "é"] {
        assert_eq!(Cursor::parse(wrong, &ours), None, "{wrong}");
    }
}
