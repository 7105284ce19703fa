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
    pub(super) fn new(key: &ClusterKey, cluster: Option<ClusterId>, nonces: Chance) -> Self {
        let key = blake3::derive_key("stemedb 2026 gossip packets v1", &key.0);
        Self { cipher: XChaCha20Poly1305::new(&key.into()), cluster, nonces }
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

    /// What `packet` carries, if it was sealed with the cluster key, in this version, and not by another founded cluster.
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
        let mut plain = body.to_vec();
        self.cipher
            .decrypt_inout_detached(&XNonce::from(*nonce), open, InOutBuf::from(plain.as_mut_slice()), &Tag::from(*tag))
            .map_err(|_forged| Reason::OtherKey)?;
        let founded = *theirs != [0; CLUSTER];
        match self.cluster {
            Some(ours) if founded && ours.0 != *theirs => Err(Reason::OtherCluster),
            Some(_) | None => Ok(plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: ClusterKey = ClusterKey([3; 32]);
    const HERE: Option<ClusterId> = Some(ClusterId([1; 16]));
    const THERE: Option<ClusterId> = Some(ClusterId([2; 16]));

    fn seal(key: &ClusterKey, cluster: Option<ClusterId>) -> Seal {
        Seal::new(key, cluster, Chance::new(&[9; 32], "nonces"))
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
