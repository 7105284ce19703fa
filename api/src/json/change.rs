//! From `{"change":"drain","node":"3b6a27bcceb6a42d"}` to a change of the cluster.

use super::path::Path;
use super::reader::Reader;
use crate::database::{Change, NodeName};
use model::{Code, Refusal};

/// What a change may be called.
const NAMES: &str = "`join`, `drain`, `keep`, `remove`, `replace`, `pause`, `resume` or `activate`";
const VERSION: &str = "a version, 1 to 65535";
const HEX: &str = "the name of a node: 16 lower-case hex digits";

/// Reads `change`, `node` for what concerns one, `by` for `replace`, `version` for `activate`, and `plan` if it is only to be shown; returns
/// the change, and whether it is only to be shown.
///
/// # Errors
///
/// A [`Refusal`] that names the first rule broken and the field.
pub fn parse_change(bytes: &[u8]) -> Result<(Change, bool), Refusal> {
    let (mut name, mut node, mut by, mut version, mut plan) = (None, None, None, None, None);
    let mut reader = Reader::new(bytes)?;
    reader.object(Path::Body, |reader, key| {
        let path = Path::Field(key);
        let before = match key {
            "change" => name.replace(reader.string(path)?.into_owned()).is_some(),
            "node" => node.replace(node_name(&reader.string(path)?, path)?).is_some(),
            "by" => by.replace(node_name(&reader.string(path)?, path)?).is_some(),
            "version" => version.replace(number(reader, path)?).is_some(),
            "plan" => plan.replace(reader.boolean(path)?).is_some(),
            _ => return Err(path.refuse(Code::UnknownField, "`change`, `node`, `by`, `version` and `plan`")),
        };
        if before { Err(path.refuse(Code::DuplicateKey, "every key once")) } else { Ok(()) }
    })?;
    reader.end()?;
    let name = name.ok_or_else(|| Path::Field("change").refuse(Code::MissingField, NAMES))?;
    let needed = |field: &'static str, value: Option<NodeName>| {
        value.ok_or_else(|| Path::Field(field).refuse(Code::MissingField, HEX))
    };
    let change = match name.as_str() {
        "join" => Change::Join(needed("node", node.take())?),
        "drain" => Change::Drain(needed("node", node.take())?),
        "keep" => Change::Keep(needed("node", node.take())?),
        "remove" => Change::Remove(needed("node", node.take())?),
        "replace" => Change::Replace { old: needed("node", node.take())?, new: needed("by", by.take())? },
        "pause" => Change::Pause,
        "resume" => Change::Resume,
        "activate" => {
            let missing = || Path::Field("version").refuse(Code::MissingField, VERSION);
            Change::Activate(version.take().ok_or_else(missing)?)
        }
        _ => return Err(Path::Field("change").refuse(Code::UnknownValue, NAMES)),
    };
    for (field, is_left) in [("node", node.is_some()), ("by", by.is_some()), ("version", version.is_some())] {
        if is_left {
            return Err(Path::Field(field).refuse(Code::UnknownField, "nothing, with this change"));
        }
    }
    Ok((change, plan.unwrap_or(false)))
}

fn number(reader: &mut Reader<'_>, path: Path<'_>) -> Result<u16, Refusal> {
    let number = reader.number(path)?.parse().ok().filter(|version: &u16| *version > 0);
    number.ok_or_else(|| path.refuse(Code::OutOfRange, VERSION))
}

fn node_name(text: &str, path: Path<'_>) -> Result<NodeName, Refusal> {
    let is_hex = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let number = u64::from_str_radix(text, 16).ok().filter(|_| is_hex);
    number.map(NodeName).ok_or_else(|| path.refuse(Code::BadHex, HEX))
}

#[test]
fn a_change_names_what_it_is_about_and_nothing_else() {
    let parse = |text: &str| parse_change(text.as_bytes());
    let (one, other) = (NodeName(1), NodeName(0xab));
    let node = r#""node":"0000000000000001""#;
    assert_eq!(parse(&format!(r#"{{"change":"drain",{node}}}"#)), Ok((Change::Drain(one), false)));
    assert_eq!(
        parse(&format!(r#"{{"plan":true,"change":"replace","by":"00000000000000ab",{node}}}"#)),
        Ok((Change::Replace { old: one, new: other }, true))
    );
    assert_eq!(parse(r#"{"change":"pause"}"#), Ok((Change::Pause, false)));
    assert_eq!(parse(r#"{"change":"activate","version":2}"#), Ok((Change::Activate(2), false)));
    for (text, code, field) in [
        ("{}".to_owned(), Code::MissingField, "change"),
        (r#"{"change":"grow"}"#.to_owned(), Code::UnknownValue, "change"),
        (r#"{"change":"activate"}"#.to_owned(), Code::MissingField, "version"),
        (r#"{"change":"activate","version":65536}"#.to_owned(), Code::OutOfRange, "version"),
        (r#"{"change":"pause","version":2}"#.to_owned(), Code::UnknownField, "version"),
        (r#"{"change":"join"}"#.to_owned(), Code::MissingField, "node"),
        (r#"{"change":"join","node":"1"}"#.to_owned(), Code::BadHex, "node"),
        (r#"{"change":"join","node":"000000000000000A"}"#.to_owned(), Code::BadHex, "node"),
        (format!(r#"{{"change":"replace",{node}}}"#), Code::MissingField, "by"),
        (format!(r#"{{"change":"pause",{node}}}"#), Code::UnknownField, "node"),
        (format!(r#"{{"change":"join",{node},{node}}}"#), Code::DuplicateKey, "node"),
        (format!(r#"{{"change":"join",{node},"plan":1}}"#), Code::WrongType, "plan"),
        (format!(r#"{{"change":"join",{node},"zone":"a"}}"#), Code::UnknownField, "zone"),
    ] {
        let refusal = parse(&text).unwrap_err();
        assert_eq!((refusal.code, refusal.field.as_ref()), (code, field), "{text}");
    }
}
