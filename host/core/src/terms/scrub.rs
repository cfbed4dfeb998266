//! What takes secrets out, as those see it who know no secrets.

use std::borrow::Cow;

use serde_json::Value;

/// Takes secrets out of what leaves a call.
pub trait Scrub {
    /// Out of a text.
    fn text(&self, text: String) -> String;

    /// Out of bytes; what holds none is given back as it is.
    fn bytes<'b>(&self, bytes: &'b [u8]) -> Cow<'b, [u8]>;

    /// Out of a JSON value; `text` is the value as it was written.
    fn json(&self, value: &mut Value, text: &str);
}
