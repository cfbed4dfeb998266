//! Both ways to HTTP, read as one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

fn url(text: &str) -> Result<ParsedRequest, TargetError> {
    ParsedRequest::parse(&RawRequest {
        method: "GET",
        target: RawTarget::Url(text),
    })
}

fn parts(
    scheme: &str,
    authority: &str,
    path_with_query: &str,
) -> Result<ParsedRequest, TargetError> {
    let target = RawTarget::Parts {
        scheme,
        authority,
        path_with_query,
    };
    ParsedRequest::parse(&RawRequest {
        method: "GET",
        target,
    })
}

fn origin(text: &str) -> String {
    url(text)
        .unwrap_or_else(|e| panic!("{text}: {e}"))
        .origin
        .to_string()
}

/// N05, N07, N16, N18: every notation of a host is read as the one thing it means.
#[test]
fn n05_n07_n16_n18_a_host_has_one_form() {
    for (given, expected) in [
        ("https://api.test/", "https://api.test"),
        ("HTTPS://API.Test/", "https://api.test"),
        ("https://api.test./", "https://api.test"),
        ("https://api.test:443/", "https://api.test"),
        ("https://api.test:0443/", "https://api.test"),
        ("http://api.test:080/", "http://api.test"),
        ("https://api.test:80/", "https://api.test:80"),
        ("https://bücher.test/", "https://xn--bcher-kva.test"),
        ("https://exаmple.com/", "https://xn--exmple-4nf.com"),
        ("http://2130706433/", "http://127.0.0.1"),
        ("http://0x7f000001/", "http://127.0.0.1"),
        ("http://0x7f.1/", "http://127.0.0.1"),
        ("http://017700000001/", "http://127.0.0.1"),
        ("http://0177.0.0.1/", "http://127.0.0.1"),
        ("http://127.1/", "http://127.0.0.1"),
        ("http://127.0.1/", "http://127.0.0.1"),
        ("http://127.0.0.0x1/", "http://127.0.0.1"),
        ("http://127.0.0.1./", "http://127.0.0.1"),
        ("http://0/", "http://0.0.0.0"),
        ("http://00.0.0.0/", "http://0.0.0.0"),
        ("http://①②⑦.⓪.⓪.①/", "http://127.0.0.1"),
        ("http://127。0。0。1/", "http://127.0.0.1"),
        ("http://１２７.0.0.1/", "http://127.0.0.1"),
        ("http://%31%32%37.0.0.1/", "http://127.0.0.1"),
        ("http://loc\u{ad}alhost/", "http://localhost"),
        ("http://[::1]/", "http://[::1]"),
        ("http://[0:0:0:0:0:0:0:1]:8080/", "http://[::1]:8080"),
        ("http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]"),
    ] {
        assert_eq!(origin(given), expected, "{given}");
    }
}

/// N02, N03, N15, N18, N20, N21, N70.
#[test]
fn n02_n03_n15_n18_n20_n21_n70_what_parsers_disagree_on_is_refused() {
    use TargetError as E;
    let label = "a".repeat(64);
    let name = [
        "a".repeat(50),
        "b".repeat(50),
        "c".repeat(50),
        "d".repeat(50),
        "e".repeat(50),
    ]
    .join(".");
    for (given, expected) in [
        ("", E::NotAbsolute),
        ("api.test/", E::NotAbsolute),
        ("//api.test/", E::NotAbsolute),
        ("https:api.test/", E::NotAbsolute),
        ("https:/api.test/", E::NotAbsolute),
        ("data:text/plain,x", E::NotAbsolute),
        ("ftp://api.test/", E::Scheme),
        ("file:///etc/passwd", E::Scheme),
        ("gopher://127.0.0.1/", E::Scheme),
        ("ws://api.test/", E::Scheme),
        ("wss://api.test/", E::Scheme),
        ("httpss://api.test/", E::Scheme),
        (" https://api.test/", E::Character),
        ("https://api.test/ ", E::Character),
        ("https:\\\\api.test\\", E::Character),
        ("https://evil\\@api.test/", E::Character),
        ("https://api.test\\@evil/", E::Character),
        ("https://127.0.0.1\t.api.test/", E::Character),
        ("https://api.test/a\nb", E::Character),
        ("https://api.test/\0", E::Character),
        ("https://api.test/\u{a0}", E::Character),
        ("https://api.test/#x", E::Fragment),
        ("https://api.test#@evil/", E::Fragment),
        ("https://api.test@evil/", E::UserInfo),
        ("https://api.test:80@evil/", E::UserInfo),
        ("https://user:pass@api.test/", E::UserInfo),
        ("https://@api.test/", E::UserInfo),
        ("https:///path", E::Host),
        ("https://?query", E::Host),
        ("https://api.test../", E::Host),
        ("https://.api.test/", E::Host),
        ("https://api..test/", E::Host),
        ("https://./", E::Host),
        ("https://my_host.test/", E::Host),
        ("https://*.test/", E::Host),
        ("https://[fe80::1%25lo]/", E::Host),
        ("https://[api.test]/", E::Host),
        ("https://[::1/", E::Host),
        ("https://1.2.3.4.5/", E::Host),
        ("https://256.1.1.1/", E::Host),
        ("https://a%2Fb.test/", E::Host),
        ("https://a%40b.test/", E::Host),
        ("https://api.test:/", E::Port),
        ("https://api.test:0/", E::Port),
        ("https://api.test:65536/", E::Port),
        ("https://api.test:+80/", E::Port),
        ("https://api.test:8o/", E::Port),
        ("https://[::1]:/", E::Port),
        ("https://api.test//evil/", E::Path(PathError::EmptySegment)),
        ("https://api.test/a/../b", E::Path(PathError::DotSegment)),
        ("https://api.test/?q=ä", E::Query),
        ("https://api.test/é", E::Path(PathError::Character)),
    ] {
        assert_eq!(url(given).err(), Some(expected), "{given:?}");
    }
    assert_eq!(url(&format!("https://{label}.test/")).err(), Some(E::Host));
    assert_eq!(url(&format!("https://{name}/")).err(), Some(E::Host));
    for (before, after) in [
        ("https://api.test/", "x"),
        ("https://api.test/?", "x"),
        ("https://", "a"),
    ] {
        let long = format!("{before}{}", after.repeat(1 << 20));
        assert_eq!(url(&long).err(), Some(E::TooLong));
    }
}

/// `?@evil` belongs to the query, whatever it looks like.
#[test]
fn a_query_does_not_move_the_host() {
    let asked = url("https://api.test?@evil/").unwrap();
    assert_eq!(asked.origin.to_string(), "https://api.test");
    assert_eq!(
        (asked.path.as_str(), asked.query.as_deref()),
        ("/", Some("@evil/"))
    );
}

/// N22 and GHSA-5qpp.
#[test]
fn n22_a_path_cannot_name_another_host() {
    use PathError as P;
    for (path, expected) in [
        ("http://evil/", P::Relative),
        ("*", P::Relative),
        ("x", P::Relative),
        ("//evil/", P::EmptySegment),
    ] {
        let found = parts("https", "api.test", path).err();
        assert_eq!(found, Some(TargetError::Path(expected)), "{path}");
    }
    for authority in [
        "",
        "api.test/x",
        "api.test?x",
        "a b",
        "u@api.test",
        "api.test:",
        "[::1",
    ] {
        assert!(parts("https", authority, "/").is_err(), "{authority:?}");
    }
    assert_eq!(
        parts("ftp", "api.test", "/").err(),
        Some(TargetError::Scheme)
    );
    assert_eq!(
        parts("https", "api.test", "/#x").err(),
        Some(TargetError::Fragment)
    );
}

#[test]
fn both_ways_read_the_same() {
    for (path, expected) in [
        ("", ("/", None)),
        ("?a", ("/", Some("a"))),
        ("/b?", ("/b", Some(""))),
    ] {
        let one = parts("https", "api.test:8443", path).unwrap();
        let two = url(&format!("https://api.test:8443{path}")).unwrap();
        assert_eq!(one, two);
        assert_eq!((one.path.as_str(), one.query.as_deref()), expected);
        assert_eq!(one.origin.port, 8443);
    }
}

/// N39 and N36.
#[test]
fn n36_n39_a_method_is_a_word_in_capitals() {
    let method = |method| {
        let target = RawTarget::Url("https://api.test/");
        ParsedRequest::parse(&RawRequest { method, target }).map(|asked| asked.method.to_string())
    };
    for good in ["GET", "POST", "PROPFIND", "M-SEARCH", "UPDATEREDIRECTREF"] {
        assert_eq!(method(good).as_deref(), Ok(good));
    }
    let long = "A".repeat(1024);
    for bad in [
        "",
        "get",
        "Get",
        "GET ",
        "G ET",
        "GET\r\nX: y",
        "GÉT",
        "GET\0",
        &long,
    ] {
        assert_eq!(method(bad), Err(TargetError::Method), "{bad:?}");
    }
    assert_eq!(method("CONNECT"), Err(TargetError::Connect));
}

#[test]
fn messages_quote_nothing() {
    let error = url("https://user:hunter2@api.test/")
        .unwrap_err()
        .to_string();
    assert!(!error.contains("hunter2"), "{error}");
}
