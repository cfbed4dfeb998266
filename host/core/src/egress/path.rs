//! The one canonical form of a request's path, and how a rule's pattern matches it.
//!
//! Servers disagree about escapes, dot segments, parameters and empty segments. A path on which two
//! of them could disagree is refused instead of being judged by one reading and served by another.
//! Pure; it knows no hosts and no methods.

use std::borrow::Cow;
use std::fmt;

use super::{PathSegment, percent};

/// A path with one reading: absolute, unreserved characters bare, every other escape in capitals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanonicalPath(String);

/// Why a path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It does not begin with `/`.
    #[error("does not begin with /")]
    Relative,
    /// A byte that no path may hold bare: a control character, a space, `?`, `#` or non-ASCII.
    #[error("holds a character that has to be percent-encoded")]
    Character,
    /// `%` without two hexadecimal digits behind it.
    #[error("holds a % without two hexadecimal digits")]
    Escape,
    /// A backslash, bare or escaped: some servers take it for `/`.
    #[error("holds a backslash")]
    Backslash,
    /// `%2F`: some servers decode it before they split the path.
    #[error("holds an escaped slash (%2F)")]
    EscapedSlash,
    /// An escaped control character, NUL among them.
    #[error("holds an escaped control character")]
    EscapedControl,
    /// Decoded it still holds an escape, in whatever way that was written (`%252e`, `%25%32%65`): it
    /// reads differently when it is decoded twice.
    #[error("is percent-encoded twice")]
    Twice,
    /// Escapes that are not UTF-8: some servers accept overlong forms of `/` and `.`.
    #[error("holds escapes that are not UTF-8")]
    NotUtf8,
    /// `;`, bare or escaped: some servers cut the segment there.
    #[error("holds a ; parameter")]
    Parameter,
    /// `//`: some servers merge the slashes.
    #[error("holds an empty segment (//)")]
    EmptySegment,
    /// `.` or `..` as a segment, also escaped; with spaces, which Windows drops (`..%20`, `.%20.`); or
    /// made of characters that stand for full stops (U+FF0E and its like), which some servers turn into
    /// them. `...` alone is a name like others.
    #[error("holds a . or .. segment, or one that some servers take for it")]
    DotSegment,
    /// A character that Unicode's compatibility forms or Windows' best fit turn into `/`, `\\`, `%` or
    /// `;`: U+FF0F and its like.
    #[error("holds a character that some servers take for /, \\, % or ;")]
    Lookalike,
}

impl CanonicalPath {
    /// The path as it is judged and sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments between the slashes; the last one is empty where the path ends in `/`.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').skip(1)
    }

    /// Says whether a rule's pattern matches. A `/` at the end counts, `*` stands for one segment
    /// that is not empty, `**` for all that is left, nothing too.
    #[must_use]
    pub fn matches(&self, pattern: &[PathSegment]) -> bool {
        if self.0 == "/" && pattern.is_empty() {
            return true;
        }
        let mut segments = self.segments();
        for expected in pattern {
            let fits = match expected {
                PathSegment::Rest => return true,
                PathSegment::Any => segments.next().is_some_and(|s| !s.is_empty()),
                PathSegment::Exactly(text) => segments.next().is_some_and(|s| s == text),
            };
            if !fits {
                return false;
            }
        }
        segments.next().is_none()
    }
}

impl fmt::Display for CanonicalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Brings a path into its one canonical form. An empty path is `/`.
///
/// # Errors
/// The first reason why the path has two readings, or none.
pub fn canonical(path: &str) -> Result<CanonicalPath, PathError> {
    read(path, |_| false)
}

/// The same of a path that the server itself named, in a redirect to itself: its names may be of an
/// older character set than UTF-8, as long as nobody could read ASCII into them.
///
/// # Errors
/// As of [`canonical`].
pub(super) fn canonical_of_server(path: &str) -> Result<CanonicalPath, PathError> {
    read(path, |decoded| !hides_ascii(decoded))
}

fn read(path: &str, admits: impl Fn(&[u8]) -> bool) -> Result<CanonicalPath, PathError> {
    let path = if path.is_empty() { "/" } else { path };
    if !path.starts_with('/') {
        return Err(PathError::Relative);
    }
    let (text, decoded) = rewrite(path)?;
    if percent::is_encoded(&decoded) {
        return Err(PathError::Twice);
    }
    let bytes = decoded;
    let decoded = String::from_utf8_lossy(&bytes);
    if matches!(decoded, Cow::Owned(_)) && !admits(&bytes) {
        return Err(PathError::NotUtf8);
    }
    if !decoded.is_ascii() && decoded.contains(LOOKALIKES) {
        return Err(PathError::Lookalike);
    }
    check_segments(&decoded)?;
    Ok(CanonicalPath(text))
}

/// Whether a decoder that does not look closely finds a character of ASCII in bytes that are beyond it:
/// an overlong form of UTF-8, whatever its second byte is.
fn hides_ascii(decoded: &[u8]) -> bool {
    let mut bytes = decoded.iter().peekable();
    while let Some(byte) = bytes.next() {
        let hides = match byte {
            0xc0 | 0xc1 => true,
            // Longer forms of it begin with a zero.
            0xe0 | 0xf0 | 0xf8 | 0xfc => bytes.peek().is_some_and(|next| **next & 0x3f == 0),
            _ => false,
        };
        if hides {
            return true;
        }
    }
    false
}

/// The canonical text, and the bytes it stands for.
fn rewrite(path: &str) -> Result<(String, Cow<'_, [u8]>), PathError> {
    if path.bytes().all(is_path_character) {
        // Most are written so already.
        return Ok((path.to_owned(), Cow::Borrowed(path.as_bytes())));
    }
    let path = path.as_bytes();
    let mut text = String::with_capacity(path.len());
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let value = if byte == b'%' {
            let (value, tail) = unescape(rest)?;
            rest = tail;
            check_escaped(value)?;
            value
        } else {
            check_bare(byte)?;
            byte
        };
        decoded.push(value);
        if is_unreserved(value) || (byte != b'%' && is_path_character(value)) {
            text.push(char::from(value));
        } else {
            text.push('%');
            text.push(hex_digit(value >> 4));
            text.push(hex_digit(value & 0xf));
        }
    }
    Ok((text, Cow::Owned(decoded)))
}

fn unescape(rest: &[u8]) -> Result<(u8, &[u8]), PathError> {
    let (digits, tail) = rest.split_at_checked(2).ok_or(PathError::Escape)?;
    let value = percent::value(digits).ok_or(PathError::Escape)?;
    Ok((value, tail))
}

fn check_escaped(value: u8) -> Result<(), PathError> {
    match value {
        b'/' => Err(PathError::EscapedSlash),
        b'\\' => Err(PathError::Backslash),
        b';' => Err(PathError::Parameter),
        0..=0x1f | 0x7f => Err(PathError::EscapedControl),
        _ => Ok(()),
    }
}

fn check_bare(byte: u8) -> Result<(), PathError> {
    match byte {
        b'\\' => Err(PathError::Backslash),
        b';' => Err(PathError::Parameter),
        b'?' | b'#' | 0..=b' ' | 0x7f.. => Err(PathError::Character),
        _ => Ok(()),
    }
}

/// What NFKC or Windows' best fit turn into `/`, `\\`, `%` and `;`, alone or among others.
const LOOKALIKES: [char; 14] = [
    '\u{ff0f}', '\u{2044}', '\u{2215}', '\u{2100}', '\u{2101}', '\u{2105}', '\u{2106}', '\u{ff3c}',
    '\u{fe68}', '\u{2216}', '\u{ff05}', '\u{fe6a}', '\u{ff1b}', '\u{fe54}',
];

fn check_segments(decoded: &str) -> Result<(), PathError> {
    let mut segments = decoded.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        if segment.is_empty() && segments.peek().is_some() {
            return Err(PathError::EmptySegment);
        }
        if is_dots(segment) {
            return Err(PathError::DotSegment);
        }
    }
    Ok(())
}

/// Whether some server takes a segment for `.` or `..`.
fn is_dots(segment: &str) -> bool {
    // U+2024 to U+2026 are one to three of them.
    let is_dot = |c: char| matches!(c, '.' | '\u{ff0e}' | '\u{fe52}' | '\u{2024}'..='\u{2026}');
    let mut dots = false;
    for c in segment.chars() {
        match c {
            c if is_dot(c) => dots = true,
            c if c.is_whitespace() => {}
            _ => return false,
        }
    }
    dots && (segment.len() < 3 || segment.contains(|c| c != '.'))
}

/// RFC 3986, 2.3: escaping these changes nothing.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// RFC 3986, 3.3, without `;`: what a path holds bare. The others of ASCII (quotes, brackets, `|`,
/// `^`, ...) have one reading and get the escape they should have had.
fn is_path_character(byte: u8) -> bool {
    is_unreserved(byte) || matches!(byte, b'!' | b'$' | b'&'..=b',' | b'=' | b':' | b'@' | b'/')
}

fn hex_digit(value: u8) -> char {
    char::from_digit(u32::from(value), 16)
        .unwrap_or('0')
        .to_ascii_uppercase()
}

#[cfg(test)]
mod tests;
