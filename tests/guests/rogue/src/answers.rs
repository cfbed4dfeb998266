//! Answers that a host must not pass on.

use toolhost_sdk::serde_json::json;
use toolhost_sdk::{Definition, Function, Hints, Output, ToolError, tool};

/// Answers with a lot of text.
#[tool(read_only)]
pub(crate) fn flood(
    /// How much, in MiB.
    mib: usize,
) -> String {
    "x".repeat(mib << 20)
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
