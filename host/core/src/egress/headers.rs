//! Which headers go out, and which come back.
//!
//! The host owns what frames a message, what names its target and its sender, and what it injects.
//! Pure; it does not know what a credential's value is.

use http::header::{ACCEPT_ENCODING, ALT_SVC, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Auth, RefusalKind};

/// The most headers of a message.
pub const MAX_HEADERS: usize = 100;

/// The most bytes of all names and values of a message.
pub const MAX_HEADER_BYTES: usize = 64 << 10;

/// How much a guest is expected to know of this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// `toolhost:tool/http`: written for this host; what is the host's to set is an error.
    Own,
    /// `wasi:http`: written for any host. Libraries set `Content-Length` and `Accept-Encoding` by
    /// themselves; the first has to tell the truth, and the host's own take their places.
    Wasi,
}

/// Why headers do not go out. The texts name the header, never its value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// More than [`MAX_HEADERS`].
    #[error("there are more than {MAX_HEADERS} headers")]
    TooMany,
    /// More than [`MAX_HEADER_BYTES`].
    #[error("the headers are larger than {MAX_HEADER_BYTES} bytes")]
    TooLarge,
    /// Not a header's name.
    #[error("header number {0} has a name that is not valid")]
    Name(usize),
    /// A value with a control character, or beyond ASCII.
    #[error("the header {0} has a value with a control or non-ASCII character")]
    Value(HeaderName),
    /// The host sets it, or it would change where the request goes or who seems to send it.
    #[error("the header {0} is the host's to set")]
    Forbidden(HeaderName),
    /// The grant's credential stands in its place.
    #[error("the header {0} may not be given here, because the host adds a credential")]
    Credential(HeaderName),
    /// It does not say how long the body is.
    #[error("the header content-length does not say how long the body is")]
    Length,
}

/// Framing and hops (RFC 9110, 7.6.1; RFC 9112, 6; RFC 9113, 8.2.2), target, cookies (the host keeps
/// none and hides `Set-Cookie`), and what intermediaries believe about target, method or sender.
const FORBIDDEN: [&str; 40] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "upgrade",
    "te",
    "trailer",
    "expect",
    "http2-settings",
    "accept-encoding",
    "cookie",
    "cookie2",
    "set-cookie",
    "forwarded",
    "via",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-originating-ip",
    "x-remote-ip",
    "x-remote-addr",
    "true-client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-url",
    "x-original-uri",
    "x-original-host",
    "x-original-method",
    "x-rewrite-url",
    "x-override-url",
    "x-host",
    "x-http-host-override",
    "early-data",
    "alt-used",
    "alt-svc",
    "max-forwards",
];

const FORBIDDEN_PREFIXES: [&str; 3] = ["proxy-", "x-forwarded-", "sec-websocket-"];

/// What belongs to the connection the response came over, and what a guest must not see.
const DROPPED: [&str; 9] = [
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
    "set-cookie",
    "set-cookie2",
];

/// Reads a guest's headers and refuses those that are not its to set.
///
/// # Errors
/// The first reason.
pub fn admit<N: AsRef<[u8]>, V: AsRef<[u8]>>(
    given: &[(N, V)],
    auth: Option<&Auth>,
    manner: Manner,
    body: usize,
) -> Result<HeaderMap, HeaderError> {
    if given.len() > MAX_HEADERS {
        return Err(HeaderError::TooMany);
    }
    let size = |(name, value): &(N, V)| name.as_ref().len() + value.as_ref().len();
    if given.iter().map(size).sum::<usize>() > MAX_HEADER_BYTES {
        return Err(HeaderError::TooLarge);
    }
    let mut headers = HeaderMap::with_capacity(given.len());
    let mut lengths = 0;
    for (index, (name, value)) in given.iter().enumerate() {
        let name =
            HeaderName::from_bytes(name.as_ref()).map_err(|_| HeaderError::Name(index + 1))?;
        let value = visible(value.as_ref()).ok_or_else(|| HeaderError::Value(name.clone()))?;
        if manner == Manner::Wasi && name == ACCEPT_ENCODING {
            continue;
        }
        if manner == Manner::Wasi && name == CONTENT_LENGTH {
            lengths += 1;
            check_length(&value, lengths, body)?;
            continue;
        }
        check_name(&name, auth)?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// Takes out of a response what is not the guest's to read.
pub fn filter_response(headers: &mut HeaderMap, auth: Option<&Auth>) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let dropped: Vec<HeaderName> = headers
        .keys()
        .filter(|name| {
            DROPPED.contains(&name.as_str())
                || name.as_str().starts_with("proxy-")
                || **name == ALT_SVC
                || named.contains(name)
                || auth.is_some_and(|auth| carries(auth, name))
        })
        .cloned()
        .collect();
    for name in dropped {
        headers.remove(name);
    }
}

/// Says whether headers of a response are within the bounds, the ones that are dropped included.
#[must_use]
pub fn within_bounds(headers: &HeaderMap) -> bool {
    let bytes: usize = headers
        .iter()
        .map(|(n, v)| n.as_str().len() + v.len())
        .sum();
    headers.len() <= MAX_HEADERS && bytes <= MAX_HEADER_BYTES
}

/// Says whether a name is one of those that only the host sets, so that no grant can inject it.
#[must_use]
pub fn is_forbidden(name: &HeaderName) -> bool {
    // CGI and its heirs read `_` and `-` as one.
    let name = name.as_str().replace('_', "-");
    FORBIDDEN.contains(&name.as_str())
        || FORBIDDEN_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

fn check_name(name: &HeaderName, auth: Option<&Auth>) -> Result<(), HeaderError> {
    if is_forbidden(name) {
        return Err(HeaderError::Forbidden(name.clone()));
    }
    match auth {
        Some(auth) if is_credential(auth, name) => Err(HeaderError::Credential(name.clone())),
        _ => Ok(()),
    }
}

/// A second way to say who asks, beside the grant's.
fn is_credential(auth: &Auth, name: &HeaderName) -> bool {
    let plain = name.as_str().replace('_', "-");
    let injected = match auth {
        Auth::Header { name, .. } => name.as_str().replace('_', "-"),
        _ => AUTHORIZATION.as_str().to_owned(),
    };
    plain == injected || plain == AUTHORIZATION.as_str() || plain == COOKIE.as_str()
}

/// A response that names the injected header most likely echoes its value.
fn carries(auth: &Auth, name: &HeaderName) -> bool {
    match auth {
        Auth::Header { name: injected, .. } => injected == name,
        Auth::Bearer { .. } | Auth::Basic { .. } => name == AUTHORIZATION,
        Auth::Query { .. } => false,
    }
}

/// RFC 9110, 5.5 without obs-text: visible ASCII, spaces and tabs.
fn visible(value: &[u8]) -> Option<HeaderValue> {
    let fits = value
        .iter()
        .all(|&b| b == b'\t' || b == b' ' || b.is_ascii_graphic());
    HeaderValue::from_bytes(value).ok().filter(|_| fits)
}

fn check_length(value: &HeaderValue, count: usize, body: usize) -> Result<(), HeaderError> {
    let said = value
        .to_str()
        .ok()
        .filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    match said.and_then(|text| text.parse::<usize>().ok()) {
        Some(length) if length == body && count == 1 => Ok(()),
        _ => Err(HeaderError::Length),
    }
}

impl HeaderError {
    /// Which kind of refusal this is.
    #[must_use]
    pub const fn kind(&self) -> RefusalKind {
        match self {
            Self::TooMany | Self::TooLarge => RefusalKind::LargeHeaders,
            _ => RefusalKind::Invalid,
        }
    }
}

#[cfg(test)]
mod tests;
