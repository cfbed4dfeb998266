//! Answers that a host must not pass on.

use toolhost_sdk::serde_json::{self, Value, json};
use toolhost_sdk::{Code, Definition, Function, Hints, Output, Resource, ToolError, tool};

/// Answers with a lot of text.
#[tool(read_only)]
pub(crate) fn flood(
    /// How much, in MiB.
    mib: usize,
) -> String {
    "x".repeat(mib << 20)
}

/// Answers with many small pieces.
#[tool(read_only)]
pub(crate) fn litter(
    /// How many.
    n: usize,
) -> Output {
    let mut output = Output::new();
    for _ in 0..n {
        output = output.text("");
    }
    output
}

/// Answers with next to nothing under a very long name.
#[tool(read_only)]
pub(crate) fn long_name(
    /// How long, in MiB.
    mib: usize,
) -> Output {
    Output::new().resource(Resource {
        mime_type: "text/plain".to_owned(),
        data: b"x".to_vec(),
        uri: Some("n".repeat(mib << 20)),
    })
}

/// Says that something went wrong, in the agent's own words.
#[tool(read_only)]
pub(crate) fn complain(
    /// What to say.
    message: String,
    /// How often to say it; once where it is missing.
    #[serde(default)]
    times: Option<usize>,
    /// JSON text for programs to read.
    #[serde(default)]
    data: Option<String>,
) -> Result<(), ToolError> {
    let message = message.repeat(times.unwrap_or(1));
    let mut error = ToolError::new(Code::Failed, message);
    error.data = data.map(|data| serde_json::from_str(&data).unwrap_or(Value::String(data)));
    Err(error)
}

/// The agent's own text as the structured result.
pub(crate) enum Verbatim {}

impl Function for Verbatim {
    const NAME: &'static str = "verbatim";

    fn definition() -> Definition {
        let mut definition = promising(Self::NAME, "Answers with the text it is given, as JSON.");
        definition.input_schema = json!({
            "type": "object",
            "properties": { "text": { "type": "string" } },
            "required": ["text"],
            "additionalProperties": false,
        });
        definition
    }

    fn call(arguments: &str) -> Result<Output, ToolError> {
        let arguments: Value = serde_json::from_str(arguments)
            .map_err(|error| ToolError::invalid_arguments(format_args!("{error}")))?;
        Ok(structured(arguments["text"].as_str().unwrap_or_default()))
    }
}

/// A structured result that does not fit the function's own schema.
pub(crate) enum WrongOutput {}

impl Function for WrongOutput {
    const NAME: &'static str = "wrong_output";

    fn definition() -> Definition {
        promising(
            Self::NAME,
            "Answers with what does not fit its own output schema.",
        )
    }

    fn call(_: &str) -> Result<Output, ToolError> {
        Ok(structured(r#"{"count":"many"}"#))
    }
}

/// A structured result that is no JSON.
pub(crate) enum NotJson {}

impl Function for NotJson {
    const NAME: &'static str = "not_json";

    fn definition() -> Definition {
        promising(Self::NAME, "Answers with what is no JSON.")
    }

    fn call(_: &str) -> Result<Output, ToolError> {
        Ok(structured(r#"{"count":"#))
    }
}

/// No structured result although there is a schema for one.
pub(crate) enum BrokenPromise {}

impl Function for BrokenPromise {
    const NAME: &'static str = "broken_promise";

    fn definition() -> Definition {
        promising(
            Self::NAME,
            "Answers with text only, although it has an output schema.",
        )
    }

    fn call(_: &str) -> Result<Output, ToolError> {
        Ok(Output::new().text("no structure today"))
    }
}

fn promising(name: &str, description: &str) -> Definition {
    Definition {
        name: name.to_owned(),
        title: None,
        description: description.to_owned(),
        input_schema: json!({ "type": "object", "additionalProperties": false }),
        output_schema: Some(json!({
            "type": "object",
            "properties": { "count": { "type": "integer" } },
            "required": ["count"],
            "additionalProperties": false,
        })),
        hints: Hints {
            read_only: Some(true),
            ..Hints::default()
        },
    }
}

fn structured(text: &str) -> Output {
    Output {
        structured: Some(text.to_owned()),
        contents: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_given_back_as_it_is() {
        let said = Verbatim::call(r#"{"text":"{\"count\":1,\"count\":2}"}"#);
        let said = said.map(|output| output.structured);
        assert_eq!(said, Ok(Some(r#"{"count":1,"count":2}"#.to_owned())));
    }

    #[test]
    fn litter_and_complaints_are_as_large_as_asked() {
        assert_eq!(litter(3).contents.len(), 3);
        let said = complain("ab".to_owned(), Some(2), None);
        assert_eq!(said.map_err(|error| error.message), Err("abab".to_owned()));
    }
}
