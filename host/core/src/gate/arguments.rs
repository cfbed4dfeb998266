//! A call's arguments on their way into their one form: see `canonical` for what that is.
//!
//! What is digested, checked, recorded and given to the guest is one text, and is made here. Whether it
//! fits any function is not known here.

use std::io;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::canonical::canonical;
use crate::terms::{Fault, Fingerprint};

/// Arguments as they came, and their text where that is short.
pub struct RawArguments {
    value: Value,
    text: Option<String>,
}

impl RawArguments {
    /// Takes arguments as they came. `short` is how long their text may be, in bytes, to be written at
    /// once.
    #[must_use]
    pub fn new(arguments: Map<String, Value>, short: usize) -> Self {
        let value = Value::Object(arguments);
        let mut text = ShortText {
            text: Vec::with_capacity(short.min(128)),
            most: short,
        };
        let written = serde_json::to_writer(&mut text, &value);
        Self {
            text: written
                .ok()
                .and_then(|()| String::from_utf8(text.text).ok()),
            value,
        }
    }

    /// Whether bringing them into their one form is long work.
    #[must_use]
    pub const fn are_long(&self) -> bool {
        self.text.is_none()
    }

    /// Brings them into their one form. `schema` is that of the function, where there is one.
    #[must_use]
    pub fn canonical(mut self, schema: Option<&Map<String, Value>>) -> CanonicalArguments {
        let changed = canonical(&mut self.value, schema);
        let text = self.text.filter(|_| !changed);
        let text: Arc<str> = text.unwrap_or_else(|| self.value.to_string()).into();
        CanonicalArguments {
            fingerprint: Fingerprint::of(text.as_bytes()),
            value: self.value,
            text,
        }
    }
}

/// Arguments in their one form.
pub struct CanonicalArguments {
    value: Value,
    text: Arc<str>,
    fingerprint: Fingerprint,
}

impl CanonicalArguments {
    /// Reads a text again that these were once.
    ///
    /// # Errors
    ///
    /// `internal` if it cannot be read any more.
    pub(super) fn again(text: Arc<str>, fingerprint: Fingerprint) -> Result<Self, Fault> {
        let value = serde_json::from_str(&text).map_err(Fault::internal)?;
        Ok(Self {
            value,
            text,
            fingerprint,
        })
    }

    /// What the ledger keeps of them.
    #[must_use]
    pub const fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    pub(super) const fn value(&self) -> &Value {
        &self.value
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// What is left of them when they were checked.
    pub(super) fn into_text(self) -> (Arc<str>, Fingerprint) {
        (self.text, self.fingerprint)
    }
}

/// A text that is not long.
struct ShortText {
    text: Vec<u8>,
    most: usize,
}

impl io::Write for ShortText {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        if self.text.len() + more.len() > self.most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.text.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
