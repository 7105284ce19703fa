//! From `{"replication_factor":3}` to settings of the cluster.

use super::path::Path;
use super::reader::Reader;
use crate::database::REPLICATION_FACTORS;
use model::{Code, Refusal};
use std::num::NonZeroU8;

/// Reads an object whose only member is `replication_factor`.
///
/// # Errors
///
/// A [`Refusal`] that names the first rule broken and the field.
pub fn parse_settings(bytes: &[u8]) -> Result<NonZeroU8, Refusal> {
    let expected = "a whole number from 2 to 7";
    let mut copies = None;
    let mut reader = Reader::new(bytes)?;
    reader.object(Path::Body, |reader, key| {
        let path = Path::Field(key);
        if key != "replication_factor" {
            return Err(path.refuse(Code::UnknownField, "`replication_factor` alone"));
        }
        let number =
            reader.number(path)?.parse().ok().filter(|copies: &NonZeroU8| REPLICATION_FACTORS.contains(copies));
        let number = number.ok_or_else(|| path.refuse(Code::OutOfRange, expected))?;
        match copies.replace(number) {
            None => Ok(()),
            Some(_) => Err(path.refuse(Code::DuplicateKey, "every key once")),
        }
    })?;
    reader.end()?;
    copies.ok_or_else(|| Path::Field("replication_factor").refuse(Code::MissingField, expected))
}

#[test]
fn copies_are_from_two_to_seven() {
    let parse = |text: &str| parse_settings(text.as_bytes());
    assert_eq!(parse(r#"{"replication_factor":3}"#), NonZeroU8::new(3).ok_or_else(|| panic!()));
    for (text, code) in [
        ("{}", Code::MissingField),
        (r#"{"replication_factor":1}"#, Code::OutOfRange),
        (r#"{"replication_factor":8}"#, Code::OutOfRange),
        (r#"{"replication_factor":2.0}"#, Code::OutOfRange),
        (r#"{"replication_factor":"2"}"#, Code::WrongType),
        (r#"{"replication_factor":2,"replication_factor":2}"#, Code::DuplicateKey),
        (r#"{"zone":"a"}"#, Code::UnknownField),
        ("[]", Code::WrongType),
    ] {
        assert_eq!(parse(text).unwrap_err().code, code, "{text}");
    }
}
