//! What one line is to the protocol: a message, nothing, or something to refuse.
//!
//! It does not know connections.

use rmcp::model::{
    ClientJsonRpcMessage, ClientRequest, GetMeta as _, JsonRpcMessage, ProtocolVersion,
};

use super::agent::VERSIONS;
use super::fast_path::PlainCall;
use crate::frame::{self, Refusal};

const UTF8_BOM: &[u8] = b"\xEF\xBB\xBF";

/// A line without what may stand around a message.
pub(super) fn content(line: &[u8]) -> &[u8] {
    line.strip_prefix(UTF8_BOM).unwrap_or(line).trim_ascii()
}

/// What a connection makes of a line.
#[derive(Debug)]
pub enum Line {
    /// A message for the protocol: a request or notification of this method, or an answer.
    Message(Option<String>),
    /// A notification that nobody here knows.
    Ignored,
    /// No message; this is what the other side hears, as JSON.
    Refused(Vec<u8>),
}

/// Reads one line, without its end, as connections do: the whole of what an agent's bytes meet before
/// the protocol. Lines that are too long do not come this far.
#[must_use]
pub fn read_line(line: &[u8]) -> Line {
    let line = content(line);
    let method = |line| Some(frame::examine(line).ok()?.method()?.to_owned());
    match parse(line) {
        Ok(Some(_)) => Line::Message(method(line)),
        Ok(None) => Line::Ignored,
        Err(refusal) => Line::Refused(refusal.to_json()),
    }
}

/// Whether a connection with an open session begins this line's call by itself. Every such line is
/// one that [`read_line`] takes for a `tools/call`, too.
#[must_use]
pub fn is_plain_call(line: &[u8]) -> bool {
    PlainCall::read(content(line)).is_some()
}

/// Whether the library begins a connection with this message: a handshake, or a request that says by
/// itself how it is meant. What comes before is answered by itself, or is nothing to it.
pub(super) fn begins(message: &ClientJsonRpcMessage) -> bool {
    let JsonRpcMessage::Request(request) = message else {
        return false;
    };
    match &request.request {
        ClientRequest::InitializeRequest(_) => true,
        ClientRequest::PingRequest(_) | ClientRequest::DiscoverRequest(_) => false,
        request => {
            let meta = request.get_meta();
            let missing = meta.missing_required_keys(&ProtocolVersion::V_2026_07_28);
            let version = meta.protocol_version();
            missing.is_empty() && version.is_some_and(|version| VERSIONS.contains(&version))
        }
    }
}

/// A message the library reads, nothing for a notification that nobody here knows, or a refusal.
pub(super) fn parse(line: &[u8]) -> Result<Option<ClientJsonRpcMessage>, Refusal> {
    let envelope = frame::examine(line)?;
    match serde_json::from_slice(line) {
        Ok(message) => Ok(Some(message)),
        Err(_) if envelope.is_notification() => Ok(None),
        Err(_) => Err(envelope.malformed()),
    }
}
