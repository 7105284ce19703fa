//! Segment files: their names and their headers.
//!
//! A segment's identity is its number, its generation and the store's id. The header states it, the file's name and the
//! manifest repeat it, so that no single damaged byte can make a segment unreadable.

use super::batch::Owner;
use super::bytes::{array, u16_at, u32_at, u64_at};
use model::Stamp;

/// The length of a segment's header in bytes: where the first batch begins.
pub(super) const SEGMENT_HEADER: u32 = 64;
/// What a segment begins with.
const SEGMENT_MAGIC: [u8; 8] = *b"STEMELOG";
/// The format version that this release writes, and the only one it reads.
const FORMAT_VERSION: u16 = 1;
/// The flag of a compacted segment.
const COMPACTED: u16 = 1;
/// Where the header's own CRC stands.
const CRC_AT: usize = 60;

/// What stands at the start of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    /// The number, from 1.
    pub(super) number: u32,
    /// 0 until compacted.
    pub(super) generation: u32,
    /// The store's id.
    pub(super) store: [u8; 16],
    /// The clock's ceiling when the segment was begun.
    pub(super) ceiling: Stamp,
}

/// Why a segment's header could not be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderError {
    /// It is not what was written.
    Damaged,
    /// A newer release wrote it.
    Version(u16),
}

impl SegmentHeader {
    /// The header's bytes.
    pub(super) fn encode(&self) -> [u8; 64] {
        let flags = if self.generation > 0 { COMPACTED } else { 0 };
        let parts: [&[u8]; 8] = [
            &SEGMENT_MAGIC,
            &FORMAT_VERSION.to_le_bytes(),
            &flags.to_le_bytes(),
            &self.number.to_le_bytes(),
            &self.generation.to_le_bytes(),
            &self.store,
            &self.ceiling.to_bits().to_le_bytes(),
            &[0; 16],
        ];
        let covered = parts.concat();
        let crc = crc32c::crc32c(&covered).to_le_bytes();
        let mut bytes = [0; 64];
        for (slot, byte) in bytes.iter_mut().zip(covered.iter().chain(&crc)) {
            *slot = *byte;
        }
        bytes
    }

    /// Reads a header.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, HeaderError> {
        Self::checked(bytes).unwrap_or(Err(HeaderError::Damaged))
    }

    fn checked(bytes: &[u8]) -> Option<Result<Self, HeaderError>> {
        let covered = bytes.get(..CRC_AT)?;
        if !bytes.starts_with(&SEGMENT_MAGIC) || u32_at(bytes, CRC_AT)? != crc32c::crc32c(covered) {
            return None;
        }
        let version = u16_at(bytes, 8)?;
        if version != FORMAT_VERSION {
            return Some(Err(HeaderError::Version(version)));
        }
        Some(Ok(Self {
            number: u32_at(bytes, 12)?,
            generation: u32_at(bytes, 16)?,
            store: array(bytes, 20)?,
            ceiling: Stamp::from_bits(u64_at(bytes, 36)?),
        }))
    }

    /// What its batches must prove to belong to.
    pub(super) fn owner(&self) -> Owner {
        Owner { store: self.store, segment: self.number }
    }
}

/// The name of a segment's file.
pub(super) fn file_name(number: u32, generation: u32) -> String {
    format!("{number:010}-{generation:04}.log")
}

/// The number and the generation that a file's name states; `None` if it is no segment's.
pub(super) fn parse_name(name: &str) -> Option<(u32, u32)> {
    let (number, generation) = name.strip_suffix(".log")?.split_once('-')?;
    let parsed = (number.parse().ok()?, generation.parse().ok()?);
    (file_name(parsed.0, parsed.1) == name).then_some(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_back_and_no_flipped_bit_goes_unnoticed() {
        let header = SegmentHeader { number: 3, generation: 2, store: [7; 16], ceiling: Stamp::from_bits(99) };
        let mut bytes = header.encode();
        assert_eq!(SegmentHeader::read(&bytes), Ok(header));
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::read(&bytes), Err(HeaderError::Damaged), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn a_file_name_states_number_and_generation() {
        assert_eq!(file_name(12, 3), "0000000012-0003.log");
        assert_eq!(parse_name("0000000012-0003.log"), Some((12, 3)));
        for other in ["MANIFEST", "12-3.log", "0000000012-0003.tmp", "0000000012-+003.log", "spare.tmp"] {
            assert_eq!(parse_name(other), None, "{other}");
        }
    }
}
