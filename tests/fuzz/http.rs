//! What a guest may ask for over HTTP: URLs, authorities and paths, against the `url` crate and
//! against themselves.

use std::sync::Arc;

use toolhost_core::egress::{
    HttpGrant, ParsedRequest, RawRequest, RawTarget as Where, canonical, judge,
};
use url::{Host, Url};

use super::engine::{Target, run};
use crate::harness::manifest;

const WORDS: [&str; 62] = [
    "http://",
    "https://",
    "HTTP://",
    "//",
    "://",
    "@",
    ":",
    ":80",
    ":443",
    ":0",
    ":65536",
    "?",
    "#",
    "/",
    "/../",
    "/./",
    "/%2e%2e/",
    "%2F",
    "%2f",
    "%5c",
    "\\",
    ";",
    "%3b",
    "%00",
    "%0d%0a",
    "%25",
    "%252e",
    "%c0%af",
    "%E2%80%AE",
    "%",
    "[",
    "]",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[fe80::1%25eth0]",
    "127.0.0.1",
    "0x7f.1",
    "0177.0.0.1",
    "2130706433",
    "127.1",
    "0",
    "localhost",
    "localhost.",
    "api.example.com",
    "API.EXAMPLE.COM",
    "xn--",
    "ß",
    "\u{3002}",
    "\u{ff0f}",
    "\u{ad}",
    ".",
    "..",
    "-",
    "_",
    " ",
    "\t",
    "\n",
    "\r",
    "GET ",
    "POST ",
    "CONNECT ",
    "\0",
];

/// A grant for everything on some origins, as the manifest makes it.
fn grants() -> Vec<Arc<HttpGrant>> {
    let manifest = manifest(
        r#"
[tool.t]
component = "t.wasm"
[tool.t.http.api]
url = "https://api.example.com"
allow = ["GET /**"]
[tool.t.http.local]
url = "http://127.0.0.1:8080"
allow = ["GET /orders/*", "POST /a/b"]
private = ["127.0.0.0/8"]
"#,
    );
    manifest.tools[0].all.grants.http.clone()
}

/// `METHOD URL`, as text.
fn split(text: &str) -> (&str, &str) {
    text.split_once(' ').unwrap_or(("GET", text))
}

/// Another parser reads the same host and port.
fn agrees(asked: &ParsedRequest, url: &str) {
    let other = Url::parse(url).unwrap_or_else(|error| panic!("{url:?} is none: {error}"));
    let origin = &asked.origin;
    assert_eq!(other.scheme(), origin.scheme.as_str(), "{url:?}");
    let host = other.host().map(|host| host.to_owned());
    let same = match (&host, &origin.host) {
        // A name's last dot says only that it is absolute.
        (Some(Host::Domain(one)), Host::Domain(two)) => one
            .trim_end_matches('.')
            .eq_ignore_ascii_case(two.trim_end_matches('.')),
        (one, two) => one.as_ref() == Some(two),
    };
    assert!(same, "{url:?}: {host:?} and {:?}", origin.host);
    assert_eq!(other.port_or_known_default(), Some(origin.port), "{url:?}");
    assert!(other.username().is_empty() && other.password().is_none());
    assert_eq!(other.fragment(), None);
    // The other one escapes more in a query; it says the same.
    assert_eq!(
        other.query().map(percent_decode),
        asked.query.as_deref().map(percent_decode),
        "{url:?}"
    );
    // After decoding, both have the same segments.
    let decode = |path: &str| {
        let decoded = percent_decode(path);
        String::from_utf8(decoded).unwrap_or_else(|_| panic!("{path:?} is not UTF-8"))
    };
    assert_eq!(decode(other.path()), decode(asked.path.as_str()), "{url:?}");
}

fn percent_decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    while let Some(byte) = bytes.get(at) {
        // Rust's own reading of numbers would take a sign.
        let plain = |digits: &&str| digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let digits = text.get(at + 1..at + 3).filter(|_| *byte == b'%');
        match digits
            .filter(plain)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
        {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    out
}

#[test]
fn requests() {
    let grants = grants();
    let check = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let (method, url) = split(&text);
        let target = Where::Url(url);
        let ask = RawRequest { method, target };
        let asked = match ParsedRequest::parse(&ask) {
            Ok(asked) => asked,
            Err(error) => {
                assert!(judge(&grants, &ask).is_err());
                return error.to_string();
            }
        };
        agrees(&asked, url);
        let judged = judge(&grants, &ask);
        if let Ok(verdict) = &judged {
            // What is sent is read as what was judged.
            let sent = verdict.url().as_str();
            let target = Where::Url(sent);
            let again = ParsedRequest::parse(&RawRequest { method, target })
                .expect("what is sent can be read");
            assert_eq!(again, asked, "{sent}");
            let granted = [("api.example.com", 443), ("127.0.0.1", 8080)];
            let host = verdict.url().host_str().unwrap_or_default();
            let port = verdict.url().port_or_known_default().unwrap_or(0);
            assert!(
                granted.contains(&(host.trim_end_matches('.'), port)),
                "{sent}"
            );
        }
        // The same in three parts is the same.
        let rest = url.split_once("://").map_or("", |(_, rest)| rest);
        let cut = rest.find(['/', '?']).unwrap_or(rest.len());
        let target = Where::Parts {
            scheme: asked.origin.scheme.as_str(),
            authority: &rest[..cut],
            path_with_query: &rest[cut..],
        };
        assert_eq!(
            ParsedRequest::parse(&RawRequest { method, target }).as_ref(),
            Ok(&asked),
            "{url:?}"
        );
        format!("{} {}", judged.is_ok(), asked.query.is_some())
    };
    run(&Target {
        name: "requests",
        seeds: Vec::new(),
        words: &WORDS,
        check: &check,
    });
}

/// What a request is made of in the grammar below: pieces of escapes too, so that every spelling of a
/// second escape comes up.
const PIECES: [&str; 44] = [
    "%25",
    "%32",
    "%65",
    "%35",
    "%43",
    "%2",
    "%",
    "2e",
    "2f",
    "5c",
    "3b",
    "25",
    "e",
    "u",
    "u002e",
    "%75",
    "%2e",
    "%2E",
    "%20",
    "%00",
    "%0a",
    "%c2%a0",
    "%ef%bc%8e",
    "%ef%bc%8f",
    "%e2%80%a5",
    ".",
    "..",
    "/",
    "a",
    "repos",
    "acme",
    "'",
    "\"",
    "<",
    ">",
    "|",
    "^",
    "`",
    "{",
    "}",
    "[",
    "]",
    "+",
    "=",
];

/// A number that looks like chance, and is the same each time.
fn next(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    usize::try_from(*state >> 33).unwrap_or(0)
}

/// The rule of every canonical form: what is sent is accepted again, and is itself.
#[test]
fn n82_what_is_sent_is_accepted_again_and_is_itself() {
    let hosts = [
        "api.example.com",
        "API.example.com.",
        "0x7f.1",
        "[::1]",
        "[::ffff:1.2.3.4]",
        "ß.test",
    ];
    let schemes = ["http", "https", "HTTPS"];
    let (mut state, mut read, mut queries) = (0x9e37_79b9_7f4a_7c15, 0_u32, 0_u32);
    for _ in 0..60_000 {
        let mut text = |most: usize| -> String {
            let count = next(&mut state) % most;
            (0..count)
                .map(|_| PIECES[next(&mut state) % PIECES.len()])
                .collect()
        };
        let (path, query) = (text(8), text(8));
        let host = hosts[next(&mut state) % hosts.len()];
        let scheme = schemes[next(&mut state) % schemes.len()];
        let url = match next(&mut state) % 2 {
            0 => format!("{scheme}://{host}/{path}"),
            _ => format!("{scheme}://{host}/{path}?{query}"),
        };
        let parse = |url: &str| {
            let target = Where::Url(url);
            ParsedRequest::parse(&RawRequest {
                method: "GET",
                target,
            })
        };
        let Ok(asked) = parse(&url) else { continue };
        read += 1;
        let mut sent = format!("{}{}", asked.origin, asked.path);
        if let Some(query) = &asked.query {
            queries += 1;
            sent = format!("{sent}?{query}");
        }
        assert_eq!(parse(&sent).as_ref(), Ok(&asked), "{url} as {sent}");
        // Neither of the parsers on the way out writes it in another way.
        let other = Url::parse(&sent).expect("what is sent is a URL");
        let written = (other.path(), other.query());
        assert_eq!(
            written,
            (asked.path.as_str(), asked.query.as_deref()),
            "{url}"
        );
        let decoded = percent_decode(asked.path.as_str());
        let twice = percent_decode(&String::from_utf8_lossy(&decoded));
        assert_eq!(twice, decoded, "{url} reads differently when decoded twice");
    }
    assert!(
        read > 10_000 && queries > 4_000,
        "{read} were read, {queries} queries"
    );
}

#[test]
fn paths() {
    let check = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let path = match canonical(&text) {
            Ok(path) => path,
            Err(error) => return error.to_string(),
        };
        let form = path.as_str();
        assert_eq!(
            canonical(form).as_ref(),
            Ok(&path),
            "{form:?} is not its own form"
        );
        assert!(form.starts_with('/'), "{form:?}");
        assert!(form.bytes().all(|byte| byte.is_ascii_graphic()), "{form:?}");
        let decoded = percent_decode(form);
        for never in [&b"//"[..], b"\\", b";", b"/../", b"/./"] {
            let found = decoded.windows(never.len()).any(|window| window == never);
            assert!(!found, "{form:?} holds {}", String::from_utf8_lossy(never));
        }
        assert!(!form.ends_with("/..") && !form.ends_with("/."), "{form:?}");
        assert!(!decoded.iter().any(u8::is_ascii_control), "{form:?}");
        let twice = percent_decode(&String::from_utf8_lossy(&decoded));
        assert_eq!(
            twice, decoded,
            "{form:?} reads differently when decoded twice"
        );
        format!("{} {}", path.segments().count().min(9), form.contains('%'))
    };
    run(&Target {
        name: "paths",
        seeds: Vec::new(),
        words: &WORDS,
        check: &check,
    });
}
