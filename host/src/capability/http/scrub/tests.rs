//! A credential is found in every form and across every border.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use super::*;

const SECRET: &str = "gh/p+_a1\"B2 c3?=ü~";

fn patterns(secrets: &[&str]) -> Patterns {
    Patterns::new(secrets.iter().map(|secret| secret.as_bytes())).unwrap()
}

/// What comes out of a stream that is cut into pieces of `size`.
fn streamed(patterns: &Patterns, text: &[u8], size: usize) -> Vec<u8> {
    let mut scrubber = patterns.scrubber();
    let mut out = Vec::new();
    for piece in text.chunks(size) {
        out.extend_from_slice(&scrubber.push(Bytes::copy_from_slice(piece)));
    }
    out.extend_from_slice(&scrubber.finish());
    out
}

/// N60.
#[test]
fn n60_every_form_is_found() {
    let json = serde_json::to_string(SECRET).unwrap();
    for form in [
        SECRET,
        // encodeURIComponent, RFC 3986, HTML forms, encodeURI, lower case.
        "gh%2Fp%2B_a1%22B2%20c3%3F%3D%C3%BC~",
        "gh%2Fp%2B_a1%22B2+c3%3F%3D%C3%BC%7E",
        "gh/p+_a1%22B2%20c3?=%C3%BC~",
        "gh%2fp%2b_a1%22B2%20c3%3f%3d%c3%bc~",
        // serde_json, PHP, Python, Go.
        json.trim_matches('"'),
        "gh\\/p+_a1\\\"B2 c3?=ü~",
        "gh/p+_a1\\\"B2 c3?=\\u00fc~",
        "gh\\/p+_a1\\\"B2 c3?=\\u00FC~",
    ] {
        let text = format!("{{\"echo\": \"{form}\"}}");
        let clean = patterns(&[SECRET]).scrub_text(&text).into_owned();
        assert_eq!(clean, "{\"echo\": \"[redacted]\"}", "{form}");
    }
}

#[test]
fn base64_is_found_at_every_alignment() {
    let patterns = patterns(&[SECRET]);
    for engine in [STANDARD, URL_SAFE] {
        for before in ["", "u", "us", "use", "user:", "user-name:"] {
            for after in ["", "\n", "ab", "abc"] {
                let text = engine.encode(format!("{before}{SECRET}{after}"));
                let clean = patterns.scrub_text(&text).into_owned();
                assert!(clean.contains(REDACTED), "{before:?} {after:?}: {text}");
                // What is left of the secret is less than a byte at each end.
                let neighbours = (before.len() + after.len()).div_ceil(3) * 4 + 8;
                assert!(clean.len() - REDACTED.len() <= neighbours, "{clean}");
            }
        }
    }
}

#[test]
fn a_stream_is_clean_wherever_it_is_cut() {
    let patterns = patterns(&[SECRET, "another-secret", "another-secret-that-goes-on"]);
    let percent = "gh%2Fp%2B_a1%22B2%20c3%3F%3D%C3%BC~";
    let base64 = STANDARD.encode(SECRET);
    let text = format!(
        "gh/p+_a1 {SECRET}{SECRET} another-secret another-secret-that-goes-on {percent} \
         another-secret-that-goes {base64} another-secre gh%2Fp%2B_a1"
    );
    let whole = patterns.scrub_bytes(text.as_bytes()).into_owned();
    for size in 1..=text.len() {
        assert_eq!(
            streamed(&patterns, text.as_bytes(), size),
            whole,
            "pieces of {size}"
        );
    }
    let whole = String::from_utf8(whole).unwrap();
    assert!(whole.starts_with("gh/p+_a1 [redacted][redacted] [redacted] [redacted] [redacted] "));
    assert!(whole.ends_with(" another-secre gh%2Fp%2B_a1"), "{whole}");
    assert!(!whole.contains("another-secret"));
}

#[test]
fn of_two_that_overlap_the_first_is_taken() {
    let patterns = patterns(&["abcdef", "defghi"]);
    for size in 1..12 {
        let clean = streamed(&patterns, b"..abcdefghi..defghi..", size);
        assert_eq!(clean, b"..[redacted]ghi..[redacted]..", "pieces of {size}");
    }
}

#[test]
fn only_what_may_become_a_secret_is_held_back() {
    let mut scrubber = patterns(&["hunter2-hunter2"]).scrubber();
    assert_eq!(
        scrubber.push(Bytes::from_static(b"nothing here")),
        "nothing here"
    );
    assert_eq!(
        scrubber.push(Bytes::from_static(b"at the end: hunt")),
        "at the end: "
    );
    assert_eq!(scrubber.push(Bytes::from_static(b"ing")), "hunting");
    assert_eq!(scrubber.push(Bytes::from_static(b"hunter2-")), "");
    assert_eq!(
        scrubber.push(Bytes::from_static(b"hunter2!")),
        "[redacted]!"
    );
    assert_eq!(scrubber.push(Bytes::from_static(b"hunter2-")), "");
    assert_eq!(scrubber.finish(), "hunter2-");
    assert_eq!(scrubber.finish(), "");
}

#[test]
fn without_secrets_nothing_is_copied() {
    let none = patterns(&[]);
    assert!(none.is_empty());
    let chunk = Bytes::from_static(b"some bytes");
    let place = chunk.as_ptr();
    let mut scrubber = none.scrubber();
    assert_eq!(scrubber.push(chunk.clone()).as_ptr(), place);
    assert!(matches!(none.scrub_text("text"), Cow::Borrowed(_)));
    // Nor is what holds no secret.
    let some = patterns(&["hunter2-hunter2"]);
    assert_eq!(some.scrubber().push(chunk).as_ptr(), place);
    assert!(matches!(some.scrub_text("text"), Cow::Borrowed(_)));
}

#[test]
fn headers_are_scrubbed() {
    let mut headers = HeaderMap::new();
    headers.append("location", "/?key=hunter2-hunter2&x".parse().unwrap());
    headers.append("x-a", "clean".parse().unwrap());
    headers.append("x-a", "hunter2-hunter2".parse().unwrap());
    patterns(&["hunter2-hunter2"]).scrub_headers(&mut headers);
    assert_eq!(headers["location"], "/?key=[redacted]&x");
    let values: Vec<_> = headers.get_all("x-a").iter().collect();
    assert_eq!(values, ["clean", "[redacted]"]);
}

#[test]
fn a_secret_beyond_utf8_is_found_too() {
    let secret: &[u8] = b"\xff\xfe\xfd\xfc-bytes";
    let patterns = Patterns::new([secret]).unwrap();
    let clean = patterns
        .scrub_bytes(b"a \xff\xfe\xfd\xfc-bytes b %FF%FE%FD%FC-bytes")
        .into_owned();
    assert_eq!(clean, b"a [redacted] b [redacted]");
}

#[test]
fn the_longest_secret_can_be_sought() {
    let secret = "\u{fc}/".repeat(2730);
    let patterns = patterns(&[&secret]);
    assert_eq!(patterns.scrub_text(&format!("<{secret}>")), "<[redacted]>");
}

#[test]
fn patterns_show_nothing() {
    assert!(!format!("{:?}", patterns(&["hunter2-hunter2"]).scrubber()).contains("hunter2"));
}
