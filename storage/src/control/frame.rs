//! The frames of the control log, as bytes. The byte diagram is in `docs/architecture.md`.
//!
//! It knows no file: it writes into a buffer and reads from a slice, and never panics on what it reads.

/// What the log is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// The vote of this node, in place of the one before.
    Vote(Vec<u8>),
    /// How far entries are known to be committed.
    Committed(Vec<u8>),
    /// An entry.
    Entry(u64, Vec<u8>),
    /// Entries from this one on are gone.
    Truncate(u64),
    /// Entries up to this one are gone; a snapshot holds what they did.
    Purge(u64, Vec<u8>),
}

/// The version of a frame.
pub(super) const VERSION: u8 = 1;
/// The length of a frame's header.
pub(super) const HEADER: usize = 32;
/// What the disk writes as a whole.
const SECTOR: usize = 512;
/// Ends every frame, once to eight times. Not zero, so that a frame of which the end was not written shows it.
const END: u8 = 0xa5;
const ALIGN: usize = 8;

/// Where a frame stands among the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Which file it is in: counts the rewritings.
    pub(super) generation: u64,
    /// Which frame of the file it is, from 1.
    pub(super) number: u64,
    /// Up to which frame all were durable when it was written.
    pub(super) durable: u64,
}

/// A header that is in order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    length: usize,
    crc: u32,
    pub(super) version: u8,
    kind: u8,
    pub(super) place: Place,
}

impl Header {
    /// How many bytes the frame takes.
    pub(super) fn total(&self) -> usize {
        extent(self.length)
    }
}

impl Frame {
    /// Appends the frame to `out`.
    pub(super) fn write(&self, place: Place, out: &mut Vec<u8>) {
        let (kind, index, bytes): (u8, Option<u64>, &[u8]) = match self {
            Self::Vote(vote) => (1, None, vote),
            Self::Committed(id) => (2, None, id),
            Self::Entry(index, entry) => (3, Some(*index), entry),
            Self::Truncate(from) => (4, Some(*from), &[]),
            Self::Purge(upto, id) => (5, Some(*upto), id),
        };
        let mut payload: Vec<u8> = index.map(u64::to_le_bytes).into_iter().flatten().collect();
        payload.extend_from_slice(bytes);
        let begin = out.len();
        out.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(&crc32c::crc32c(&payload).to_le_bytes());
        out.extend_from_slice(&[VERSION, kind, 0, 0]);
        out.extend_from_slice(&place.number.to_le_bytes());
        out.extend_from_slice(&place.durable.to_le_bytes());
        let header = out.get(begin..).unwrap_or_default();
        out.extend_from_slice(&header_crc(header, place.generation).to_le_bytes());
        out.extend_from_slice(&payload);
        out.resize(begin + extent(payload.len()), END);
    }

    /// How many bytes of the caller's it holds.
    pub(super) fn length(&self) -> usize {
        match self {
            Self::Vote(bytes) | Self::Committed(bytes) | Self::Entry(_, bytes) | Self::Purge(_, bytes) => bytes.len(),
            Self::Truncate(_) => 0,
        }
    }

    /// The frame that `header` announces at the beginning of `bytes`; `None` if it is not as it was written.
    pub(super) fn read(header: &Header, bytes: &[u8]) -> Option<Self> {
        let payload = bytes.get(HEADER..HEADER.checked_add(header.length)?)?;
        let end = bytes.get(HEADER + header.length..header.total())?;
        if crc32c::crc32c(payload) != header.crc || end.iter().any(|byte| *byte != END) {
            return None;
        }
        let indexed = || payload.split_first_chunk().map(|(index, rest)| (u64::from_le_bytes(*index), rest.to_vec()));
        match header.kind {
            1 => Some(Self::Vote(payload.to_vec())),
            2 => Some(Self::Committed(payload.to_vec())),
            3 => indexed().map(|(index, entry)| Self::Entry(index, entry)),
            4 => indexed().filter(|(_, rest)| rest.is_empty()).map(|(from, _)| Self::Truncate(from)),
            5 => indexed().map(|(upto, id)| Self::Purge(upto, id)),
            _ => None,
        }
    }
}

/// The header at the beginning of `bytes`; `None` if there is none that is in order.
pub(super) fn read_header(bytes: &[u8], generation: u64) -> Option<Header> {
    let (fields, crc) = bytes.first_chunk::<HEADER>()?.split_last_chunk()?;
    if header_crc(fields, generation) != u32::from_le_bytes(*crc) {
        return None;
    }
    let (length, rest) = fields.split_first_chunk()?;
    let (crc, rest) = rest.split_first_chunk()?;
    let ([version, kind, 0, 0], rest) = rest.split_first_chunk()? else { return None };
    let (number, durable) = rest.split_first_chunk()?;
    Some(Header {
        length: usize::try_from(u32::from_le_bytes(*length)).ok()?,
        crc: u32::from_le_bytes(*crc),
        version: *version,
        kind: *kind,
        place: Place {
            generation,
            number: u64::from_le_bytes(*number),
            durable: u64::from_le_bytes(*durable.first_chunk()?),
        },
    })
}

/// Whether a frame that should begin at `at`, but is not in order, is what a write leaves that did not come to its end:
/// its end or one of its sectors still zero. Anything else means that what was once written has changed.
pub(super) fn is_torn(bytes: &[u8], at: usize, generation: u64) -> bool {
    let rest = bytes.get(at..).unwrap_or_default();
    let header = read_header(rest, generation);
    let Some(written) = rest.get(..header.map_or(HEADER, |header| header.total())) else { return true };
    let end_is_missing = match header {
        Some(_) => written.last() == Some(&0),
        None => written.ends_with(&[0; 4]),
    };
    let first = SECTOR - at % SECTOR;
    let (first, others) = written.split_at(first.min(written.len()));
    end_is_missing || std::iter::once(first).chain(others.chunks(SECTOR)).any(is_zero)
}

/// Whether there is nothing but zeros.
pub(super) fn is_zero(bytes: &[u8]) -> bool {
    const ZEROS: [u8; SECTOR] = [0; SECTOR];
    bytes.chunks(SECTOR).all(|chunk| ZEROS.get(..chunk.len()) == Some(chunk))
}

/// How many bytes there are up to the last one that is not zero.
pub(super) fn length_without_zeros(bytes: &[u8]) -> usize {
    let zero_sectors = bytes.rchunks(SECTOR).take_while(|sector| is_zero(sector)).map(<[u8]>::len).sum();
    let rest = bytes.len().saturating_sub(zero_sectors);
    bytes.iter().take(rest).rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

fn extent(payload: usize) -> usize {
    (HEADER + payload + 1).next_multiple_of(ALIGN)
}

fn header_crc(fields: &[u8], generation: u64) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(fields), &generation.to_le_bytes())
}
