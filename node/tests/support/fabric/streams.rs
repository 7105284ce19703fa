//! Streams between hosts: taken in place of the host that was called, and opened to it anew.

use super::namespace::Namespace;
use super::way::{Pipe, Way, cut, pass};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

/// How much is passed on at once, and how many such pieces are on a slow way.
const PIECE_BYTES: usize = 16 << 10;
const PIECES_MAX: usize = 8;

/// Where streams really go.
#[derive(Clone, Debug)]
pub struct Onward {
    pub host: Arc<Namespace>,
    /// As whom it is called.
    pub from: IpAddr,
    pub to: SocketAddr,
}

/// Carries every stream that comes in, by the way there and the way back.
pub async fn carry_all(listener: TcpListener, onward: Onward, ways: [watch::Receiver<Way>; 2]) {
    while let Ok((near, _)) = listener.accept().await {
        drop(tokio::spawn(carry(near, onward.clone(), ways.clone())));
    }
}

async fn carry(mut near: TcpStream, onward: Onward, [mut there, back]: [watch::Receiver<Way>; 2]) {
    let (mut there_ends, mut back_ends) = (there.clone(), back.clone());
    let mut far = None;
    let whole = async {
        pass(&mut there).await;
        let far = far.insert(onward.connect().await?);
        near.set_nodelay(true)?;
        let ((near_out, near_in), (far_out, far_in)) = (near.split(), far.split());
        tokio::try_join!(pump(near_out, far_in, there), pump(far_out, near_in, back)).map(drop)
    };
    let ended = tokio::select! {
        biased;
        () = cut(&mut there_ends) => Err(io::ErrorKind::ConnectionReset.into()),
        () = cut(&mut back_ends) => Err(io::ErrorKind::ConnectionReset.into()),
        ended = whole => ended,
    };
    if ended.is_err() {
        // Closed with nothing lingering, a stream is reset.
        [Some(&near), far.as_ref()].into_iter().flatten().for_each(|stream| drop(stream.set_zero_linger()));
    }
}

impl Onward {
    async fn connect(&self) -> io::Result<TcpStream> {
        let from = SocketAddr::new(self.from, 0);
        let socket = self.host.run(move || {
            let socket = TcpSocket::new_v4()?;
            socket.bind(from)?;
            Ok::<_, io::Error>(socket)
        })?;
        let stream = socket.connect(self.to).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// Passes on what is said in one direction, and in the end that nothing more is.
async fn pump(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, way: watch::Receiver<Way>) -> io::Result<()> {
    let (on_its_way, mut arriving) = mpsc::channel::<(Instant, Vec<u8>)>(PIECES_MAX);
    let (mut begin, mut end) = (way.clone(), way);
    let take = async move {
        let mut pipe = Pipe::new();
        loop {
            pass(&mut begin).await;
            let mut piece = vec![0; PIECE_BYTES];
            let length = from.read(&mut piece).await?;
            piece.truncate(length);
            let at = pipe.arrival(*begin.borrow(), length);
            if length == 0 || on_its_way.send((at, piece)).await.is_err() {
                return Ok(());
            }
        }
    };
    let give = async {
        while let Some((at, piece)) = arriving.recv().await {
            sleep_until(at).await;
            pass(&mut end).await;
            to.write_all(&piece).await?;
        }
        to.shutdown().await
    };
    tokio::try_join!(take, give).map(drop)
}
