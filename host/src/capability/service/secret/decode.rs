//! Undoes the escapes of URLs and of JSON in any text, and knows where each byte came from.
//!
//! A credential can come back with any of its characters escaped, in either case. Those forms are too
//! many to be listed, so the text is brought to one form instead. Pure; it searches for nothing.

use std::ops::Range;

use memchr::memchr2;

/// A text with its escapes undone.
pub(super) struct Decoded {
    pub(super) bytes: Vec<u8>,
    escapes: Vec<Escape>,
    /// So many of the bytes are before an escape that the end of the text cuts off: what comes
    /// later decides what the others say.
    certain: Option<usize>,
    /// Whether the escapes are kept.
    mapped: bool,
    length: usize,
}

/// One escape: what of the decoded text it stands for, and where it is written.
struct Escape {
    plain: Range<usize>,
    raw: Range<usize>,
}

/// What begins with a `%` or a `\`.
enum Read {
    /// An escape of so many bytes, and what it stands for.
    Escape(usize, Undone),
    /// Nothing but itself.
    Itself,
    /// The beginning of an escape, perhaps.
    CutOff,
}

/// A byte or a character.
enum Undone {
    Byte(u8),
    Char(char),
}

/// Whether there is anything to undo.
pub(super) fn has_escape(raw: &[u8]) -> bool {
    memchr2(b'%', b'\\', raw).is_some()
}

/// Undoes percent-encoding and the escapes of JSON's strings, and keeps where each was.
pub(super) fn decode(raw: &[u8]) -> Decoded {
    undo(raw, true)
}

/// Undoes them. However many there are, the result takes no more memory than the text.
pub(super) fn undone(raw: &[u8]) -> Vec<u8> {
    undo(raw, false).bytes
}

fn undo(raw: &[u8], mapped: bool) -> Decoded {
    let mut decoded = Decoded {
        mapped,
        bytes: Vec::with_capacity(raw.len()),
        escapes: Vec::new(),
        certain: None,
        length: raw.len(),
    };
    let mut at = 0;
    while let Some(rest) = raw.get(at..).filter(|rest| !rest.is_empty()) {
        let run = memchr2(b'%', b'\\', rest).unwrap_or(rest.len());
        let (plain, rest) = rest.split_at_checked(run).unwrap_or((rest, &[]));
        decoded.bytes.extend_from_slice(plain);
        at += plain.len();
        at += decoded.take(rest, at);
    }
    decoded
}

impl Decoded {
    /// Takes what begins with a `%` or a `\`, and says how long it is.
    fn take(&mut self, rest: &[u8], at: usize) -> usize {
        let Some(&first) = rest.first() else { return 0 };
        match read(rest) {
            Read::Escape(length, undone) => {
                let before = self.bytes.len();
                match undone {
                    Undone::Byte(byte) => self.bytes.push(byte),
                    Undone::Char(c) => {
                        let text = &mut [0; 4];
                        self.bytes.extend_from_slice(c.encode_utf8(text).as_bytes());
                    }
                }
                if self.mapped {
                    self.escapes.push(Escape {
                        plain: before..self.bytes.len(),
                        raw: at..at + length,
                    });
                }
                return length;
            }
            Read::CutOff => {
                self.certain.get_or_insert(self.bytes.len());
            }
            Read::Itself => {}
        }
        self.bytes.push(first);
        1
    }

    /// What more of the text does not change any more, where that is not all of it.
    pub(super) fn certain(&self) -> Option<&[u8]> {
        self.bytes.get(..self.certain?)
    }

    /// Where the byte at `plain` is written.
    fn origin(&self, plain: usize) -> Range<usize> {
        let after = self.escapes.partition_point(|e| e.plain.start <= plain);
        let before = after.checked_sub(1).and_then(|i| self.escapes.get(i));
        match before {
            None => plain..plain + 1,
            Some(escape) if escape.plain.contains(&plain) => escape.raw.clone(),
            Some(escape) => {
                let raw = escape.raw.end + (plain - escape.plain.end);
                raw..raw + 1
            }
        }
    }

    /// Where a part of the decoded text is written.
    pub(super) fn written(&self, plain: &Range<usize>) -> Range<usize> {
        let last = plain.end.saturating_sub(1).max(plain.start);
        self.origin(plain.start).start..self.origin(last).end
    }

    /// Where what begins at `plain` is written; the end of the text for its end.
    pub(super) fn place(&self, plain: usize) -> usize {
        if plain >= self.bytes.len() {
            self.length
        } else {
            self.origin(plain).start
        }
    }

    /// The nearest place at or before `raw` that is not within an escape.
    pub(super) fn floor(&self, raw: usize) -> usize {
        let after = self.escapes.partition_point(|e| e.raw.start < raw);
        let before = after.checked_sub(1).and_then(|i| self.escapes.get(i));
        before
            .filter(|escape| raw < escape.raw.end)
            .map_or(raw, |escape| escape.raw.start)
    }
}

fn read(rest: &[u8]) -> Read {
    match rest {
        [b'%', high, low, ..] => match (digit(*high), digit(*low)) {
            (Some(high), Some(low)) => Read::Escape(3, Undone::Byte(high << 4 | low)),
            _ => Read::Itself,
        },
        [b'%', high] if digit(*high).is_none() => Read::Itself,
        [b'%', ..] | [b'\\'] => Read::CutOff,
        [b'\\', b'u', digits @ ..] => unicode(digits),
        [b'\\', letter, ..] => match letter {
            b'"' | b'\\' | b'/' => Read::Escape(2, Undone::Byte(*letter)),
            b'b' => Read::Escape(2, Undone::Byte(8)),
            b'f' => Read::Escape(2, Undone::Byte(12)),
            b'n' => Read::Escape(2, Undone::Byte(b'\n')),
            b'r' => Read::Escape(2, Undone::Byte(b'\r')),
            b't' => Read::Escape(2, Undone::Byte(b'\t')),
            _ => Read::Itself,
        },
        _ => Read::Itself,
    }
}

/// What follows `\u`.
fn unicode(rest: &[u8]) -> Read {
    let first = match unit(rest) {
        Ok(unit) => unit,
        Err(read) => return read,
    };
    if let Some(c) = char::from_u32(first) {
        return Read::Escape(6, Undone::Char(c));
    }
    // Half of a character beyond the first 65,536: the other half follows.
    let second = match rest.get(4..).unwrap_or_default() {
        [] | [b'\\'] => Err(Read::CutOff),
        [b'\\', b'u', digits @ ..] => unit(digits),
        _ => Err(Read::Itself),
    };
    let second = match second {
        Ok(second) => second,
        Err(read) => return read,
    };
    let both = (0xd800..0xdc00).contains(&first) && (0xdc00..0xe000).contains(&second);
    let whole = both.then(|| 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00));
    match whole.and_then(char::from_u32) {
        Some(c) => Read::Escape(12, Undone::Char(c)),
        None => Read::Itself,
    }
}

/// Four digits.
fn unit(rest: &[u8]) -> Result<u32, Read> {
    let digits = rest.get(..4).unwrap_or(rest);
    let value = digits
        .iter()
        .try_fold(0, |value, byte| Some(value << 4 | u32::from(digit(*byte)?)));
    match value {
        Some(value) if digits.len() == 4 => Ok(value),
        Some(_) => Err(Read::CutOff),
        None => Err(Read::Itself),
    }
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn text(raw: &str) -> String {
        String::from_utf8(decode(raw.as_bytes()).bytes).unwrap()
    }

    #[test]
    fn escapes_are_undone_and_nothing_else_is() {
        for (raw, plain) in [
            ("plain", "plain"),
            ("%41%2f%2F", "A//"),
            ("100% sure %zz %4", "100% sure %zz %4"),
            (r#"\"\\\/\n\u0041\u00e9\u00E9"#, "\"\\/\nAéé"),
            (r"\ud83d\ude00", "😀"),
            (
                r"\ud83d\u0041 \ude00 \ud83dx \u00g0",
                r"\ud83dA \ude00 \ud83dx \u00g0",
            ),
            (r"\x \", r"\x \"),
            ("%c3%bc", "ü"),
        ] {
            assert_eq!(text(raw), plain, "{raw}");
        }
    }

    #[test]
    fn an_escape_that_is_cut_off_is_known() {
        for (raw, whole) in [
            ("ab%", 2),
            ("ab%4", 2),
            ("ab\\", 2),
            ("ab\\u", 2),
            ("ab\\u00e", 2),
            ("ab\\ud83d", 2),
            ("ab\\ud83d\\", 2),
            ("ab\\ud83d\\ude0", 2),
            ("ab%zz", 5),
            ("ab%z", 4),
            ("ab%41", 3),
        ] {
            let decoded = decode(raw.as_bytes());
            let certain = decoded.certain().unwrap_or(&decoded.bytes);
            assert_eq!(certain.len(), whole, "{raw}");
        }
    }

    #[test]
    fn every_byte_knows_where_it_is_written() {
        let decoded = decode(br"a%41b\u00e9c");
        assert_eq!(decoded.bytes, "aAbéc".as_bytes());
        assert_eq!(decoded.written(&(0..1)), 0..1);
        assert_eq!(decoded.written(&(1..2)), 1..4);
        assert_eq!(decoded.written(&(1..3)), 1..5);
        assert_eq!(decoded.written(&(3..4)), 5..11);
        assert_eq!(decoded.written(&(4..6)), 5..12);
        assert_eq!((decoded.place(5), decoded.place(6)), (11, 12));
        assert_eq!(
            (decoded.floor(2), decoded.floor(4), decoded.floor(6)),
            (1, 4, 5)
        );
    }
}
