//! Where seeds lead: their names are looked up again and again, since names move and nodes come late.

use crate::settings::Seeds;
use crate::world::Network;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// How often a seed is looked up.
const LOOK_UP_PERIOD: Duration = Duration::from_secs(5);
/// How long a look-up may take.
const LOOK_UP_MAX: Duration = Duration::from_secs(5);

/// Sends every address that a seed has to `found`, again and again, until nobody listens.
pub(super) async fn find(seeds: Seeds, network: Arc<dyn Network>, found: mpsc::Sender<SocketAddr>) {
    loop {
        for seed in &seeds.0 {
            match timeout(LOOK_UP_MAX, network.resolve(seed.host.as_str(), seed.port)).await {
                Ok(Ok(addresses)) => {
                    for address in addresses {
                        if found.send(address).await.is_err() {
                            return;
                        }
                    }
                }
                Ok(Err(error)) => tracing::warn!(%seed, %error, "a seed cannot be looked up"),
                Err(_) => tracing::warn!(%seed, "looking a seed up takes too long"),
            }
        }
        sleep(LOOK_UP_PERIOD).await;
    }
}
