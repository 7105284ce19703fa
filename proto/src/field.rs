//! The rules that fields of several messages share. Each function names the field that broke one.

use crate::limits::TEXT_BYTES_MAX;
use crate::malformed::{Fault, Malformed};
use model::{Home, RecordId, Stamp};

/// A stamp that may be unknown, as it travels: nothing is stamped zero.
pub(crate) fn optional_bits(stamp: Option<Stamp>) -> u64 {
    stamp.map_or(0, Stamp::to_bits)
}

/// The inverse of [`optional_bits`].
pub(crate) fn optional_stamp(bits: u64) -> Option<Stamp> {
    (bits != 0).then(|| Stamp::from_bits(bits))
}

pub(crate) fn required<T>(value: Option<T>, name: &'static str) -> Result<T, Malformed> {
    value.ok_or(Fault::Missing.of(name))
}

/// Bytes of fixed length.
pub(crate) fn fixed<const N: usize>(bytes: &[u8], name: &'static str) -> Result<[u8; N], Malformed> {
    <[u8; N]>::try_from(bytes).or(Err(Fault::Length(bytes.len()).of(name)))
}

/// A list, a text or bytes of some length.
pub(crate) fn within(length: usize, max: usize, name: &'static str) -> Result<(), Malformed> {
    if length <= max { Ok(()) } else { Err(Fault::TooLong(max, length).of(name)) }
}

pub(crate) fn texts(texts: &[String], name: &'static str) -> Result<(), Malformed> {
    texts.iter().try_for_each(|text| within(text.len(), TEXT_BYTES_MAX, name))
}

/// A text for people, cut to what the format takes.
pub(crate) fn clipped(mut text: String, max: usize) -> String {
    text.truncate(text.floor_char_boundary(max));
    text
}

pub(crate) fn home(number: u32, name: &'static str) -> Result<Home, Malformed> {
    u16::try_from(number).ok().and_then(Home::from_number).ok_or(Fault::OutOfRange.of(name))
}

/// A node that must be named: 0 is no node.
pub(crate) fn node(node: u64, name: &'static str) -> Result<u64, Malformed> {
    if node == 0 { Err(Fault::OutOfRange.of(name)) } else { Ok(node) }
}

/// A node that need not be named.
pub(crate) fn optional_node(node: u64) -> Option<u64> {
    (node != 0).then_some(node)
}

/// Ids one behind the other, at least one.
pub(crate) fn ids(bytes: &[u8], max: usize, name: &'static str) -> Result<Vec<RecordId>, Malformed> {
    let (ids, rest) = bytes.as_chunks::<{ RecordId::LENGTH }>();
    if ids.is_empty() || !rest.is_empty() {
        return Err(Fault::Length(bytes.len()).of(name));
    }
    within(ids.len(), max, name)?;
    Ok(ids.iter().map(|id| RecordId(*id)).collect())
}

pub(crate) fn put_ids(ids: &[RecordId]) -> Vec<u8> {
    ids.iter().flat_map(|id| id.0).collect()
}

/// Answers to so many questions, a bit each, the first in the lowest.
pub(crate) fn bits(bytes: &[u8], count: u32, max: usize, name: &'static str) -> Result<Vec<bool>, Malformed> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    within(count, max, "count")?;
    if bytes.len() != count.div_ceil(8) {
        return Err(Fault::Length(bytes.len()).of(name));
    }
    let mut bits: Vec<bool> = bytes.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1)).collect();
    if bits.drain(count..).any(|bit| bit) { Err(Fault::OutOfRange.of(name)) } else { Ok(bits) }
}

/// How many answers there are, and their bits.
pub(crate) fn put_bits(answers: &[bool]) -> (u32, Vec<u8>) {
    let byte = |bits: &[bool]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
    (u32::try_from(answers.len()).unwrap_or(u32::MAX), answers.chunks(8).map(byte).collect())
}

/// Whether `keys` rise strictly.
pub(crate) fn ascending<K: PartialOrd>(mut keys: impl Iterator<Item = K>, name: &'static str) -> Result<(), Malformed> {
    if keys.by_ref().is_sorted_by(|a, b| a < b) { Ok(()) } else { Err(Fault::Unordered.of(name)) }
}

#[test]
fn a_text_is_cut_between_characters() {
    assert_eq!(clipped("aé".to_owned(), 2), "a");
    assert_eq!(clipped("aé".to_owned(), 3), "aé");
}

#[test]
fn ids_come_whole_and_at_least_one() {
    assert_eq!(ids(&[1; 64], 2, "ids"), Ok(vec![RecordId([1; 32]); 2]));
    assert_eq!(ids(&[], 2, "ids"), Err(Fault::Length(0).of("ids")));
    assert_eq!(ids(&[1; 33], 2, "ids"), Err(Fault::Length(33).of("ids")));
    assert_eq!(ids(&[1; 96], 2, "ids"), Err(Fault::TooLong(2, 3).of("ids")));
}
