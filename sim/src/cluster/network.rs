//! The simulation that hosts are put in: its steps, and how long packets are under way.
//!
//! All hosts take their steps of a millisecond one after another, in an order that is drawn anew for each. A packet without
//! latency reaches a host that comes later in the same step at once, and one that came earlier in its next step, a
//! millisecond later: 0 or 1 ms, with even chances, 0.5 ms in the mean, and 1.25 ms there and back. Nothing shorter can be
//! simulated, nor anything in between: timers know whole milliseconds only.

use super::Shape;
use crate::world::EPOCH_MS;
use std::time::{Duration, UNIX_EPOCH};
use turmoil::Sim;

/// How many packets a socket holds that its owner has not read.
const SOCKET_PACKETS_MAX: usize = 4096;

/// A simulation without hosts.
pub(super) fn simulation(shape: &Shape, seed: u64) -> Sim<'static> {
    turmoil::Builder::new()
        .rng_seed(seed)
        .epoch(UNIX_EPOCH + Duration::from_millis(EPOCH_MS))
        .tick_duration(shape.step)
        .simulation_duration(Duration::MAX)
        .min_message_latency(shape.latency_min)
        .max_message_latency(shape.latency_max)
        .tcp_capacity(SOCKET_PACKETS_MAX)
        .udp_capacity(SOCKET_PACKETS_MAX)
        .enable_random_order()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::stall::STEP;
    use std::net::Ipv4Addr;
    use std::sync::{Arc, Mutex};
    use turmoil::net::UdpSocket;

    const ECHO: u16 = 7;
    const PACKETS: u32 = 2_000;

    /// The mean times of packets there, and there and back, in microseconds.
    fn latencies(latency_max: Duration) -> (u128, u128) {
        let mut sim = simulation(&Shape { latency_max, ..Shape::default() }, 1);
        let there = Arc::new(Mutex::new(Duration::ZERO));
        let back = Arc::clone(&there);
        sim.host("echoes", move || {
            let there = Arc::clone(&there);
            async move {
                let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, ECHO)).await?;
                loop {
                    let mut sent = [0; 8];
                    let (_, from) = socket.recv_from(&mut sent).await?;
                    let sent = Duration::from_micros(u64::from_le_bytes(sent));
                    *there.lock().unwrap() += turmoil::sim_elapsed().unwrap() - sent;
                    socket.send_to(&[0], from).await?;
                }
            }
        });
        let round = Arc::new(Mutex::new(Duration::ZERO));
        let rounds = Arc::clone(&round);
        sim.client("asks", async move {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, ECHO)).await?;
            for _ in 0..PACKETS {
                tokio::time::sleep(STEP * 10).await;
                let sent = turmoil::sim_elapsed().unwrap();
                let micros = u64::try_from(sent.as_micros()).unwrap();
                socket.send_to(&micros.to_le_bytes(), ("echoes", ECHO)).await?;
                socket.recv_from(&mut [0]).await?;
                *rounds.lock().unwrap() += turmoil::sim_elapsed().unwrap() - sent;
            }
            Ok(())
        });
        sim.run().unwrap();
        let mean = |sum: &Mutex<Duration>| (*sum.lock().unwrap() / PACKETS).as_micros();
        (mean(&back), mean(&round))
    }

    #[test]
    fn without_latency_a_packet_takes_half_a_millisecond_in_the_mean() {
        let (there, round) = latencies(Duration::ZERO);
        assert!((450..=550).contains(&there), "{there} us there");
        assert!((1_150..=1_350).contains(&round), "{round} us there and back");
    }

    #[test]
    fn in_the_ordinary_rack_it_takes_little_more() {
        let (there, _) = latencies(Shape::default().latency_max);
        assert!((500..=700).contains(&there), "{there} us there");
    }
}
