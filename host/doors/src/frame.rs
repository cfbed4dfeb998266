//! The first look at bytes that claim to be a message: which framing, how deep, and whether it is one
//! JSON-RPC message at all. What passes here is parsed for good elsewhere.
//!
//! It does not know any method, nor where the bytes came from.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::terms::json;

/// How deep a message may nest. `serde_json` stops at 128 levels so that a message cannot exhaust
/// the stack; one less is the deepest that it still reads.
pub(super) const MAX_DEPTH: usize = 127;

/// The longest text, in bytes, that may be a request's id or a token of its progress. Both are kept
/// while the request runs and repeated in all that is said of it, and clients count or send a UUID.
pub(super) const LONGEST_ID: usize = 256;

/// The longest handshake, in bytes. What a client says of itself in it is kept as long as its session
/// or connection is open, and most say some hundred bytes.
const LONGEST_HANDSHAKE: usize = 16 << 10;

/// JSON-RPC's "parse error".
pub(super) const PARSE_ERROR: i32 = -32700;
/// JSON-RPC's "invalid request".
pub(super) const INVALID_REQUEST: i32 = -32600;
/// There is no room now. JSON-RPC leaves this code to servers.
pub(super) const BUSY: i32 = -32000;
/// The whole connection is refused, and no message of it. JSON-RPC leaves this code to servers, too.
pub(super) const REFUSED: i32 = -32010;
/// JSON-RPC's "internal error".
pub(super) const INTERNAL_ERROR: i32 = -32603;

/// How a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// One message a line.
    Lines,
    /// HTTP/1.
    Http,
}

impl Framing {
    /// Tells by the first byte: an HTTP request begins with a method in capital letters, a JSON
    /// message never does.
    pub(super) fn of(first: u8) -> Self {
        if first.is_ascii_uppercase() {
            Self::Http
        } else {
            Self::Lines
        }
    }
}

/// The outside of a message.
#[derive(Debug, Deserialize)]
pub(super) struct Envelope<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
}

/// A member that is there, `null` too: a request whose id is null is refused, not taken for a
/// notification.
fn present<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl Envelope<'_> {
    /// The message's id, if it has one that may be answered to.
    pub(super) fn id(&self) -> Option<Value> {
        id_in(self.id?)
    }

    /// The method, if it is a request or a notification.
    pub(super) fn method(&self) -> Option<&str> {
        self.method.as_deref()
    }

    /// Whether nobody waits for an answer.
    pub(super) fn is_notification(&self) -> bool {
        self.id.is_none() && self.method.is_some()
    }

    /// What to say when the message is not what its method asks for.
    pub(super) fn malformed(&self) -> Refusal {
        Refusal::malformed(self.id())
    }

    /// Whether it is a request whose id is neither a text nor a number that is written as a whole one.
    fn has_odd_id(&self) -> bool {
        let id = self.id.filter(|_| self.method.is_some());
        id.is_some_and(|id| !id.get().starts_with('"') && id_in(id).is_none())
    }

    /// Whether its id is a text that is too long. An escape in it takes more bytes than it stands for,
    /// so what is short as it is written is short.
    fn has_long_id(&self) -> bool {
        let long = self.id.filter(|id| id.get().len() > LONGEST_ID + 2);
        let text = long.and_then(|id| serde_json::from_str::<Cow<'_, str>>(id.get()).ok());
        text.is_some_and(|text| text.len() > LONGEST_ID)
    }
}

/// Why a message is not even looked at.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refusal {
    /// A JSON-RPC error code.
    pub(super) code: i32,
    /// The message's id, where it is known.
    pub(super) id: Option<Value>,
    /// What happened and what to do next.
    pub(super) say: Cow<'static, str>,
}

impl Refusal {
    /// A refusal of something that has no id.
    pub(super) fn new(code: i32, say: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            id: None,
            say: say.into(),
        }
    }

    /// A message is not what its method asks for.
    pub(super) fn malformed(id: Option<Value>) -> Self {
        Self {
            code: INVALID_REQUEST,
            id,
            say: "This is not a JSON-RPC 2.0 message: expected \"jsonrpc\": \"2.0\", a \"method\", a string or integer \"id\" for a request, and \"params\" that are an object.".into(),
        }
    }

    /// There is no room for a message that takes so many bytes when it is read.
    pub(super) fn busy(id: Option<Value>, bytes: u64) -> Self {
        Self {
            code: BUSY,
            id,
            say: format!(
                "There is no room for this message, which takes {bytes} bytes when it is read, beside this caller's others. Wait for their answers and send it again, or send it in parts."
            )
            .into(),
        }
    }

    /// A request's id is too long to be repeated.
    fn long_id() -> Self {
        Self::new(
            INVALID_REQUEST,
            format!(
                "The \"id\" is longer than {LONGEST_ID} bytes, so it is not repeated here, and nothing ran. Send a number or a shorter text."
            ),
        )
    }

    /// A handshake is longer than handshakes may be.
    fn long_handshake(id: Option<Value>) -> Self {
        Self {
            code: INVALID_REQUEST,
            id,
            say: format!(
                "The handshake is longer than {LONGEST_HANDSHAKE} bytes. Say less in \"clientInfo\" and \"capabilities\"."
            )
            .into(),
        }
    }

    /// A message is longer than messages may be.
    pub(super) fn too_large(id: Option<Value>, longest: usize) -> Self {
        Self {
            code: INVALID_REQUEST,
            id,
            say: format!(
                "The message is longer than {longest} bytes. Send a smaller one, or ask the operator for a larger `message` in [host]."
            )
            .into(),
        }
    }

    /// A request's id is still in use.
    pub(super) fn still_running(id: Option<Value>) -> Self {
        Self {
            code: INVALID_REQUEST,
            id,
            say: "A request with this id is still running. Give each its own.".into(),
        }
    }

    /// The refusal as a JSON-RPC message. Without an id there is no `id` member, as the protocol's
    /// schema has it.
    pub(super) fn to_json(&self) -> Vec<u8> {
        let id = self
            .id
            .as_ref()
            .map(|id| format!(r#""id":{id},"#))
            .unwrap_or_default();
        let say = Value::from(self.say.as_ref());
        let code = self.code;
        format!(r#"{{"jsonrpc":"2.0",{id}"error":{{"code":{code},"message":{say}}}}}"#).into_bytes()
    }
}

/// What a message of a client says of itself, as far as a bridge has to know.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Outline<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

/// The request that a cancellation takes back.
#[derive(Deserialize)]
struct TakenBack {
    #[serde(rename = "requestId")]
    request: Value,
}

impl<'a> Outline<'a> {
    /// Of a message; of what is none it says nothing.
    pub(super) fn of(message: &'a [u8]) -> Self {
        serde_json::from_slice(message).unwrap_or_default()
    }

    /// The message's id, if it has one that may be answered to.
    pub(super) fn id(&self) -> Option<Value> {
        id_in(self.id?)
    }

    /// The method, if it is a request or a notification.
    pub(super) fn method(&self) -> Option<&str> {
        self.method.as_deref()
    }

    /// The id of the request that it takes back, if it takes one back.
    pub(super) fn takes_back(&self) -> Option<Value> {
        // With an id it is a request, which takes nothing back.
        if self.id.is_some() || self.method() != Some("notifications/cancelled") {
            return None;
        }
        let taken: TakenBack = serde_json::from_str(self.params?.get()).ok()?;
        Some(taken.request)
    }

    /// The id of the request that it answers, if it answers one.
    pub(super) fn answers(&self) -> Option<Value> {
        match self.method {
            None => self.id(),
            Some(_) => None,
        }
    }
}

fn id_in(id: &RawValue) -> Option<Value> {
    answerable(serde_json::from_str(id.get()).ok()?)
}

/// An id that may be answered to: a text that is not too long, or a number that is written as a whole one.
pub(super) fn answerable(id: Value) -> Option<Value> {
    let is_short = id.as_str().is_none_or(|text| text.len() <= LONGEST_ID);
    (is_short && (id.is_string() || id.is_i64() || id.is_u64())).then_some(id)
}

/// Whether a message of the host's own answers a request.
pub(super) fn is_answer(message: &[u8]) -> bool {
    Outline::of(message).answers().is_some()
}

/// Looks at one message without building it.
pub(super) fn examine(message: &[u8]) -> Result<Envelope<'_>, Refusal> {
    let depth = depth(message);
    if depth > MAX_DEPTH {
        return Err(Refusal::new(
            INVALID_REQUEST,
            format!(
                "The message nests {depth} levels deep; at most {MAX_DEPTH} are read. Send a flatter one."
            ),
        ));
    }
    if message.trim_ascii_start().first() == Some(&b'[') {
        return Err(Refusal::new(
            INVALID_REQUEST,
            "Batches are not served, in any version of the protocol: send each message by itself.",
        ));
    }
    let envelope: Envelope<'_> =
        serde_json::from_slice(message).map_err(|error| refusal_of(&error))?;
    if envelope.has_long_id() {
        return Err(Refusal::long_id());
    }
    // What one reader takes for 1 and another for no id would be answered to nobody.
    if envelope.has_odd_id() {
        return Err(envelope.malformed());
    }
    if message.len() > LONGEST_HANDSHAKE && envelope.method() == Some("initialize") {
        return Err(Refusal::long_handshake(envelope.id()));
    }
    match json::named_twice(message) {
        None => Ok(envelope),
        Some(name) => Err(Refusal {
            code: INVALID_REQUEST,
            id: envelope.id(),
            say: format!(
                "An object in the message has the name {} twice; say it once.",
                brief(format!("{name:?}"))
            )
            .into(),
        }),
    }
}

fn refusal_of(error: &serde_json::Error) -> Refusal {
    let why = brief(error.to_string());
    if error.is_data() {
        return Refusal::new(
            INVALID_REQUEST,
            format!("This is not a JSON-RPC message: {why}."),
        );
    }
    Refusal::new(
        PARSE_ERROR,
        format!("This is not JSON in UTF-8: {why}. Send one JSON object a message."),
    )
}

/// The begin of what repeats an agent's own words, which are as long as a message may be.
pub(super) fn brief(why: String) -> String {
    const LONGEST: usize = 200;
    match why.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", why.get(..end).unwrap_or_default()),
        None => why,
    }
}

/// How deep objects and arrays nest, strings left out. An estimate for what is not JSON.
fn depth(message: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0_usize);
    let mut rest = message;
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        match byte {
            b'"' => rest = json::behind_text(behind),
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn refusal(message: impl AsRef<[u8]>) -> (i32, String) {
        let refusal = examine(message.as_ref()).expect_err("accepted");
        (refusal.code, refusal.say.into_owned())
    }

    fn nested(levels: usize) -> String {
        format!(
            "{{\"params\":{}{}}}",
            "[".repeat(levels - 1),
            "]".repeat(levels - 1)
        )
    }

    #[test]
    fn the_first_byte_tells_the_framing() {
        for http in [b'P', b'G', b'D', b'H', b'O'] {
            assert_eq!(Framing::of(http), Framing::Http);
        }
        for lines in [b'{', b' ', b'\n', b'[', 0, 0xff] {
            assert_eq!(Framing::of(lines), Framing::Lines);
        }
    }

    #[test]
    fn the_envelope_of_each_kind_of_message() {
        let request = examine(br#" {"jsonrpc":"2.0","id":7,"method":"ping","x":[1]}"#).unwrap();
        assert_eq!(
            (request.id(), request.method()),
            (Some(7.into()), Some("ping"))
        );
        assert!(!request.is_notification());
        assert!(
            examine(br#"{"method":"notifications/cancelled"}"#)
                .unwrap()
                .is_notification()
        );
        for odd in [
            "1.5",
            "1.0",
            "1e0",
            "null",
            "true",
            "[1]",
            "18446744073709551616",
        ] {
            let (code, say) = refusal(format!(r#"{{"id":{odd},"method":"ping"}}"#));
            assert_eq!(code, INVALID_REQUEST, "{odd}");
            assert!(say.contains("string or integer"), "{odd}: {say}");
        }
        assert_eq!(examine(br#"{"id":"a"}"#).unwrap().id(), Some("a".into()));
    }

    #[test]
    fn x75_an_id_and_a_handshake_have_a_longest_length() {
        let with_id = |id: &str| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        let text = |text: &str, count| with_id(&format!("\"{}\"", text.repeat(count)));
        // It is what is meant that counts, not how it is written.
        for fits in [text("x", LONGEST_ID), text(r"\u0078", LONGEST_ID)] {
            let id = examine(fits.as_bytes()).expect("at the limit").id();
            assert_eq!(id, Some("x".repeat(LONGEST_ID).into()));
        }
        for long in [
            text("x", LONGEST_ID + 1),
            text("x", 1 << 20),
            text("\u{fc}", LONGEST_ID / 2 + 1),
            text(r"\u0078", LONGEST_ID + 1),
        ] {
            let refusal = examine(long.as_bytes()).expect_err("accepted");
            assert_eq!((refusal.code, &refusal.id), (INVALID_REQUEST, &None));
            assert!(refusal.to_json().len() < 300, "{}", refusal.say);
            assert_eq!(Outline::of(long.as_bytes()).id(), None, "at the bridge");
        }

        let hello = |name: &str| {
            format!(
                r#"{{"id":1,"method":"initialize","params":{{"clientInfo":{{"name":"{name}"}}}}}}"#
            )
        };
        examine(hello("x").as_bytes()).expect("a short one");
        let long = hello(&"x".repeat(LONGEST_HANDSHAKE));
        let refusal = examine(long.as_bytes()).expect_err("accepted");
        assert_eq!(refusal.id, Some(1.into()));
        assert!(refusal.say.contains("clientInfo"), "{}", refusal.say);
    }

    #[test]
    fn what_is_not_one_message_is_refused() {
        assert_eq!(refusal("{").0, PARSE_ERROR);
        assert_eq!(refusal("not json").0, PARSE_ERROR);
        assert_eq!(refusal(b"{\"method\":\"\xff\"}").0, PARSE_ERROR);
        assert_eq!(refusal("{} {}").0, PARSE_ERROR);
        assert_eq!(refusal("7").0, INVALID_REQUEST);
        let (code, say) = refusal(" [{\"jsonrpc\":\"2.0\"}]");
        assert_eq!(code, INVALID_REQUEST);
        assert!(say.starts_with("Batches"), "{say}");
    }

    #[test]
    fn x04_the_deepest_message_that_passes_is_the_deepest_the_parser_reads() {
        let deepest = nested(MAX_DEPTH);
        examine(deepest.as_bytes()).expect("at the limit");
        serde_json::from_str::<Value>(&deepest).expect("the parser reads it");

        let deeper = nested(MAX_DEPTH + 1);
        serde_json::from_str::<Value>(&deeper).expect_err("the parser reads deeper");
        let (code, say) = refusal(deeper);
        assert_eq!(code, INVALID_REQUEST);
        assert!(say.contains("128 levels"), "{say}");
        assert_eq!(refusal(nested(500_000)).0, INVALID_REQUEST);
    }

    #[test]
    fn brackets_in_strings_are_not_depth() {
        let message = format!(r#"{{"method":"{}\"{{"}}"#, "[".repeat(500));
        examine(message.as_bytes()).expect("a flat message");
    }

    #[test]
    fn a_refusal_is_a_json_rpc_error() {
        let refusal = Refusal {
            code: -1,
            id: Some("x".into()),
            say: "No.".into(),
        };
        let message: Value = serde_json::from_slice(&refusal.to_json()).unwrap();
        assert_eq!(
            message,
            serde_json::json!({"jsonrpc":"2.0","id":"x","error":{"code":-1,"message":"No."}})
        );
        let bare: Value = serde_json::from_slice(&Refusal::new(-1, "No.").to_json()).unwrap();
        assert!(bare.get("id").is_none());
    }

    #[test]
    fn g70_a_name_that_is_there_twice_is_refused_by_its_name() {
        let message = br#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"a","arguments":{"to":1,"t\u006f":2}}}"#;
        let refusal = examine(message).expect_err("accepted");
        assert_eq!(refusal.id, Some(3.into()));
        assert!(refusal.say.contains("\"to\" twice"), "{}", refusal.say);
    }
}
