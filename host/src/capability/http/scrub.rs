//! Takes credentials out of what comes back, before the guest or anybody else reads it.
//!
//! It finds a credential in the forms of `encoded`, in texts, headers and streams, also across
//! chunks. It knows nothing of requests. What it cannot find: a credential that was hashed, hexed,
//! reversed, broken into lines or spread over fields. The first defence is that a credential goes to
//! one origin only.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};

use super::encoded::forms;

/// What stands in the place of a credential.
pub const REDACTED: &str = "[redacted]";

/// All forms of some credentials, ready to be searched for. Made once and shared.
///
/// Without credentials it costs nothing: everything passes through uncopied.
#[derive(Clone, Default)]
pub struct Patterns(Option<Arc<Search>>);

struct Search {
    machine: AhoCorasick,
    /// The same forms, to see whether a chunk ends within one.
    forms: Vec<Vec<u8>>,
    longest: usize,
}

/// There are too many credentials, or too long ones, to be searched for.
#[derive(Debug, thiserror::Error)]
#[error("the secrets cannot be searched for: {0}")]
pub struct PatternsError(#[from] aho_corasick::BuildError);

impl Patterns {
    /// Prepares to take out these credentials.
    ///
    /// # Errors
    /// The forms of all credentials together are larger than a search can be.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, PatternsError> {
        let forms: Vec<Vec<u8>> = secrets.into_iter().flat_map(forms).collect();
        let Some(longest) = forms.iter().map(Vec::len).max() else {
            return Ok(Self::default());
        };
        let machine = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            // The default for a few forms is a table of all states by all bytes: too large for a
            // long secret.
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(&forms)?;
        Ok(Self(Some(Arc::new(Search {
            machine,
            forms,
            longest,
        }))))
    }

    /// Whether there is nothing to take out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Takes credentials out of a text.
    #[must_use]
    pub fn scrub_text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.scrub_bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            // A form cut out of base64 is ASCII, the others begin and end at characters.
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// Takes credentials out of bytes that are complete.
    #[must_use]
    pub fn scrub_bytes<'b>(&self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        match &self.0 {
            Some(search) if search.machine.is_match(bytes) => Cow::Owned(search.replace(bytes)),
            _ => Cow::Borrowed(bytes),
        }
    }

    /// Takes credentials out of the values of headers.
    pub fn scrub_headers(&self, headers: &mut HeaderMap) {
        for value in headers.values_mut() {
            if let Cow::Owned(clean) = self.scrub_bytes(value.as_bytes()) {
                *value = HeaderValue::from_bytes(&clean)
                    .unwrap_or_else(|_| HeaderValue::from_static(REDACTED));
            }
        }
    }

    /// Starts on a stream.
    #[must_use]
    pub fn scrubber(&self) -> Scrubber {
        Scrubber {
            patterns: self.clone(),
            held: Vec::new(),
        }
    }
}

impl fmt::Debug for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Patterns(..)")
    }
}

impl Search {
    fn replace(&self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        while let Some((before, after)) = self.cut(rest) {
            out.extend_from_slice(before);
            out.extend_from_slice(REDACTED.as_bytes());
            rest = after;
        }
        out.extend_from_slice(rest);
        out
    }

    /// What stands before the first form, and what behind it.
    fn cut<'b>(&self, bytes: &'b [u8]) -> Option<(&'b [u8], &'b [u8])> {
        let found = self.machine.find(bytes)?;
        Some((bytes.get(..found.start())?, bytes.get(found.end()..)?))
    }

    /// How many bytes at the end a later chunk could make into a form, or into a longer one.
    fn undecided(&self, bytes: &[u8]) -> usize {
        let first = (bytes.len() + 1).saturating_sub(self.longest);
        (first..bytes.len())
            .find(|&at| bytes.get(at..).is_some_and(|tail| self.begins_form(tail)))
            .map_or(0, |at| bytes.len() - at)
    }

    fn begins_form(&self, tail: &[u8]) -> bool {
        self.forms
            .iter()
            .any(|form| form.len() > tail.len() && form.starts_with(tail))
    }
}

/// Takes credentials out of a stream. It holds back only what may turn out to be one.
#[derive(Debug)]
pub struct Scrubber {
    patterns: Patterns,
    held: Vec<u8>,
}

impl Scrubber {
    /// Takes the next chunk and gives what is decided so far, which may be nothing.
    #[must_use]
    pub fn push(&mut self, chunk: Bytes) -> Bytes {
        let Some(search) = &self.patterns.0 else {
            return chunk;
        };
        if self.held.is_empty() && !search.machine.is_match(&chunk) && search.undecided(&chunk) == 0
        {
            return chunk;
        }
        let mut buffer = std::mem::take(&mut self.held);
        buffer.extend_from_slice(&chunk);
        let (out, held) = settle(search, &buffer);
        self.held = held;
        out.into()
    }

    /// Ends the stream and gives what was held back.
    #[must_use]
    pub fn finish(&mut self) -> Bytes {
        let held = std::mem::take(&mut self.held);
        match &self.patterns.0 {
            Some(search) => search.replace(&held).into(),
            None => held.into(),
        }
    }
}

/// What can be given out, and what has to wait.
fn settle(search: &Search, buffer: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut out = Vec::with_capacity(buffer.len());
    let mut rest = buffer;
    let mut waiting = search.undecided(rest);
    while let Some((before, after)) = search.cut(rest) {
        // Only a form that begins before the undecided part cannot become a longer one.
        if before.len() + waiting >= rest.len() {
            break;
        }
        out.extend_from_slice(before);
        out.extend_from_slice(REDACTED.as_bytes());
        rest = after;
        if rest.len() < waiting {
            waiting = search.undecided(rest);
        }
    }
    let sure = rest.len() - waiting;
    let (sure, wait) = rest.split_at_checked(sure).unwrap_or((rest, &[]));
    out.extend_from_slice(sure);
    (out, wait.to_vec())
}

#[cfg(test)]
mod tests;
