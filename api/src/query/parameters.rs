//! The parameters of a request, strictly: each known, each once, each well spelt.
//!
//! A query string is `name=value` joined by `&`, percent-encoded UTF-8, a plus sign a space. Nothing is lossy.

use crate::problem::Fault;
use model::{Code, Refusal};

/// The parameters as they came, decoded, in order.
#[derive(Debug, Default)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Decodes a query string. Parameters that are not in `known` are refused, and so is one that stands twice.
    pub(crate) fn parse(query: Option<&str>, known: &[&str]) -> Result<Self, Fault> {
        let mut parameters: Vec<(String, String)> = Vec::new();
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decoded(name).ok_or_else(|| refuse(Code::MalformedJson, "query", "percent-encoded UTF-8"))?;
            if !known.contains(&&*name) {
                let expected = format!("one of {}", known.join(", "));
                let shown: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
                return Err(Fault::Parameter(Refusal::new(Code::UnknownField, shown, expected)));
            }
            let value = decoded(value).ok_or_else(|| refuse(Code::MalformedJson, &name, "percent-encoded UTF-8"))?;
            if parameters.iter().any(|(earlier, _)| *earlier == name) {
                return Err(refuse(Code::DuplicateKey, &name, "every parameter once"));
            }
            parameters.push((name, value));
        }
        Ok(Self(parameters))
    }

    /// A parameter as text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A parameter as `read` understands it.
    pub(crate) fn get<T>(
        &self,
        name: &str,
        code: Code,
        expected: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Fault> {
        self.text(name).map(|text| read(text).ok_or_else(|| refuse(code, name, expected))).transpose()
    }

    /// A parameter that a type of the model takes or refuses by itself.
    pub(crate) fn field<T>(
        &self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, Refusal>,
    ) -> Result<Option<T>, Fault> {
        let located = |refusal: Refusal| Fault::Parameter(Refusal { field: name.to_owned().into(), ..refusal });
        self.text(name).map(|text| read(text).map_err(located)).transpose()
    }

    /// All parameters but those named, sorted: the same for the same request.
    pub(crate) fn sorted_without(&self, names: &[&str]) -> Vec<(&str, &str)> {
        let kept = self.0.iter().filter(|(name, _)| !names.contains(&&**name));
        let mut pairs: Vec<_> = kept.map(|(name, value)| (name.as_str(), value.as_str())).collect();
        pairs.sort_unstable();
        pairs
    }
}

/// A refusal of a parameter.
pub(crate) fn refuse(code: Code, name: &str, expected: &'static str) -> Fault {
    Fault::Parameter(Refusal::new(code, name.to_owned(), expected))
}

/// Undoes the percent-encoding; `None` for a broken escape and for what is not UTF-8.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => hex_digit(bytes.next()?)? << 4 | hex_digit(bytes.next()?)?,
            plain => plain,
        });
    }
    String::from_utf8(out).ok()
}

fn hex_digit(ascii: u8) -> Option<u8> {
    char::from(ascii).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[test]
fn a_query_string_is_taken_strictly() {
    let parse = |query| Parameters::parse(Some(query), &["subject", "limit"]);
    let parameters = parse("subject=geo%3A%2F%2Fcountry%2FBO+x&&limit=").unwrap();
    assert_eq!(parameters.text("subject"), Some("geo://country/BO x"));
    assert_eq!(parameters.text("limit"), Some(""));
    assert_eq!(Parameters::parse(None, &[]).unwrap().text("subject"), None);
    for (query, code) in [
        ("subject=%ff", Code::MalformedJson),
        ("subject=%4", Code::MalformedJson),
        ("%zz=1", Code::MalformedJson),
        ("limit=1&limit=1", Code::DuplicateKey),
        ("Limit=1", Code::UnknownField),
    ] {
        assert!(matches!(parse(query), Err(Fault::Parameter(refusal)) if refusal.code == code), "{query}");
    }
}
