//! What must hold of the JSON rim, whatever bytes it is handed.
//!
//! It never panics, it takes nothing that another library does not call JSON, and what it takes it prints so that the
//! same envelope, the same bytes and the same id come back.

use api::json::{Kind, envelope_json, parse_envelope, parse_naming};
use model::canonical::{canonical_bytes, id_of};
use model::{Code, Envelope};

/// Panics if `bytes` break a rule.
pub(crate) fn check(bytes: &[u8]) {
    drop(parse_naming(bytes));
    for expected in Kind::ALL.into_iter().map(Some).chain([None]) {
        if let Ok(envelope) = parse_envelope(bytes, expected) {
            assert!(serde_json::from_slice::<serde_json::Value>(bytes).is_ok(), "what was taken is no JSON");
            check_taken(&envelope, expected);
        }
    }
}

/// Checks an envelope that was taken where `expected` was expected.
fn check_taken(envelope: &Envelope, expected: Option<Kind>) {
    let named = |kind: &Kind| envelope.body().kind() == Some(kind.as_str());
    let Some(kind) = Kind::ALL.into_iter().find(named) else { panic!("a kind that clients may not send was taken") };
    assert!(expected.is_none_or(|expected| expected == kind), "another kind than expected was taken");

    let printed = envelope_json(envelope);
    for expected in [None, Some(kind)] {
        let Ok(again) = parse_envelope(&printed, expected) else { panic!("what was printed is refused") };
        assert_eq!(*envelope, again);
        assert_eq!(printed, envelope_json(&again));
    }
    for other in Kind::ALL.into_iter().filter(|other| *other != kind) {
        let refusal = parse_envelope(&printed, Some(other)).err();
        assert_eq!(refusal.map(|refusal| refusal.code), Some(Code::UnknownKind));
    }

    let canonical = canonical_bytes(envelope.body());
    assert!(serde_json::from_slice::<serde_json::Value>(&canonical).is_ok(), "canonical bytes that are no JSON");
    let id = id_of(&canonical);
    let signed_later = [canonical.strip_suffix(b"}").unwrap_or(&canonical), signatures_of(&printed)].concat();
    let again = parse_envelope(&signed_later, None).map(|again| id_of(&canonical_bytes(again.body())));
    assert_eq!(again, Ok(id));
}

/// The member `signatures`, from its comma to the end of the text; it stands last.
fn signatures_of(printed: &[u8]) -> &[u8] {
    const MEMBER: &[u8] = b",\"signatures\":[{\"agent_id\":\"";
    let at = printed.windows(MEMBER.len()).rposition(|window| window == MEMBER).unwrap_or_default();
    printed.get(at..).unwrap_or_default()
}
