//! What is left of a credential when everything is taken off its ends that whoever receives it may
//! take off: blanks, a byte order mark, quotes, the name of a scheme. An upstream that tells it back like
//! that tells the credential, so it is sought like that too.
//!
//! Pure bytes to bytes; it does not know where a value is used.

use crate::terms::is_hidden;

/// Names of schemes that stand before a credential in `Authorization`, in lower case: RFC 7617, 6750
/// and 9449, and what APIs made up.
const SCHEMES: [&[u8]; 9] = [
    b"basic", b"bearer", b"token", b"apikey", b"api-key", b"api_key", b"key", b"dpop", b"oauth",
];

/// The credential without what others may take off; itself where there is nothing of the kind.
pub(super) fn core(value: &[u8]) -> &[u8] {
    let mut core = trimmed(value, |c| is_blank(c) || is_quote(c));
    while let Some((_, rest)) = scheme(core) {
        core = trimmed(rest, |c| is_blank(c) || is_quote(c));
    }
    core
}

/// The name of a scheme that a value begins with, and what follows it.
pub(super) fn scheme(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = value.iter().position(|byte| *byte == b' ')?;
    let (name, rest) = value.split_at_checked(end)?;
    let known = |scheme: &&[u8]| name.eq_ignore_ascii_case(scheme);
    SCHEMES.iter().any(known).then_some((name, rest))
}

/// What is odd about a value, in words that tell nothing of it.
pub(super) fn oddity(value: &[u8]) -> Option<&'static str> {
    let bare = trimmed(value, is_blank);
    let (before, after) = (!value.starts_with(bare), !value.ends_with(bare));
    let quotes = bare.len() > 1
        && bare.first() == bare.last()
        && bare.first().is_some_and(|byte| is_quote(char::from(*byte)));
    match (before, after, quotes) {
        (true, true, _) => Some("has blanks at its beginning and at its end"),
        (true, false, _) => Some("has a blank at its beginning"),
        (false, true, _) => Some("has a blank at its end"),
        (false, false, true) => Some("stands in quotes, which are sent with it"),
        (false, false, false) => None,
    }
}

/// What any language's `trim` takes off, and what nobody sees.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || is_hidden(c) || matches!(c, '\u{fe00}'..='\u{fe0f}')
}

const fn is_quote(c: char) -> bool {
    matches!(
        c,
        '"' | '\'' | '`' | '\u{ab}' | '\u{bb}' | '\u{2018}'..='\u{201f}' | '\u{2039}' | '\u{203a}'
    )
}

fn trimmed(value: &[u8], off: impl Fn(char) -> bool) -> &[u8] {
    match std::str::from_utf8(value) {
        Ok(text) => text.trim_matches(off).as_bytes(),
        // It is read as Latin-1 by whoever reads it as characters.
        Err(_) => {
            let stays = |byte: &u8| !off(char::from(*byte));
            let begin = value.iter().position(stays).unwrap_or(value.len());
            let end = value.iter().rposition(stays).map_or(begin, |at| at + 1);
            value.get(begin..end).unwrap_or_default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_may_take_off_is_taken_off() {
        for (value, left) in [
            ("tok-abcdef-123456", "tok-abcdef-123456"),
            ("tok-abcdef-123456 ", "tok-abcdef-123456"),
            (" \u{a0}tok-abcdef-123456\u{3000}", "tok-abcdef-123456"),
            ("\u{feff}tok-abcdef-123456", "tok-abcdef-123456"),
            ("\"tok-abcdef-123456\"", "tok-abcdef-123456"),
            ("Bearer tok-abcdef-123456", "tok-abcdef-123456"),
            (" 'bearer  Token tok-abcdef-123456' ", "tok-abcdef-123456"),
            ("\u{200e}tok-abcdef-123456\u{fe0f}", "tok-abcdef-123456"),
            ("\u{201c}tok-abcdef-123456\u{201d}", "tok-abcdef-123456"),
            // Words of a pass phrase are all of it.
            ("correct horse battery", "correct horse battery"),
            ("Bearer", "Bearer"),
            ("   ", ""),
        ] {
            assert_eq!(core(value.as_bytes()), left.as_bytes(), "{value:?}");
        }
        assert_eq!(core(b"\xa0tok\xff \x85"), b"tok\xff");
    }

    #[test]
    fn what_is_odd_is_said_without_the_value() {
        for (value, said) in [
            ("a b", None),
            ("Bearer a", None),
            ("a ", Some("has a blank at its end")),
            ("\u{feff}a", Some("has a blank at its beginning")),
            (" a ", Some("has blanks at its beginning and at its end")),
            ("'a'", Some("stands in quotes, which are sent with it")),
            ("a'", None),
        ] {
            assert_eq!(oddity(value.as_bytes()), said, "{value:?}");
        }
    }
}
