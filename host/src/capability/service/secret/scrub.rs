//! Takes credentials out of what comes back, before the guest or anybody else reads it.
//!
//! It finds a credential in the forms of `forms`, in texts, headers, JSON and streams, whichever of
//! its characters are escaped, and across chunks. It knows nothing of requests. What it cannot find: a
//! credential that was hashed, encrypted, reversed, broken into lines or spread over fields. The first
//! defence is that a credential goes to one origin only.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use zeroize::Zeroizing;

use super::decode::{decode, has_escape, undone};
use super::forms::{Form, forms};

/// What stands in the place of a credential.
pub const REDACTED: &str = "[redacted]";

/// So many bytes of forms are few: a table for them takes some 100 KiB.
const SMALL: usize = 2 << 10;

/// How much of a text that holds a credential is looked at in one piece.
const PIECE: usize = 64 << 10;

/// All forms of some credentials, ready to be searched for. Made once and shared.
///
/// Without credentials it costs nothing: everything passes through uncopied.
#[derive(Clone, Default)]
pub struct Patterns(Option<Arc<Search>>);

struct Search {
    machine: AhoCorasick,
    /// The same forms in their order, to see whether a chunk ends within one.
    forms: Vec<Form>,
    /// The bytes that forms begin with.
    first: [bool; 256],
    /// The bytes that may stand before a form and belong to it.
    leads: [bool; 256],
    longest: usize,
}

/// Where credentials are in a text, and from where on more of the text could change that.
struct Found {
    places: Vec<Range<usize>>,
    open: usize,
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
        let mut forms: Vec<Form> = secrets.into_iter().flat_map(forms).collect();
        forms.sort_by(|a, b| a.bytes.cmp(&b.bytes));
        let Some(longest) = forms.iter().map(|form| form.bytes.len()).max() else {
            return Ok(Self::default());
        };
        let states: usize = forms.iter().map(|form| form.bytes.len()).sum();
        let machine = AhoCorasick::builder()
            // All matches are wanted, also those that overlap.
            .match_kind(MatchKind::Standard)
            // By default it is a table of all states by all bytes: fast, and too large for a long
            // secret.
            .kind((states > SMALL).then_some(AhoCorasickKind::ContiguousNFA))
            .build(forms.iter().map(|form| form.bytes.as_slice()))?;
        let table = |is: &dyn Fn(&Form, u8) -> bool| {
            let bytes: [u8; 256] = std::array::from_fn(|byte| u8::try_from(byte).unwrap_or(0));
            bytes.map(|byte| forms.iter().any(|form| is(form, byte)))
        };
        Ok(Self(Some(Arc::new(Search {
            first: table(&|form, byte| form.bytes.first() == Some(&byte)),
            leads: table(&Form::leads),
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

    /// Whether there is a credential in bytes that are complete.
    #[must_use]
    pub fn finds(&self, bytes: &[u8]) -> bool {
        self.0.as_ref().is_some_and(|search| search.finds(bytes))
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
            held: Zeroizing::default(),
            covered: 0,
        }
    }
}

impl fmt::Debug for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Patterns(..)")
    }
}

impl Search {
    fn finds(&self, raw: &[u8]) -> bool {
        self.machine.is_match(raw) || (has_escape(raw) && self.machine.is_match(&undone(raw)))
    }

    /// Looks at a text as it is written and, where it has escapes, at what it says. Both matter: a
    /// `%` before a secret can make an escape of its first letters.
    fn examine(&self, raw: &[u8]) -> Found {
        let mut found = self.look(raw);
        if has_escape(raw) {
            let decoded = decode(raw);
            let within = self.look(&decoded.bytes);
            let places = within.places.iter().map(|place| decoded.written(place));
            found.places.extend(places);
            let certain = decoded.certain().map(|text| self.look(text).open);
            let open = decoded.place(certain.unwrap_or(within.open));
            // An escape is never cut in two.
            found.open = decoded.floor(found.open.min(open));
        }
        found.places.sort_by_key(|place| place.start);
        found
    }

    fn look(&self, text: &[u8]) -> Found {
        let mut places = Vec::new();
        let mut open = self.undecided(text);
        for found in self.machine.find_overlapping_iter(text) {
            let Some(form) = self.forms.get(found.pattern().as_usize()) else {
                continue;
            };
            let place = form.around(text, found.range());
            if form.is_open(text, &found.range()) {
                open = open.min(place.start);
            }
            places.push(place);
        }
        let before = open.checked_sub(1).and_then(|at| text.get(at));
        open -= usize::from(before.is_some_and(|byte| holds(&self.leads, *byte)));
        Found { places, open }
    }

    /// Where the first bytes are that later ones could make into a form, or into a longer one.
    fn undecided(&self, text: &[u8]) -> usize {
        let first = (text.len() + 1).saturating_sub(self.longest);
        let tails = (first..text.len()).filter_map(|at| text.get(at..));
        let begins = |tail: &&[u8]| {
            tail.first().is_some_and(|byte| holds(&self.first, *byte)) && self.begins_form(tail)
        };
        let mut tails = tails.filter(begins);
        text.len() - tails.next().map_or(0, <[u8]>::len)
    }

    /// Whether a form begins so and goes on. The forms are in their order: the first one behind
    /// `tail` begins with it if any does.
    fn begins_form(&self, tail: &[u8]) -> bool {
        let behind = self
            .forms
            .partition_point(|form| form.bytes.as_slice() <= tail);
        let next = self.forms.get(behind);
        next.is_some_and(|form| form.bytes.starts_with(tail))
    }
}

fn holds(table: &[bool; 256], byte: u8) -> bool {
    table.get(usize::from(byte)).copied().unwrap_or_default()
}

/// Takes credentials out of a stream. It holds back only what may turn out to be one.
pub struct Scrubber {
    patterns: Patterns,
    /// What is not decided yet.
    held: Zeroizing<Vec<u8>>,
    /// So many bytes of it are of a credential that was taken out already.
    covered: usize,
}

impl fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scrubber(..)")
    }
}

impl Scrubber {
    /// Takes the next chunk and gives what is decided so far, which may be nothing.
    #[must_use]
    pub fn push(&mut self, mut chunk: Bytes) -> Bytes {
        let Some(search) = self.patterns.0.clone() else {
            return chunk;
        };
        if !self.held.is_empty() {
            let held = std::mem::take(&mut self.held);
            return self.settle(&search, &[&held, &*chunk].concat());
        }
        let found = search.examine(&chunk);
        if !found.places.is_empty() {
            return self.settle(&search, &chunk);
        }
        // Nothing is in it: it goes on uncopied.
        self.held = Zeroizing::new(chunk.split_off(found.open).to_vec());
        chunk
    }

    /// Ends the stream and gives what was held back.
    #[must_use]
    pub fn finish(&mut self) -> Bytes {
        let held = std::mem::take(&mut self.held);
        let Some(search) = &self.patterns.0 else {
            return Bytes::new();
        };
        let found = search.examine(&held);
        let end = held.len();
        self.give(&held, &found.places, end)
    }

    /// Gives what is decided of `buffer` and holds the rest.
    fn settle(&mut self, search: &Search, buffer: &[u8]) -> Bytes {
        let found = search.examine(buffer);
        let out = self.give(buffer, &found.places, found.open);
        self.held = Zeroizing::new(buffer.get(found.open..).unwrap_or_default().to_vec());
        out
    }

    /// What goes out of `buffer` up to `end`. Credentials that overlap are one.
    fn give(&mut self, buffer: &[u8], places: &[Range<usize>], end: usize) -> Bytes {
        let mut out = Vec::with_capacity(buffer.len());
        let mut done = self.covered;
        for place in places.iter().take_while(|place| place.start < end) {
            if place.start < done {
                done = done.max(place.end);
                continue;
            }
            out.extend_from_slice(buffer.get(done..place.start).unwrap_or_default());
            out.extend_from_slice(REDACTED.as_bytes());
            done = place.end;
        }
        out.extend_from_slice(buffer.get(done..end).unwrap_or_default());
        self.covered = done.saturating_sub(end);
        out.into()
    }
}

#[cfg(test)]
mod tests;
