//! Pages in a browser: what one has to hear before it may send a request with a token, and read the
//! answer (CORS, of the Fetch standard). Pure.
//!
//! Which pages may call is the guard's to say, by one rule for a request and for the question that
//! comes before it. What is said here gives no rights: the request itself needs its token.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};

use super::body::Body;

/// Headers that a client of the protocol sends and a browser asks about, beside those that begin with
/// `mcp-`.
const SENT: [&str; 4] = ["authorization", "content-type", "accept", "last-event-id"];

/// The page that a request comes from, once the guard has let it through.
pub(super) fn origin(headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get(ORIGIN).cloned()
}

/// Whether it is a browser's question, and not yet a page's request.
pub(super) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    let asks = headers.contains_key(ORIGIN) && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    asks && method == Method::OPTIONS
}

/// What the page may send. A browser leaves out what was not asked for.
pub(super) fn preflight(headers: &HeaderMap) -> Response<Body> {
    let mut response = Response::new(Full::default().boxed_unsync());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let said = response.headers_mut();
    let methods = HeaderValue::from_static("POST, GET, DELETE");
    said.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    said.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    let asked = headers.get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter();
    let asked = asked.filter_map(|names| names.to_str().ok());
    let names = asked.flat_map(|names| names.split(','));
    let names: Vec<&str> = names.map(str::trim).filter(|name| is_ours(name)).collect();
    if let Ok(names) = HeaderValue::from_str(&names.join(", ")) {
        said.insert(ACCESS_CONTROL_ALLOW_HEADERS, names);
    }
    response
}

fn is_ours(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SENT.contains(&name.as_str()) || name.starts_with("mcp-")
}

/// Lets the page read an answer, and the session's id in its head.
pub(super) fn let_read<B>(response: &mut Response<B>, origin: HeaderValue) {
    let said = response.headers_mut();
    said.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    let exposed = HeaderValue::from_static("Mcp-Session-Id, WWW-Authenticate, Retry-After");
    said.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    said.append(VARY, HeaderValue::from_static("Origin"));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn only_headers_of_the_protocol_may_be_sent() {
        let mut asked = HeaderMap::new();
        let names =
            "Authorization,content-type, mcp-protocol-version, Mcp-Param-City, cookie, x-mcp-";
        asked.insert(ACCESS_CONTROL_REQUEST_HEADERS, names.parse().unwrap());
        let response = preflight(&asked);
        assert_eq!(
            response.headers()[ACCESS_CONTROL_ALLOW_HEADERS],
            "Authorization, content-type, mcp-protocol-version, Mcp-Param-City"
        );
    }

    #[test]
    fn a_question_without_a_page_or_a_method_is_none() {
        let headers = |names: &[&'static str]| -> HeaderMap {
            let pairs = names.iter().map(|name| {
                (
                    http::HeaderName::from_static(name),
                    HeaderValue::from_static("x"),
                )
            });
            pairs.collect()
        };
        let both = headers(&["origin", "access-control-request-method"]);
        assert!(is_preflight(&Method::OPTIONS, &both));
        assert!(!is_preflight(&Method::POST, &both));
        assert!(!is_preflight(&Method::OPTIONS, &headers(&["origin"])));
        let method = headers(&["access-control-request-method"]);
        assert!(!is_preflight(&Method::OPTIONS, &method));
    }
}
