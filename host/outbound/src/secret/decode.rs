//! Undoes the escapes of URLs and of JSON in any text, and knows where each byte came from.
//!
//! A credential can come back with any of its characters escaped, in either case, and escaped again.
//! Those forms are too many to be listed, so the text is brought to one form instead: escapes are
//! undone until there are none, and backslashes that are left go. What was undone once is not undone
//! differently the next time: the result of the result is itself. Pure; it searches for nothing.

use memchr::memchr2;

/// A text with its escapes undone.
pub(super) struct Decoded {
    pub(super) bytes: Vec<u8>,
    /// Where each byte is written, beginning and end.
    written: Vec<(u32, u32)>,
}

/// Whether there is anything to undo.
pub(super) fn has_escape(raw: &[u8]) -> bool {
    memchr2(b'%', b'\\', raw).is_some()
}

/// Undoes percent-encoding and the escapes of JSON's strings, and keeps where each was.
pub(super) fn decode(raw: &[u8]) -> Decoded {
    let mut undoing = Undoing {
        bytes: Vec::with_capacity(raw.len()),
        written: Some(Vec::with_capacity(raw.len())),
        quiet: QUIET,
    };
    undoing.all(raw);
    Decoded {
        bytes: undoing.bytes,
        written: undoing.written.unwrap_or_default(),
    }
}

/// Undoes them. However many there are, the result takes no more memory than the text.
pub(super) fn undone(raw: &[u8]) -> Vec<u8> {
    let mut undoing = Undoing {
        bytes: Vec::with_capacity(raw.len()),
        written: None,
        quiet: QUIET,
    };
    undoing.all(raw);
    undoing.bytes
}

impl Decoded {
    /// Where a part of the decoded text is written.
    pub(super) fn written(&self, plain: &std::ops::Range<usize>) -> std::ops::Range<usize> {
        let at = |index: usize| self.written.get(index).copied().unwrap_or_default();
        let place = |offset: u32| usize::try_from(offset).unwrap_or(usize::MAX);
        let (begin, _) = at(plain.start);
        let (_, end) = at(plain.end.saturating_sub(1));
        place(begin)..place(end)
    }
}

/// What was undone so far. Only its end can become an escape by what comes next.
struct Undoing {
    bytes: Vec<u8>,
    written: Option<Vec<(u32, u32)>>,
    /// So many bytes at its end begin no escape, at least.
    quiet: usize,
}

/// No escape is longer.
const QUIET: usize = 12;

/// The end of the text so far is an escape of so many bytes, and what it stands for.
struct Escape {
    length: usize,
    plain: char,
    /// A `%` escapes a byte, which need not be a character of its own.
    byte: bool,
}

impl Undoing {
    fn all(&mut self, raw: &[u8]) {
        let mut at = 0;
        while let Some(rest) = raw.get(at..).filter(|rest| !rest.is_empty()) {
            if self.quiet >= QUIET {
                let run = memchr2(b'%', b'\\', rest).unwrap_or(rest.len());
                self.copy(rest.get(..run).unwrap_or(rest), at);
                at += run;
                self.quiet = 0;
                continue;
            }
            self.copy(rest.get(..1).unwrap_or(rest), at);
            at += 1;
            self.quiet += 1;
            // Each turn makes the text shorter by a byte at least.
            while let Some(escape) = self.escape() {
                self.undo(&escape);
            }
            if let Some(b'%' | b'\\') = self.bytes.last() {
                self.quiet = 0;
            }
        }
        self.drop_backslashes();
    }

    /// Takes bytes as they are.
    fn copy(&mut self, bytes: &[u8], at: usize) {
        self.bytes.extend_from_slice(bytes);
        if let Some(written) = &mut self.written {
            let begin = u32::try_from(at).unwrap_or(u32::MAX);
            let places = (begin..).take(bytes.len());
            written.extend(places.map(|begin| (begin, begin.saturating_add(1))));
        }
    }

    fn undo(&mut self, escape: &Escape) {
        let begin = self.bytes.len().saturating_sub(escape.length);
        self.bytes.truncate(begin);
        self.quiet = 0;
        let mut text = [0; 4];
        let plain = if escape.byte {
            text[0] = u8::try_from(u32::from(escape.plain)).unwrap_or(b'?');
            &text[..1]
        } else {
            escape.plain.encode_utf8(&mut text).as_bytes()
        };
        self.bytes.extend_from_slice(plain);
        if let Some(written) = &mut self.written {
            let first = written.get(begin).map_or(0, |place| place.0);
            let end = written.last().map_or(0, |place| place.1);
            written.truncate(begin);
            written.resize(begin + plain.len(), (first, end));
        }
    }

    /// The escape that the text ends in, if it does.
    fn escape(&self) -> Option<Escape> {
        match *self.bytes.as_slice() {
            // What is escaped a second time is an escape again once it is complete; `u` and `%` wait
            // for what follows.
            [.., b'\\', letter @ b' '..=b'~'] if !matches!(letter, b'u' | b'%') => Some(Escape {
                length: 2,
                plain: char::from(letter),
                byte: false,
            }),
            [.., b'%', high, low] => {
                let byte = digit(high)? << 4 | digit(low)?;
                Some(Escape {
                    length: 3,
                    plain: char::from(byte),
                    byte: true,
                })
            }
            [.., b'}'] => self.braced(),
            [.., b'\\', b'u', a, b, c, d] => self.unicode(unit([a, b, c, d])?),
            _ => None,
        }
    }

    /// The text ends in `\u` and four digits. Half of a character beyond the first 65,536 is none
    /// before its other half.
    fn unicode(&self, unit_here: u32) -> Option<Escape> {
        let whole = |length, plain| Escape {
            length,
            plain,
            byte: false,
        };
        if let Some(c) = char::from_u32(unit_here) {
            return Some(whole(6, c));
        }
        let [.., b'\\', b'u', a, b, c, d, _, _, _, _, _, _] = *self.bytes.as_slice() else {
            return None;
        };
        let first = unit([a, b, c, d])?;
        let both = (0xd800..0xdc00).contains(&first) && (0xdc00..0xe000).contains(&unit_here);
        let point = both.then(|| 0x1_0000 + ((first - 0xd800) << 10) + (unit_here - 0xdc00))?;
        char::from_u32(point).map(|c| whole(12, c))
    }

    /// `\u{...}`, with up to six digits.
    fn braced(&self) -> Option<Escape> {
        let text = self.bytes.split_last()?.1;
        let digits = text.iter().rev().take(7);
        let digits = digits.take_while(|byte| digit(**byte).is_some()).count();
        let (before, digits) = text.split_at_checked(text.len() - digits)?;
        if !(1..=6).contains(&digits.len()) || !before.ends_with(b"\\u{") {
            return None;
        }
        let point = digits
            .iter()
            .try_fold(0, |value, byte| Some(value << 4 | u32::from(digit(*byte)?)))?;
        char::from_u32(point).map(|plain| Escape {
            length: digits.len() + 4,
            plain,
            byte: false,
        })
    }

    /// A secret's own backslash is written alone, doubled or escaped, and what follows it too: by the
    /// backslash nothing can be told.
    fn drop_backslashes(&mut self) {
        if memchr::memchr(b'\\', &self.bytes).is_none() {
            return;
        }
        if let Some(written) = &mut self.written {
            let mut bytes = self.bytes.iter();
            written.retain(|_| bytes.next() != Some(&b'\\'));
        }
        self.bytes.retain(|byte| *byte != b'\\');
    }
}

/// Four digits.
fn unit(digits: [u8; 4]) -> Option<u32> {
    digits
        .iter()
        .try_fold(0, |value, byte| Some(value << 4 | u32::from(digit(*byte)?)))
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
            (r#"\"\/\u0041\u00e9\u00E9"#, "\"/Aéé"),
            (r"\u{41}\u{1F600}\u{}\u{1234567}", "A😀u{}u{1234567}"),
            (r"\ud83d\ude00", "😀"),
            (r"\ud83dx \u00g0", "ud83dx u00g0"),
            (r"\x \", "x "),
            ("%c3%bc", "ü"),
            // Twice, and one within the other.
            (
                "%2541 %25%34%31 \\u005cu0041 \\\\u0041 %5cu0041",
                "A A A A A",
            ),
        ] {
            assert_eq!(text(raw), plain, "{raw}");
        }
    }

    #[test]
    fn the_result_of_the_result_is_itself() {
        let parts = [
            "%", "\\", "u", "{", "}", "25", "5c", "00", "41", "d83d", "n", "\"",
        ];
        let mut state = 7_u64;
        let mut random = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            usize::try_from(state >> 33).unwrap() % parts.len()
        };
        for _ in 0..50_000 {
            let raw: String = (0..8).map(|_| parts[random()]).collect();
            let once = undone(raw.as_bytes());
            let decoded = decode(raw.as_bytes());
            assert_eq!(once, decoded.bytes, "{raw}");
            // A backslash that was dropped may have stood between the parts of an escape.
            if !raw.contains('\\') {
                assert_eq!(undone(&once), once, "{raw}");
            }
        }
    }

    #[test]
    fn every_byte_knows_where_it_is_written() {
        let decoded = decode(br"a%41b\u00e9c%2541");
        assert_eq!(decoded.bytes, "aAbécA".as_bytes());
        for (plain, raw) in [
            (0..1, 0..1),
            (1..2, 1..4),
            (1..3, 1..5),
            (3..4, 5..11),
            (4..6, 5..12),
            (6..7, 12..17),
        ] {
            assert_eq!(decoded.written(&plain), raw);
        }
    }
}
