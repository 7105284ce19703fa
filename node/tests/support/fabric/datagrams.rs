//! Datagrams between hosts: taken in place of the host that was spoken to, and said to it as if by the speaker.

use super::way::{Pipe, Way};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

/// The longest datagram.
const DATAGRAM_BYTES_MAX: usize = 1 << 16;
/// How many datagrams are on a slow way; what comes beyond is lost.
const ON_THEIR_WAY_MAX: usize = 256;

/// Where datagrams really go, and from where.
#[derive(Debug)]
pub struct Mouth {
    pub socket: Arc<UdpSocket>,
    pub to: SocketAddr,
}

/// Carries every datagram from one host to another.
pub async fn carry_all(ear: Arc<UdpSocket>, mouth: Mouth, way: watch::Receiver<Way>) {
    let (on_their_way, mut arriving) = mpsc::channel::<(Instant, Vec<u8>)>(ON_THEIR_WAY_MAX);
    let hear = async {
        let (mut pipe, mut datagram) = (Pipe::new(), vec![0; DATAGRAM_BYTES_MAX]);
        loop {
            // An error tells of an earlier datagram that nobody took, which is like a lost one.
            let Ok((length, _)) = ear.recv_from(&mut datagram).await else { continue };
            let way = *way.borrow();
            if !matches!(way, Way::Cut | Way::Hole) {
                on_their_way.try_send((pipe.arrival(way, length), datagram[..length].to_vec())).ok();
            }
        }
    };
    let say = async {
        while let Some((at, datagram)) = arriving.recv().await {
            sleep_until(at).await;
            mouth.socket.send_to(&datagram, mouth.to).await.ok();
        }
    };
    tokio::join!(hear, say);
}
