//! Percent escapes: one, and whether decoded bytes would be decoded again.
//!
//! Some servers decode what they were given a second time. Whether that would change a text shows only
//! when it was decoded once, because each character of the second escape may have been escaped itself:
//! `%252e`, `%25%32%65` and `%%32%65` are the same. Pure.

/// The byte of two hexadecimal digits.
pub(super) fn value(digits: &[u8]) -> Option<u8> {
    let &[high, low] = digits else { return None };
    let digit = |byte| u8::try_from(char::from(byte).to_digit(16)?).ok();
    Some(digit(high)? << 4 | digit(low)?)
}

/// Whether there is an escape in decoded bytes: `%` and two hexadecimal digits, or `%u` and four.
pub(super) fn is_encoded(decoded: &[u8]) -> bool {
    let is_hex = |digits: &[u8]| digits.iter().all(u8::is_ascii_hexdigit);
    memchr::memchr_iter(b'%', decoded).any(|at| {
        let behind = decoded.get(at + 1..).unwrap_or_default();
        match behind {
            [b'u' | b'U', wide @ ..] => wide.get(..4).is_some_and(is_hex),
            _ => behind.get(..2).is_some_and(is_hex),
        }
    })
}
