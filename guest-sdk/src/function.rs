//! One function of a tool: what it says of itself, and how JSON becomes its arguments. It does not
//! know which functions a tool has.

use serde::de::DeserializeOwned;

use crate::{IntoOutput, JsonSchema, Output, ToolError, schema};

/// One function of a tool.
///
/// `#[tool]` writes this; by hand it is for a function whose schemas are not Rust types.
pub trait Function {
    /// The name within the tool: 1 to 64 of `a-z`, `0-9` and `_`, a letter first.
    const NAME: &'static str;

    /// What agents read of it. The host asks once, so the answer must always be the same.
    fn definition() -> Definition;

    /// Runs it with its arguments, a JSON object as text that fits the input schema.
    ///
    /// # Errors
    /// Whatever kept it from doing what was asked.
    fn call(arguments: &str) -> Result<Output, ToolError>;
}

/// One function, as agents will read it.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// The name within the tool.
    pub name: String,
    /// A name for people.
    pub title: Option<String>,
    /// What it does and when to use it.
    pub description: String,
    /// JSON Schema 2020-12 of the arguments; its root is an object.
    pub input_schema: serde_json::Value,
    /// JSON Schema 2020-12 of the structured result, where there is one.
    pub output_schema: Option<serde_json::Value>,
    /// What it promises about itself.
    pub hints: Hints,
}

/// What a function promises about itself; `None` is no promise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hints {
    /// It changes nothing anywhere.
    pub read_only: Option<bool>,
    /// It may delete or overwrite something.
    pub destructive: Option<bool>,
    /// Calling it again with the same arguments changes nothing more.
    pub idempotent: Option<bool>,
    /// It deals with the outside world: the set of things it may touch is not closed.
    pub open_world: Option<bool>,
}

/// A `Result`, whatever alias the author uses for it.
pub trait Fallible {
    /// What is in it when all went well.
    type Value: IntoOutput;

    /// Makes it what the host takes.
    ///
    /// # Errors
    /// The author's own, or that of a value without a JSON form.
    fn into_answer(self) -> Result<Output, ToolError>;
}

impl<T: IntoOutput, E: Into<ToolError>> Fallible for Result<T, E> {
    type Value = T;

    fn into_answer(self) -> Result<Output, ToolError> {
        self.map_err(Into::into)?.into_output()
    }
}

/// A definition out of the author's types.
#[must_use]
pub fn definition<A: JsonSchema, R: Fallible>(
    name: &str,
    title: Option<&str>,
    description: &str,
    hints: Hints,
) -> Definition {
    Definition {
        name: name.to_owned(),
        title: title.map(str::to_owned),
        description: description.to_owned(),
        input_schema: schema::of_arguments::<A>(),
        output_schema: R::Value::output_schema(),
        hints,
    }
}

/// The author's arguments out of JSON text.
///
/// # Errors
/// `invalid-arguments` with the place in the JSON and serde's own words. The host checks the schema
/// before, so this is about what a schema cannot say.
pub fn arguments<A: DeserializeOwned>(json: &str) -> Result<A, ToolError> {
    crate::json::read(json.as_bytes()).map_err(|error| {
        let path = error.path().to_string();
        let at = if path == "." { "the arguments" } else { &path };
        ToolError::invalid_arguments(format_args!("{at}: {}", error.inner()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Code;

    #[derive(Debug, PartialEq, serde::Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Trip {
        stops: Vec<Stop>,
    }

    #[derive(Debug, PartialEq, serde::Deserialize, JsonSchema)]
    struct Stop {
        minutes: u8,
    }

    #[test]
    fn a_wrong_argument_is_named_by_its_path() {
        let error = arguments::<Trip>(r#"{"stops":[{"minutes":3},{"minutes":300}]}"#);
        assert_eq!(
            error,
            Err(ToolError::new(
                Code::InvalidArguments,
                "stops[1].minutes: invalid value: integer `300`, expected u8 at line 1 column 38",
            ))
        );
    }

    #[test]
    fn arguments_that_are_no_object_are_refused() {
        for json in ["", "[", "7", "null"] {
            let error = arguments::<Trip>(json).map_err(|error| error.code);
            assert_eq!(error, Err(Code::InvalidArguments), "{json}");
        }
    }
}
