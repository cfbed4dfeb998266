//! Keys that show what they are: providers give them a shape so that they are found in places where
//! they do not belong.
//!
//! It knows shapes, no values. It finds accidents: whoever wants to hide a key encodes it first.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

/// The shape of one kind of key.
struct Shape {
    /// What it is, in a sentence.
    what: &'static str,
    prefix: &'static str,
    /// How many bytes follow at least, and which.
    rest: (usize, Letters),
}

/// Which bytes a key is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Letters {
    /// Capitals and digits, and no more of them than the shape says.
    Exactly,
    /// Letters, digits, `_` and `-`.
    Word,
    /// As `Word`, with a digit and letters of both cases among them: the prefix alone is too common.
    Mixed,
}

impl Shape {
    const fn word(what: &'static str, prefix: &'static str, least: usize) -> Self {
        let rest = (least, Letters::Word);
        Self { what, prefix, rest }
    }
}

/// From the providers' documentation. Tokens that are signed and short-lived (JWT) are not among
/// them: they travel in honest requests, as cursors, states and links to uploads.
const SHAPES: [Shape; 22] = [
    Shape {
        what: "an AWS access key",
        prefix: "AKIA",
        rest: (16, Letters::Exactly),
    },
    Shape {
        what: "an AWS access key",
        prefix: "ASIA",
        rest: (16, Letters::Exactly),
    },
    Shape {
        what: "an API key",
        prefix: "sk-",
        rest: (20, Letters::Mixed),
    },
    Shape::word("a GitHub token", "ghp_", 36),
    Shape::word("a GitHub token", "gho_", 36),
    Shape::word("a GitHub token", "ghu_", 36),
    Shape::word("a GitHub token", "ghs_", 36),
    Shape::word("a GitHub token", "ghr_", 36),
    Shape::word("a GitHub token", "github_pat_", 22),
    Shape::word("a GitLab token", "glpat-", 20),
    Shape::word("a Google API key", "AIza", 35),
    Shape::word("a Google client secret", "GOCSPX-", 24),
    Shape::word("a Slack token", "xoxb-", 16),
    Shape::word("a Slack token", "xoxp-", 16),
    Shape::word("a Slack token", "xoxa-", 16),
    Shape::word("a Slack token", "xoxr-", 16),
    Shape::word("a Slack token", "xoxs-", 16),
    Shape::word("a Stripe key", "sk_live_", 16),
    Shape::word("a Stripe key", "rk_live_", 16),
    Shape::word("an npm token", "npm_", 36),
    Shape::word("a PyPI token", "pypi-AgEIcHlwaS5vcmc", 50),
    Shape::word("a private key", PRIVATE, 0),
];

/// What every private key in PEM begins with; its kind follows.
const PRIVATE: &str = "-----BEGIN ";

/// The beginnings of the shapes of texts.
pub const KEY_PREFIXES: [&str; 21] = {
    let mut prefixes = [""; 21];
    let mut at = 0;
    while at < prefixes.len() {
        prefixes[at] = SHAPES[at].prefix;
        at += 1;
    }
    prefixes
};

/// None only if the machine of a few words cannot be built, which a test excludes.
static MACHINE: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| AhoCorasick::new(SHAPES.iter().map(|shape| shape.prefix)).ok());

/// What kind of key a text holds, if any.
pub fn found(text: &[u8]) -> Option<&'static str> {
    let machine = MACHINE.as_ref()?;
    machine.find_overlapping_iter(text).find_map(|found| {
        let shape = SHAPES.get(found.pattern().as_usize())?;
        let before = found.start().checked_sub(1).and_then(|at| text.get(at));
        let rest = text.get(found.end()..)?;
        // JSON writes a line break as a letter.
        let head = text.get(..found.start()).unwrap_or_default();
        let escape = matches!(head, [.., b'\\', b'b' | b'f' | b'n' | b'r' | b't']);
        let apart = escape || before.is_none_or(|byte| !byte.is_ascii_alphanumeric());
        (apart && shape.goes_on(rest)).then_some(shape.what)
    })
}

impl Shape {
    /// The longest rest that is looked at.
    const MOST: usize = 200;

    fn goes_on(&self, rest: &[u8]) -> bool {
        let rest = rest.get(..Self::MOST).unwrap_or(rest);
        if self.prefix == PRIVATE {
            let line = rest.get(..40).unwrap_or(rest);
            return line.windows(16).any(|part| part == b"PRIVATE KEY-----");
        }
        let (least, letters) = self.rest;
        let of_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-".contains(byte);
        let length = rest.iter().take_while(|byte| of_word(byte)).count();
        let word = rest.get(..length).unwrap_or_default();
        let has = |is: fn(&u8) -> bool| word.iter().any(is);
        match letters {
            Letters::Word => length >= least,
            Letters::Mixed => {
                length >= least
                    && has(u8::is_ascii_digit)
                    && has(u8::is_ascii_lowercase)
                    && has(u8::is_ascii_uppercase)
            }
            // The keys of AWS's own documentation say that they are none.
            Letters::Exactly => {
                let own = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
                length == least && word.iter().all(own) && !word.ends_with(b"EXAMPLE")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    /// Put together here, so that no scanner takes this file for a leak.
    fn key(prefix: &str, rest: &str) -> String {
        format!("{prefix}{rest}")
    }

    const LONG: &str = "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8S9t0U1v2W3x4Y5z6";

    #[test]
    fn a_key_of_each_shape_is_found() {
        assert!(MACHINE.is_some());
        for shape in &SHAPES[..21] {
            let rest = match shape.rest.1 {
                Letters::Exactly => "Q3EGXLUVWXYZ2345",
                _ => &LONG[..shape.rest.0.max(20)],
            };
            for text in [
                key(shape.prefix, rest),
                format!("token={}&x=1", key(shape.prefix, rest)),
                format!("{{\"a\":\"{}\"}}", key(shape.prefix, rest)),
            ] {
                assert_eq!(found(text.as_bytes()), Some(shape.what), "{text}");
            }
        }
        for kind in ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "] {
            let text = key("x\n-----BEGIN ", &format!("{kind}PRIVATE KEY-----\nMIIE"));
            assert_eq!(found(text.as_bytes()), Some("a private key"), "{text}");
        }
    }

    #[test]
    fn what_only_resembles_a_key_is_none() {
        for text in [
            "",
            "AKIA",
            "AKIAIOSFODNN7EXAMPLE",
            "AKIAQ3EGXLUVWXYZ23456",
            "XAKIAQ3EGXLUVWXYZ2345",
            "ghp_short",
            "risk-management-for-Teams-2025-and-beyond",
            "/sk-all-the-long-words-of-a-headline-2025",
            "-----BEGIN PUBLIC KEY-----",
            "-----BEGIN CERTIFICATE-----",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ",
            "npm_config_cache=/tmp",
        ] {
            assert_eq!(found(text.as_bytes()), None, "{text}");
        }
    }
}
