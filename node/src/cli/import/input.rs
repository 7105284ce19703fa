//! The lines of an import: from a file or standard input, plain or gzip, told apart by content.
//!
//! A line is never held beyond its limit; a longer one is skipped and reported.

use crate::cli::failure::Failure;
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The longest line that is read: twice the longest body, and its signatures, with room for escapes.
pub const LINE_BYTES_MAX: usize = 1024 * 1024;

/// An open input.
pub struct Input {
    lines: Box<dyn BufRead>,
    consumed: Arc<AtomicU64>,
    bytes_total: Option<u64>,
    number: u64,
}

/// One line of the input.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// Its bytes without the end of the line.
    Bytes(Vec<u8>),
    /// It is longer than [`LINE_BYTES_MAX`].
    TooLong,
}

impl Input {
    /// Opens a file, or standard input for `-`.
    ///
    /// # Errors
    ///
    /// [`Failure::Failed`] if it cannot be read.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        if path.as_os_str() == "-" {
            return Self::new(io::stdin().lock(), None).map_err(|error| Failure::of("cannot read the input", &error));
        }
        let unreadable = |error: io::Error| Failure::of(format!("cannot read {}", path.display()), &error);
        let file = File::open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if metadata.is_dir() {
            return Err(Failure::Usage(format!("{} is a folder; name a file, or - for the input", path.display())));
        }
        Self::new(file, metadata.is_file().then_some(metadata.len())).map_err(unreadable)
    }

    fn new(source: impl Read + 'static, bytes_total: Option<u64>) -> io::Result<Self> {
        let consumed = Arc::new(AtomicU64::new(0));
        let mut raw = BufReader::with_capacity(256 * 1024, Counted { source, consumed: Arc::clone(&consumed) });
        let is_gzip = raw.fill_buf()?.starts_with(&[0x1f, 0x8b]);
        let lines: Box<dyn BufRead> =
            if is_gzip { Box::new(BufReader::new(MultiGzDecoder::new(raw))) } else { Box::new(raw) };
        Ok(Self { lines, consumed, bytes_total, number: 0 })
    }

    /// How many bytes of the input (compressed, where it is) were read so far.
    pub fn consumed(&self) -> u64 {
        self.consumed.load(Ordering::Relaxed)
    }

    /// How many bytes the input has, if that can be known.
    pub fn bytes_total(&self) -> Option<u64> {
        self.bytes_total
    }

    /// The next line that is not blank, with its number from 1; nothing at the end.
    ///
    /// # Errors
    ///
    /// Those of reading, a broken gzip stream included.
    pub fn next_line(&mut self) -> io::Result<Option<(u64, Line)>> {
        loop {
            let mut bytes = Vec::new();
            let limit = LINE_BYTES_MAX as u64 + 1;
            if self.lines.by_ref().take(limit).read_until(b'\n', &mut bytes)? == 0 {
                return Ok(None);
            }
            self.number += 1;
            let is_whole = bytes.last() == Some(&b'\n');
            if !is_whole && bytes.len() > LINE_BYTES_MAX {
                self.lines.skip_until(b'\n')?;
                return Ok(Some((self.number, Line::TooLong)));
            }
            let trimmed = bytes.trim_ascii_end().len();
            bytes.truncate(trimmed);
            if !bytes.is_empty() {
                return Ok(Some((self.number, Line::Bytes(bytes))));
            }
        }
    }
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Input(line {})", self.number)
    }
}

struct Counted<R> {
    source: R,
    consumed: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.consumed.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, Write as _};

    fn lines(bytes: Vec<u8>) -> Vec<(u64, Line)> {
        let mut input = Input::new(Cursor::new(bytes), None).unwrap();
        std::iter::from_fn(|| input.next_line().unwrap()).collect()
    }

    fn line(number: u64, text: &str) -> (u64, Line) {
        (number, Line::Bytes(text.into()))
    }

    #[test]
    fn gzip_is_told_by_content() {
        let text = b"a\r\n\n  \nb";
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text).unwrap();
        let expected = [line(1, "a"), line(4, "b")];
        assert_eq!(lines(text.to_vec()), expected);
        assert_eq!(lines(gzip.finish().unwrap()), expected);
        assert_eq!(lines(Vec::new()), []);
    }

    #[test]
    fn a_line_beyond_the_limit_is_skipped_and_numbered() {
        let mut bytes = vec![b'x'; LINE_BYTES_MAX];
        bytes.extend_from_slice(b"\nb\n");
        bytes.extend(vec![b'y'; LINE_BYTES_MAX + 1]);
        bytes.extend_from_slice(b"\nd");
        let read = lines(bytes);
        assert_eq!(read.len(), 4);
        assert_eq!(&read[1..], [line(2, "b"), (3, Line::TooLong), line(4, "d")]);
    }
}
