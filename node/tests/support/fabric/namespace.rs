//! A thread that lives in a network namespace of its own, and does there what it is told.

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};
use rustix::thread::UnshareFlags;
use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};

/// What waits to be done, at most.
const JOBS_MAX: usize = 16;

type Job = Box<dyn FnOnce() + Send>;

/// A namespace, as long as this or anything in it lives.
#[derive(Debug)]
pub struct Namespace {
    jobs: SyncSender<Job>,
}

impl Namespace {
    /// A new one, whose loopback takes all of 127.0.0.0/8.
    pub fn new() -> io::Result<Self> {
        let (jobs, to_do) = sync_channel::<Job>(JOBS_MAX);
        let (told, hear) = sync_channel(1);
        let live = move || {
            let entered = enter();
            let is_there = entered.is_ok();
            told.send(entered).ok();
            to_do.into_iter().take_while(|_| is_there).for_each(|job| job());
        };
        std::thread::Builder::new().name("namespace".to_owned()).spawn(live)?;
        hear.recv().map_err(io::Error::other)??;
        Ok(Self { jobs })
    }

    /// Does something in it and waits for that.
    pub fn run<T: Send + 'static>(&self, act: impl FnOnce() -> T + Send + 'static) -> T {
        let (told, hear) = sync_channel(1);
        self.jobs.send(Box::new(move || drop(told.send(act())))).unwrap();
        hear.recv().expect("it did not panic")
    }
}

/// Takes this thread into a new namespace, for good.
fn enter() -> io::Result<()> {
    #[expect(deprecated, reason = "what replaces it is unsafe for the sake of a flag that is not used here")]
    rustix::thread::unshare(UnshareFlags::NEWNET)?;
    raise_loopback()
}

/// Tells the kernel that the loopback is up: an `RTM_NEWLINK` for the first interface, which it always is. The layout is that
/// of netlink(7) and rtnetlink(7).
#[expect(clippy::host_endian_bytes, reason = "netlink has the byte order of the machine")]
fn raise_loopback() -> io::Result<()> {
    const LENGTH: u32 = 32;
    const RTM_NEWLINK: u16 = 16;
    const REQUEST_AND_ACKNOWLEDGE: u16 = 1 | 4;
    const LOOPBACK: u32 = 1;
    const UP: u32 = 1;
    let head = [LENGTH.to_ne_bytes(), join(RTM_NEWLINK, REQUEST_AND_ACKNOWLEDGE), [0; 4], [0; 4]];
    let link = [[0; 4], LOOPBACK.to_ne_bytes(), UP.to_ne_bytes(), UP.to_ne_bytes()];
    let message = [head, link].concat().concat();

    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    sendto(&socket, &message, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut answer = [0; 256];
    let (length, _) = recv(&socket, &mut answer[..], RecvFlags::empty())?;
    // A head of 16 bytes, then the error: 0, or a number of the system below it.
    match answer[..length].get(16..20).map(|error| i32::from_ne_bytes(error.try_into().unwrap())) {
        Some(0) => Ok(()),
        Some(error) => Err(io::Error::from_raw_os_error(-error)),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}

#[expect(clippy::host_endian_bytes, reason = "netlink has the byte order of the machine")]
fn join(first: u16, second: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (first.to_ne_bytes(), second.to_ne_bytes());
    [a, b, c, d]
}
