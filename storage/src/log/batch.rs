//! Batches: what one sync makes durable.
//!
//! A header proves that the batch belongs to this store, this segment and this place. It never covers the frames' own
//! CRCs: a batch may be damaged and most of its frames whole.

use super::bytes::{u32_at, u64_at};

/// The length of a batch's header in bytes.
pub(super) const BATCH_HEADER: u32 = 32;
/// What a batch begins with.
pub(super) const BATCH_MAGIC: [u8; 4] = *b"BTCH";
/// Where the header's own CRC stands.
const CRC_AT: usize = 28;

/// Which segment of which store a batch belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) store: [u8; 16],
    pub(super) segment: u32,
}

/// What stands before the frames of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BatchHeader {
    /// The length of the frames in bytes.
    pub(super) length: u32,
    /// The CRC of the frames.
    pub(super) frames_crc: u32,
    /// Where the batch before ended; 64 for the first.
    pub(super) previous_end: u32,
    /// The number of the batch in the log, from 1.
    pub(super) number: u64,
    /// How many frames follow.
    pub(super) frames: u32,
}

impl BatchHeader {
    /// The header's bytes in the segment `owner`.
    pub(super) fn encode(&self, owner: Owner) -> [u8; 32] {
        let mut bytes = [0; 32];
        let parts: [&[u8]; 6] = [
            &BATCH_MAGIC,
            &self.length.to_le_bytes(),
            &self.frames_crc.to_le_bytes(),
            &self.previous_end.to_le_bytes(),
            &self.number.to_le_bytes(),
            &self.frames.to_le_bytes(),
        ];
        let covered = parts.concat();
        let crc = crc(&covered, owner).to_le_bytes();
        for (slot, byte) in bytes.iter_mut().zip(covered.iter().chain(&crc)) {
            *slot = *byte;
        }
        bytes
    }

    /// The header at the start of `bytes`; `None` if it is none of the segment `owner`.
    pub(super) fn read(bytes: &[u8], owner: Owner) -> Option<Self> {
        let covered = bytes.get(..CRC_AT)?;
        if !bytes.starts_with(&BATCH_MAGIC) || u32_at(bytes, CRC_AT)? != crc(covered, owner) {
            return None;
        }
        Some(Self {
            length: u32_at(bytes, 4)?,
            frames_crc: u32_at(bytes, 8)?,
            previous_end: u32_at(bytes, 12)?,
            number: u64_at(bytes, 16)?,
            frames: u32_at(bytes, 24)?,
        })
    }

    /// The CRC of the header in the segment `owner`: what the manifest keeps of a segment's last batch.
    pub(super) fn crc(&self, owner: Owner) -> u32 {
        let bytes = self.encode(owner);
        u32_at(&bytes, CRC_AT).unwrap_or_default()
    }
}

fn crc(covered: &[u8], owner: Owner) -> u32 {
    let crc = crc32c::crc32c_append(crc32c::crc32c(covered), &owner.store);
    crc32c::crc32c_append(crc, &owner.segment.to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: Owner = Owner { store: [9; 16], segment: 3 };
    const HEADER: BatchHeader = BatchHeader { length: 57, frames_crc: 1, previous_end: 64, number: 12, frames: 2 };

    #[test]
    fn a_header_reads_back_in_its_own_segment_only() {
        let bytes = HEADER.encode(OWNER);
        assert_eq!(BatchHeader::read(&bytes, OWNER), Some(HEADER));
        assert_eq!(BatchHeader::read(&bytes, Owner { segment: 4, ..OWNER }), None);
        assert_eq!(BatchHeader::read(&bytes, Owner { store: [8; 16], ..OWNER }), None);
    }

    #[test]
    fn no_flipped_bit_goes_unnoticed() {
        let mut bytes = HEADER.encode(OWNER);
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(BatchHeader::read(&bytes, OWNER), None, "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
