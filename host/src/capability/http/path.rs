//! The one canonical form of a request's path, and how a rule's pattern matches it.
//!
//! Servers disagree about escapes, dot segments, parameters and empty segments. A path on which two
//! of them could disagree is refused instead of being judged by one reading and served by another.
//! Pure; it knows no hosts and no methods.

use std::fmt;

use super::Segment;

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
    /// `%25` before two hexadecimal digits: it reads differently when it is decoded twice.
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
    /// `.` or `..` as a segment, also escaped.
    #[error("holds a . or .. segment")]
    DotSegment,
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
    pub fn matches(&self, pattern: &[Segment]) -> bool {
        if self.0 == "/" && pattern.is_empty() {
            return true;
        }
        let mut segments = self.segments();
        for expected in pattern {
            let fits = match expected {
                Segment::Rest => return true,
                Segment::Any => segments.next().is_some_and(|s| !s.is_empty()),
                Segment::Exactly(text) => segments.next().is_some_and(|s| s == text),
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
    let path = if path.is_empty() { "/" } else { path };
    if !path.starts_with('/') {
        return Err(PathError::Relative);
    }
    let (text, decoded) = rewrite(path.as_bytes())?;
    if std::str::from_utf8(&decoded).is_err() {
        return Err(PathError::NotUtf8);
    }
    check_segments(&text)?;
    Ok(CanonicalPath(text))
}

/// The canonical text, and the bytes it stands for.
fn rewrite(path: &[u8]) -> Result<(String, Vec<u8>), PathError> {
    let mut text = String::with_capacity(path.len());
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let value = if byte == b'%' {
            let (value, tail) = unescape(rest)?;
            rest = tail;
            check_escaped(value, rest)?;
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
    Ok((text, decoded))
}

fn unescape(rest: &[u8]) -> Result<(u8, &[u8]), PathError> {
    let (digits, tail) = rest.split_at_checked(2).ok_or(PathError::Escape)?;
    let digit = |at: usize| digits.get(at).copied().and_then(hex_value);
    match (digit(0), digit(1)) {
        (Some(high), Some(low)) => Ok((high << 4 | low, tail)),
        _ => Err(PathError::Escape),
    }
}

fn check_escaped(value: u8, behind: &[u8]) -> Result<(), PathError> {
    match value {
        b'/' => Err(PathError::EscapedSlash),
        b'\\' => Err(PathError::Backslash),
        b';' => Err(PathError::Parameter),
        b'%' if unescape(behind).is_ok() => Err(PathError::Twice),
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

fn check_segments(text: &str) -> Result<(), PathError> {
    let mut segments = text.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        if segment.is_empty() && segments.peek().is_some() {
            return Err(PathError::EmptySegment);
        }
        if segment == "." || segment == ".." {
            return Err(PathError::DotSegment);
        }
    }
    Ok(())
}

/// RFC 3986, 2.3: escaping these changes nothing.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// RFC 3986, 3.3, without `;`: what a path holds bare. The others of ASCII (quotes, brackets, `|`,
/// `^`, ...) have one reading and get the escape they should have had.
fn is_path_character(byte: u8) -> bool {
    is_unreserved(byte) || b"!$&'()*+,=:@/".contains(&byte)
}

fn hex_value(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

fn hex_digit(value: u8) -> char {
    char::from_digit(u32::from(value), 16)
        .unwrap_or('0')
        .to_ascii_uppercase()
}

#[cfg(test)]
mod tests;
