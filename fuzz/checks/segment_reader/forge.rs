//! Right CRCs for wrong bytes, so that the fuzzer gets past the checksums.
//!
//! Written from the format in `docs/architecture.md`, not from the code that it tests.

use super::folder::STORE;

const SEGMENT_HEADER: usize = 64;
const BATCH_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// The header of an empty segment.
pub(super) fn segment_header(number: u32, generation: u32) -> [u8; SEGMENT_HEADER] {
    let mut header = [0; SEGMENT_HEADER];
    put(&mut header, 0, b"STEMELOG");
    put(&mut header, 8, &[1, 0, u8::from(generation > 0), 0]);
    put(&mut header, 12, &number.to_le_bytes());
    put(&mut header, 16, &generation.to_le_bytes());
    put(&mut header, 20, &STORE);
    let crc = crc32c::crc32c(header.get(..60).unwrap_or_default());
    put(&mut header, 60, &crc.to_le_bytes());
    header
}

/// Makes the CRCs of a segment right: of its header, its batches and their frames, as far as their lengths lead.
pub(super) fn right_crcs(segment: &mut [u8]) {
    let Some((header, _)) = segment.split_at_mut_checked(SEGMENT_HEADER) else { return };
    let number = [12, 13, 14, 15].map(|at| header.get(at).copied().unwrap_or_default());
    let store: Vec<u8> = header.get(20..36).unwrap_or_default().to_vec();
    let crc = crc32c::crc32c(header.get(..60).unwrap_or_default());
    put(header, 60, &crc.to_le_bytes());
    let mut at = SEGMENT_HEADER;
    while let Some(rest) = segment.get_mut(at..).filter(|rest| rest.len() >= BATCH_HEADER) {
        let length = number_at(rest, 4).filter(|_| rest.starts_with(b"BTCH"));
        let Some(frames) = length.and_then(|length| rest.get_mut(BATCH_HEADER..BATCH_HEADER.checked_add(length)?))
        else {
            at += 8;
            continue;
        };
        right_frames(frames);
        let (length, crc) = (frames.len(), crc32c::crc32c(frames));
        put(rest, 8, &crc.to_le_bytes());
        let covered = [rest.get(..28).unwrap_or_default(), &store, &number].concat();
        put(rest, 28, &crc32c::crc32c(&covered).to_le_bytes());
        at += (BATCH_HEADER + length).next_multiple_of(8);
    }
}

fn right_frames(mut frames: &mut [u8]) {
    while let Some(length) = number_at(frames, 0).and_then(|length| length.checked_add(FRAME_HEADER)) {
        let Some((frame, rest)) = frames.split_at_mut_checked(length) else { return };
        let crc = crc32c::crc32c(frame.get(8..).unwrap_or_default());
        put(frame, 4, &crc.to_le_bytes());
        frames = rest;
    }
}

/// Makes the CRC in the last line of a manifest right.
pub(super) fn right_manifest(manifest: &mut Vec<u8>) {
    const LAST_LINE: usize = "crc32c 00000000\n".len();
    manifest.truncate(manifest.len().saturating_sub(LAST_LINE));
    let crc = crc32c::crc32c(manifest);
    manifest.extend_from_slice(format!("crc32c {crc:08x}\n").as_bytes());
}

fn number_at(bytes: &[u8], at: usize) -> Option<usize> {
    let number = bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)?;
    usize::try_from(number).ok()
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes.iter_mut().skip(at).zip(value).for_each(|(slot, byte)| *slot = *byte);
}
