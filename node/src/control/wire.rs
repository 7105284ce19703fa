//! What Raft writes down and sends, as bytes: a version, then postcard. It never skips what it does not understand.

use serde::Serialize;
use serde::de::DeserializeOwned;

const VERSION: u8 = 1;

/// Why bytes are no message and no entry of Raft.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Written by a release that this one does not know. Upgrade this node.
    #[error("version {0} is not known here")]
    Version(u8),
    /// They end early or go on too long.
    #[error("damaged or not of this kind")]
    Bytes,
}

pub(super) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let encoded = postcard::to_extend(value, vec![VERSION]);
    #[expect(clippy::expect_used, reason = "only a type without a length up front can fail, and none is encoded")]
    encoded.expect("what Raft says always has an encoding")
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, WireError> {
    let (version, rest) = bytes.split_first().ok_or(WireError::Bytes)?;
    if *version != VERSION {
        return Err(WireError::Version(*version));
    }
    match postcard::take_from_bytes(rest) {
        Ok((value, [])) => Ok(value),
        Ok(_) | Err(_) => Err(WireError::Bytes),
    }
}

#[test]
fn what_is_not_whole_or_of_another_version_is_refused() {
    assert_eq!(decode(&encode(&(7_u64, "seven".to_owned()))), Ok((7_u64, "seven".to_owned())));
    assert_eq!(decode::<u64>(&[]), Err(WireError::Bytes));
    assert_eq!(decode::<u64>(&[2, 7]), Err(WireError::Version(2)));
    assert_eq!(decode::<u64>(&[1, 0x87]), Err(WireError::Bytes));
    assert_eq!(decode::<u64>(&[1, 7, 7]), Err(WireError::Bytes));
}
