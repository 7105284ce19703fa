//! A note: a text about a subject, of no kind that the first version knows.
//!
//! It stands for whatever the next version brings, and is built only to show how that is done. It is stored and sent as an
//! [`Opaque`] body, which every release keeps and forwards.

use super::{Authors, Opaque, Subject, Text};
use crate::canonical;
use crate::home::Home;
use crate::time::Timestamp;

/// A text about a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Who says it.
    pub authors: Authors,
    /// When they say they said it.
    pub timestamp: Timestamp,
    /// What it is about. It decides the home.
    pub subject: Subject,
    /// The text.
    pub text: Text,
}

impl Note {
    /// The word that stands in `kind`.
    pub const KIND: &str = "note";
    /// The version that brought the kind: nobody takes one from a client before it is active.
    pub const SINCE: u16 = 2;

    /// The note in the form in which every release keeps it.
    pub fn into_opaque(self) -> Opaque {
        let canonical = canonical::note_bytes(&self);
        Opaque { home: Home::of(&self.subject), authors: self.authors, canonical }
    }
}

#[test]
fn a_note_lives_where_its_subject_does_under_the_name_of_its_canonical_bytes() {
    let authors = Authors::new(vec![crate::AgentId([0xaa; 32])]).unwrap();
    let (subject, text) = (Subject::new("a \"b\"").unwrap(), Text::new("one\ntwo").unwrap());
    let note = Note { authors, timestamp: Timestamp::from_ms(7).unwrap(), subject: subject.clone(), text };
    let opaque = note.into_opaque();
    assert_eq!(opaque.home, Home::of(&subject));
    let agent = "aa".repeat(32);
    let expected =
        format!(r#"{{"authors":["{agent}"],"kind":"note","subject":"a \"b\"","text":"one\ntwo","timestamp":7,"v":1}}"#);
    assert_eq!(String::from_utf8(opaque.canonical).unwrap(), expected);
}
