//! The header: who speaks to whom, in which cluster, knowing which table.

use crate::field::{fixed, required};
use crate::malformed::Malformed;
use crate::wire;

/// The header of a message. Nothing in it is checked but its form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The cluster of the sender; all zero before it has one.
    pub cluster: [u8; 16],
    /// The sender.
    pub from: u64,
    /// The receiver; 0 where the sender does not know who listens at the address.
    pub to: u64,
    /// The newest placement table that the sender knows; 0 before any.
    pub epoch: u64,
    /// The newest protocol version that the sender speaks; it speaks the one before, too.
    pub protocol: u32,
    /// That the sender has the cluster key.
    pub proof: [u8; 16],
}

impl Header {
    pub(crate) fn into_wire(self) -> Option<wire::Header> {
        let Self { cluster, from, to, epoch, protocol, proof } = self;
        Some(wire::Header { cluster: cluster.to_vec(), from, to, epoch, protocol, proof: proof.to_vec() })
    }

    pub(crate) fn from_wire(wire: Option<&wire::Header>) -> Result<Self, Malformed> {
        let wire::Header { cluster, from, to, epoch, protocol, proof } = required(wire, "header")?;
        Ok(Self {
            cluster: fixed(cluster, "header.cluster")?,
            from: *from,
            to: *to,
            epoch: *epoch,
            protocol: *protocol,
            proof: fixed(proof, "header.proof")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fault;

    #[test]
    fn a_header_reads_back_and_has_its_lengths() {
        let header = Header { cluster: [1; 16], from: 2, to: 3, epoch: 4, protocol: 5, proof: [6; 16] };
        let wire = header.into_wire().unwrap();
        assert_eq!(Header::from_wire(Some(&wire)), Ok(header));
        let short = wire::Header { proof: vec![6; 15], ..wire };
        assert_eq!(Header::from_wire(Some(&short)), Err(Fault::Length(15).of("header.proof")));
        assert_eq!(Header::from_wire(None), Err(Fault::Missing.of("header")));
    }
}
