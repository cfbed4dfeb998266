//! A `tools/call` over HTTP that says by itself how it is meant (2026-07-28) and asks for nothing but
//! the call. It is answered without passing through the library, which starts two tasks for each
//! request and reads it three times.
//!
//! It does not know any other request: what is not plain is the library's, to answer or to refuse.

use std::borrow::Cow;
use std::sync::Arc;

use http::HeaderMap;
use rmcp::ErrorData;
use rmcp::model::{
    CallToolResult, ClientCapabilities, Implementation, ProtocolVersion, RequestId,
    ServerJsonRpcMessage, ServerResult,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::agent::CallerSession;
use super::endpoint::session;
use super::fast_path::{METHOD, Message, PlainCall};
use crate::terms::json;

/// The version whose requests are read here.
pub(super) const VERSION: ProtocolVersion = ProtocolVersion::V_2026_07_28;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Params<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    // What is there twice in one of these is refused, in words that this has not.
    #[serde(default, deserialize_with = "json::object")]
    arguments: Map<String, Value>,
    #[serde(rename = "_meta")]
    meta: Meta<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Meta<'a> {
    #[serde(rename = "io.modelcontextprotocol/protocolVersion")]
    version: &'a str,
    #[serde(
        default,
        rename = "io.modelcontextprotocol/clientInfo",
        deserialize_with = "json::object"
    )]
    client: Map<String, Value>,
    #[serde(
        rename = "io.modelcontextprotocol/clientCapabilities",
        deserialize_with = "json::object"
    )]
    capabilities: Map<String, Value>,
}

/// Whether the library would find all in it that there has to be.
fn is_whole(meta: Meta<'_>) -> bool {
    meta.version == VERSION.as_str()
        && is_empty_or::<Implementation>(meta.client)
        && is_empty_or::<ClientCapabilities>(meta.capabilities)
}

fn is_empty_or<T: DeserializeOwned>(object: Map<String, Value>) -> bool {
    object.is_empty() || serde_json::from_value::<T>(Value::Object(object)).is_ok()
}

/// Reads a request, if it is a plain call and its headers say the same as its body. One that is not is
/// the library's.
pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Option<PlainCall> {
    let says = |name, value: &str| {
        let mut said = headers.get_all(name).iter();
        said.next().is_some_and(|said| said == value) && said.next().is_none()
    };
    if session(headers).is_some()
        || !says("mcp-protocol-version", VERSION.as_str())
        || !says("mcp-method", METHOD)
    {
        return None;
    }
    let message: Message<'_, Params<'_>> = serde_json::from_slice(body).ok()?;
    let (id, params) = message.call()?;
    // A name that is said in base64, or has to be, is the library's to compare.
    let is_plain_name =
        params.name.bytes().all(|b| b.is_ascii_graphic()) && !params.name.starts_with("=?");
    (is_plain_name && says("mcp-name", &params.name) && is_whole(params.meta)).then(|| PlainCall {
        id,
        name: params.name.into_owned(),
        arguments: params.arguments,
    })
}

/// Answers a call: the body of a response that says 200, or nothing where there is no host any more.
pub(super) async fn answer(caller_session: Arc<CallerSession>, call: PlainCall) -> Vec<u8> {
    let id = call.id;
    let body = move |answer| body(answer, id);
    caller_session.answer(call.name, call.arguments, body).await
}

fn body(answer: Result<CallToolResult, ErrorData>, id: RequestId) -> Vec<u8> {
    let message = match answer {
        Ok(result) => ServerJsonRpcMessage::response(ServerResult::CallToolResult(result), id),
        Err(error) => ServerJsonRpcMessage::error(error, Some(id)),
    };
    // The library's own types: they are always JSON.
    serde_json::to_vec(&message).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use http::HeaderValue;
    use http::header::HeaderName;

    use super::*;

    const HEADERS: [(&str, &str); 3] = [
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "a"),
    ];

    const BODY: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"x":[1]},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"n","version":"1","title":"t"},"io.modelcontextprotocol/clientCapabilities":{"elicitation":{}}}}}"#;

    fn is_plain(headers: &[(&'static str, &'static str)], body: &str) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let (name, value) = (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
            map.append(name, value);
        }
        read(&map, body.as_bytes()).is_some()
    }

    #[test]
    fn only_a_call_whose_headers_agree_with_it_is_plain() {
        assert!(is_plain(&HEADERS, BODY));
        for (at, value) in [(0, "2025-11-25"), (1, "tools/list"), (2, "b")] {
            let mut headers = HEADERS;
            headers[at].1 = value;
            assert!(!is_plain(&headers, BODY), "{headers:?}");
            let twice: Vec<_> = HEADERS.into_iter().chain([HEADERS[at]]).collect();
            assert!(!is_plain(&twice, BODY), "{twice:?}");
            let mut without = HEADERS.to_vec();
            without.remove(at);
            assert!(!is_plain(&without, BODY), "{without:?}");
        }
        let in_session = [&HEADERS[..], &[("mcp-session-id", "s")]].concat();
        assert!(!is_plain(&in_session, BODY));
    }

    #[test]
    fn what_the_library_would_refuse_or_look_at_is_its_own() {
        for (from, to) in [
            (r#""id":1,"#, ""),
            (r#""id":1,"#, r#""id":1.0,"#),
            (r#""id":1,"#, r#""id":1,"id":2,"#),
            (r#"{"x":[1]}"#, "null"),
            (r#"{"x":[1]}"#, r#"{"x":1,"x":2}"#),
            (r#"{"x":[1]}"#, r#"{"x":[{"y":1,"\u0079":2}]}"#),
            (r#""arguments""#, r#""argument""#),
            (r#""_meta":{"#, r#""_meta":{"progressToken":1,"#),
            (r#""_meta":{"#, r#""_meta":{"traceparent":"00","#),
            (
                r#""_meta":{"#,
                r#""_meta":{"io.modelcontextprotocol/logLevel":"info","#,
            ),
            (r#""2026-07-28""#, r#""2025-11-25""#),
            (
                r#"{"name":"n","version":"1","title":"t"}"#,
                r#"{"name":"n"}"#,
            ),
            (r#"{"name":"n","version":"1","title":"t"}"#, "1"),
            (r#""title":"t""#, r#""title":"t","title":"t""#),
            (r#"{"elicitation":{}}"#, r#"{"elicitation":1}"#),
            (
                r#","io.modelcontextprotocol/clientCapabilities":{"elicitation":{}}"#,
                "",
            ),
            (r#"{"elicitation":{}}"#, "[]"),
        ] {
            let body = BODY.replacen(from, to, 1);
            assert_ne!(body, BODY, "{from}");
            assert!(!is_plain(&HEADERS, &body), "{body}");
        }
        for name in ["=?base64?eA==?=", "\u{e4}"] {
            let mut map = HeaderMap::new();
            for (header, value) in [HEADERS[0], HEADERS[1], ("mcp-name", name)] {
                let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
                map.append(HeaderName::from_static(header), value);
            }
            let body = BODY.replacen(r#""name":"a""#, &format!("\"name\":{name:?}"), 1);
            assert!(read(&map, body.as_bytes()).is_none(), "{name}");
        }
        let client =
            r#""io.modelcontextprotocol/clientInfo":{"name":"n","version":"1","title":"t"},"#;
        for (from, to) in [
            (client, ""),
            (r#"{"elicitation":{}}"#, "{}"),
            (r#""id":1"#, r#""id":"x""#),
        ] {
            assert!(is_plain(&HEADERS, &BODY.replacen(from, to, 1)), "{from}");
        }
    }
}
