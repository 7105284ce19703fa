//! The kept corpus, replayed without a fuzzer.

use std::panic::{RefUnwindSafe, catch_unwind};
use std::path::Path;
use std::{fs, io};

/// Runs `check` on every input in `fuzz/corpus/<target>` and returns the names of those that break a rule.
///
/// # Errors
///
/// What the disk says; [`io::ErrorKind::NotFound`] if there is no corpus or nothing in it.
pub(crate) fn replay(target: &str, check: impl Fn(&[u8]) + RefUnwindSafe) -> io::Result<Vec<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let (mut broken, mut inputs) = (Vec::new(), 0);
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let bytes = fs::read(&path)?;
        inputs += 1;
        if catch_unwind(|| check(&bytes)).is_err() {
            broken.push(path.display().to_string());
        }
    }
    if inputs == 0 { Err(io::ErrorKind::NotFound.into()) } else { Ok(broken) }
}
