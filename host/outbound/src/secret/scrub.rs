//! Takes credentials out of what comes back, before the guest or anybody else reads it.
//!
//! It finds a credential in the forms of `forms`, in texts, headers, JSON and streams, whichever of
//! its characters are escaped (percent, `\uXXXX`, `\u{...}`, a backslash; also one in the other), and
//! across chunks. It knows nothing of requests. What it cannot find: a credential that was hashed,
//! encrypted, reversed, broken into lines, spread over fields, in base64 twice or in hex with spaces; one
//! that itself spells `\u` and four digits, with the `u` escaped and the backslash not; and one behind a
//! `%` or `\u` that takes its first characters for digits while others of it are escaped. The first
//! defence is that a credential goes to one origin only.
//!
//! Nobody learns from it how close a guess comes. A stream is held back by a constant number of bytes
//! whatever is in it, what is handed on depends on how much came and on line breaks alone, and the
//! search takes the same time for all texts (see `search`). Only the whole of a secret shows, by being
//! taken out; that is counted (see `redactions`).

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::decode::{decode, has_escape, undone};
use super::forms::{Form, forms};
use super::redactions::Redactions;
use super::search::{MOST_FORMS, Search};
use super::value::MAX_SECRET;
use super::watch::SecretPatterns;
use crate::terms::Scrub;

/// What stands in the place of a credential.
pub const REDACTED: &str = "[redacted]";

/// How many bytes of a stream are held back, until its end. It is the same for every secret and every
/// tool: the longest secret with each byte written as `\uXXXX`, or in hex with each digit as `%XX`, and
/// what may belong to it at its edges.
pub const LAG: usize = 6 * MAX_SECRET + 64;

/// So much of what was handed on is looked at again: an escape may go across.
const CONTEXT: usize = 64;

/// How much of a text that holds a credential is looked at in one piece.
const PIECE: usize = 64 << 10;

/// All forms of some credentials, ready to be searched for. Made once and shared.
///
/// Without credentials it costs nothing: everything passes through uncopied.
#[derive(Clone, Default)]
pub struct Patterns {
    search: Option<Arc<Search>>,
    /// Who counts what is taken out, if anybody.
    redactions: Option<Redactions>,
    /// Where streams learn of credentials that come later.
    watch: Option<Arc<SecretPatterns>>,
}

/// There are too many credentials to be searched for.
#[derive(Debug, thiserror::Error)]
#[error(
    "the secrets cannot be searched for: they have {0} forms together, and {MOST_FORMS} is the most; let the function use fewer secrets"
)]
pub struct PatternsError(usize);

impl Patterns {
    /// Prepares to take out these credentials.
    ///
    /// # Errors
    /// There are too many of them.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, PatternsError> {
        let forms: Vec<Form> = secrets.into_iter().flat_map(forms).collect();
        if forms.len() > MOST_FORMS {
            return Err(PatternsError(forms.len()));
        }
        Ok(Self {
            search: (!forms.is_empty()).then(|| Arc::new(Search::new(forms))),
            redactions: None,
            watch: None,
        })
    }

    /// The same, with somebody who counts what is taken out.
    #[must_use]
    pub fn counting(self, redactions: &Redactions) -> Self {
        Self {
            redactions: Some(redactions.clone()),
            ..self
        }
    }

    /// The same, for streams that take in what this one learns while they flow.
    pub(super) fn followed_by(self, watch: &Arc<SecretPatterns>) -> Self {
        Self {
            watch: Some(Arc::clone(watch)),
            ..self
        }
    }

    /// Takes in what is sought by now. Once there was something, it never is nothing again: what a
    /// stream holds back has to come out of it.
    fn renew(&mut self) {
        let now = self.watch.as_ref().and_then(|watch| watch.now().search);
        if now.is_some() {
            self.search = now;
        }
    }

    fn note(&self, times: usize) {
        if let Some(redactions) = &self.redactions {
            redactions.note(u32::try_from(times).unwrap_or(u32::MAX));
        }
    }

    /// Whether there is nothing to take out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.search.is_none()
    }

    /// Whether there is a credential in bytes that are complete.
    #[must_use]
    pub fn finds(&self, bytes: &[u8]) -> bool {
        self.search
            .as_ref()
            .is_some_and(|search| search.finds(bytes))
    }

    /// Takes credentials out of a text.
    #[must_use]
    pub fn scrub_text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.scrub_bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            // A secret that is no UTF-8 can be found in the middle of a character.
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// Takes credentials out of a text of one's own.
    #[must_use]
    pub fn scrub(&self, text: String) -> String {
        match self.scrub_text(&text) {
            Cow::Borrowed(_) => text,
            Cow::Owned(clean) => clean,
        }
    }

    /// Takes credentials out of bytes that are complete.
    #[must_use]
    pub fn scrub_bytes<'b>(&self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        if !self.finds(bytes) {
            return Cow::Borrowed(bytes);
        }
        let mut scrubber = self.scrubber();
        let mut clean = Vec::with_capacity(bytes.len());
        for piece in bytes.chunks(PIECE) {
            clean.extend_from_slice(&scrubber.push(Bytes::copy_from_slice(piece)));
        }
        clean.extend_from_slice(&scrubber.finish());
        Cow::Owned(clean)
    }

    /// Takes credentials out of the values of headers, and headers away whose names hold one.
    pub fn scrub_headers(&self, headers: &mut HeaderMap) {
        if self.is_empty() {
            return;
        }
        let telling = |name: &&HeaderName| self.finds(name.as_str().as_bytes());
        let telling: Vec<HeaderName> = headers.keys().filter(telling).cloned().collect();
        self.note(telling.len());
        for name in telling {
            headers.remove(name);
        }
        for value in headers.values_mut() {
            if let Cow::Owned(clean) = self.scrub_bytes(value.as_bytes()) {
                *value = HeaderValue::from_bytes(&clean)
                    .unwrap_or_else(|_| HeaderValue::from_static(REDACTED));
            }
        }
    }

    /// Takes credentials out of a JSON value, which is one afterwards: in a number's place stands a
    /// text, and of a value in which a credential goes across its parts nothing is left. `text` is
    /// the value as it is written. Says whether there was anything to take out.
    pub fn scrub_json(&self, value: &mut Value, text: &str) -> bool {
        if self.is_empty() {
            return false;
        }
        // A text may hold a credential that is escaped once more as it is written.
        let changed = self.scrub_parts(value);
        let across = if changed {
            self.finds(value.to_string().as_bytes())
        } else {
            self.finds(text.as_bytes())
        };
        if across {
            self.note(1);
            *value = REDACTED.into();
        }
        changed || across
    }

    fn scrub_parts(&self, value: &mut Value) -> bool {
        match value {
            Value::Null | Value::Bool(_) => false,
            Value::Number(number) => {
                let found = self.finds(number.to_string().as_bytes());
                if found {
                    self.note(1);
                    *value = REDACTED.into();
                }
                found
            }
            Value::String(text) => {
                let found = self.finds(text.as_bytes());
                if found {
                    *text = self.scrub(std::mem::take(text));
                }
                found
            }
            Value::Array(list) => self.scrub_all(list.iter_mut()),
            Value::Object(map) => {
                let parts = self.scrub_all(map.values_mut());
                let keys = map.keys().any(|key| self.finds(key.as_bytes()));
                if keys {
                    let pairs = std::mem::take(map).into_iter();
                    *map = pairs.map(|(key, part)| (self.scrub(key), part)).collect();
                }
                parts || keys
            }
        }
    }

    fn scrub_all<'v>(&self, parts: impl Iterator<Item = &'v mut Value>) -> bool {
        let mut found = false;
        for part in parts {
            found |= self.scrub_parts(part);
        }
        found
    }

    /// Starts on a stream.
    #[must_use]
    pub fn scrubber(&self) -> Scrubber {
        Scrubber {
            patterns: self.clone(),
            held: Held::default(),
            given: 0,
            masked: false,
            lines: false,
        }
    }

    /// Starts on a stream of lines: what stands before the last line break is handed on at once. No form
    /// of a secret holds a line break.
    #[must_use]
    pub fn line_scrubber(&self) -> Scrubber {
        Scrubber {
            lines: true,
            ..self.scrubber()
        }
    }
}

impl Scrub for Patterns {
    fn text(&self, text: String) -> String {
        self.scrub(text)
    }

    fn bytes<'b>(&self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        self.scrub_bytes(bytes)
    }

    fn json(&self, value: &mut Value, text: &str) {
        self.scrub_json(value, text);
    }
}

impl fmt::Debug for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Patterns(..)")
    }
}

impl Search {
    fn finds(&self, raw: &[u8]) -> bool {
        let has = |text: &[u8]| {
            let mut found = false;
            self.places(text, &mut |_| {
                found = true;
                false
            });
            found
        };
        has(raw) || (has_escape(raw) && has(&undone(raw)))
    }

    /// Where credentials are in a text, in order. It looks at the text as it is written and, where it
    /// has escapes, at what it says. Both matter: a `%` before a secret can make an escape of its first
    /// letters.
    fn examine(&self, raw: &[u8]) -> Vec<Range<usize>> {
        let mut places = Vec::new();
        self.places(raw, &mut |place| {
            places.push(place);
            true
        });
        if has_escape(raw) {
            let decoded = decode(raw);
            self.places(&decoded.bytes, &mut |place| {
                places.push(decoded.written(&place));
                true
            });
        }
        places.sort_by_key(|place| place.start);
        places
    }
}

/// Takes credentials out of a stream. It holds back the last [`LAG`] bytes, whatever they are.
pub struct Scrubber {
    patterns: Patterns,
    /// What came and is kept: what is held back, and some of what was handed on before it.
    held: Held,
    /// So many bytes of it were handed on, or belong to a credential that was taken out.
    given: usize,
    /// The last of those bytes belong to a credential.
    masked: bool,
    /// What stands before a line break is handed on.
    lines: bool,
}

/// Bytes that came in one piece, or were put together.
#[derive(Default)]
enum Held {
    #[default]
    Nothing,
    Piece(Bytes),
    Pieces(BytesMut),
}

impl Held {
    fn len(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Piece(piece) => piece.len(),
            Self::Pieces(pieces) => pieces.len(),
        }
    }

    /// One piece is kept as it is; a second one has both copied, so that no small piece keeps a large
    /// buffer of the network alive.
    fn add(&mut self, piece: Bytes) {
        match self {
            Self::Nothing => *self = Self::Piece(piece),
            Self::Piece(first) => {
                let mut pieces = BytesMut::with_capacity(2 * LAG.min(first.len() + piece.len()));
                pieces.extend_from_slice(first);
                pieces.extend_from_slice(&piece);
                *self = Self::Pieces(pieces);
            }
            Self::Pieces(pieces) => pieces.extend_from_slice(&piece),
        }
    }

    fn take(&mut self) -> Bytes {
        match std::mem::take(self) {
            Self::Nothing => Bytes::new(),
            Self::Piece(piece) => piece,
            Self::Pieces(pieces) => pieces.freeze(),
        }
    }
}

impl fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scrubber(..)")
    }
}

impl Scrubber {
    /// The most that one holds, in bytes: up to twice the lag and the piece that comes, in a buffer that
    /// doubles when it grows.
    pub const ROOM: usize = 4 * LAG;

    /// Whether it holds anything back by now; until then, everything passes through.
    #[must_use]
    pub fn holds_back(&mut self) -> bool {
        self.patterns.renew();
        !self.patterns.is_empty()
    }

    /// Takes the next chunk and gives what may be handed on, which may be nothing. A credential that
    /// became known since the last one is sought from here on: nothing can have brought it before.
    #[must_use]
    pub fn push(&mut self, chunk: Bytes) -> Bytes {
        self.patterns.renew();
        let Some(search) = self.patterns.search.clone() else {
            return chunk;
        };
        let before = self.held.len();
        let line_break = match self.lines {
            true => memchr::memrchr(b'\n', &chunk),
            false => None,
        };
        self.held.add(chunk);
        let line = line_break.map_or(0, |at| before + at + 1);
        let length = self.held.len();
        // Twice the lag, so that each byte is looked at twice at most, however small the chunks are.
        if length - line >= 2 * LAG {
            self.hand_on(&search, length - LAG, length)
        } else if line > 0 {
            // No credential goes across a line break.
            self.hand_on(&search, line, line)
        } else {
            Bytes::new()
        }
    }

    /// Ends the stream and gives what was held back.
    #[must_use]
    pub fn finish(&mut self) -> Bytes {
        self.patterns.renew();
        let Some(search) = self.patterns.search.clone() else {
            return Bytes::new();
        };
        let length = self.held.len();
        self.hand_on(&search, length, length)
    }

    /// Gives what comes before `cut`, by what is found before `end`. Credentials that overlap are one.
    fn hand_on(&mut self, search: &Search, cut: usize, end: usize) -> Bytes {
        let held = self.held.take();
        let places = search.examine(held.get(..end).unwrap_or(&held));
        let is_new = |place: &Range<usize>| place.end > self.given && place.start < cut;
        let out = if places.iter().any(is_new) {
            self.without(&held, &places, cut)
        } else {
            let out = held.slice(self.given.min(cut)..cut);
            self.masked &= self.given > cut;
            self.given = self.given.max(cut);
            out
        };
        let kept = cut.saturating_sub(CONTEXT);
        self.given -= kept;
        if kept < held.len() {
            self.held.add(held.slice(kept..));
        }
        out
    }

    /// What goes out of `held` up to `cut`, without what is at these places.
    fn without(&mut self, held: &Bytes, places: &[Range<usize>], cut: usize) -> Bytes {
        let mut out = BytesMut::with_capacity(held.len());
        let (mut done, mut masked, mut times) = (self.given, self.masked, 0);
        for place in places.iter().filter(|place| place.start < cut) {
            if place.end <= done {
                continue;
            }
            if place.start >= done || !masked {
                let plain = done..place.start.max(done);
                out.extend_from_slice(held.get(plain).unwrap_or_default());
                out.extend_from_slice(REDACTED.as_bytes());
                times += 1;
            }
            (done, masked) = (place.end, true);
        }
        if done < cut {
            out.extend_from_slice(held.get(done..cut).unwrap_or_default());
            (done, masked) = (cut, false);
        }
        (self.given, self.masked) = (done, masked);
        self.patterns.note(times);
        out.freeze()
    }
}

#[cfg(test)]
mod guesses;
#[cfg(test)]
mod tests;
