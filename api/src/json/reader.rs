//! A strict JSON reader that is asked for one value after the other.
//!
//! It builds no tree and never guesses: what is not JSON by RFC 8259 is refused, and so are a key that stands twice,
//! nesting beyond [`DEPTH_MAX`] and lone surrogates. One pass, about 1 ns a byte.

use super::path::Path;
use model::{Code, Refusal};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// How deep arrays and objects may be nested, the outermost counted; no record needs more than three.
pub const DEPTH_MAX: usize = 8;

/// The text, and how far it is read. The text is UTF-8 already.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    /// Begins to read `bytes`.
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let text = str::from_utf8(bytes).map_err(|_invalid| Path::Body.refuse(Code::MalformedJson, "JSON in UTF-8"))?;
        Ok(Self { text, at: 0, depth: 0 })
    }

    /// The first byte of the next value, white space skipped.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let blank = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')).count();
        self.at += blank;
        rest.get(blank).copied()
    }

    /// Refuses anything but white space after the last value.
    pub(crate) fn end(&mut self) -> Result<(), Refusal> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.malformed("nothing after the JSON value")),
        }
    }

    /// Reads an object: `member` is called for each key and must read its value. It must refuse a key that stands twice.
    pub(crate) fn object(
        &mut self,
        path: Path<'_>,
        mut member: impl FnMut(&mut Self, &str) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        self.open(b'{', path, "an object")?;
        if self.eat(b'}') {
            self.depth -= 1;
            return Ok(());
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.malformed("a key in double quotes"));
            }
            let key = self.text_literal()?;
            if !self.eat(b':') {
                return Err(self.malformed("a colon after a key"));
            }
            member(self, &key)?;
            if self.close(b'}')? {
                return Ok(());
            }
        }
    }

    /// Reads an array: `element` is called with each position and must read the value there.
    pub(crate) fn array(
        &mut self,
        path: Path<'_>,
        mut element: impl FnMut(&mut Self, usize) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        self.open(b'[', path, "an array")?;
        if self.eat(b']') {
            self.depth -= 1;
            return Ok(());
        }
        for position in 0.. {
            element(self, position)?;
            if self.close(b']')? {
                break;
            }
        }
        Ok(())
    }

    /// Reads a string.
    pub(crate) fn string(&mut self, path: Path<'_>) -> Result<Cow<'a, str>, Refusal> {
        match self.peek() {
            Some(b'"') => self.text_literal(),
            _ => Err(self.wrong_type(path, "a string")),
        }
    }

    /// Reads a number and returns it as it is written.
    pub(crate) fn number(&mut self, path: Path<'_>) -> Result<&'a str, Refusal> {
        match self.peek() {
            Some(b'-' | b'0'..=b'9') => self.number_literal(),
            _ => Err(self.wrong_type(path, "a number")),
        }
    }

    /// Reads `true` or `false`.
    pub(crate) fn boolean(&mut self, path: Path<'_>) -> Result<bool, Refusal> {
        match self.peek() {
            Some(b't') => self.word("true").map(|()| true),
            Some(b'f') => self.word("false").map(|()| false),
            _ => Err(self.wrong_type(path, "true or false")),
        }
    }

    /// Reads a value of any type for nothing but its well-formedness.
    pub(crate) fn skip(&mut self, path: Path<'_>) -> Result<(), Refusal> {
        match self.peek() {
            Some(b'{') => {
                let mut seen = BTreeSet::new();
                self.object(path, |reader, key| {
                    let path = Path::Member(&path, key);
                    if !seen.insert(key.to_owned()) {
                        return Err(path.refuse(Code::DuplicateKey, "every key once"));
                    }
                    reader.skip(path)
                })
            }
            Some(b'[') => self.array(path, |reader, position| reader.skip(Path::Element(&path, position))),
            Some(b'"') => self.text_literal().map(drop),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            Some(b'-' | b'0'..=b'9') => self.number_literal().map(drop),
            _ => Err(self.malformed("a JSON value")),
        }
    }

    /// The refusal of a value of another type; of no value at all, if there is none.
    #[cold]
    fn wrong_type(&mut self, path: Path<'_>, expected: &'static str) -> Refusal {
        let before = self.at;
        match self.skip(path) {
            Err(malformed) => malformed,
            Ok(()) if self.text.get(before..self.at) == Some("null") && !matches!(path, Path::Element(..)) => {
                path.refuse(Code::UnknownField, format!("{expected}; a field without a value is left out"))
            }
            Ok(()) => path.refuse(Code::WrongType, expected),
        }
    }

    /// The refusal of what is not JSON.
    #[cold]
    fn malformed(&self, expected: &str) -> Refusal {
        Path::Body.refuse(Code::MalformedJson, format!("{expected} at byte {}", self.at))
    }

    fn open(&mut self, bracket: u8, path: Path<'_>, expected: &'static str) -> Result<(), Refusal> {
        if self.peek() != Some(bracket) {
            return Err(self.wrong_type(path, expected));
        }
        if self.depth == DEPTH_MAX {
            return Err(path.refuse(Code::TooDeep, format!("at most {DEPTH_MAX} levels of nesting")));
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    /// After a member or an element: whether the bracket closes; otherwise a comma has been read.
    fn close(&mut self, bracket: u8) -> Result<bool, Refusal> {
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(false)
            }
            Some(byte) if byte == bracket => {
                self.at += 1;
                self.depth -= 1;
                Ok(true)
            }
            _ => Err(self.malformed(if bracket == b'}' { "a comma or `}`" } else { "a comma or `]`" })),
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn word(&mut self, word: &'static str) -> Result<(), Refusal> {
        let found = self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word));
        if !found {
            return Err(self.malformed("a JSON value"));
        }
        self.at += word.len();
        Ok(())
    }

    /// Reads a string whose opening quote is next.
    fn text_literal(&mut self) -> Result<Cow<'a, str>, Refusal> {
        self.at += 1;
        let plain = self.plain_run();
        if self.byte() == Some(b'"') {
            self.at += 1;
            return Ok(Cow::Borrowed(plain));
        }
        let mut text = plain.to_owned();
        loop {
            match self.byte() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(text));
                }
                Some(b'\\') => text.push(self.escape()?),
                _ => return Err(self.malformed("a string without raw control characters and its closing quote")),
            }
            text.push_str(self.plain_run());
        }
    }

    /// Reads up to the next quote, backslash, control character or the end.
    fn plain_run(&mut self) -> &'a str {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = rest.bytes().position(|byte| byte < 0x20 || byte == b'"' || byte == b'\\').unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    /// Reads an escape whose backslash is next.
    fn escape(&mut self) -> Result<char, Refusal> {
        self.at += 1;
        let letter = self.byte();
        self.at += 1;
        match letter {
            Some(b'"') => Ok('"'),
            Some(b'\\') => Ok('\\'),
            Some(b'/') => Ok('/'),
            Some(b'b') => Ok('\u{8}'),
            Some(b'f') => Ok('\u{c}'),
            Some(b'n') => Ok('\n'),
            Some(b'r') => Ok('\r'),
            Some(b't') => Ok('\t'),
            Some(b'u') => self.unicode(),
            _ => Err(self.malformed("one of the escapes of JSON")),
        }
    }

    /// Reads the digits after `\u`, and the other half of a surrogate pair.
    fn unicode(&mut self) -> Result<char, Refusal> {
        let lone = "no surrogate without its other half";
        let first = self.four_digits()?;
        if !(0xd800..0xe000).contains(&first) {
            return char::from_u32(first).ok_or_else(|| self.malformed(lone));
        }
        let paired = first < 0xdc00 && self.text.get(self.at..).is_some_and(|rest| rest.starts_with("\\u"));
        if !paired {
            return Err(self.malformed(lone));
        }
        self.at += 2;
        let second = self.four_digits()?;
        if !(0xdc00..0xe000).contains(&second) {
            return Err(self.malformed(lone));
        }
        let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        char::from_u32(code).ok_or_else(|| self.malformed(lone))
    }

    fn four_digits(&mut self) -> Result<u32, Refusal> {
        let digits = self.text.get(self.at..self.at + 4).filter(|digits| digits.bytes().all(|d| d.is_ascii_hexdigit()));
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let code = code.ok_or_else(|| self.malformed("four hex digits"))?;
        self.at += 4;
        Ok(code)
    }

    /// Reads a number whose first character is next.
    fn number_literal(&mut self) -> Result<&'a str, Refusal> {
        let start = self.at;
        self.at += usize::from(self.byte() == Some(b'-'));
        match self.byte() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }

    fn digits(&mut self) -> Result<(), Refusal> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return Err(self.malformed("a digit"));
        }
        self.at += count;
        Ok(())
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn skip(bytes: &[u8]) -> Result<(), Refusal> {
        let mut reader = Reader::new(bytes)?;
        reader.skip(Path::Body)?;
        reader.end()
    }

    #[test]
    fn what_is_not_json_is_refused() {
        let wrong = [
            "",
            " ",
            "{",
            "[",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\" 1}",
            "'a'",
            "NaN",
            "Infinity",
            "-Infinity",
            "01",
            "1.",
            ".1",
            "+1",
            "1e",
            "-",
            "tru",
            "nul",
            "\"",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\\ud800\"",
            "\"\\udc00\"",
            "\"\\ud800\\u0041\"",
            "\"\n\"",
            "1 2",
            "{} {}",
            "\u{feff}{}",
            "[1 2]",
            "/**/1",
            "\"\\u+123\"",
        ];
        for text in wrong {
            assert_eq!(skip(text.as_bytes()).unwrap_err().code, Code::MalformedJson, "{text}");
        }
        assert_eq!(skip(b"\"\xff\"").unwrap_err().code, Code::MalformedJson);
    }

    #[test]
    fn nesting_ends_at_the_limit() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert_eq!(skip(nested(DEPTH_MAX).as_bytes()), Ok(()));
        assert_eq!(skip(nested(DEPTH_MAX + 1).as_bytes()).unwrap_err().code, Code::TooDeep);
        assert_eq!(skip("[".repeat(1_000_000).as_bytes()).unwrap_err().code, Code::TooDeep);
    }

    #[test]
    fn a_key_stands_once_in_every_object() {
        let refusal = skip(br#"{"a":[{"b":1,"c":2,"\u0062":3}]}"#).unwrap_err();
        assert_eq!((refusal.code, &*refusal.field), (Code::DuplicateKey, "a[0].b"));
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            ".*".prop_map(Into::into),
        ];
        leaf.prop_recursive(6, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::vec((".*", inner), 0..4).prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_another_library_prints_is_read(value in json()) {
            prop_assert_eq!(skip(value.to_string().as_bytes()), Ok(()));
        }

        #[test]
        fn what_is_read_another_library_reads_too(text in r#"[\[\]{}:,"\\u0-9a-fnlrtse+. -]{0,24}"#) {
            if skip(text.as_bytes()).is_ok() {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok() || text.contains('e'));
            }
        }

        #[test]
        fn a_string_reads_back_as_another_library_wrote_it(text in any::<String>()) {
            let written = serde_json::to_string(&text).unwrap();
            let read = Reader::new(written.as_bytes()).unwrap().string(Path::Body).unwrap().into_owned();
            prop_assert_eq!(read, text);
        }
    }
}
