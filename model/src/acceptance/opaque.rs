//! The one thing that is read in a body of unknown kind: whether it names the authors it came with.
//!
//! Without it anybody could hand over a stranger's words under his own signature, and a later release, which knows the
//! kind, would refuse what this one accepted. Nothing else in such a body is looked at, and nothing is parsed into values.

use crate::hex;
use crate::record::Opaque;
use crate::refusal::{Code, Refusal};

/// Checks that the top level of the canonical bytes has exactly one `authors`, and that it lists the envelope's.
///
/// # Errors
///
/// [`Code::BadSignature`] on `authors`.
pub(super) fn check_authors(opaque: &Opaque) -> Result<(), Refusal> {
    let mut expected = b"\"authors\":[".to_vec();
    for (position, agent) in opaque.authors.as_slice().iter().enumerate() {
        expected.extend_from_slice(if position == 0 { b"\"" } else { b",\"" });
        hex::push(&agent.0, &mut expected);
        expected.push(b'"');
    }
    expected.push(b']');
    let mut found = top_level_members(&opaque.canonical).filter(|member| member.starts_with(b"\"authors\":"));
    match (found.next(), found.next()) {
        (Some(member), None) if member == expected => Ok(()),
        _ => Err(Refusal::new(Code::BadSignature, "authors", "the authors that the canonical bytes name")),
    }
}

/// The `"key":value` members of a canonical JSON object, as bytes; for anything else, pieces without meaning.
fn top_level_members(object: &[u8]) -> impl Iterator<Item = &[u8]> {
    let inside = object.strip_prefix(b"{").and_then(|rest| rest.strip_suffix(b"}")).unwrap_or_default();
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    inside.split(move |byte| {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'{' | b'[') => depth += 1,
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            (false, b',') => return depth == 0,
            _ => {}
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::home::Home;
    use crate::id::AgentId;
    use crate::record::Authors;

    fn check(canonical: &str) -> bool {
        let authors = Authors::new(vec![AgentId([0xaa; 32]), AgentId([0xbb; 32])]).unwrap();
        let (a, b) = ("aa".repeat(32), "bb".repeat(32));
        let canonical =
            canonical.replace("AB", &format!("[\"{a}\",\"{b}\"]")).replace("BA", &format!("[\"{b}\",\"{a}\"]"));
        check_authors(&Opaque { home: Home::GLOBAL, authors, canonical: canonical.into_bytes() }).is_ok()
    }

    #[test]
    fn a_body_of_unknown_kind_names_its_authors_once_at_the_top() {
        assert!(check(r#"{"agent":[{"authors":["x"]}],"authors":AB,"kind":"new","v":2}"#));
        assert!(check(r#"{"authors":AB}"#));
        for wrong in [
            "",
            "{}",
            r#"{"authors":BA}"#,
            r#"{"authors":[]}"#,
            r#"{"authors":AB,"authors":BA}"#,
            r#"{"inner":{"authors":AB}}"#,
            r#"{"inner":[1,"authors":AB,2]}"#,
            r#"{"text":"\",\"authors\":AB,\""}"#,
            r#"{"authors":AB,"#,
            r#"["authors":AB]"#,
        ] {
            assert!(!check(wrong), "{wrong}");
        }
    }
}
