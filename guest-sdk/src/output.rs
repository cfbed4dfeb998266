//! What a function gives back. It does not know how the host shows it.

use std::any::Any;
use std::mem;

use serde::Serialize;

use crate::{JsonSchema, ToolError, schema};

/// What a function may give back.
///
/// Every type with `Serialize` and [`JsonSchema`] is one: it becomes the structured result, with
/// its schema. A value that is no JSON object goes into one as its field `result`. `String` and
/// `&'static str` become text, `()` becomes nothing; [`Output`] says more.
pub trait IntoOutput {
    /// Makes it what the host takes.
    ///
    /// # Errors
    /// `failed` where the value has no JSON form.
    fn into_output(self) -> Result<Output, ToolError>;

    /// JSON Schema 2020-12 of the structured result, where there always is one.
    #[must_use]
    fn output_schema() -> Option<serde_json::Value>;
}

impl<T: Serialize + JsonSchema + 'static> IntoOutput for T {
    fn into_output(mut self) -> Result<Output, ToolError> {
        match plain(&mut self) {
            Some(output) => Ok(output),
            None => Output::new().structured(&self),
        }
    }

    fn output_schema() -> Option<serde_json::Value> {
        use std::any::TypeId;
        let own = TypeId::of::<T>();
        let plain = [
            TypeId::of::<String>(),
            TypeId::of::<&'static str>(),
            TypeId::of::<()>(),
        ];
        (!plain.contains(&own)).then(schema::of_result::<T>)
    }
}

/// The few types that have a JSON form but are better shown plainly. Trait coherence allows no
/// implementation of their own beside the general one, so they are told apart here.
fn plain(value: &mut dyn Any) -> Option<Output> {
    if let Some(text) = value.downcast_mut::<String>() {
        return Some(Output::new().text(mem::take(text)));
    }
    if let Some(text) = value.downcast_ref::<&'static str>() {
        return Some(Output::new().text(*text));
    }
    value.downcast_ref::<()>().map(|()| Output::new())
}

/// Text for the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(
    /// The text.
    pub String,
);

impl IntoOutput for Text {
    fn into_output(self) -> Result<Output, ToolError> {
        Ok(Output::new().text(self.0))
    }

    fn output_schema() -> Option<serde_json::Value> {
        None
    }
}

/// A result of several pieces.
///
/// ```
/// use toolhost_sdk::{Link, Output};
///
/// let output = Output::new()
///     .text("The chart, and where it comes from.")
///     .blob("image/png", vec![0x89, b'P', b'N', b'G'])
///     .link(Link::new("https://example.org/source", "source"));
/// assert_eq!(output.contents.len(), 3);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// The structured result as JSON text.
    pub structured: Option<String>,
    /// What to show beside it, or instead of it.
    pub contents: Vec<Content>,
}

impl Output {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the structured result.
    ///
    /// # Errors
    /// `failed` where the value has no JSON form.
    pub fn structured(mut self, value: &impl Serialize) -> Result<Self, ToolError> {
        let failed =
            |error| ToolError::failed(format_args!("the result has no JSON form: {error}"));
        let json = serde_json::to_string(value).map_err(failed)?;
        // An object goes as it is, which spares building the value a second time.
        self.structured = Some(if json.starts_with('{') {
            json
        } else {
            let value = serde_json::from_str(&json).map_err(failed)?;
            schema::wrap(value).to_string()
        });
        Ok(self)
    }

    /// Adds text.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.contents.push(Content::Text(text.into()));
        self
    }

    /// Adds bytes: `image/*` and `audio/*` reach the agent as such, anything else as an embedded
    /// resource.
    #[must_use]
    pub fn blob(self, mime_type: impl Into<String>, data: impl Into<Vec<u8>>) -> Self {
        self.resource(Resource {
            mime_type: mime_type.into(),
            data: data.into(),
            uri: None,
        })
    }

    /// Adds bytes that have a name.
    #[must_use]
    pub fn resource(mut self, resource: Resource) -> Self {
        self.contents.push(Content::Blob(resource));
        self
    }

    /// Adds a pointer to something the agent may fetch by itself.
    #[must_use]
    pub fn link(mut self, link: Link) -> Self {
        self.contents.push(Content::Link(link));
        self
    }
}

impl IntoOutput for Output {
    fn into_output(self) -> Result<Output, ToolError> {
        Ok(self)
    }

    fn output_schema() -> Option<serde_json::Value> {
        None
    }
}

/// One piece of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Text for the model.
    Text(String),
    /// Bytes with their type.
    Blob(Resource),
    /// A pointer.
    Link(Link),
}

/// Bytes with their type and, where they have one, a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// For example `application/pdf`.
    pub mime_type: String,
    /// The bytes.
    pub data: Vec<u8>,
    /// The name; the host makes one up where it is missing.
    pub uri: Option<String>,
}

/// A pointer to something the agent may fetch by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Where it is.
    pub uri: String,
    /// What to call it.
    pub name: String,
    /// What it is.
    pub description: Option<String>,
    /// What fetching it would give.
    pub mime_type: Option<String>,
}

impl Link {
    /// A pointer with a name.
    pub fn new(uri: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            uri: uri.into(),
            name: name.into(),
            description: None,
            mime_type: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn structured(value: impl IntoOutput) -> Option<String> {
        value
            .into_output()
            .ok()
            .and_then(|output| output.structured)
    }

    #[test]
    fn values_are_structured_and_always_objects() {
        assert_eq!(structured(7_i64).as_deref(), Some(r#"{"result":7}"#));
        assert_eq!(
            structured(vec!["a".to_owned()]).as_deref(),
            Some(r#"{"result":["a"]}"#)
        );
        let map = std::collections::BTreeMap::from([("a".to_owned(), 1)]);
        assert_eq!(structured(map).as_deref(), Some(r#"{"a":1}"#));
    }

    #[test]
    fn text_is_text_and_has_no_schema() {
        let output = "hello".to_owned().into_output();
        assert_eq!(output, Ok(Output::new().text("hello")));
        assert_eq!("hello".into_output(), Ok(Output::new().text("hello")));
        assert_eq!(().into_output(), Ok(Output::new()));
        assert_eq!(String::output_schema(), None);
        assert!(i64::output_schema().is_some());
    }

    #[test]
    fn a_value_without_json_form_is_an_error() {
        #[derive(serde::Serialize, JsonSchema)]
        struct Odd(std::collections::BTreeMap<Vec<u8>, u8>);
        let odd = Odd(std::collections::BTreeMap::from([(vec![1], 1)]));
        let error = odd.into_output().map_err(|error| error.message);
        assert_eq!(
            error,
            Err("the result has no JSON form: key must be a string".to_owned())
        );
    }
}
