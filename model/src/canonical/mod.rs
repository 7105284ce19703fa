//! Canonical bytes: the one spelling of a body, over which its id and its signatures are made.
//!
//! RFC 8785 (JSON Canonicalization Scheme) of the body, written straight from the typed body or from its archive; no
//! JSON value is ever built, and nothing here parses a body. Both forms pass through one writer, so a stored record can
//! be hashed again in place. Sources: RFC 8785; ECMA-262, section 6.1.6.1.20, for numbers.

mod json;
mod number;
mod view;

pub use number::{number_literal, write_number};

use crate::id::{RecordId, Signature};
use crate::record::{Alias, ArchivedAlias, ArchivedAssertion, ArchivedVote, Assertion, BODY_BYTES_MAX, Body, Vote};
use crate::refusal::{Code, Refusal};

/// The longest canonical bytes of a body that this release does not know: 1.2 MiB, the limit of a `source`.
pub const OPAQUE_BYTES_MAX: usize = 1_258_291;

/// The ASCII tag that stands before the id in what authors sign.
pub const SIGNING_TAG: &[u8; 16] = b"stemedb-v1-sign:";

/// The canonical bytes of a body; of a body of unknown kind, those it came with.
///
/// Cost: one pass over the body, about 1 ns a byte.
pub fn canonical_bytes(body: &Body) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    write_body(body, &mut out);
    out
}

/// Appends the canonical bytes of `body` to `out`: [`canonical_bytes`] without a buffer of its own.
pub fn write_body(body: &Body, out: &mut Vec<u8>) {
    match body {
        Body::Assertion(assertion) => write_assertion(assertion, out),
        Body::Vote(vote) => write_vote(vote, out),
        Body::Alias(alias) => write_alias(alias, out),
        Body::Opaque(opaque) => out.extend_from_slice(&opaque.canonical),
    }
}

/// Appends the canonical bytes of an assertion to `out`.
pub fn write_assertion(assertion: &Assertion, out: &mut Vec<u8>) {
    view::write_assertion(view::of_assertion(assertion), out);
}

/// Appends the canonical bytes of a stored assertion to `out`, read in place.
pub fn write_archived_assertion(assertion: &ArchivedAssertion, out: &mut Vec<u8>) {
    view::write_assertion(view::of_archived_assertion(assertion), out);
}

/// Appends the canonical bytes of a vote to `out`.
pub fn write_vote(vote: &Vote, out: &mut Vec<u8>) {
    view::write_vote(view::of_vote(vote), out);
}

/// Appends the canonical bytes of a stored vote to `out`, read in place.
pub fn write_archived_vote(vote: &ArchivedVote, out: &mut Vec<u8>) {
    view::write_vote(view::of_archived_vote(vote), out);
}

/// Appends the canonical bytes of an alias to `out`.
pub fn write_alias(alias: &Alias, out: &mut Vec<u8>) {
    view::write_alias(view::of_alias(alias), out);
}

/// Appends the canonical bytes of a stored alias to `out`, read in place.
pub fn write_archived_alias(alias: &ArchivedAlias, out: &mut Vec<u8>) {
    view::write_alias(view::of_archived_alias(alias), out);
}

/// The canonical bytes of a note.
#[cfg(feature = "next")]
pub(crate) fn note_bytes(note: &crate::record::Note) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    view::write_note(note, &mut out);
    out
}

/// Checks the length of a body's canonical bytes.
///
/// At most [`BODY_BYTES_MAX`] for the kinds this release knows, [`OPAQUE_BYTES_MAX`] for others.
///
/// # Errors
///
/// [`Code::TooLarge`] on `body`.
pub fn check_size(body: &Body, canonical: &[u8]) -> Result<(), Refusal> {
    let (limit, expected) = match body {
        Body::Assertion(_) | Body::Vote(_) | Body::Alias(_) => (BODY_BYTES_MAX, "at most 131,072 canonical bytes"),
        Body::Opaque(_) => (OPAQUE_BYTES_MAX, "at most 1,258,291 canonical bytes"),
    };
    if canonical.len() > limit { Err(Refusal::new(Code::TooLarge, "body", expected)) } else { Ok(()) }
}

/// The name of the record with these canonical bytes: their BLAKE3-256 hash. About 1 ns a byte.
pub fn id_of(canonical: &[u8]) -> RecordId {
    RecordId(*blake3::hash(canonical).as_bytes())
}

/// What every author of the record signs: [`SIGNING_TAG`] and the 32 bytes of the id.
pub fn signing_message(id: RecordId) -> [u8; 48] {
    let mut message = [0; 48];
    let (tag, name) = message.split_at_mut(SIGNING_TAG.len());
    tag.copy_from_slice(SIGNING_TAG);
    name.copy_from_slice(&id.0);
    message
}

/// Of two valid lists of signatures for one id, the one that every node keeps: the bytewise smaller.
///
/// Both have one signature per author, in the order of the authors, so neither is a prefix of the other.
pub fn kept_signatures<'a>(a: &'a [Signature], b: &'a [Signature]) -> &'a [Signature] {
    if b < a { b } else { a }
}

/// BLAKE3-256 of the signatures, one after the other: what Merkle leaves and `erased` frames say of them.
pub fn signatures_digest(signatures: &[Signature]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for signature in signatures {
        hasher.update(&signature.0);
    }
    *hasher.finalize().as_bytes()
}

#[test]
fn the_signed_message_is_the_tag_and_the_id() {
    let message = signing_message(RecordId([7; 32]));
    assert_eq!(message[..16], *b"stemedb-v1-sign:");
    assert_eq!(message[16..], [7; 32]);
}

#[test]
fn the_smaller_list_of_signatures_is_kept_whatever_the_order() {
    let (small, large) = ([Signature([1; 64]), Signature([9; 64])], [Signature([2; 64]), Signature([0; 64])]);
    assert_eq!(kept_signatures(&small, &large), small);
    assert_eq!(kept_signatures(&large, &small), small);
    assert_ne!(signatures_digest(&small), signatures_digest(&large));
}
