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
fn every_form_is_found() {
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

/// Any of its characters can be escaped, in either way and either case, and in all ways at once.
#[test]
fn every_character_can_be_escaped() {
    let patterns = patterns(&[SECRET]);
    let percent = |c: char| c.to_string().bytes().map(|b| format!("%{b:02x}")).collect();
    let unicode = |c: char| -> String {
        let units = c.encode_utf16(&mut [0; 2]).to_vec();
        units.iter().map(|unit| format!("\\u{unit:04X}")).collect()
    };
    let ways: [&dyn Fn(char) -> String; 2] = [&percent, &unicode];
    for way in ways {
        for every in 1..=SECRET.len() {
            let text: String = SECRET
                .chars()
                .enumerate()
                .map(|(at, c)| match c {
                    // What JSON has to escape it does.
                    '"' => "\\\"".to_owned(),
                    c if at % every == 0 => way(c),
                    c => c.to_string(),
                })
                .collect();
            let text = format!("<{text}>");
            assert_eq!(patterns.scrub_text(&text), "<[redacted]>", "{text}");
            for size in 1..8 {
                let out = streamed(&patterns, text.as_bytes(), size);
                assert_eq!(out, b"<[redacted]>", "{text} in pieces of {size}");
            }
        }
    }
}

/// What makes an escape of a secret's first letters does not hide it.
#[test]
fn an_escape_does_not_swallow_a_secret() {
    let patterns = patterns(&["abcd-secret", "u0041-secret", "\\\"-secret"]);
    for (text, clean) in [
        ("%abcd-secret", "%[redacted]"),
        ("100%abcd-secret", "100%[redacted]"),
        ("\\u0041-secret", "\\[redacted]"),
        ("\\\\u0041-secret", "\\\\[redacted]"),
        ("x\\\"-secret", "x[redacted]"),
        ("x\\\\\\\"-secret", "x[redacted]"),
    ] {
        assert_eq!(patterns.scrub_text(text), clean, "{text}");
        for size in 1..8 {
            let out = streamed(&patterns, text.as_bytes(), size);
            assert_eq!(String::from_utf8(out).unwrap(), clean, "{text} by {size}");
        }
    }
}

#[test]
fn hex_is_found() {
    let patterns = patterns(&[SECRET]);
    for form in [hex::encode(SECRET), hex::encode_upper(SECRET)] {
        assert_eq!(patterns.scrub_text(&format!("x{form}x")), "x[redacted]x");
    }
}

/// Nothing is left of it, not even the bits that it shares with its neighbours in one character.
#[test]
fn base64_is_found_at_every_alignment() {
    let patterns = patterns(&[SECRET]);
    for engine in [STANDARD, URL_SAFE] {
        for before in ["", "u", "us", "use", "user:", "user-name:"] {
            for after in ["", "\n", "ab", "abc"] {
                let text = engine.encode(format!("{before}{SECRET}{after}"));
                let clean = patterns.scrub_text(&text).into_owned();
                let (left, right) = clean.split_once(REDACTED).unwrap();
                // Whole characters of what stands around it, and no other.
                assert_eq!(
                    left,
                    &engine.encode(before)[..before.len() * 8 / 6],
                    "{text}"
                );
                let shared = (before.len() + SECRET.len()) * 8;
                let rest = &text[shared.div_ceil(6)..];
                assert_eq!(right, rest.trim_start_matches('='), "{text}");
                for size in 1..text.len() {
                    let out = streamed(&patterns, text.as_bytes(), size);
                    assert_eq!(out, clean.as_bytes(), "{text} in pieces of {size}");
                }
            }
        }
    }
}

#[test]
fn json_stays_json() {
    let patterns = patterns(&["12345678", "hunter2-hunter2", "a\",\"b"]);
    let scrubbed = |value: serde_json::Value| {
        let (mut value, text) = (value.clone(), value.to_string());
        let found = patterns.scrub_json(&mut value, &text);
        let after = value.to_string();
        assert_eq!(found, after != text);
        value
    };
    use serde_json::json;
    assert_eq!(
        scrubbed(
            json!({ "n": 12345678, "m": [1, true, null, "x hunter2-hunter2"], "hunter2-hunter2": 1.5 })
        ),
        json!({ "n": "[redacted]", "m": [1, true, null, "x [redacted]"], "[redacted]": 1.5 })
    );
    // Across its parts.
    assert_eq!(scrubbed(json!({ "x": ["a", "b"] })), json!("[redacted]"));
    assert_eq!(
        scrubbed(json!({ "x": ["a", "c"] })),
        json!({ "x": ["a", "c"] })
    );
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
fn of_two_that_overlap_nothing_is_left() {
    let patterns = patterns(&["abcdef", "defghi"]);
    for size in 1..12 {
        let clean = streamed(&patterns, b"..abcdefghi..defghi..", size);
        assert_eq!(clean, b"..[redacted]..[redacted]..", "pieces of {size}");
    }
}

/// A secret that overlaps itself is not held back for longer than any other.
#[test]
fn a_secret_that_repeats_itself_does_not_fill_the_memory() {
    let mut scrubber = patterns(&["aaaaaaaa"]).scrubber();
    let mut out = Vec::new();
    for _ in 0..500 {
        out.extend_from_slice(&scrubber.push(Bytes::from_static(&[b'a'; 1_000])));
        let held = scrubber.held.len();
        assert!(held < 2 * LAG + CONTEXT, "{held} bytes are held");
    }
    out.extend_from_slice(&scrubber.finish());
    assert_eq!(out, b"[redacted]");
}

#[test]
fn what_is_held_back_is_always_as_much() {
    let mut scrubber = patterns(&["hunter2-hunter2"]).scrubber();
    let mut came = 0;
    let mut given = 0;
    for (at, size) in [1, LAG, LAG - 2, 1, 700, 3 * LAG, LAG, 5]
        .into_iter()
        .enumerate()
    {
        came += size;
        given += scrubber.push(Bytes::from(vec![b'h'; size])).len();
        let held = came - given;
        assert!(held < 2 * LAG, "after {at}: {held}");
        assert!(given == 0 || held >= LAG, "after {at}: {held}");
    }
    assert_eq!(given + scrubber.finish().len(), came);
    assert_eq!(scrubber.finish(), "");
}

#[test]
fn lines_are_not_held_back() {
    let mut scrubber = patterns(&["hunter2-hunter2"]).line_scrubber();
    for (piece, out) in [
        ("data: hunt\n", "data: hunt\n"),
        ("data: hunter2-hun", ""),
        ("ter2\n\nid:", "data: [redacted]\n\n"),
        ("5\nhunter2-", "id:5\n"),
        ("\n", "hunter2-\n"),
        ("hunter2", ""),
    ] {
        let given = scrubber.push(Bytes::from_static(piece.as_bytes()));
        assert_eq!(given, out, "{piece}");
    }
    assert_eq!(scrubber.finish(), "hunter2");
    // A line without an end is a stream like others.
    let mut scrubber = patterns(&["hunter2-hunter2"]).line_scrubber();
    let line = [&b"a\n"[..], &vec![b'x'; 2 * LAG]].concat();
    assert_eq!(scrubber.push(Bytes::from(line)).len(), 2 + LAG);
}

#[test]
fn what_is_taken_out_is_counted() {
    let redactions = Redactions::default();
    let patterns = patterns(&["hunter2-hunter2"]).counting(&redactions);
    let _ = patterns.scrub_text("nothing");
    let _ = patterns.scrub_text("hunter2-hunter2");
    let mut headers = HeaderMap::new();
    headers.append("x-a", "hunter2-hunter2".parse().unwrap());
    patterns.scrub_headers(&mut headers);
    assert!(!redactions.are_too_many());
    let mut value = serde_json::json!(["hunter2-hunter2"]);
    let text = value.to_string();
    patterns.scrub_json(&mut value, &text);
    assert!(redactions.are_too_many());
}

#[test]
fn without_secrets_nothing_is_copied() {
    let none = patterns(&[]);
    assert!(none.is_empty());
    let chunk = Bytes::from_static(b"some bytes.");
    let place = chunk.as_ptr();
    assert_eq!(none.scrubber().push(chunk.clone()).as_ptr(), place);
    assert!(matches!(none.scrub_text("text"), Cow::Borrowed(_)));
    // Nor is what holds no secret.
    let some = patterns(&["hunter2-hunter2"]);
    let mut scrubber = some.scrubber();
    assert!(scrubber.push(chunk).is_empty());
    assert_eq!(scrubber.finish().as_ptr(), place);
    assert!(matches!(some.scrub_text("text"), Cow::Borrowed(_)));
}

#[test]
fn headers_are_scrubbed() {
    let mut headers = HeaderMap::new();
    headers.append("location", "/?key=hunter2-hunter2&x".parse().unwrap());
    headers.append("x-a", "clean".parse().unwrap());
    headers.append("x-a", "hunter2-hunter2".parse().unwrap());
    headers.append("x-hunter2-hunter2", "clean".parse().unwrap());
    patterns(&["hunter2-hunter2"]).scrub_headers(&mut headers);
    assert_eq!(headers.len(), 3, "a name that tells is gone: {headers:?}");
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

/// Texts of what secrets and escapes are made of, cut anywhere: what comes out is the same, and it
/// holds no secret, however it is read.
#[test]
fn n60_whatever_the_pieces_the_result_is_the_same_and_clean() {
    const SECRETS: [&str; 3] = ["ab\"c/ab", "%41b\\u0042", "aaaa"];
    let patterns = patterns(&SECRETS);
    let mut parts: Vec<String> = [
        "\\", "%", "u", "0", "00", "2f", "\"", "/", "a", "ab", "=", "é", " ",
    ]
    .map(str::to_owned)
    .to_vec();
    for secret in SECRETS {
        parts.push(secret.to_owned());
        parts.push(secret[..4].to_owned());
        parts.push(secret[3..].to_owned());
        parts.push(serde_json::to_string(secret).unwrap());
        parts.push(secret.bytes().map(|byte| format!("%{byte:02x}")).collect());
        parts.push(STANDARD.encode(format!("x{secret}")));
        parts.push(STANDARD.encode(secret).replace('=', ""));
    }
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % u64::try_from(below).unwrap()).unwrap()
    };
    for _ in 0..5_000 {
        let text: String = (0..=random(16))
            .map(|_| parts[random(parts.len())].as_str())
            .collect();
        let whole = streamed(&patterns, text.as_bytes(), text.len());
        assert!(
            !patterns.finds(text.as_bytes()) || whole != text.as_bytes(),
            "{text}"
        );
        for _ in 0..4 {
            let mut scrubber = patterns.scrubber();
            let (mut rest, mut out) = (text.as_bytes(), Vec::new());
            while !rest.is_empty() {
                let (piece, later) = rest.split_at(1 + random(rest.len().min(9)));
                out.extend_from_slice(&scrubber.push(Bytes::copy_from_slice(piece)));
                rest = later;
            }
            out.extend_from_slice(&scrubber.finish());
            assert_eq!(
                String::from_utf8_lossy(&out),
                String::from_utf8_lossy(&whole),
                "{text}"
            );
        }
    }
}
