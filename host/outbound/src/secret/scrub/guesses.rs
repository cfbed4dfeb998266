//! Nobody learns from what is taken out, and what is not, how close a guess comes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use bytes::Bytes;

use super::{LAG, Patterns, REDACTED, Scrubber, undone};

const TOKEN: &[u8] = b"sk_live-9fQ2xT7bZk41Lw8M";

/// How an encoding that is looked for writes a secret, in a text of its own.
type Encoding = (&'static str, fn(&[u8]) -> String);

fn each(secret: &[u8], write: impl Fn(u8) -> String) -> String {
    secret.iter().map(|byte| write(*byte)).collect()
}

const ENCODINGS: [Encoding; 14] = [
    ("plain", |secret| {
        each(secret, |b| char::from(b).to_string())
    }),
    ("percent", |secret| each(secret, |b| format!("%{b:02x}"))),
    ("percent twice", |secret| {
        each(secret, |b| format!("%25{b:02X}"))
    }),
    ("unicode", |secret| each(secret, |b| format!("\\u{b:04x}"))),
    ("braces", |secret| each(secret, |b| format!("\\u{{{b:x}}}"))),
    ("every other", |secret| {
        let pairs = secret.chunks(2).map(|pair| match pair {
            [one, two] => format!("{}%{two:02x}", char::from(*one)),
            rest => each(rest, |b| char::from(b).to_string()),
        });
        pairs.collect()
    }),
    ("hex", |secret| hex::encode(secret)),
    ("upper hex", |secret| hex::encode_upper(secret)),
    ("base64", |secret| STANDARD.encode(secret)),
    ("base64, one before", |secret| {
        STANDARD.encode([b"u", secret].concat())
    }),
    ("base64, two before", |secret| {
        STANDARD.encode([b"us", secret].concat())
    }),
    ("base64, within", |secret| {
        STANDARD.encode([b"user:", secret, b"abcd"].concat())
    }),
    ("base64 of URLs", |secret| {
        URL_SAFE.encode([b"u", secret, b"x"].concat())
    }),
    ("base64 in percent", |secret| {
        each(STANDARD.encode(secret).as_bytes(), |b| format!("%{b:02x}"))
    }),
];

/// Any fixed sequence will do; this one is Marsaglia's.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(most).unwrap()).unwrap()
    }

    /// Another letter than this one.
    fn other(&mut self, than: u8) -> u8 {
        const LETTERS: &[u8; 38] = b"abcdefghijklmnopqrstuvwxyz0123456789-_";
        let at = self.below(LETTERS.len());
        match LETTERS[at] {
            letter if letter == than => LETTERS[(at + 1) % LETTERS.len()],
            letter => letter,
        }
    }

    /// A guess that is right in some bytes, at the beginning, at the end or in all but one; and one
    /// that is wrong in every byte.
    fn guesses(&mut self) -> (Vec<u8>, Vec<u8>) {
        let none: Vec<u8> = TOKEN.iter().map(|byte| self.other(*byte)).collect();
        let (way, length) = (self.below(3), self.below(TOKEN.len()));
        let is_right = |at: usize| match way {
            0 => at < length,
            1 => at >= TOKEN.len() - length,
            _ => at != length,
        };
        let close = none.iter().zip(TOKEN).enumerate();
        let close = close.map(|(at, (wrong, right))| if is_right(at) { *right } else { *wrong });
        (close.collect(), none)
    }
}

/// What can be seen of a stream that is cut so: how much comes out when, and what.
fn seen(mut scrubber: Scrubber, text: &str, sizes: &[usize]) -> (Vec<usize>, Vec<u8>) {
    let (mut rest, mut when, mut out) = (text.as_bytes(), Vec::new(), Vec::new());
    let mut given = |piece: Bytes| {
        when.push(piece.len());
        out.extend_from_slice(&piece);
    };
    for size in sizes.iter().cycle() {
        let (piece, later) = rest.split_at((*size).min(rest.len()));
        given(scrubber.push(Bytes::copy_from_slice(piece)));
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    given(scrubber.finish());
    (when, out)
}

/// The whole of a secret is taken out in each encoding, and one bit less is not.
#[test]
fn n84_a_guess_that_is_wrong_in_one_bit_passes_like_any_other_text() {
    let patterns = Patterns::new([TOKEN]).unwrap();
    for (name, encode) in ENCODINGS {
        let right = encode(TOKEN);
        let clean = patterns.scrub_text(&right);
        assert!(clean.contains(REDACTED), "{name}: {right}");
        for at in 0..TOKEN.len() {
            for bit in 0..7 {
                let mut guess = TOKEN.to_vec();
                guess[at] ^= 1 << bit;
                let text = encode(&guess);
                let passes = !patterns.finds(text.as_bytes());
                assert!(passes, "{name}: byte {at} bit {bit}: {text}");
            }
        }
    }
}

/// A guess that is right in some of its bytes and one that is wrong in all of them look the same, in
/// everything that comes out and when; and as they do where another secret is sought: 100,000 tries.
#[test]
fn n84_a_hundred_thousand_guesses_tell_nothing() {
    let patterns = Patterns::new([TOKEN]).unwrap();
    let other = Patterns::new([&b"quite another secret, and a longer one than that"[..]]).unwrap();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut tries, mut round) = (0, 0);
    while tries < 100_000 {
        let (name, encode) = ENCODINGS[round % ENCODINGS.len()];
        let lines = round % 3 == 0;
        round += 1;
        let (mut near, mut far) = (String::new(), String::new());
        while near.len() < 2 * LAG + 8_000 {
            let (close, none) = random.guesses();
            let end = if random.below(4) == 0 { "|\n" } else { "|." };
            near.extend([&encode(&close), end]);
            far.extend([&encode(&none), end]);
            assert_eq!(near.len(), far.len(), "{name}");
            tries += 1;
        }
        let sizes: Vec<usize> = (0..20).map(|_| 1 + random.below(9_000)).collect();
        let watch = |patterns: &Patterns, text: &str| {
            let scrubber = match lines {
                true => patterns.line_scrubber(),
                false => patterns.scrubber(),
            };
            seen(scrubber, text, &sizes)
        };
        let (when, out) = watch(&patterns, &near);
        assert!(out == near.as_bytes(), "{name}");
        assert_eq!(when, watch(&patterns, &far).0, "{name}");
        if round % 5 == 0 {
            assert_eq!(when, watch(&other, &near).0, "{name}");
        }
    }
}

/// Whatever of a secret's characters is escaped and how; those that begin escapes of their own, too.
#[test]
fn n86_a_secret_with_backslashes_is_found_in_mixed_escapes() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for secret in [
        r"CORP\username-of-1234",
        r"a\\b\nc\td\\\e-012345",
        r#"\"quoted\" and \/more\"#,
        r"100%-sure\%%%-9f\x\y\",
        r"\\\\\\\zebra\\\\crossing\\",
        r"back\slash\and\nmore\b",
        r"a%41b%5c%2525-\%41y-%9",
    ] {
        let patterns = Patterns::new([secret.as_bytes()]).unwrap();
        for _ in 0..3_000 {
            let text: String = secret
                .bytes()
                .map(|byte| match random.below(6) {
                    0 => format!("%{byte:02x}"),
                    1 => format!("%{byte:02X}"),
                    2 => format!("\\u{byte:04x}"),
                    3 => format!("%25{byte:02x}"),
                    4 if matches!(byte, b'"' | b'\\' | b'/') => format!("\\{}", char::from(byte)),
                    _ => char::from(byte).to_string(),
                })
                .collect();
            let text = format!("<{text}>");
            let clean = patterns.scrub_text(&text);
            // Backslashes at its edges may stay: they tell nothing.
            let rest = undone(clean.as_bytes());
            assert_eq!(rest, b"<[redacted]>", "{secret}: {text}: {clean}");
        }
    }
}
