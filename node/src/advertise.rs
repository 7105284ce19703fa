//! Under which addresses others reach this node: where it listens, at the host that it is told to advertise.
//!
//! It asks the network for a name once, at the start, and never finds out whether anybody gets through.

use crate::settings::Settings;
use crate::world::Network;
use std::io;
use std::net::{IpAddr, SocketAddr};

/// Where others reach this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Clients.
    pub clients: SocketAddr,
    /// Other nodes, with calls.
    pub rpc: SocketAddr,
    /// Other nodes, with gossip.
    pub gossip: SocketAddr,
}

/// The host to advertise is not known. Correct `advertise_host`, or the name service.
#[derive(Debug, thiserror::Error)]
#[error("advertise_host: {host} is not known")]
pub struct UnknownHost {
    host: String,
    #[source]
    source: io::Error,
}

impl Addresses {
    /// What to advertise where `bound` is listened on, its ports being those that the network chose.
    ///
    /// Without `advertise_host` it is `bound` itself; where that is every interface, clients are sent where nodes are.
    ///
    /// # Errors
    ///
    /// [`UnknownHost`].
    pub async fn advertised(settings: &Settings, network: &dyn Network, bound: Self) -> Result<Self, UnknownHost> {
        let Some(host) = &settings.advertise_host else {
            let clients = bound.clients;
            let ip = if clients.ip().is_unspecified() { bound.rpc.ip() } else { clients.ip() };
            return Ok(Self { clients: SocketAddr::new(ip, clients.port()), ..bound });
        };
        let unknown = |source| UnknownHost { host: host.to_string(), source };
        let found = network.resolve(host.as_str(), 0).await.map_err(unknown)?;
        let ip = found.first().ok_or_else(|| unknown(io::ErrorKind::NotFound.into()))?.ip();
        Ok(bound.at(ip))
    }

    fn at(self, ip: IpAddr) -> Self {
        let at = |address: SocketAddr| SocketAddr::new(ip, address.port());
        Self { clients: at(self.clients), rpc: at(self.rpc), gossip: at(self.gossip) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Host;
    use crate::world::Sockets;

    fn bound(clients: [u8; 4]) -> Addresses {
        let at = |ip: [u8; 4], port| SocketAddr::from((ip, port));
        Addresses { clients: at(clients, 1), rpc: at([10, 0, 0, 1], 2), gossip: at([10, 0, 0, 1], 3) }
    }

    async fn advertised(host: Option<&str>, clients: [u8; 4]) -> Result<Addresses, UnknownHost> {
        let settings = Settings { advertise_host: host.and_then(Host::parse), ..Settings::default() };
        Addresses::advertised(&settings, &Sockets, bound(clients)).await
    }

    #[tokio::test]
    async fn what_is_listened_on_is_advertised_unless_told_otherwise() {
        assert_eq!(advertised(None, [10, 0, 0, 9]).await.unwrap(), bound([10, 0, 0, 9]));
        assert_eq!(advertised(None, [0, 0, 0, 0]).await.unwrap(), bound([10, 0, 0, 1]));
        let told = advertised(Some("192.0.2.7"), [0, 0, 0, 0]).await.unwrap();
        assert_eq!(told, bound([0, 0, 0, 0]).at([192, 0, 2, 7].into()));
    }

    #[tokio::test]
    async fn a_host_that_is_not_known_is_refused_with_the_setting() {
        let unknown = advertised(Some("no-such-host.invalid"), [10, 0, 0, 9]).await.unwrap_err();
        assert_eq!(unknown.to_string(), "advertise_host: no-such-host.invalid is not known");
    }
}
