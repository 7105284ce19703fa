//! Who a node is.

use super::headed;
use crate::field::{ascending, clipped, fixed, node, required, within};
use crate::limits::{NAME_BYTES_MAX, NODES_MAX, TEXT_BYTES_MAX};
use crate::malformed::{Fault, Malformed};
use crate::{Header, Message, wire};
use std::net::{IpAddr, SocketAddr};

/// How far a node is with belonging to a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It promised nothing and founds together with so many, itself among them; with 0 it only joins.
    Fresh {
        /// How many.
        expect: u32,
    },
    /// It promised to found with exactly these: ascending, distinct, itself among them.
    Promised(Vec<u64>),
    /// It is a member of this cluster.
    Founded([u8; 16]),
}

/// Who a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// Its id, never 0.
    pub node: u64,
    /// Which life of it: wall-clock milliseconds at the start of its process.
    pub generation: u64,
    /// How far it is with belonging to a cluster.
    pub standing: Standing,
    /// The oldest protocol version that it reads.
    pub protocol_min: u32,
    /// The newest protocol version that it reads.
    pub protocol_max: u32,
    /// Its wall clock, milliseconds since the Unix epoch.
    pub wall_ms: u64,
    /// The newest placement table that it knows; 0 before any.
    pub epoch: u64,
    /// Where other nodes call it.
    pub rpc: SocketAddr,
    /// Where other nodes gossip with it.
    pub gossip: SocketAddr,
    /// Where clients reach it.
    pub clients: SocketAddr,
    /// Its zone, at most 64 bytes; empty if it has none.
    pub zone: String,
    /// Its release, for people, at most 64 bytes.
    pub release: String,
    /// Its public key, of which its id is the beginning. Nothing of it is checked but its length.
    pub key: [u8; 32],
}

/// Asks a node who it is, and says who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GreetRequest {
    /// Who asks.
    pub greeting: Greeting,
    /// Asks the receiver to call the sender at its `rpc` address and to say whether that worked.
    pub call_back: bool,
}

/// Whether the receiver of a greeting reached its sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reachable {
    /// It was not asked to try.
    NotAsked,
    /// It did.
    Yes,
    /// It did not; the reason is for people.
    No(String),
}

/// What the sender of a greeting is to the cluster of its receiver, as far as that knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// No member, or the receiver is in no cluster.
    None,
    /// A member.
    Member,
    /// It was one and is never one again.
    Removed,
}

/// Who the receiver is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GreetReply {
    /// Who answers.
    pub greeting: Greeting,
    /// Whether it reached who asked.
    pub reachable: Reachable,
    /// What it takes the one that asked for.
    pub membership: Membership,
}

impl Message for GreetRequest {
    headed!(GreetRequest);

    fn seal(self, header: &Header) -> Self::Wire {
        let greeting = Some(self.greeting.into_wire());
        wire::GreetRequest { header: header.into_wire(), greeting, call_back: self.call_back }
    }

    fn open(wire: Self::Wire) -> Result<Self, Malformed> {
        let greeting = Greeting::from_wire(required(wire.greeting, "greeting")?)?;
        Ok(Self { greeting, call_back: wire.call_back })
    }
}

impl Message for GreetReply {
    headed!(GreetReply);

    fn seal(self, header: &Header) -> Self::Wire {
        let (reachable, reason) = match self.reachable {
            Reachable::NotAsked => (wire::Reachable::NotAsked, String::new()),
            Reachable::Yes => (wire::Reachable::Yes, String::new()),
            Reachable::No(reason) => (wire::Reachable::No, clipped(reason, TEXT_BYTES_MAX)),
        };
        let membership = match self.membership {
            Membership::None => wire::Membership::None,
            Membership::Member => wire::Membership::Member,
            Membership::Removed => wire::Membership::Removed,
        };
        wire::GreetReply {
            header: header.into_wire(),
            greeting: Some(self.greeting.into_wire()),
            reachable: reachable.into(),
            reason,
            membership: membership.into(),
        }
    }

    fn open(wire: Self::Wire) -> Result<Self, Malformed> {
        within(wire.reason.len(), TEXT_BYTES_MAX, "reason")?;
        let reachable = match wire::Reachable::try_from(wire.reachable) {
            Ok(wire::Reachable::NotAsked) => Reachable::NotAsked,
            Ok(wire::Reachable::Yes) => Reachable::Yes,
            Ok(wire::Reachable::No) => Reachable::No(wire.reason),
            Err(_) => return Err(Fault::Missing.of("reachable")),
        };
        let membership = match wire::Membership::try_from(wire.membership) {
            Ok(wire::Membership::None) => Membership::None,
            Ok(wire::Membership::Member) => Membership::Member,
            Ok(wire::Membership::Removed) => Membership::Removed,
            Err(_) => return Err(Fault::Missing.of("membership")),
        };
        Ok(Self { greeting: Greeting::from_wire(required(wire.greeting, "greeting")?)?, reachable, membership })
    }
}

impl Greeting {
    fn into_wire(self) -> wire::Greeting {
        wire::Greeting {
            node: self.node,
            generation: self.generation,
            standing: Some(self.standing.into_wire()),
            protocol_min: self.protocol_min,
            protocol_max: self.protocol_max,
            wall_ms: self.wall_ms,
            epoch: self.epoch,
            rpc: put_address(self.rpc),
            gossip: put_address(self.gossip),
            clients: put_address(self.clients),
            zone: clipped(self.zone, NAME_BYTES_MAX),
            release: clipped(self.release, NAME_BYTES_MAX),
            key: self.key.to_vec(),
        }
    }

    fn from_wire(wire: wire::Greeting) -> Result<Self, Malformed> {
        within(wire.zone.len(), NAME_BYTES_MAX, "greeting.zone")?;
        within(wire.release.len(), NAME_BYTES_MAX, "greeting.release")?;
        if wire.protocol_min > wire.protocol_max {
            return Err(Fault::OutOfRange.of("greeting.protocol_min"));
        }
        Ok(Self {
            node: node(wire.node, "greeting.node")?,
            generation: wire.generation,
            standing: Standing::from_wire(wire.standing)?,
            protocol_min: wire.protocol_min,
            protocol_max: wire.protocol_max,
            wall_ms: wire.wall_ms,
            epoch: wire.epoch,
            rpc: address(wire.rpc, "greeting.rpc")?,
            gossip: address(wire.gossip, "greeting.gossip")?,
            clients: address(wire.clients, "greeting.clients")?,
            zone: wire.zone,
            release: wire.release,
            key: fixed(&wire.key, "greeting.key")?,
        })
    }
}

impl Standing {
    fn into_wire(self) -> wire::Standing {
        let standing = match self {
            Self::Fresh { expect } => wire::standing::Standing::Fresh(wire::Fresh { expect }),
            Self::Promised(nodes) => wire::standing::Standing::Promised(wire::Promised { nodes }),
            Self::Founded(cluster) => wire::standing::Standing::Founded(wire::Founded { cluster: cluster.to_vec() }),
        };
        wire::Standing { standing: Some(standing) }
    }

    fn from_wire(wire: Option<wire::Standing>) -> Result<Self, Malformed> {
        match required(wire.and_then(|wire| wire.standing), "standing")? {
            wire::standing::Standing::Fresh(wire::Fresh { expect }) => Ok(Self::Fresh { expect }),
            wire::standing::Standing::Promised(wire::Promised { nodes }) => {
                let name = "promised.nodes";
                within(nodes.len(), NODES_MAX, name)?;
                nodes.first().ok_or(Fault::Length(0).of(name)).and_then(|first| node(*first, name))?;
                ascending(nodes.iter(), name)?;
                Ok(Self::Promised(nodes))
            }
            wire::standing::Standing::Founded(wire::Founded { cluster }) => {
                fixed(&cluster, "founded.cluster").map(Self::Founded)
            }
        }
    }
}

fn put_address(address: SocketAddr) -> Option<wire::Address> {
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    Some(wire::Address { ip, port: u32::from(address.port()) })
}

fn address(wire: Option<wire::Address>, name: &'static str) -> Result<SocketAddr, Malformed> {
    let wire::Address { ip, port } = required(wire, name)?;
    let ip = match ip.len() {
        4 => IpAddr::from(fixed::<4>(&ip, name)?),
        _ => IpAddr::from(fixed::<16>(&ip, name)?),
    };
    Ok(SocketAddr::new(ip, u16::try_from(port).or(Err(Fault::OutOfRange.of(name)))?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::laws::{self, refusal, sealed};
    use proptest::collection::btree_set;
    use proptest::prelude::*;

    fn addresses() -> impl Strategy<Value = SocketAddr> {
        let ip = prop_oneof![any::<[u8; 4]>().prop_map(IpAddr::from), any::<[u8; 16]>().prop_map(IpAddr::from)];
        (ip, any::<u16>()).prop_map(SocketAddr::from)
    }

    fn standings() -> impl Strategy<Value = Standing> {
        prop_oneof![
            any::<u32>().prop_map(|expect| Standing::Fresh { expect }),
            btree_set(laws::nodes(), 1..6).prop_map(|nodes| Standing::Promised(nodes.into_iter().collect())),
            any::<[u8; 16]>().prop_map(Standing::Founded),
        ]
    }

    fn greetings() -> impl Strategy<Value = Greeting> {
        let numbers = (laws::nodes(), any::<u64>(), any::<u64>(), any::<u64>());
        let texts = ("[a-zé]{0,20}", "[0-9.]{0,10}", any::<[u8; 32]>());
        (numbers, standings(), (0..3_u32, 3..9_u32), (addresses(), addresses(), addresses()), texts).prop_map(
            |(numbers, standing, protocols, addresses, (zone, release, key))| Greeting {
                node: numbers.0,
                generation: numbers.1,
                wall_ms: numbers.2,
                epoch: numbers.3,
                standing,
                protocol_min: protocols.0,
                protocol_max: protocols.1,
                rpc: addresses.0,
                gossip: addresses.1,
                clients: addresses.2,
                zone,
                release,
                key,
            },
        )
    }

    #[test]
    fn the_laws_hold() {
        let requests = (greetings(), any::<bool>());
        laws::holds(requests.prop_map(|(greeting, call_back)| GreetRequest { greeting, call_back }));
        let reachable = prop_oneof![Just(Reachable::NotAsked), Just(Reachable::Yes), ".{0,40}".prop_map(Reachable::No)];
        let membership = prop_oneof![Just(Membership::None), Just(Membership::Member), Just(Membership::Removed)];
        laws::holds((greetings(), reachable, membership).prop_map(|(greeting, reachable, membership)| GreetReply {
            greeting,
            reachable,
            membership,
        }));
    }

    fn greeting() -> Greeting {
        let here = SocketAddr::from(([127, 0, 0, 1], 1));
        Greeting {
            node: 1,
            generation: 2,
            standing: Standing::Promised(vec![1, 2]),
            protocol_min: 1,
            protocol_max: 1,
            wall_ms: 3,
            epoch: 0,
            rpc: here,
            gossip: here,
            clients: here,
            zone: String::new(),
            release: String::new(),
            key: [1; 32],
        }
    }

    #[test]
    fn a_greeting_that_breaks_a_rule_is_refused_with_the_field() {
        let spoilt = |spoil: fn(&mut wire::Greeting)| {
            let mut wire = sealed(GreetRequest { greeting: greeting(), call_back: false });
            wire.greeting.iter_mut().for_each(spoil);
            refusal::<GreetRequest>(wire)
        };
        let promised = |nodes| {
            let standing = wire::standing::Standing::Promised(wire::Promised { nodes });
            Some(wire::Standing { standing: Some(standing) })
        };
        assert_eq!(spoilt(|wire| wire.node = 0), Fault::OutOfRange.of("greeting.node"));
        assert_eq!(spoilt(|wire| wire.protocol_min = 2), Fault::OutOfRange.of("greeting.protocol_min"));
        assert_eq!(spoilt(|wire| wire.zone = "z".repeat(65)), Fault::TooLong(64, 65).of("greeting.zone"));
        assert_eq!(spoilt(|wire| wire.key = vec![1; 31]), Fault::Length(31).of("greeting.key"));
        assert_eq!(spoilt(|wire| wire.standing = None), Fault::Missing.of("standing"));
        assert_eq!(spoilt(|wire| wire.rpc = None), Fault::Missing.of("greeting.rpc"));
        let strange = |ip, port| Some(wire::Address { ip, port });
        assert_eq!(Standing::from_wire(promised(vec![2, 1])), Err(Fault::Unordered.of("promised.nodes")));
        assert_eq!(Standing::from_wire(promised(vec![1, 1])), Err(Fault::Unordered.of("promised.nodes")));
        assert_eq!(Standing::from_wire(promised(vec![0, 1])), Err(Fault::OutOfRange.of("promised.nodes")));
        assert_eq!(Standing::from_wire(promised(vec![])), Err(Fault::Length(0).of("promised.nodes")));
        assert_eq!(address(strange(vec![1; 5], 1), "rpc"), Err(Fault::Length(5).of("rpc")));
        assert_eq!(address(strange(vec![1; 4], 65_536), "rpc"), Err(Fault::OutOfRange.of("rpc")));
    }
}
