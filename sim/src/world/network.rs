//! The network of a simulated host: turmoil's streams and datagrams, with the weather for datagrams.
//!
//! A stream that is opened across a cut waits, as on a real network; turmoil alone would refuse it at once. It never
//! loses a part of a stream.

use super::weather::Weather;
use node::world::{Datagrams, Fate, Listener, Network, Pending, Stream};
use std::collections::BTreeSet;
use std::future::pending;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use turmoil::net::{TcpListener, TcpStream, UdpSocket};

/// Which hosts cannot send to which others, at the moment. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Cuts(Arc<Mutex<BTreeSet<(IpAddr, IpAddr)>>>);

impl Cuts {
    /// Notes whether what `from` sends to `to` is lost.
    pub fn set(&self, from: IpAddr, to: IpAddr, cut: bool) {
        let mut cuts = self.cuts();
        if cut {
            cuts.insert((from, to));
        } else {
            cuts.remove(&(from, to));
        }
    }

    /// Whether what `from` sends to `to` is lost.
    pub fn is_cut(&self, from: IpAddr, to: IpAddr) -> bool {
        self.cuts().contains(&(from, to))
    }

    fn cuts(&self) -> MutexGuard<'_, BTreeSet<(IpAddr, IpAddr)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The network as one host has it.
#[derive(Clone, Debug)]
pub struct HostNetwork {
    address: IpAddr,
    cuts: Cuts,
    weather: Weather,
}

impl HostNetwork {
    /// Of the host at `address`.
    pub fn new(address: IpAddr, cuts: Cuts, weather: Weather) -> Self {
        Self { address, cuts, weather }
    }
}

impl Network for HostNetwork {
    /// TLS would draw randomness of its own.
    fn is_open(&self) -> bool {
        false
    }

    fn listen(&self, address: SocketAddr) -> Pending<'_, Box<dyn Listener>> {
        Box::pin(async move { Ok(Box::new(Listening(TcpListener::bind(address).await?)) as Box<dyn Listener>) })
    }

    fn connect(&self, address: SocketAddr) -> Pending<'_, Stream> {
        Box::pin(async move {
            let connected = if self.cuts.is_cut(self.address, address.ip()) {
                pending().await
            } else {
                TcpStream::connect(address).await
            };
            match connected {
                Ok(stream) => Ok(Stream::new(stream)),
                // The link was cut while the first packet was under way.
                Err(_) if self.cuts.is_cut(self.address, address.ip()) => pending().await,
                Err(error) => Err(error),
            }
        })
    }

    fn datagrams(&self, address: SocketAddr) -> Pending<'_, Arc<dyn Datagrams>> {
        Box::pin(async move {
            let socket = Arc::new(UdpSocket::bind(address).await?);
            Ok(Arc::new(Posting { socket, weather: self.weather.clone() }) as Arc<dyn Datagrams>)
        })
    }
}

struct Listening(TcpListener);

impl std::fmt::Debug for Listening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Listening")
    }
}

impl Listener for Listening {
    fn accept(&mut self) -> Pending<'_, (Stream, SocketAddr)> {
        Box::pin(async move {
            let (stream, from) = self.0.accept().await?;
            Ok((Stream::new(stream), from))
        })
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

#[derive(Debug)]
struct Posting {
    socket: Arc<UdpSocket>,
    weather: Weather,
}

impl Datagrams for Posting {
    fn send<'a>(&'a self, datagram: &'a [u8], to: SocketAddr) -> Pending<'a, ()> {
        Box::pin(async move {
            let copies = match self.weather.next() {
                Fate::LoseRequest | Fate::LoseAnswer => 0,
                Fate::Deliver => 1,
                Fate::Duplicate => 2,
                Fate::Delay(time) => {
                    let (socket, datagram) = (Arc::clone(&self.socket), datagram.to_vec());
                    tokio::spawn(async move {
                        tokio::time::sleep(time).await;
                        socket.send_to(&datagram, to).await.ok(); // lost, as datagrams may be
                    });
                    0
                }
            };
            for _ in 0..copies {
                self.socket.send_to(datagram, to).await?;
            }
            Ok(())
        })
    }

    fn receive<'a>(&'a self, buffer: &'a mut [u8]) -> Pending<'a, (usize, SocketAddr)> {
        Box::pin(async move { self.socket.recv_from(buffer).await })
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}
