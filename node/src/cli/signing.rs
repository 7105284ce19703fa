//! Envelopes as commands make and send them.
//!
//! A command signs with one key; what several authors sign comes as envelopes made elsewhere.

use super::failure::Failure;
use super::keys::NamedKey;
use model::record::Authors;
use model::{AgentId, Body, RecordId, Refusal, acceptance};

/// The authors of what one key signs.
///
/// # Errors
///
/// None in practice: one author is always in order.
pub(super) fn sole_author(agent: AgentId) -> Result<Authors, Refusal> {
    Authors::new(vec![agent])
}

/// A signed envelope as one line of JSON, without the newline, and its id. Cost: about 20 us.
///
/// # Errors
///
/// [`Refusal`] if the body breaks a rule as a whole.
pub(super) fn signed_line(body: Body, key: &NamedKey) -> Result<(RecordId, Vec<u8>), Refusal> {
    let record = acceptance::sign(body, std::slice::from_ref(&key.secret))?;
    Ok((record.id(), api::json::envelope_json(record.envelope())))
}

/// A refusal of what the user typed.
pub(super) fn refused(refusal: &Refusal) -> Failure {
    Failure::Refused(format!("{}: expected {} ({})", refusal.field, refusal.expected, refusal.code))
}
