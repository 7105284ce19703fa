//! The disk as the log needs it: two small synchronous traits.
//!
//! Everything the store keeps goes through them, so that one log runs on a real disk and on one that crashes, tears,
//! fills up and fails on request. Nothing here caches, maps files into memory or runs in the background.
//!
//! The order that survives every crash: write a temporary file, sync it, rename it, sync the directory, and open the file
//! again under its new name (a handle from before a rename is not to be used any more).

mod memory;
mod standard;

#[cfg(test)]
mod tests;

pub use memory::{Crash, Fault, MemoryDisk};
pub use standard::StdDisk;

use std::any::Any;
use std::fmt::Debug;
use std::io;
use std::path::Path;

/// What [`Disk::lock`] returns: the lock is given up when this is dropped.
pub type DiskLock = Box<dyn Any + Send + Sync>;

/// A tree of directories and files.
///
/// Creating, renaming and removing are durable only after [`Disk::sync_dir`] of the directory.
pub trait Disk: Debug + Send + Sync {
    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`] if there is none; otherwise what the disk says.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Creates a file, empty, for reading and writing; one of that name is emptied.
    ///
    /// # Errors
    ///
    /// What the disk says.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// [`Disk::create`] for a secret: nobody but the owner may read the file.
    ///
    /// # Errors
    ///
    /// What the disk says.
    fn create_private(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// All of a small file with a secret, which need not be writable.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`] if there is none, [`io::ErrorKind::PermissionDenied`] if anybody may read it,
    /// [`io::ErrorKind::FileTooLarge`] beyond `bytes_max`; otherwise what the disk says.
    fn read_secret(&self, path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
        let file = self.open(path)?;
        let length = file.length()?;
        if length > bytes_max {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    /// Renames a file inside one directory; a file of the new name is replaced.
    ///
    /// # Errors
    ///
    /// What the disk says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file. Handles that are open keep reading it.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`] if there is none; otherwise what the disk says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes what was created, renamed and removed in a directory durable.
    ///
    /// # Errors
    ///
    /// What the disk says; then it is unknown which of it is durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// The names of the files in a directory, sorted. Subdirectories and names that are not UTF-8 are left out.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`] if there is no such directory; otherwise what the disk says.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Makes a directory and those above it, durably; existing ones are fine.
    ///
    /// # Errors
    ///
    /// What the disk says.
    fn make_dirs(&self, dir: &Path) -> io::Result<()>;

    /// The length of a file in bytes.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`] if there is none; otherwise what the disk says.
    fn file_length(&self, path: &Path) -> io::Result<u64>;

    /// The sum of the lengths of all files in a directory and below it, in bytes. Cost: a look at each of them.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`] if there is no such directory; otherwise what the disk says.
    fn used_bytes(&self, dir: &Path) -> io::Result<u64>;

    /// How many bytes the disk that holds a directory still has room for.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`] if there is no such directory; otherwise what the disk says.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;

    /// Takes an exclusive lock named by a file, which is made if it is missing, and never waits.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] if somebody holds it; otherwise what the disk says.
    fn lock(&self, path: &Path) -> io::Result<DiskLock>;
}

/// An open file, readable and writable at any offset, by several threads at once.
pub trait DiskFile: Debug + Send + Sync {
    /// Fills `buffer` from `offset` on.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::UnexpectedEof`] if the file ends before; otherwise what the disk says.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`. Not durable before a sync.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::StorageFull`] if there is no room; a part may have been written all the same.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// The length in bytes.
    ///
    /// # Errors
    ///
    /// What the disk says.
    fn length(&self) -> io::Result<u64>;

    /// Cuts the file to `length` bytes, or extends it with zeros.
    ///
    /// # Errors
    ///
    /// What the disk says.
    fn set_length(&self, length: u64) -> io::Result<()>;

    /// Makes the bytes written durable, and the length if they need it.
    ///
    /// # Errors
    ///
    /// What the disk says; then it is unknown what is durable, and trying again proves nothing.
    fn sync_data(&self) -> io::Result<()>;

    /// [`DiskFile::sync_data`], and everything else about the file besides.
    ///
    /// # Errors
    ///
    /// As [`DiskFile::sync_data`].
    fn sync_all(&self) -> io::Result<()>;
}
