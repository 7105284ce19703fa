//! How values look to a person: times, ids, numbers, shares.
//!
//! Pure functions; the clock is an argument.

use jiff::tz::TimeZone;
use model::Timestamp;

/// How many hex digits of an id a person sees.
const SHORT_ID: usize = 8;

/// A time given on the command line: RFC 3339, or milliseconds since 1970.
///
/// # Errors
///
/// A phrase that says what would be accepted.
pub fn parse_moment(text: &str) -> Result<Timestamp, String> {
    let ms = text.parse().ok().and_then(Timestamp::from_ms);
    ms.or_else(|| super::import::sources::moment(text))
        .ok_or_else(|| "expected a time as in 2026-07-14T23:44:10Z, or milliseconds since 1970".to_owned())
}

/// The beginning of an id and a mark that it goes on.
pub fn short(id: &str) -> String {
    match id.get(..SHORT_ID) {
        Some(start) if id.len() > SHORT_ID => format!("{start}…"),
        _ => id.to_owned(),
    }
}

/// A whole number with commas between groups of three digits.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number as a claim gives it, grouped where it is a whole one of five digits or more.
pub fn number(literal: &str) -> String {
    let digits = literal.trim_start_matches('-');
    let sign = literal.get(..literal.len() - digits.len()).unwrap_or_default();
    match digits.parse::<u64>() {
        Ok(whole) if whole >= 10_000 => format!("{sign}{}", grouped(whole)),
        _ => literal.to_owned(),
    }
}

/// Millionths as a percentage with one decimal.
pub fn percent(millionths: u64) -> String {
    let tenths = (millionths + 500) / 1000;
    format!("{}.{} %", tenths / 10, tenths % 10)
}

/// Millionths as a fraction with two decimals, or as many as it takes up to four.
pub fn fraction(millionths: u64) -> String {
    let text = format!("{}.{:04}", millionths / 1_000_000, millionths % 1_000_000 / 100);
    let trimmed = text.trim_end_matches('0');
    let wanted = trimmed.find('.').map_or(0, |point| point + 3);
    text.get(..trimmed.len().max(wanted)).unwrap_or(&text).to_owned()
}

/// A share drawn as `width` cells.
pub fn bar(millionths: u64, width: u64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = millionths.min(1_000_000) * width * 8 / 1_000_000;
    let full = usize::try_from(eighths / 8).unwrap_or_default();
    let rest = usize::try_from(eighths % 8).unwrap_or_default();
    format!("{}{}", "█".repeat(full), EIGHTHS.get(rest).unwrap_or(&""))
}

/// The day of a time, in UTC.
pub fn date(time: Timestamp) -> String {
    let ms = i64::try_from(time.ms()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(ms)
        .map_or_else(|_| format!("{ms} ms"), |moment| moment.to_zoned(TimeZone::UTC).date().to_string())
}

/// How long ago a time is, in its largest whole unit.
pub fn ago(time: Timestamp, now: Timestamp) -> String {
    const UNITS: [(u64, &str); 5] = [(31_556_952, "y"), (2_629_746, "mo"), (86_400, "d"), (3600, "h"), (60, "min")];
    let seconds = time.ms().abs_diff(now.ms()) / 1000;
    let length = match UNITS.iter().find(|(unit, _)| seconds >= *unit) {
        Some((unit, name)) => format!("{} {name}", seconds / unit),
        None if seconds < 5 => return "now".to_owned(),
        None => format!("{seconds} s"),
    };
    if time > now { format!("in {length}") } else { format!("{length} ago") }
}

/// A length of time in seconds, in the unit that makes it readable.
pub fn span(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 1.0 => format!("{:.0} ms", seconds * 1000.0),
        seconds if seconds < 120.0 => format!("{seconds:.1} s"),
        seconds => format!("{:.0} min", seconds / 60.0),
    }
}

/// Text without control characters, so that a claim cannot move the cursor of whoever reads it.
pub fn harmless(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '␣' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_ms(ms).unwrap()
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([grouped(0), grouped(999), grouped(1000), grouped(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([number("-67391582"), number("2024"), number("0.5")], ["-67,391,582", "2024", "0.5"]);
    }

    #[test]
    fn millionths_are_told_as_shares() {
        assert_eq!([percent(0), percent(333_333), percent(1_000_000)], ["0.0 %", "33.3 %", "100.0 %"]);
        assert_eq!([fraction(800_000), fraction(1_000_000), fraction(123_456)], ["0.80", "1.00", "0.1234"]);
        assert_eq!([bar(0, 10), bar(500_000, 10), bar(1_000_000, 4), bar(60_000, 10)], ["", "█████", "████", "▌"]);
    }

    #[test]
    fn times_are_told_in_their_largest_unit() {
        let now = at(1_785_000_000_000);
        for (ms, expected) in [(0, "now"), (59_000, "59 s ago"), (3_600_000, "1 h ago"), (40_000_000_000, "1 y ago")] {
            assert_eq!(ago(at(now.ms() - ms), now), expected);
        }
        assert_eq!(ago(at(now.ms() + 86_400_000), now), "in 1 d");
        assert_eq!(date(at(1_759_462_291_000)), "2025-10-03");
        assert_eq!(date(at(Timestamp::LIMIT - 1)), "9007199254740991 ms");
    }

    #[test]
    fn lengths_of_time_are_told_in_a_readable_unit() {
        assert_eq!([span(0.0), span(0.0123), span(1.25), span(184.2)], ["0 ms", "12 ms", "1.2 s", "3 min"]);
    }

    #[test]
    fn a_claim_cannot_move_the_cursor() {
        assert_eq!(harmless("a\u{1b}[2Jb\nc"), "a␣[2Jb␣c");
    }

    #[test]
    fn a_moment_is_rfc_3339_or_milliseconds() {
        assert_eq!(parse_moment("1970-01-01T00:00:01Z"), Ok(at(1000)));
        assert_eq!(parse_moment("1000"), Ok(at(1000)));
        assert!(parse_moment("yesterday").is_err());
    }
}
