//! `stemedb export`: every record of a node as signed envelopes, one a line.
//!
//! What is written is what was signed, byte for byte, so `stemedb import` takes it on any node. A file appears under its
//! name only when it is whole.

use super::client::Client;
use super::console::Console;
use super::failure::Failure;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// What to export, and where to.
#[derive(Clone, Debug, clap::Args)]
pub struct Export {
    /// Where to write it; a name that ends in .gz is compressed [default: the standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Passes over records that are damaged on the node's disk, instead of breaking off
    #[arg(long)]
    pub skip_damaged: bool,
}

impl Export {
    /// Streams all records of the node.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the node does not answer to the end, or the output cannot be written.
    pub fn run(&self, client: &Client, console: &mut Console<'_>) -> Result<(), Failure> {
        let skip = [("damaged", "skip".to_owned())];
        let envelopes = client.stream("/v1/records", if self.skip_damaged { &skip } else { &[] })?;
        match self.out.as_deref() {
            Some(path) if path.as_os_str() != "-" => to_file(envelopes, path),
            _ => copy(envelopes, console.out),
        }
    }
}

fn to_file(envelopes: impl Read, path: &Path) -> Result<(), Failure> {
    let mut half = path.as_os_str().to_owned();
    half.push(".part");
    let half = PathBuf::from(half);
    let unwritable = |error: io::Error| Failure::of(format!("cannot write {}", path.display()), &error);
    let file = File::create(&half).map_err(unwritable)?;
    let file = if path.extension().is_some_and(|extension| extension == "gz") {
        let mut gzip = GzEncoder::new(BufWriter::new(file), Compression::default());
        copy(envelopes, &mut gzip)?;
        gzip.finish().map_err(unwritable)?.into_inner().map_err(|error| unwritable(error.into_error()))?
    } else {
        let mut plain = BufWriter::new(file);
        copy(envelopes, &mut plain)?;
        plain.into_inner().map_err(|error| unwritable(error.into_error()))?
    };
    file.sync_all().and_then(|()| fs::rename(&half, path)).map_err(unwritable)
}

/// Said when the node did not come to the end.
const BROKEN_OFF: &str = "the export broke off; what was written is not whole. If records are damaged on the node's disk \
    (its log and `stemedb verify` say so), --skip-damaged exports the others";

/// Copies, telling a node that breaks off from an output that cannot be written.
fn copy(mut envelopes: impl Read, out: &mut dyn Write) -> Result<(), Failure> {
    let mut buffer = vec![0; 64 * 1024];
    let mut last = b'\n';
    loop {
        let count = envelopes.read(&mut buffer).map_err(|error| Failure::of(BROKEN_OFF, &error))?;
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
        out.write_all(bytes)?;
        last = bytes.last().copied().unwrap_or(last);
    }
    if last == b'\n' {
        return Ok(());
    }
    Err(Failure::Failed("the export broke off in the middle of a record; what was written is not whole".to_owned()))
}

#[test]
fn a_file_appears_only_when_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.ndjson.gz");
    let broken = to_file(&b"{\"v\":1}\n{\"v\""[..], &path).unwrap_err();
    assert!(broken.to_string().contains("not whole") && !path.exists());
    to_file(&b"{\"v\":1}\n"[..], &path).unwrap();
    let mut read = String::new();
    flate2::read::GzDecoder::new(File::open(&path).unwrap()).read_to_string(&mut read).unwrap();
    assert_eq!(read, "{\"v\":1}\n");
}
