//! The network as a node needs it: streams to listen for and to open, and datagrams.
//!
//! It knows no protocol and never retries. On a machine it is the system's sockets, in a simulation it is turmoil's.

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a method of this module returns.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// Where a node opens its sockets.
pub trait Network: Debug + Send + Sync + 'static {
    /// Whether others than the nodes can listen in on it or speak on it, so that nodes must show who they are and seal what
    /// they say to each other.
    fn is_open(&self) -> bool;

    /// Listens for streams. Port 0 lets the network choose.
    fn listen(&self, address: SocketAddr) -> Pending<'_, Box<dyn Listener>>;

    /// Opens a stream. May wait for ever where the other side is silent: the caller sets a deadline.
    fn connect(&self, address: SocketAddr) -> Pending<'_, Stream>;

    /// Binds a socket for datagrams. Port 0 lets the network choose.
    fn datagrams(&self, address: SocketAddr) -> Pending<'_, Arc<dyn Datagrams>>;

    /// The addresses of a host, with this port: at least one. A network without names knows only IP addresses.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Pending<'a, Vec<SocketAddr>> {
        Box::pin(async move {
            let address = host.parse::<IpAddr>().map_err(|error| io::Error::new(io::ErrorKind::NotFound, error))?;
            Ok(vec![SocketAddr::new(address, port)])
        })
    }
}

/// A socket that streams come in on.
pub trait Listener: Debug + Send + 'static {
    /// The next stream, and who opened it.
    fn accept(&mut self) -> Pending<'_, (Stream, SocketAddr)>;

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// What the network says.
    fn local_address(&self) -> io::Result<SocketAddr>;
}

/// A socket for datagrams; any number of tasks may use it at once.
pub trait Datagrams: Debug + Send + Sync + 'static {
    /// Sends one datagram. It may be lost, and nobody is told.
    fn send<'a>(&'a self, datagram: &'a [u8], to: SocketAddr) -> Pending<'a, ()>;

    /// Receives one datagram; what of it does not fit in `buffer` is lost. Returns its length and its sender.
    fn receive<'a>(&'a self, buffer: &'a mut [u8]) -> Pending<'a, (usize, SocketAddr)>;

    /// Where it is bound.
    ///
    /// # Errors
    ///
    /// What the network says.
    fn local_address(&self) -> io::Result<SocketAddr>;
}

/// A stream of bytes both ways.
pub struct Stream(Pin<Box<dyn Bytes>>);

/// What is read from and written to.
trait Bytes: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Bytes for T {}

impl Stream {
    /// A stream over whatever carries bytes.
    pub fn new(bytes: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        Self(Box::pin(bytes))
    }
}

impl Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stream")
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.as_mut().poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.as_mut().poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
}
