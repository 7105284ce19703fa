//! Reading the control log after whatever happened.
//!
//! What ends in a write that was torn is cut there: nothing of that write was acknowledged. Anything else that is not in
//! order is an error: a vote or an entry that was acknowledged may be lost, and a node that forgot a vote can help to elect
//! a second leader. So it never guesses in favour of going on.

use super::ControlLogError;
use super::contents::Contents;
use super::frame::{self, Frame, HEADER, is_torn, is_zero, length_without_zeros};

/// The name of the log's file.
pub(super) const LOG: &str = "LOG";
const MAGIC: &[u8; 8] = b"STEMECTL";
const FILE_VERSION: u16 = 1;

/// The head of a log file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Counts the rewritings, from 1.
    pub(super) generation: u64,
    /// How many frames the file had when it got its name; all of them durable.
    pub(super) settled: u64,
}

impl Head {
    /// The bytes of the head.
    pub(super) fn write(self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&FILE_VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 2]);
        bytes.extend_from_slice(&self.generation.to_le_bytes());
        bytes.extend_from_slice(&self.settled.to_le_bytes());
        let crc = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Self, ControlLogError> {
        let damaged = || ControlLogError::Damaged { file: LOG, at: 0 };
        let (fields, crc) =
            bytes.first_chunk::<HEADER>().and_then(|head| head.split_last_chunk()).ok_or_else(damaged)?;
        let (magic, rest) = fields.split_first_chunk::<8>().ok_or_else(damaged)?;
        if crc32c::crc32c(fields).to_le_bytes() != *crc || magic != MAGIC {
            return Err(damaged());
        }
        let (version, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let version = u16::from_le_bytes(*version);
        if version != FILE_VERSION {
            return Err(ControlLogError::Version { file: LOG, version });
        }
        let number = |at: usize| rest.get(at..).and_then(|rest| rest.first_chunk()).copied().map(u64::from_le_bytes);
        let (generation, settled) = number(2).zip(number(10)).ok_or_else(damaged)?;
        Ok(Self { generation, settled })
    }
}

/// What a log file holds.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) head: Head,
    pub(super) contents: Contents,
    /// How many bytes of a torn write were left out.
    pub(super) torn_bytes: u64,
}

/// Reads a whole log file.
///
/// # Errors
///
/// [`ControlLogError::Damaged`] or [`ControlLogError::Version`].
pub(super) fn read(bytes: &[u8]) -> Result<Read, ControlLogError> {
    let head = Head::read(bytes)?;
    let mut contents = Contents::default();
    let (mut at, mut number) = (HEADER, 1);
    while let Some(rest) = bytes.get(at..).filter(|rest| !is_zero(rest)) {
        let Some((frame, length)) = read_frame(rest, head.generation, number)? else { break };
        contents.apply(frame).map_err(|_senseless| damaged(at))?;
        at += length;
        number += 1;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    let torn_bytes = length_without_zeros(rest);
    let rest = rest.get(..torn_bytes).unwrap_or_default();
    let acknowledged = number <= head.settled || is_proven_durable(rest, head.generation, number);
    if acknowledged || (torn_bytes > 0 && !is_torn(bytes, at, head.generation)) {
        return Err(damaged(at));
    }
    Ok(Read { head, contents, torn_bytes: to_u64(torn_bytes) })
}

/// The frame with that number at the beginning of `rest`, and its length; `None` if it is not there or not in order.
fn read_frame(rest: &[u8], generation: u64, number: u64) -> Result<Option<(Frame, usize)>, ControlLogError> {
    let header = frame::read_header(rest, generation).filter(|header| header.place.number == number);
    let Some(header) = header else { return Ok(None) };
    if header.version != frame::VERSION {
        return Err(ControlLogError::Version { file: LOG, version: u16::from(header.version) });
    }
    Ok(Frame::read(&header, rest).map(|frame| (frame, header.total())))
}

/// Whether a frame further on says that the one with that number was durable when it was written.
fn is_proven_durable(rest: &[u8], generation: u64, number: u64) -> bool {
    let later = (0..rest.len()).step_by(8).filter_map(|at| frame::read_header(rest.get(at..)?, generation));
    later.map(|header| header.place.durable).any(|durable| durable >= number)
}

fn damaged(at: usize) -> ControlLogError {
    ControlLogError::Damaged { file: LOG, at: to_u64(at) }
}

fn to_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
