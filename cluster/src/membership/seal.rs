//! What closes a gossip packet: nobody without the cluster key reads one, makes one or changes one.
//!
//! It never decides what a packet means. It does not stop the repetition of an old packet: generations and incarnations do,
//! since what an old packet says has been outranked or is still true. The byte diagram is in `docs/architecture.md`.

use super::chance::Chance;
use super::refused::Reason;
use super::settings::PACKET_BYTES_MAX;
use crate::ClusterId;
use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{AeadInOut, KeyInit, Tag, XChaCha20Poly1305, XNonce};
use std::fmt;

/// The secret that the nodes of a cluster share. Never shown, not even by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct ClusterKey(pub [u8; 32]);

impl fmt::Debug for ClusterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterKey(..)")
    }
}

/// The keys of a cluster as a node holds them: while nodes change from one to another, some use the one and some the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterKeys {
    /// What this node uses.
    pub key: ClusterKey,
    /// What it takes from others as well.
    pub also: Option<ClusterKey>,
}

impl From<&ClusterKey> for ClusterKeys {
    fn from(key: &ClusterKey) -> Self {
        Self { key: key.clone(), also: None }
    }
}

const VERSION: u8 = 1;
const CLUSTER: usize = 16;
const NONCE: usize = 24;
const TAG: usize = 16;
/// Version and cluster: readable by everybody, changeable by nobody.
const OPEN_BYTES: usize = 1 + CLUSTER;
/// What the seal adds to a packet, in bytes.
pub(super) const SEAL_BYTES: usize = OPEN_BYTES + NONCE + TAG;

/// Seals and opens packets.
pub(super) struct Seal {
    cipher: XChaCha20Poly1305,
    also: Option<XChaCha20Poly1305>,
    cluster: Option<ClusterId>,
    nonces: Chance,
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seal").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

impl Seal {
    /// The seal of a cluster, or of a node that is in none yet. `nonces` must be unpredictable and never start again.
    pub(super) fn new(keys: &ClusterKeys, cluster: Option<ClusterId>, nonces: Chance) -> Self {
        Self { cipher: cipher(&keys.key), also: keys.also.as_ref().map(cipher), cluster, nonces }
    }

    /// From now on these are the cluster's keys.
    pub(super) fn set_keys(&mut self, keys: &ClusterKeys) {
        (self.cipher, self.also) = (cipher(&keys.key), keys.also.as_ref().map(cipher));
    }

    /// From now on the node is in `cluster`.
    pub(super) fn set_cluster(&mut self, cluster: ClusterId) {
        self.cluster = Some(cluster);
    }

    /// The packet that carries `plain`.
    pub(super) fn seal(&mut self, plain: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE] = self.nonces.bytes();
        let mut packet = Vec::with_capacity(SEAL_BYTES + plain.len());
        packet.push(VERSION);
        packet.extend_from_slice(&self.cluster.map_or([0; CLUSTER], |cluster| cluster.0));
        packet.extend_from_slice(&nonce);
        packet.extend_from_slice(plain);
        let (head, body) = packet.split_at_mut(OPEN_BYTES + NONCE);
        let (open, _) = head.split_at(OPEN_BYTES);
        let tag = self.cipher.encrypt_inout_detached(&XNonce::from(nonce), open, InOutBuf::from(body));
        let tag = tag.expect("a packet is shorter than the 256 GiB that the cipher takes");
        packet.extend_from_slice(&tag);
        packet
    }

    /// What `packet` carries, if it was sealed with a key of the cluster, in this version, and not by another founded cluster.
    pub(super) fn open(&self, packet: &[u8]) -> Result<Vec<u8>, Reason> {
        if packet.len() > PACKET_BYTES_MAX {
            return Err(Reason::TooLong);
        }
        let (open, rest) = packet.split_first_chunk::<OPEN_BYTES>().ok_or(Reason::NoPacket)?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE>().ok_or(Reason::NoPacket)?;
        let (body, tag) = rest.split_last_chunk::<TAG>().ok_or(Reason::NoPacket)?;
        let [version, theirs @ ..] = open;
        if *version != VERSION {
            return Err(Reason::OtherVersion);
        }
        let unseal = |cipher: &XChaCha20Poly1305| {
            let (mut plain, nonce) = (body.to_vec(), XNonce::from(*nonce));
            let opened =
                cipher.decrypt_inout_detached(&nonce, open, InOutBuf::from(plain.as_mut_slice()), &Tag::from(*tag));
            opened.ok().map(|()| plain)
        };
        let plain = unseal(&self.cipher).or_else(|| self.also.as_ref().and_then(unseal)).ok_or(Reason::OtherKey)?;
        let founded = *theirs != [0; CLUSTER];
        match self.cluster {
            Some(ours) if founded && ours.0 != *theirs => Err(Reason::OtherCluster),
            Some(_) | None => Ok(plain),
        }
    }
}

fn cipher(key: &ClusterKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&blake3::derive_key("stemedb 2026 gossip packets v1", &key.0).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: ClusterKey = ClusterKey([3; 32]);
    const HERE: Option<ClusterId> = Some(ClusterId([1; 16]));
    const THERE: Option<ClusterId> = Some(ClusterId([2; 16]));

    fn seal(key: &ClusterKey, cluster: Option<ClusterId>) -> Seal {
        Seal::new(&key.into(), cluster, Chance::new(&[9; 32], "nonces"))
    }

    #[test]
    fn what_was_sealed_is_opened_and_is_57_bytes_longer() {
        let packet = seal(&KEY, HERE).seal(b"who is there");
        assert_eq!(packet.len(), 12 + SEAL_BYTES);
        assert_eq!(SEAL_BYTES, 57);
        assert_eq!(seal(&KEY, HERE).open(&packet).expect("our own packet"), b"who is there");
    }

    #[test]
    fn no_two_packets_share_a_nonce() {
        let mut seal = seal(&KEY, HERE);
        assert_ne!(seal.seal(b"same"), seal.seal(b"same"));
    }

    #[test]
    fn a_packet_of_another_key_is_refused_as_such_whatever_its_cluster() {
        for cluster in [None, HERE, THERE] {
            let packet = seal(&ClusterKey([4; 32]), cluster).seal(b"hello");
            assert_eq!(seal(&KEY, HERE).open(&packet), Err(Reason::OtherKey));
        }
    }

    #[test]
    fn while_keys_change_packets_under_either_are_taken_and_made_under_the_one_in_use() {
        let (old, new) = (KEY, ClusterKey([4; 32]));
        let holding = |key: &ClusterKey, also: Option<&ClusterKey>| {
            let keys = ClusterKeys { key: key.clone(), also: also.cloned() };
            Seal::new(&keys, HERE, Chance::new(&[9; 32], "nonces"))
        };
        // Each step of a rotation beside the one before it.
        let steps = [holding(&old, None), holding(&old, Some(&new)), holding(&new, Some(&old)), holding(&new, None)];
        for (mut one, mut other) in steps.into_iter().zip([
            holding(&old, Some(&new)),
            holding(&new, Some(&old)),
            holding(&new, None),
            holding(&new, None),
        ]) {
            assert!(other.open(&one.seal(b"hello")).is_ok() && one.open(&other.seal(b"hello")).is_ok());
        }
        let mut changing = holding(&old, Some(&new));
        assert_eq!(holding(&new, None).open(&changing.seal(b"hello")), Err(Reason::OtherKey));
        changing.set_keys(&(&new).into());
        assert!(holding(&new, None).open(&changing.seal(b"hello")).is_ok());
        assert_eq!(changing.open(&holding(&old, None).seal(b"hello")), Err(Reason::OtherKey));
    }

    #[test]
    fn clusters_that_share_a_key_do_not_mix_but_take_who_is_in_none() {
        let cases =
            [(HERE, THERE, false), (HERE, HERE, true), (HERE, None, true), (None, HERE, true), (None, None, true)];
        for (ours, theirs, taken) in cases {
            let opened = seal(&KEY, ours).open(&seal(&KEY, theirs).seal(b"hello"));
            assert_eq!(opened.is_ok(), taken, "{ours:?} {theirs:?}");
        }
    }

    #[test]
    fn every_bit_of_a_packet_counts() {
        let packet = seal(&KEY, HERE).seal(b"hello");
        for bit in 0..packet.len() * 8 {
            let mut changed = packet.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(seal(&KEY, HERE).open(&changed).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn what_is_too_short_or_too_long_is_no_packet() {
        let packet = seal(&KEY, HERE).seal(b"");
        for length in 0..packet.len() {
            assert!(seal(&KEY, HERE).open(&packet[..length]).is_err(), "{length}");
        }
        assert_eq!(seal(&KEY, HERE).open(&[VERSION; PACKET_BYTES_MAX + 1]), Err(Reason::TooLong));
    }

    #[test]
    fn the_key_is_never_shown() {
        assert_eq!(format!("{KEY:?}"), "ClusterKey(..)");
    }
}
