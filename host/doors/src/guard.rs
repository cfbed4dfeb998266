//! What an HTTP request must show before anything else is read of it: that it was meant for this
//! host (Host, Origin), whom it speaks for (Authorization), and that its body is JSON. Pure.
//!
//! A page in a browser can reach loopback by a name of its own that it rebinds to 127.0.0.1; its
//! Host and Origin tell (GHSA-w48q-cv73-mx4w, GHSA-89vp-x53w-74fx).

use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, Uri};

/// Why a request was not meant for this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Foreign {
    /// No Host, more than one, or one that is no host.
    BadHost,
    /// The Host is not this machine.
    Host,
    /// The Origin is not this machine.
    Origin,
}

impl Foreign {
    /// What happened and what to do next.
    pub(super) fn say(self) -> &'static str {
        match self {
            Self::BadHost => "The request needs exactly one Host header with a host in it.",
            Self::Host => {
                "The Host header names another host. Connect to localhost, 127.0.0.1 or [::1]."
            }
            Self::Origin => {
                "The Origin header names a foreign site. Only pages of localhost, 127.0.0.1 or [::1] may call."
            }
        }
    }
}

/// Checks that a request was meant for this host, whatever the port: a client that goes through a
/// forwarded port is still on this machine.
pub(super) fn meant_for_us(uri: &Uri, headers: &HeaderMap) -> Result<(), Foreign> {
    let host = only(headers, HOST.as_str()).ok_or(Foreign::BadHost)?;
    let host: Authority = host.parse().map_err(|_| Foreign::BadHost)?;
    if !is_loopback(&host)
        || uri
            .authority()
            .is_some_and(|authority| !is_loopback(authority))
    {
        return Err(Foreign::Host);
    }
    if headers.contains_key(ORIGIN) && !only(headers, ORIGIN.as_str()).is_some_and(is_our_origin) {
        return Err(Foreign::Origin);
    }
    Ok(())
}

fn is_our_origin(origin: &str) -> bool {
    origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"))
        .and_then(|authority| authority.parse::<Authority>().ok())
        .is_some_and(|authority| is_loopback(&authority))
}

/// Refuses user information too: `localhost@evil` is not `localhost`.
fn is_loopback(authority: &Authority) -> bool {
    let host = authority.host();
    !authority.as_str().contains('@')
        && ["localhost", "127.0.0.1", "[::1]"]
            .iter()
            .any(|ours| host.eq_ignore_ascii_case(ours))
}

/// What a request says of its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim<'a> {
    /// Nothing.
    None,
    /// A bearer token.
    Token(&'a str),
    /// Something that is not one bearer token.
    Unreadable,
}

/// Reads the bearer token (RFC 6750 section 2.1). Tokens in the query are never read.
pub(super) fn claim(headers: &HeaderMap) -> Claim<'_> {
    if !headers.contains_key(AUTHORIZATION) {
        return Claim::None;
    }
    let token = only(headers, AUTHORIZATION.as_str())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .filter(|token| !token.is_empty());
    token.map_or(Claim::Unreadable, Claim::Token)
}

/// Checks that a body comes as JSON, as it is. What to say where it does not.
pub(super) fn sends_json(headers: &HeaderMap) -> Result<(), &'static str> {
    let essence = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .unwrap_or_default();
    if !essence.trim().eq_ignore_ascii_case("application/json") {
        return Err("The Content-Type has to be application/json.");
    }
    let encoding = headers.get(CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| encoding != "identity") {
        return Err("The body has to come without a Content-Encoding.");
    }
    Ok(())
}

/// The value of a header that is there exactly once, as text.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values
        .next()
        .is_none()
        .then(|| value.to_str().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    name.parse::<HeaderName>().unwrap(),
                    HeaderValue::from_bytes(value.as_bytes()).unwrap(),
                )
            })
            .fold(HeaderMap::new(), |mut map, (name, value)| {
                map.append(name, value);
                map
            })
    }

    fn judge(pairs: &[(&str, &str)]) -> Result<(), Foreign> {
        meant_for_us(&Uri::from_static("/mcp"), &headers(pairs))
    }

    #[test]
    fn loopback_by_any_name_and_port_is_us() {
        for host in [
            "localhost",
            "LOCALHOST:1",
            "127.0.0.1:7420",
            "[::1]",
            "[::1]:7420",
        ] {
            assert_eq!(judge(&[("host", host)]), Ok(()), "{host}");
            let origin = format!("http://{host}");
            assert_eq!(
                judge(&[("host", host), ("origin", &origin)]),
                Ok(()),
                "{origin}"
            );
        }
    }

    #[test]
    fn every_other_host_is_foreign() {
        for host in [
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost@evil",
            "evil@localhost",
            "0.0.0.0",
            "127.1",
        ] {
            assert_eq!(judge(&[("host", host)]), Err(Foreign::Host), "{host}");
        }
        for host in ["", "a b"] {
            let judged = judge(&[("host", host)]);
            assert!(
                matches!(judged, Err(Foreign::BadHost | Foreign::Host)),
                "{host}: {judged:?}"
            );
        }
        assert_eq!(judge(&[]), Err(Foreign::BadHost));
        assert_eq!(
            judge(&[("host", "localhost"), ("host", "evil")]),
            Err(Foreign::BadHost)
        );
        let absolute = Uri::from_static("http://evil.example/mcp");
        assert_eq!(
            meant_for_us(&absolute, &headers(&[("host", "localhost")])),
            Err(Foreign::Host)
        );
    }

    #[test]
    fn every_other_origin_is_foreign() {
        for origin in [
            "https://evil.example",
            "null",
            "",
            "localhost",
            "file://localhost",
            "http://localhost.evil",
        ] {
            let judged = judge(&[("host", "localhost"), ("origin", origin)]);
            assert_eq!(judged, Err(Foreign::Origin), "{origin}");
        }
    }

    #[test]
    fn a_claim_is_one_bearer_token() {
        assert_eq!(claim(&headers(&[])), Claim::None);
        assert_eq!(
            claim(&headers(&[("authorization", "bearer  t0k ")])),
            Claim::Token("t0k")
        );
        for bad in ["Basic dTpw", "Bearer", "Bearer ", "t0k"] {
            assert_eq!(
                claim(&headers(&[("authorization", bad)])),
                Claim::Unreadable,
                "{bad}"
            );
        }
        let twice = headers(&[("authorization", "Bearer a"), ("authorization", "Bearer b")]);
        assert_eq!(claim(&twice), Claim::Unreadable);
    }
}
