//! A version byte, then postcard: the one form of what this crate writes down or hands to a log.
//!
//! It never skips what it does not understand: bytes of another version, bytes left over, and bytes that the same value
//! would not have are refused. So equal values have equal bytes, both ways.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why bytes cannot be read back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// They were written by a release that this one does not know. Upgrade this node.
    #[error("version {0:?} is not known here")]
    Version(Option<u8>),
    /// They end early, go on too long, or break a rule of what they stand for.
    #[error("damaged or not of this kind")]
    Bytes,
}

impl WireError {
    /// Whether the bytes may be in order, but of another release.
    pub fn is_version(&self) -> bool {
        matches!(self, Self::Version(_))
    }
}

pub(crate) fn encode<T: Serialize>(version: u8, value: &T) -> Vec<u8> {
    let encoded = postcard::to_extend(value, vec![version]);
    #[expect(clippy::expect_used, reason = "only a type without a length up front can fail, and none is encoded")]
    encoded.expect("a plain value always has an encoding")
}

pub(crate) fn decode<T: Serialize + DeserializeOwned>(version: u8, bytes: &[u8]) -> Result<T, WireError> {
    let (found, rest) = bytes.split_first().ok_or(WireError::Version(None))?;
    if *found != version {
        return Err(WireError::Version(Some(*found)));
    }
    let value = postcard::from_bytes(rest).or(Err(WireError::Bytes))?;
    if encode(version, &value) == bytes { Ok(value) } else { Err(WireError::Bytes) }
}

#[test]
fn a_number_has_one_form() {
    assert_eq!(encode(1, &5_u64), [1, 5]);
    assert_eq!(decode::<u64>(1, &[1, 5]), Ok(5));
    for wrong in [&[1, 0x85, 0][..], &[1, 5, 0], &[1]] {
        assert_eq!(decode::<u64>(1, wrong), Err(WireError::Bytes), "{wrong:?}");
    }
    assert_eq!(decode::<u64>(1, &[2, 5]), Err(WireError::Version(Some(2))));
    assert_eq!(decode::<u64>(1, &[]), Err(WireError::Version(None)));
}
