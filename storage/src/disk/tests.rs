//! What every disk must do, checked on both, and what only the one in memory does.

use super::*;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

/// The rules that both disks share.
fn check(disk: Arc<dyn Disk>, root: &Path) {
    let dir = root.join("a/b");
    disk.make_dirs(&dir).unwrap();
    disk.make_dirs(&dir).unwrap();
    let (one, two) = (dir.join("one"), dir.join("two"));
    assert_eq!(disk.open(&one).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(disk.remove(&one).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(disk.file_length(&one).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(disk.list(&root.join("c")).unwrap_err().kind(), io::ErrorKind::NotFound);

    let file = disk.create(&one).unwrap();
    file.write_all_at(b"hello", 3).unwrap();
    assert_eq!(file.length().unwrap(), 8);
    let mut bytes = [1; 8];
    file.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"\0\0\0hello");
    assert_eq!(file.read_exact_at(&mut bytes, 1).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    file.set_length(4).unwrap();
    file.set_length(6).unwrap();
    file.read_exact_at(&mut bytes[..6], 0).unwrap();
    assert_eq!(&bytes[..6], b"\0\0\0h\0\0");
    file.sync_data().unwrap();
    file.sync_all().unwrap();

    disk.rename(&one, &two).unwrap();
    disk.sync_dir(&dir).unwrap();
    assert_eq!(disk.list(&dir).unwrap(), ["two"]);
    let two_again = disk.open(&two).unwrap();
    disk.remove(&two).unwrap();
    two_again.read_exact_at(&mut bytes[..6], 0).unwrap();
    assert!(disk.list(&dir).unwrap().is_empty());

    disk.create(&one).unwrap().write_all_at(b"old", 0).unwrap();
    assert_eq!(disk.create(&one).unwrap().length().unwrap(), 0);

    assert_eq!(disk.used_bytes(&root.join("c")).unwrap_err().kind(), io::ErrorKind::NotFound);
    let (before, below) = (disk.used_bytes(root).unwrap(), dir.join("below"));
    disk.make_dirs(&below).unwrap();
    disk.create_private(&below.join("key")).unwrap().write_all_at(b"12345", 0).unwrap();
    assert_eq!(disk.used_bytes(root).unwrap(), before + 5);
    assert_eq!(disk.used_bytes(&below).unwrap(), 5);
    assert!(disk.free_bytes(&below).unwrap() > 0);
    assert_eq!(disk.free_bytes(&root.join("c")).unwrap_err().kind(), io::ErrorKind::NotFound);

    let lock = disk.lock(&dir.join("LOCK")).unwrap();
    assert_eq!(disk.lock(&dir.join("LOCK")).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    drop(lock);
    drop(disk.lock(&dir.join("LOCK")).unwrap());
}

#[test]
fn the_disk_of_the_machine_conforms() {
    let folder = tempfile::tempdir().unwrap();
    check(Arc::new(StdDisk), folder.path());
}

#[test]
fn a_secret_is_for_its_owner_even_if_a_file_of_that_name_was_for_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    StdDisk.create(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    StdDisk.create_private(&path).unwrap();
    assert_eq!(mode(), 0o600);
}

#[test]
fn the_disk_in_memory_conforms() {
    check(Arc::new(MemoryDisk::new()), Path::new("/root"));
}

fn read(disk: &MemoryDisk, path: &str) -> io::Result<Vec<u8>> {
    let length = disk.file_length(Path::new(path))?;
    let mut bytes = vec![0; usize::try_from(length).unwrap()];
    disk.open(Path::new(path))?.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

fn disk_with(name: &str, bytes: &[u8]) -> (MemoryDisk, Box<dyn DiskFile>) {
    let disk = MemoryDisk::new();
    disk.make_dirs(Path::new("/d")).unwrap();
    let file = disk.create(Path::new(name)).unwrap();
    file.write_all_at(bytes, 0).unwrap();
    (disk, file)
}

#[test]
fn a_file_needs_its_own_sync_and_that_of_its_directory_to_survive() {
    let (disk, file) = disk_with("/d/f", b"x");
    file.sync_data().unwrap();
    disk.crash(Crash::DropUnsynced);
    assert!(read(&disk, "/d/f").is_err());

    let (disk, _file) = disk_with("/d/f", b"x");
    disk.sync_dir(Path::new("/d")).unwrap();
    disk.crash(Crash::DropUnsynced);
    assert_eq!(read(&disk, "/d/f").unwrap(), b"");

    let (disk, file) = disk_with("/d/f", b"x");
    file.sync_data().unwrap();
    disk.sync_dir(Path::new("/d")).unwrap();
    disk.crash(Crash::DropUnsynced);
    assert_eq!(read(&disk, "/d/f").unwrap(), b"x");
    assert!(file.write_all_at(b"y", 0).is_err(), "a handle does not outlive a crash");
}

#[test]
fn a_crash_tears_unsynced_writes_by_blocks() {
    let (mut mixed, mut whole) = (0, 0);
    for seed in 0..50 {
        let (disk, file) = disk_with("/d/f", &[1; 4096]);
        file.sync_all().unwrap();
        disk.sync_dir(Path::new("/d")).unwrap();
        file.write_all_at(&[2; 4096], 0).unwrap();
        disk.crash(Crash::Torn(seed));
        let bytes = read(&disk, "/d/f").unwrap();
        assert!(bytes.chunks(BLOCK).all(|block| block.iter().all(|byte| *byte == block[0])));
        if bytes.iter().all(|byte| *byte == bytes[0]) { whole += 1 } else { mixed += 1 }
    }
    assert!(mixed > 30, "{mixed} mixed, {whole} whole");
}

/// The block that a disk writes as a whole.
const BLOCK: usize = 512;

#[test]
fn a_sync_after_a_failed_sync_makes_nothing_durable() {
    let (disk, file) = disk_with("/d/f", b"old");
    file.sync_all().unwrap();
    disk.sync_dir(Path::new("/d")).unwrap();
    file.write_all_at(b"new", 0).unwrap();
    disk.fail_at(1, Fault::Once);
    assert!(file.sync_data().is_err());
    file.sync_data().unwrap();
    assert_eq!(read(&disk, "/d/f").unwrap(), b"new");
    disk.crash(Crash::DropUnsynced);
    assert_eq!(read(&disk, "/d/f").unwrap(), b"old");
}

#[test]
fn a_full_disk_takes_a_part_and_says_so() {
    let (disk, file) = disk_with("/d/f", b"four");
    disk.set_capacity(Some(6));
    assert_eq!(disk.free_bytes(Path::new("/d")).unwrap(), 2);
    assert_eq!(file.write_all_at(b"12345678", 0).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(read(&disk, "/d/f").unwrap(), b"123456");
    file.write_all_at(b"abcdef", 0).unwrap();
    disk.set_capacity(None);
    file.write_all_at(b"12345678", 0).unwrap();
}

#[test]
fn faults_hit_the_call_they_were_asked_for() {
    let (disk, file) = disk_with("/d/f", b"aaaa");
    disk.fail_at(2, Fault::FlipRead);
    assert_eq!(read(&disk, "/d/f").unwrap(), [b'a', b'a', b'a' ^ 1, b'a']);
    disk.fail_at(2, Fault::ForEver);
    file.sync_data().unwrap();
    assert!(file.sync_data().is_err());
    assert!(disk.list(Path::new("/d")).is_err());
    disk.heal();
    assert!(disk.flip(Path::new("/d/f"), 0, 2));
    assert_eq!(read(&disk, "/d/f").unwrap(), [b'a' ^ 2, b'a', b'a', b'a']);
    assert!(!disk.flip(Path::new("/d/f"), 4, 2));
}
