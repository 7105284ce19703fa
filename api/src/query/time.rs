//! Times and durations as people write them in a query.

use model::lens::HalfLife;
use model::time::Duration;
use model::{Stamp, Timestamp};

/// A stamp `<ms>.<counter>`, or an RFC 3339 time, which means the end of its millisecond.
pub(crate) fn as_of(text: &str) -> Option<Stamp> {
    text.parse().ok().or_else(|| rfc_3339_ms(text).map(Stamp::end_of_ms))
}

/// Milliseconds since the Unix epoch, or an RFC 3339 time, which is cut to its millisecond.
pub(crate) fn moment(text: &str) -> Option<Timestamp> {
    whole(text).or_else(|| rfc_3339_ms(text)).and_then(Timestamp::from_ms)
}

/// `off`, `class`, or a whole number and a unit: `s`, `m`, `h`, `d`, `w`, `y` (365 days).
pub(crate) fn half_life(text: &str) -> Option<HalfLife> {
    match text {
        "off" => Some(HalfLife::Off),
        "class" => Some(HalfLife::Class),
        _ => duration(text).map(HalfLife::Every),
    }
}

fn duration(text: &str) -> Option<Duration> {
    const UNITS: [(char, u64); 6] =
        [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400), ('w', 604_800), ('y', 31_536_000)];
    let (unit, seconds) = UNITS.into_iter().find(|(unit, _)| text.ends_with(*unit))?;
    let ms = whole(text.strip_suffix(unit)?)?.checked_mul(seconds * 1000)?;
    Duration::from_ms(ms).filter(|_| ms < Timestamp::LIMIT)
}

/// A whole number in plain digits, without leading zeros.
fn whole(digits: &str) -> Option<u64> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    plain.then(|| digits.parse().ok()).flatten()
}

fn rfc_3339_ms(text: &str) -> Option<u64> {
    text.parse::<jiff::Timestamp>().ok().and_then(|time| u64::try_from(time.as_millisecond()).ok())
}

#[test]
fn times_are_read_as_people_write_them() {
    assert_eq!(as_of("1785000000000.7"), Stamp::new(1_785_000_000_000, 7));
    assert_eq!(as_of("2026-07-25T17:20:00Z"), Some(Stamp::end_of_ms(1_785_000_000_000)));
    assert_eq!(as_of("2026-07-25T19:20:00.0009+02:00"), Some(Stamp::end_of_ms(1_785_000_000_000)));
    assert_eq!(moment("1785000000000"), Timestamp::from_ms(1_785_000_000_000));
    assert_eq!(moment("2026-07-25T17:20:00Z"), Timestamp::from_ms(1_785_000_000_000));
    let every = |ms| Duration::from_ms(ms).map(HalfLife::Every);
    assert_eq!(half_life("90d"), every(90 * 86_400_000));
    assert_eq!(half_life("12h"), every(12 * 3_600_000));
    assert_eq!((half_life("off"), half_life("class")), (Some(HalfLife::Off), Some(HalfLife::Class)));
    for wrong in ["", "0d", "d", "1", "-1d", "1.5d", "1 d", "01d", "99999999999999999y", "300000y", "é"] {
        assert_eq!(half_life(wrong), None, "{wrong}");
    }
    assert_eq!(moment(&"0".repeat(65)), None);
    for wrong in ["", "now", "1785000000000", "1969-12-31T23:59:59Z", "2026-07-25", "2026-07-25T17:20:00"] {
        assert_eq!(as_of(wrong), None, "{wrong}");
    }
}
