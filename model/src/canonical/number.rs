//! Numbers, as ECMAScript prints them and as clients may write them. Integers never lose digits in silence.

use crate::record::Finite;
use crate::refusal::{Code, Refusal};

/// The integers up to here, either side of 0, are all exact in an f64: 2^53.
const EXACT_INTEGER_MAX: f64 = 9_007_199_254_740_992.0;

/// Appends the shortest text that reads back as `number`, as ECMAScript prints it; -0 prints as `0`.
///
/// `number` must be finite: JSON has no other. Cost: about 30 ns.
pub fn write_number(number: f64, out: &mut Vec<u8>) {
    debug_assert!(number.is_finite(), "JSON has no NaN and no infinity");
    out.extend_from_slice(ryu_js::Buffer::new().format_finite(number).as_bytes());
}

/// Reads a JSON number literal as the format's one kind of number.
///
/// The nearest double, -0 as 0. An integer literal (no `.`, `e` or `E`) beyond ±2^53 must be exactly what canonical
/// bytes would print: `1152921504606847000` is 2^60, `1152921504606846976` is refused, so that nobody signs digits that
/// are not kept.
///
/// # Errors
///
/// [`Code::MalformedJson`] if `text` is no JSON number, [`Code::OutOfRange`] if it is too large for a double or an
/// integer that a double does not hold. The field is `number`; callers know the path and put it in its place.
pub fn number_literal(text: &str) -> Result<Finite, Refusal> {
    let refuse = |code, expected: &'static str| Refusal::new(code, "number", expected);
    if !is_json_number(text) {
        return Err(refuse(Code::MalformedJson, "a JSON number"));
    }
    let parsed: f64 = text.parse().or(Err(refuse(Code::MalformedJson, "a JSON number")))?;
    let number =
        Finite::new(parsed).ok_or_else(|| refuse(Code::OutOfRange, "a number that a 64-bit float can hold"))?;
    let is_integer = !text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
    if is_integer && (parsed.abs() >= EXACT_INTEGER_MAX && !is_printed_as(parsed, text)) {
        return Err(refuse(
            Code::OutOfRange,
            "an integer between -2^53 and 2^53, or one that a 64-bit float prints digit for digit",
        ));
    }
    Ok(number)
}

fn is_printed_as(number: f64, text: &str) -> bool {
    ryu_js::Buffer::new().format_finite(number) == text
}

/// `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`
fn is_json_number(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(digits)
}

#[test]
fn numbers_are_kept_only_if_nothing_is_lost() {
    for (text, printed) in [
        ("0", "0"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("9007199254740991", "9007199254740991"),
        ("9007199254740992", "9007199254740992"),
        ("-9007199254740992", "-9007199254740992"),
        ("9007199254740994", "9007199254740994"),
        ("1152921504606847000", "1152921504606847000"),
        ("100000000000000000000", "100000000000000000000"),
        ("1e21", "1e+21"),
        ("1E20", "100000000000000000000"),
        ("5e-324", "5e-324"),
        ("1e-400", "0"),
        ("0.1", "0.1"),
        ("9007199254740993.0", "9007199254740992"),
    ] {
        let mut out = Vec::new();
        write_number(number_literal(text).unwrap().get(), &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), printed, "{text}");
    }
}

#[test]
fn numbers_that_lose_digits_or_are_no_json_are_refused() {
    let code = |text: &str| number_literal(text).unwrap_err().code;
    for text in [
        "9007199254740993",
        "-9007199254740993",
        "1152921504606846976",
        "1000000000000000000000",
        "1e400",
        "-1e400",
        &"9".repeat(400),
    ] {
        assert_eq!(code(text), Code::OutOfRange, "{text}");
    }
    for text in
        ["", "-", "+1", "01", "-01", "1.", ".5", "1e", "1e+", "NaN", "Infinity", "inf", "0x1", "1_0", " 1", "1.e1"]
    {
        assert_eq!(code(text), Code::MalformedJson, "{text}");
    }
}
