//! The few JSON productions that canonical bytes need. Nothing here orders keys: callers write them in order.

use crate::hex;

/// One JSON object being written: commas and colons, no more. The caller passes keys in UTF-16 order and closes it.
pub(super) struct Object<'o> {
    out: &'o mut Vec<u8>,
    separator: u8,
}

impl<'o> Object<'o> {
    /// Opens an object.
    pub(super) fn open(out: &'o mut Vec<u8>) -> Self {
        Self { out, separator: b'{' }
    }

    /// Writes a key and returns where its value goes.
    pub(super) fn key(&mut self, key: &str) -> &mut Vec<u8> {
        self.out.push(self.separator);
        self.separator = b',';
        string(key, self.out);
        self.out.push(b':');
        self.out
    }

    /// Closes it.
    pub(super) fn close(self) {
        if self.separator == b'{' {
            self.out.push(b'{');
        }
        self.out.push(b'}');
    }
}

/// Writes an array, each element by `write`.
pub(super) fn array<T>(elements: impl Iterator<Item = T>, out: &mut Vec<u8>, write: impl Fn(T, &mut Vec<u8>)) {
    out.push(b'[');
    for (position, element) in elements.enumerate() {
        if position > 0 {
            out.push(b',');
        }
        write(element, out);
    }
    out.push(b']');
}

/// Writes bytes as a string of lower-case hex.
pub(super) fn hex_string(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    hex::push(bytes, out);
    out.push(b'"');
}

/// Writes a string: only the quote, the backslash and U+0000 to U+001F are escaped, the shortest way.
pub(super) fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(plain) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)) {
        let (before, from) = rest.split_at(plain);
        out.extend_from_slice(before);
        let Some((byte, after)) = from.split_first() else { break };
        escape(*byte, out);
        rest = after;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

fn escape(byte: u8, out: &mut Vec<u8>) {
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x09 => b't',
        0x0a => b'n',
        0x0c => b'f',
        0x0d => b'r',
        _ => {
            out.extend_from_slice(b"\\u00");
            hex::push(&[byte], out);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

#[test]
fn strings_escape_what_rfc_8785_escapes_and_nothing_else() {
    let mut out = Vec::new();
    string("\u{0}\u{8}\t\n\u{b}\u{c}\r\u{1f}\"\\/\u{7f}é\u{2028}😀", &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), "\"\\u0000\\b\\t\\n\\u000b\\f\\r\\u001f\\\"\\\\/\u{7f}é\u{2028}😀\"");
}

#[test]
fn an_object_may_be_empty() {
    let mut out = Vec::new();
    Object::open(&mut out).close();
    assert_eq!(out, b"{}");
}
