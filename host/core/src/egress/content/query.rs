//! One strict reading of a query: where two servers could read it differently, it is refused.
//!
//! Servers disagree about `+`, `;`, empty pieces, pieces without `=`, names given twice, and what
//! was encoded twice.

use std::collections::BTreeMap;

use super::super::percent;

/// Why a query is not read. It quotes nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum QueryError {
    /// `+`: a space for some, a plus for others.
    #[error("it holds a bare + (write %20 for a space, %2B for a plus)")]
    Plus,
    /// `;`: a separator for some.
    #[error("it holds a bare ; (write %3B)")]
    Semicolon,
    /// `&&`, or `&` at an end.
    #[error("it holds an empty piece")]
    Empty,
    /// No `=`, or nothing before it, or a second one.
    #[error("each of its pieces has to be name=value, with one =")]
    Pair,
    /// `%` without two hexadecimal digits, or what is encoded twice.
    #[error("it holds a % that does not begin one escape")]
    Escape,
    /// Escapes that are not UTF-8, or a control character.
    #[error("it holds escapes of control characters or of what is not UTF-8")]
    Text,
    /// A name is there twice, perhaps escaped.
    #[error("it has the same name twice")]
    Twice,
}

/// Reads a query into names and values, decoded.
///
/// # Errors
/// It has more than one reading, or none.
pub(super) fn parameters(query: &str) -> Result<BTreeMap<String, String>, QueryError> {
    let mut found = BTreeMap::new();
    if query.is_empty() {
        return Ok(found);
    }
    if query.contains('+') {
        return Err(QueryError::Plus);
    }
    if query.contains(';') {
        return Err(QueryError::Semicolon);
    }
    for piece in query.split('&') {
        if piece.is_empty() {
            return Err(QueryError::Empty);
        }
        let (name, value) = piece.split_once('=').ok_or(QueryError::Pair)?;
        if name.is_empty() || value.contains('=') {
            return Err(QueryError::Pair);
        }
        if found.insert(decoded(name)?, decoded(value)?).is_some() {
            return Err(QueryError::Twice);
        }
    }
    Ok(found)
}

fn decoded(text: &str) -> Result<String, QueryError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (value, tail) = escaped(rest).ok_or(QueryError::Escape)?;
        bytes.push(value);
        rest = tail;
    }
    // `%2541` is `%41` for who decodes once, and `A` for who decodes twice: however the text between
    // was written (`%25%34%31`).
    if percent::is_encoded(&bytes) {
        return Err(QueryError::Escape);
    }
    let text = String::from_utf8(bytes).map_err(|_| QueryError::Text)?;
    if text.chars().any(char::is_control) {
        return Err(QueryError::Text);
    }
    Ok(text)
}

fn escaped(text: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, tail) = text.split_at_checked(2)?;
    Some((percent::value(digits)?, tail))
}
