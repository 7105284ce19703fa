//! Where a node stands and whom it looks for: hosts, seeds and zones, as settings spell them.
//!
//! A host name is only looked at here, never looked up.

use super::kind::{Kind, Readable};
use proto::limits::NAME_BYTES_MAX;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The longest host name, in bytes.
const HOST_BYTES_MAX: usize = 253;

/// An IP address or a host name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host(String);

impl Host {
    /// The host that `text` names: an IP address without brackets, or letters, digits, dots, dashes and underscores.
    pub fn parse(text: &str) -> Option<Self> {
        let is_name = is_word(text, HOST_BYTES_MAX);
        (is_name || text.parse::<IpAddr>().is_ok()).then(|| Self(text.to_owned()))
    }

    /// As it was spelt.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The gossip address of a node to begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed {
    /// Its host.
    pub host: Host,
    /// Its port, never 0.
    pub port: u16,
}

impl Seed {
    fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok().filter(|port| *port > 0)?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => address.parse::<Ipv6Addr>().ok().map(|_| Host(address.to_owned()))?,
            None => Host::parse(host).filter(|_| !host.contains(':'))?,
        };
        Some(Self { host, port })
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.as_str().contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// The gossip addresses of nodes to begin with, in the order given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seeds(pub Vec<Seed>);

impl Seeds {
    /// The most seeds.
    pub const MAX: usize = 64;

    /// Seeds at these addresses.
    pub fn at(addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        let seed = |address: SocketAddr| Seed { host: Host(address.ip().to_string()), port: address.port() };
        Self(addresses.into_iter().map(seed).collect())
    }
}

impl Readable for Seeds {
    const BLANK: Self = Self(Vec::new());

    fn read(text: &str, _kind: Kind) -> Option<Self> {
        let seeds = text.split(',').map(|seed| Seed::parse(seed.trim())).collect::<Option<Vec<_>>>()?;
        (seeds.len() <= Self::MAX).then_some(Self(seeds))
    }

    fn show(&self, _kind: Kind) -> String {
        self.0.iter().map(Seed::to_string).collect::<Vec<_>>().join(",")
    }
}

impl Readable for Host {
    const BLANK: Self = Self(String::new());

    fn read(text: &str, _kind: Kind) -> Option<Self> {
        Self::parse(text)
    }

    fn show(&self, _kind: Kind) -> String {
        self.to_string()
    }
}

/// The name of a place where nodes fail together: a rack, a room, a data centre.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(String);

impl Zone {
    /// The zone that `text` names: letters, digits, dots, dashes and underscores.
    pub fn parse(text: &str) -> Option<Self> {
        is_word(text, NAME_BYTES_MAX).then(|| Self(text.to_owned()))
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Readable for Zone {
    const BLANK: Self = Self(String::new());

    fn read(text: &str, _kind: Kind) -> Option<Self> {
        Self::parse(text)
    }

    fn show(&self, _kind: Kind) -> String {
        self.0.clone()
    }
}

fn is_word(text: &str, bytes_max: usize) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    (1..=bytes_max).contains(&text.len()) && text.bytes().all(fits)
}

#[test]
fn seeds_read_back_what_they_show_and_nothing_else_is_one() {
    let text = "db-1:18183,10.0.0.2:1,[fd00::3]:18183";
    let seeds = Seeds::read("db-1:18183, 10.0.0.2:1 ,[fd00::3]:18183", Kind::Seeds).unwrap();
    assert_eq!(seeds.show(Kind::Seeds), text);
    assert_eq!(Seeds::read(text, Kind::Seeds), Some(seeds));
    let many = ["a:1"; Seeds::MAX + 1].join(",");
    for wrong in ["", "db-1", "db-1:0", "db-1:65536", ":1", "a:1,", "fd00::3:18183", "[db-1]:1", "a b:1", &many] {
        assert_eq!(Seeds::read(wrong, Kind::Seeds), None, "{wrong}");
    }
}

#[test]
fn a_host_is_an_address_or_a_name() {
    for host in ["10.0.0.1", "fd00::1", "db-1.example.com", "node_1"] {
        assert_eq!(Host::parse(host).unwrap().as_str(), host);
    }
    for wrong in ["", "10.0.0.1:1", "[fd00::1]", "a/b", "é"] {
        assert_eq!(Host::parse(wrong), None, "{wrong}");
    }
}
