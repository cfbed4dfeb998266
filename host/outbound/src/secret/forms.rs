//! The forms in which a credential can come back, once escapes are undone: plain, base64, hex.
//!
//! Each form is the whole of the secret: of base64 it also has the characters that the secret shares
//! with its neighbours, bit by bit. What resembles a form and is none is not found.
//!
//! Pure bytes to bytes; it does not search and does not replace.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::decode::undone;

/// The shortest form that is looked for. Anything shorter is found in ordinary text.
const SHORTEST: usize = 4;

/// One form of a secret.
pub(super) struct Form {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    edges: Option<Edges>,
}

/// Base64 in a longer text shares its first and its last character with its neighbours.
#[derive(Clone, Copy, Default)]
struct Edges {
    lead: Option<Edge>,
    tail: Option<Edge>,
}

/// A character of base64 that the secret decides in part.
#[derive(Clone, Copy)]
struct Edge {
    mask: u8,
    bits: u8,
}

impl Edge {
    fn fits(self, byte: u8) -> bool {
        sextet(byte).is_some_and(|value| value & self.mask == self.bits)
    }
}

impl Form {
    /// The form where it was found, with the characters at its edges that it shares; nothing where
    /// those do not fit, so that what is found is the whole of a secret, to its last bit.
    pub(super) fn around(&self, text: &[u8], found: Range<usize>) -> Option<Range<usize>> {
        let Some(edges) = self.edges else {
            return Some(found);
        };
        let fits = |edge: Option<Edge>, at: Option<usize>| match edge {
            None => Some(0),
            Some(edge) => {
                let byte = at.and_then(|at| text.get(at));
                byte.is_some_and(|byte| edge.fits(*byte)).then_some(1)
            }
        };
        let start = found.start - fits(edges.lead, found.start.checked_sub(1))?;
        let mut end = found.end + fits(edges.tail, Some(found.end))?;
        while end < found.end + Self::AFTER && text.get(end) == Some(&b'=') {
            end += 1;
        }
        Some(start..end)
    }

    /// How many bytes behind a form can belong to it: a shared one and the padding.
    const AFTER: usize = 3;
}

/// Every form of a secret that an upstream plausibly echoes, each once.
#[must_use]
pub(super) fn forms(secret: &[u8]) -> Vec<Form> {
    let mut forms: Vec<Form> = Vec::new();
    let mut add = |bytes: Vec<u8>, edges| {
        let bytes = Zeroizing::new(bytes);
        if bytes.len() >= SHORTEST && forms.iter().all(|known| known.bytes != bytes) {
            forms.push(Form { bytes, edges });
        }
    };
    add(secret.to_vec(), None);
    // A secret that looks escaped is undone like any other text.
    add(undone(secret), None);
    // Forms write a space as `+`.
    let plus = |byte: &u8| if *byte == b' ' { b'+' } else { *byte };
    let form: Vec<u8> = secret.iter().map(plus).collect();
    add(undone(&form), None);
    add(form, None);
    add(hex::encode(secret).into_bytes(), None);
    add(hex::encode_upper(secret).into_bytes(), None);
    for shift in 0..3 {
        for (bytes, edges) in base64_forms(secret, shift) {
            add(bytes, Some(edges));
        }
    }
    forms
}

/// The base64 characters that the secret alone decides when `shift` bytes stand before it in a group
/// of three, and what it has a part in at both ends.
fn base64_forms(secret: &[u8], shift: usize) -> [(Vec<u8>, Edges); 2] {
    let mut padded = Zeroizing::new(vec![0; shift]);
    padded.extend_from_slice(secret);
    let bits = padded.len() * 8;
    // Whole characters, and those of them that hold the bytes before.
    let (whole, foreign) = (bits / 6, (shift * 8).div_ceil(6));
    [STANDARD_NO_PAD, URL_SAFE_NO_PAD].map(|alphabet| {
        let text = Zeroizing::new(alphabet.encode(&*padded).into_bytes());
        let edge = |at: Option<usize>, mask: u8| {
            let value = at.and_then(|at| text.get(at)).and_then(|b| sextet(*b))?;
            (mask != 0).then_some(Edge {
                mask,
                bits: value & mask,
            })
        };
        let edges = Edges {
            lead: edge(foreign.checked_sub(1), low(foreign * 6 - shift * 8)),
            tail: edge(Some(whole), 63 ^ low(6 - bits % 6)),
        };
        let core = text.get(foreign..whole).unwrap_or_default();
        (core.to_vec(), edges)
    })
}

/// So many low bits of six.
const fn low(count: usize) -> u8 {
    match count {
        1 => 1,
        2 => 3,
        3 => 7,
        4 => 15,
        5 => 31,
        6.. => 63,
        0 => 0,
    }
}

/// What a character of base64 stands for, in either alphabet.
fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

/// Percent-encodes everything but the unreserved characters of RFC 3986.
#[must_use]
pub(crate) fn percent(bytes: &[u8]) -> String {
    let mut form = String::with_capacity(bytes.len() * 3);
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            form.push(char::from(byte));
        } else {
            form.push_str(&format!("%{byte:02X}"));
        }
    }
    form
}
