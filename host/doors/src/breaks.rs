//! Characters that end a line for some readers and stand for themselves in JSON: U+0085, U+2028 and
//! U+2029. Pure.
//!
//! Readers that split at whatever Unicode calls a line break (Node's readline, Python's `splitlines`,
//! older clients of event streams) would find half a message where a tool's text has one of them. In
//! JSON they can only stand in a text, where an escape says the same.

use std::borrow::Cow;

/// A message, or an event with messages in it, which is one line to every reader.
pub(super) fn escaped(json: &[u8]) -> Cow<'_, [u8]> {
    let Some(mut found) = next(json, 0) else {
        return Cow::Borrowed(json);
    };
    let mut whole = Vec::with_capacity(json.len() + 64);
    let mut from = 0;
    loop {
        let (at, length, escape) = found;
        whole.extend_from_slice(json.get(from..at).unwrap_or_default());
        whole.extend_from_slice(escape);
        from = at + length;
        match next(json, from) {
            Some(another) => found = another,
            None => break,
        }
    }
    whole.extend_from_slice(json.get(from..).unwrap_or_default());
    Cow::Owned(whole)
}

/// The first of them from here on: where it is, its bytes, and what says the same.
fn next(json: &[u8], from: usize) -> Option<(usize, usize, &'static [u8])> {
    let mut at = from;
    loop {
        at += memchr::memchr2(0xC2, 0xE2, json.get(at..)?)?;
        match json.get(at..)? {
            [0xC2, 0x85, ..] => return Some((at, 2, b"\\u0085")),
            [0xE2, 0x80, 0xA8, ..] => return Some((at, 3, b"\\u2028")),
            [0xE2, 0x80, 0xA9, ..] => return Some((at, 3, b"\\u2029")),
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use serde_json::Value;

    use super::*;

    #[test]
    fn x74_a_message_is_one_line_to_every_reader_and_says_the_same() {
        let texts = [
            "",
            "plain",
            "\u{2028}",
            "a\u{2028}b\u{2029}\u{2029}c\u{85}",
            "\u{2027}\u{2030}\u{84}\u{86} and \u{c2} \u{e2} \u{20ac}",
            "\\u2028 is six letters, \\\u{2028} is a backslash before one",
        ];
        for text in texts {
            let json = serde_json::to_vec(&Value::from(text)).unwrap();
            let escaped = escaped(&json);
            let line = std::str::from_utf8(&escaped).unwrap();
            assert!(!line.contains(['\u{85}', '\u{2028}', '\u{2029}']), "{line}");
            let read: Value = serde_json::from_str(line).unwrap();
            assert_eq!(read, Value::from(text));
            let has_none = !text.contains(['\u{85}', '\u{2028}', '\u{2029}']);
            assert_eq!(matches!(escaped, Cow::Borrowed(_)), has_none, "{text:?}");
        }
    }
}
