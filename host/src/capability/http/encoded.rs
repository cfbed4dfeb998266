//! The forms in which a credential can come back: plain, base64, percent-encoded, JSON-escaped.
//!
//! Pure bytes to bytes; it does not search and does not replace.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// The shortest form that is looked for. Anything shorter is found in ordinary text.
const SHORTEST: usize = 4;

/// Every form of a secret that an upstream plausibly echoes.
#[must_use]
pub(super) fn forms(secret: &[u8]) -> BTreeSet<Vec<u8>> {
    let mut forms = BTreeSet::from([secret.to_vec()]);
    forms.extend(percent_forms(secret));
    forms.extend(json_forms(secret));
    for shift in 0..3 {
        forms.extend(base64_forms(secret, shift));
    }
    forms.retain(|form| form.len() >= SHORTEST);
    forms
}

/// Percent-encodes everything but the unreserved characters of RFC 3986.
#[must_use]
pub(crate) fn percent(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&percent_with(bytes, b"-._~", Case::Upper)).into_owned()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Upper,
    Lower,
}

/// Encoders differ in what they leave bare: RFC 3986, `encodeURIComponent`, HTML forms, `encodeURI`.
fn percent_forms(secret: &[u8]) -> Vec<Vec<u8>> {
    const BARE: [&[u8]; 4] = [b"-._~", b"-_.!~*'()", b"*-._", b"-_.!~*'();/?:@&=+$,#"];
    let mut forms = Vec::new();
    for bare in BARE {
        for case in [Case::Upper, Case::Lower] {
            let form = percent_with(secret, bare, case);
            // Forms write a space as `+`, and so may whoever reads a query.
            forms.push(replace(&form, b"%20", b"+"));
            forms.push(form);
        }
    }
    forms
}

fn percent_with(bytes: &[u8], bare: &[u8], case: Case) -> Vec<u8> {
    let mut form = Vec::with_capacity(bytes.len() * 3);
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || bare.contains(&byte) {
            form.push(byte);
        } else {
            let escape = match case {
                Case::Upper => format!("%{byte:02X}"),
                Case::Lower => format!("%{byte:02x}"),
            };
            form.extend_from_slice(escape.as_bytes());
        }
    }
    form
}

/// JSON leaves a choice for `/`, for what HTML minds, and for everything beyond ASCII. A secret
/// that is no UTF-8 cannot stand in JSON as it is.
fn json_forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let Ok(text) = std::str::from_utf8(secret) else {
        return Vec::new();
    };
    let mut forms = Vec::new();
    for slash in [false, true] {
        for html in [false, true] {
            for ascii in [false, true] {
                for case in [Case::Upper, Case::Lower] {
                    forms.push(json_with(text, slash, html, ascii, case).into_bytes());
                }
            }
        }
    }
    forms
}

fn json_with(text: &str, slash: bool, html: bool, ascii: bool, case: Case) -> String {
    let mut form = String::with_capacity(text.len() * 2);
    for c in text.chars() {
        match c {
            '"' => form.push_str("\\\""),
            '\\' => form.push_str("\\\\"),
            '/' if slash => form.push_str("\\/"),
            '<' | '>' | '&' | '\'' | '+' if html => push_unicode(&mut form, c, case),
            c if ascii && !c.is_ascii() => push_unicode(&mut form, c, case),
            c => form.push(c),
        }
    }
    form
}

fn push_unicode(form: &mut String, c: char, case: Case) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        form.push_str(&match case {
            Case::Upper => format!("\\u{unit:04X}"),
            Case::Lower => format!("\\u{unit:04x}"),
        });
    }
}

/// The base64 characters that the secret alone decides when `shift` bytes stand before it in a group
/// of three. What its neighbours have a part in differs from text to text, and gives away at most
/// four bits at each end.
fn base64_forms(secret: &[u8], shift: usize) -> [Vec<u8>; 2] {
    let mut padded = vec![0; shift];
    padded.extend_from_slice(secret);
    // Of n bytes come n * 8 / 6 whole characters; the first ones hold the bytes before.
    let whole = padded.len() * 8 / 6;
    let foreign = (shift * 8).div_ceil(6);
    [STANDARD_NO_PAD, URL_SAFE_NO_PAD].map(|alphabet| {
        let text = alphabet.encode(&padded).into_bytes();
        text.get(foreign..whole).unwrap_or_default().to_vec()
    })
}

fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(&first) = rest.first() {
        if let Some(tail) = rest.strip_prefix(from) {
            out.extend_from_slice(to);
            rest = tail;
        } else {
            out.push(first);
            rest = rest.get(1..).unwrap_or_default();
        }
    }
    out
}
