//! What a gossip packet says, read before foca reads it: who sent it, to whom, and whom it speaks of.
//!
//! It changes nothing but one thing: a greeting to whoever is there is addressed to this node. Layout and meaning are
//! foca's: a header, the number of members in two bytes, big-endian, and the members, all in Postcard.

use super::identity::Identity;
use foca::{Header, Member, Message};

/// An opened packet.
#[derive(Debug)]
pub(super) struct Packet {
    /// From whom, to whom, what.
    pub(super) header: Header<Identity>,
    /// Whom it speaks of.
    pub(super) members: Vec<Member<Identity>>,
    plain: Vec<u8>,
}

impl Packet {
    /// Reads an opened packet that reached `own`. `None` if it makes no sense.
    pub(super) fn read(plain: Vec<u8>, own: &Identity) -> Option<Self> {
        let (mut header, rest) = postcard::take_from_bytes::<Header<Identity>>(&plain).ok()?;
        let members = read_members(rest)?;
        if !header.dst.is_anybody() {
            return Some(Self { header, members, plain });
        }
        let greeting = header.message == Message::Announce && rest.is_empty();
        header.dst = *own;
        let plain = postcard::to_allocvec(&header).ok()?;
        greeting.then_some(Self { header, members, plain })
    }

    /// The packet for foca.
    pub(super) fn plain(&self) -> &[u8] {
        &self.plain
    }

    /// Every identity that it names as a member, its sender first.
    pub(super) fn names(&self) -> impl Iterator<Item = &Identity> {
        std::iter::once(&self.header.src).chain(self.members.iter().map(Member::id))
    }
}

fn read_members(bytes: &[u8]) -> Option<Vec<Member<Identity>>> {
    let Some((count, mut rest)) = bytes.split_first_chunk::<2>() else {
        return bytes.is_empty().then(Vec::new);
    };
    let mut members = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (member, after) = postcard::take_from_bytes(rest).ok()?;
        members.push(member);
        rest = after;
    }
    rest.is_empty().then_some(members)
}
