//! The system's sockets.

use super::network::{Datagrams, Listener, Network, Pending, Stream};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// The network of the machine.
#[derive(Clone, Copy, Debug)]
pub struct Sockets;

impl Network for Sockets {
    fn is_open(&self) -> bool {
        true
    }

    fn listen(&self, address: SocketAddr) -> Pending<'_, Box<dyn Listener>> {
        Box::pin(async move { Ok(Box::new(TcpListener::bind(address).await?) as Box<dyn Listener>) })
    }

    fn connect(&self, address: SocketAddr) -> Pending<'_, Stream> {
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Stream::new(stream))
        })
    }

    fn datagrams(&self, address: SocketAddr) -> Pending<'_, Arc<dyn Datagrams>> {
        Box::pin(async move { Ok(Arc::new(UdpSocket::bind(address).await?) as Arc<dyn Datagrams>) })
    }

    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Pending<'a, Vec<SocketAddr>> {
        Box::pin(async move {
            let addresses: Vec<_> = tokio::net::lookup_host((host, port)).await?.collect();
            if addresses.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(addresses) }
        })
    }
}

impl Listener for TcpListener {
    fn accept(&mut self) -> Pending<'_, (Stream, SocketAddr)> {
        Box::pin(async move {
            let (stream, from) = Self::accept(self).await?;
            stream.set_nodelay(true)?;
            Ok((Stream::new(stream), from))
        })
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }
}

impl Datagrams for UdpSocket {
    fn send<'a>(&'a self, datagram: &'a [u8], to: SocketAddr) -> Pending<'a, ()> {
        Box::pin(async move { self.send_to(datagram, to).await.map(drop) })
    }

    fn receive<'a>(&'a self, buffer: &'a mut [u8]) -> Pending<'a, (usize, SocketAddr)> {
        Box::pin(async move { self.recv_from(buffer).await })
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }
}
