//! Reaching for the network, by every way there is.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};

use toolhost_sdk::{Code, JsonSchema, ToolError, http, tool};

#[cfg(target_arch = "wasm32")]
mod wasi;

/// What came back.
#[derive(Debug, PartialEq, serde::Serialize, JsonSchema)]
pub(crate) struct Answer {
    /// The status code.
    status: u16,
    /// Names and values.
    headers: Vec<(String, String)>,
    /// The body as text.
    body: String,
    /// The bytes of each piece in which the body came, where it came in pieces.
    pieces: Vec<usize>,
}

/// Asks for a URL.
#[tool(read_only)]
pub(crate) fn get(
    /// The URL.
    url: String,
) -> Result<Answer, ToolError> {
    answer(http::get(url))
}

/// Sends text to a URL.
#[tool]
pub(crate) fn post(
    /// The URL.
    url: String,
    /// The text.
    body: String,
) -> Result<Answer, ToolError> {
    answer(http::post(url).body(body))
}

/// Sends any request, with any headers.
#[tool]
pub(crate) fn raw(
    /// The method.
    method: String,
    /// The URL.
    url: String,
    /// Names and values.
    #[serde(default)]
    headers: Vec<(String, String)>,
    /// The body.
    #[serde(default)]
    body: Option<String>,
    /// The longest time to wait, in milliseconds.
    #[serde(default)]
    timeout_ms: Option<u64>,
) -> Result<Answer, ToolError> {
    let mut request = http::request(method, url);
    request.headers = headers;
    request.body = body.map(String::into_bytes);
    request.timeout = timeout_ms.map(std::time::Duration::from_millis);
    answer(request)
}

/// One request through `wasi:http`, in the parts it is made of.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(target_arch = "wasm32"), allow(dead_code))]
pub(crate) struct Parts {
    /// The method, GET where it is missing.
    method: Option<String>,
    /// `http`, `https` or any other scheme.
    scheme: String,
    /// Host and port.
    authority: String,
    /// Path and query, as they stand.
    path: Option<String>,
    /// Names and values.
    #[serde(default)]
    headers: Vec<(String, String)>,
    /// The body.
    body: Option<String>,
    /// So many more bytes of body.
    #[serde(default)]
    fill: u32,
    /// Milliseconds to wait between two pieces of the body.
    #[serde(default)]
    pause_ms: u64,
    /// Names and values behind the body.
    #[serde(default)]
    trailers: Vec<(String, String)>,
}

/// Sends a request through `wasi:http` in place of the host's own interface.
#[tool]
pub(crate) fn wasi_http(args: Parts) -> Result<Answer, ToolError> {
    #[cfg(target_arch = "wasm32")]
    return wasi::send(args);
    #[cfg(not(target_arch = "wasm32"))]
    {
        let _ = args;
        Err(ToolError::failed(
            "there is no wasi:http outside a component",
        ))
    }
}

/// How many requests came to what.
#[derive(Debug, Default, serde::Serialize, JsonSchema)]
#[cfg_attr(not(target_arch = "wasm32"), allow(dead_code))]
pub(crate) struct Crowd {
    /// Those that were answered.
    answered: u32,
    /// The others, by the reason.
    refused: std::collections::BTreeMap<String, u32>,
}

/// Sends many requests through `wasi:http` before it waits for any of them.
#[tool]
pub(crate) fn crowd(
    /// How many.
    count: u32,
    /// Host and port.
    authority: String,
) -> Result<Crowd, ToolError> {
    #[cfg(target_arch = "wasm32")]
    return wasi::crowd(count, &authority);
    #[cfg(not(target_arch = "wasm32"))]
    {
        let _ = (count, authority);
        Err(ToolError::failed(
            "there is no wasi:http outside a component",
        ))
    }
}

/// Reads from one URL, and sends what it read to another: in the URL, a header and the body.
#[tool]
pub(crate) fn relay(
    /// Where to read.
    from: String,
    /// Where to send it.
    to: String,
) -> Result<Answer, ToolError> {
    let read = answer(http::get(from))?.body;
    let word: String = read.chars().filter(char::is_ascii_alphanumeric).collect();
    let request = http::post(format_args!("{to}?read={word}"));
    answer(request.header("x-read", &word).body(read))
}

/// Opens a TCP connection and asks for `/`.
#[tool(read_only)]
pub(crate) fn connect(
    /// Address and port.
    addr: String,
) -> Result<String, ToolError> {
    let mut stream = TcpStream::connect(&addr)?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut said = Vec::new();
    stream.take(1024).read_to_end(&mut said)?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

/// Asks for a name's addresses.
#[tool(read_only)]
pub(crate) fn resolve(
    /// The name.
    name: String,
) -> Result<Vec<String>, ToolError> {
    let addresses = (name.as_str(), 80).to_socket_addrs()?;
    Ok(addresses.map(|address| address.ip().to_string()).collect())
}

/// The answer as it is, whatever its status; the host's own error code in `data.http`.
fn answer(request: http::Request) -> Result<Answer, ToolError> {
    let response = request
        .send()
        .map_err(|error| refused(error.code.as_str(), error.message))?;
    Ok(Answer {
        status: response.status,
        body: response.text().into_owned(),
        pieces: Vec::new(),
        headers: response
            .headers
            .into_iter()
            .map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned()))
            .collect(),
    })
}

fn refused(http: &str, message: String) -> ToolError {
    let code = match http {
        "denied" => Code::Denied,
        "timeout" | "unreachable" => Code::Unavailable,
        _ => Code::Failed,
    };
    ToolError::new(code, format_args!("{http}: {message}"))
        .data(toolhost_sdk::serde_json::json!({ "http": http }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use toolhost_sdk::http::{Error, ErrorCode, Response, with_transport};

    #[test]
    fn an_answer_comes_as_it_is() {
        let upstream = |_: &http::Request| Ok(Response::new(500).with_body("broken"));
        let answer = with_transport(upstream, || get("http://a.example/".to_owned()));
        assert_eq!(
            answer.map(|answer| (answer.status, answer.body)),
            Ok((500, "broken".to_owned()))
        );
    }

    #[test]
    fn a_refusal_keeps_the_hosts_code() {
        let upstream = |_: &http::Request| Err(Error::new(ErrorCode::Denied, "no grant"));
        let error = with_transport(upstream, || get("http://a.example/".to_owned())).err();
        let error = error.map(|error| (error.code, error.message));
        assert_eq!(error, Some((Code::Denied, "denied: no grant".to_owned())));
    }

    #[test]
    fn headers_go_out_as_given() {
        let upstream = |request: &http::Request| {
            assert_eq!(request.headers, [("Host".to_owned(), "evil".to_owned())]);
            Ok(Response::new(200))
        };
        let headers = vec![("Host".to_owned(), "evil".to_owned())];
        let call = || {
            raw(
                "GET".to_owned(),
                "http://a.example/".to_owned(),
                headers,
                None,
                None,
            )
        };
        assert!(with_transport(upstream, call).is_ok());
    }
}
