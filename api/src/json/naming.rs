//! From `{"id":"..."}` to the record it names.

use super::path::Path;
use super::reader::Reader;
use model::{Code, RecordId, Refusal};

/// Reads an object whose only member is `id`.
///
/// # Errors
///
/// A [`Refusal`] that names the first rule broken and the field.
pub fn parse_naming(bytes: &[u8]) -> Result<RecordId, Refusal> {
    let expected = "64 lower-case hex digits";
    let mut id = None;
    let mut reader = Reader::new(bytes)?;
    reader.object(Path::Body, |reader, key| {
        let path = Path::Field(key);
        if key != "id" {
            return Err(path.refuse(Code::UnknownField, "`id` alone"));
        }
        let text = reader.string(path)?;
        let read = RecordId::from_hex(&text).ok_or_else(|| path.refuse(Code::BadHex, expected))?;
        match id.replace(read) {
            None => Ok(()),
            Some(_) => Err(path.refuse(Code::DuplicateKey, "every key once")),
        }
    })?;
    reader.end()?;
    id.ok_or_else(|| Path::Field("id").refuse(Code::MissingField, expected))
}

#[test]
fn a_record_is_named_by_its_id_alone() {
    let id = "0f".repeat(32);
    assert_eq!(parse_naming(format!(r#"{{"id":"{id}"}}"#).as_bytes()), RecordId::from_hex(&id).ok_or_else(|| panic!()));
    for (text, code) in [
        ("{}".to_owned(), Code::MissingField),
        (format!(r#"{{"id":"{id}","id":"{id}"}}"#), Code::DuplicateKey),
        (r#"{"id":7}"#.into(), Code::WrongType),
        (r#"{"id":"0F"}"#.into(), Code::BadHex),
        (format!(r#"{{"id":"{id}","why":"x"}}"#), Code::UnknownField),
        ("[]".into(), Code::WrongType),
    ] {
        assert_eq!(parse_naming(text.as_bytes()).unwrap_err().code, code, "{text}");
    }
}
