//! Whose header is it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

fn admitted(name: &str, value: &str) -> Result<HeaderMap, HeaderError> {
    admit(&[(name, value)], None, Manner::Own, 0)
}

fn forbidden(name: &'static str) -> HeaderError {
    HeaderError::Forbidden(HeaderName::from_static(name))
}

/// N34, N69.
#[test]
fn n34_n69_the_hosts_headers_are_refused() {
    for name in [
        "Host",
        "Content-Length",
        "Transfer-Encoding",
        "Connection",
        "Keep-Alive",
        "Upgrade",
        "TE",
        "Trailer",
        "Expect",
        "HTTP2-Settings",
        "Accept-Encoding",
        "Cookie",
        "Forwarded",
        "Via",
        "Proxy-Authorization",
        "Proxy-Connection",
        "Proxy-Anything",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Anything",
        "X-Real-IP",
        "X-HTTP-Method-Override",
        "X-HTTP-Method",
        "X-Method-Override",
        "X-Original-URL",
        "X-Rewrite-URL",
        "Sec-WebSocket-Key",
        "X_Forwarded_For",
        "X_HTTP_METHOD_OVERRIDE",
        "content_length",
    ] {
        let found = admitted(name, "x").expect_err(name);
        assert!(
            matches!(found, HeaderError::Forbidden(_)),
            "{name}: {found}"
        );
    }
    assert_eq!(admitted("hOsT", "x").err(), Some(forbidden("host")));
}

#[test]
fn other_headers_go_out_in_their_order() {
    let given = [
        ("Accept", "application/json"),
        ("X-Thing", "1"),
        ("x-thing", "2"),
        ("Authorization", "Bearer of-the-guest"),
        ("If-None-Match", "\"a\""),
        ("User-Agent", "tool/1"),
        ("X-Tab", "a\tb"),
        ("X-Empty", ""),
    ];
    let headers = admit(&given, None, Manner::Own, 0).unwrap();
    let things: Vec<_> = headers.get_all("x-thing").iter().collect();
    assert_eq!(things, ["1", "2"]);
    assert_eq!(headers.len(), given.len());
}

/// N35: a second proof of who asks is refused, whatever it is called.
#[test]
fn n35_beside_an_injected_credential_no_other_goes_out() {
    let secret = || std::sync::Arc::from("s");
    let header = |name| Auth::Header {
        name: HeaderName::from_static(name),
        secret: secret(),
    };
    for (auth, name) in [
        (Auth::Bearer { secret: secret() }, "Authorization"),
        (
            Auth::Basic {
                user: "u".to_owned(),
                secret: secret(),
            },
            "AUTHORIZATION",
        ),
        (
            Auth::Query {
                name: "k".to_owned(),
                secret: secret(),
            },
            "authorization",
        ),
        (header("x-api-key"), "X-API-Key"),
        (header("x-api-key"), "X_Api_Key"),
        (header("x_api_key"), "X-Api-Key"),
        (header("x-api-key"), "Authorization"),
    ] {
        let found = admit(&[(name, "x")], Some(&auth), Manner::Own, 0).expect_err(name);
        assert!(
            matches!(found, HeaderError::Credential(_)),
            "{name}: {found}"
        );
        let other = admit(&[("x-other", "x")], Some(&auth), Manner::Own, 0);
        assert!(other.is_ok());
    }
}

/// N36.
#[test]
fn n36_what_would_split_a_message_is_refused() {
    for name in ["", "a b", "a:b", "a\r\nb", "a\0", "é", "a(b)"] {
        assert_eq!(
            admitted(name, "x").err(),
            Some(HeaderError::Name(1)),
            "{name:?}"
        );
    }
    for value in ["a\r\nX: y", "a\nb", "a\rb", "a\0b", "a\x7fb", "é", "\u{80}"] {
        let found = admitted("x-a", value).expect_err(value);
        assert_eq!(
            found,
            HeaderError::Value(HeaderName::from_static("x-a")),
            "{value:?}"
        );
        assert!(!found.to_string().contains(value));
    }
}

#[test]
fn headers_have_bounds() {
    let many = |n: usize| vec![("x-a", "1"); n];
    assert!(admit(&many(MAX_HEADERS), None, Manner::Own, 0).is_ok());
    let found = admit(&many(MAX_HEADERS + 1), None, Manner::Own, 0);
    assert_eq!(found.err(), Some(HeaderError::TooMany));
    let large = |n: usize| admitted("x-a", &"v".repeat(n));
    assert!(large(MAX_HEADER_BYTES - 3).is_ok());
    assert_eq!(
        large(MAX_HEADER_BYTES - 2).err(),
        Some(HeaderError::TooLarge)
    );
}

/// N37. Libraries for `wasi:http` set both; they do not have to know this host.
#[test]
fn n37_a_wasi_guest_may_say_the_truth_about_its_body() {
    let wasi = |given: &[(&str, &str)], body| admit(given, None, Manner::Wasi, body);
    let headers = wasi(
        &[
            ("Content-Length", "5"),
            ("Accept-Encoding", "br"),
            ("X-A", "1"),
        ],
        5,
    );
    let headers = headers.unwrap();
    assert_eq!(
        headers.len(),
        1,
        "the host's own take their places: {headers:?}"
    );
    for (given, body) in [
        (vec![("content-length", "4")], 5),
        (vec![("content-length", "6")], 5),
        (vec![("content-length", "5"), ("content-length", "5")], 5),
        (vec![("content-length", "5"), ("content-length", "6")], 5),
        (vec![("content-length", "+5")], 5),
        (vec![("content-length", "5, 5")], 5),
        (vec![("content-length", "")], 0),
        (vec![("content-length", "99999999999999999999999")], 5),
    ] {
        assert_eq!(
            wasi(&given, body).err(),
            Some(HeaderError::Length),
            "{given:?}"
        );
    }
    assert_eq!(wasi(&[("host", "x")], 0).err(), Some(forbidden("host")));
}

/// N38, N42, N62.
#[test]
fn n38_n42_n62_a_response_keeps_only_what_is_the_guests() {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("content-type", "text/plain"),
        ("set-cookie", "a=b"),
        ("set-cookie", "c=d"),
        ("set-cookie2", "a=b"),
        ("connection", "close, X-Hop"),
        ("x-hop", "1"),
        ("keep-alive", "timeout=5"),
        ("transfer-encoding", "chunked"),
        ("proxy-authenticate", "Basic"),
        ("upgrade", "h2c"),
        ("trailer", "x-t"),
        ("te", "trailers"),
        ("alt-svc", "h3=\":443\""),
        ("x-api-key", "echoed"),
        ("location", "/elsewhere"),
        ("etag", "\"1\""),
    ] {
        headers.append(HeaderName::from_static(name), value.parse().unwrap());
    }
    let auth = Auth::Header {
        name: HeaderName::from_static("x-api-key"),
        secret: "s".into(),
    };
    filter_response(&mut headers, Some(&auth));
    let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    left.sort_unstable();
    assert_eq!(left, ["content-type", "etag", "location"]);
}
