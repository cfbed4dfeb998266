//! JSON Schemas of arguments and results: compiled once, asked on every call.

use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value};

use crate::terms::{Code, Definition, Fault};

/// At most so many complaints in one answer: enough for an agent to mend its call.
const COMPLAINTS: usize = 5;

/// The longest answer of complaints, in bytes: a property's name may be as long as a message.
const LONGEST: usize = 2_000;

/// A compiled schema.
pub struct Schema(jsonschema::Validator);

/// Why a schema cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadSchema(String);

impl Schema {
    /// Compiles a schema. References are resolved within it; nothing is fetched.
    ///
    /// # Errors
    ///
    /// When it is not a JSON Schema 2020-12, or points outside itself.
    pub fn new(schema: &Map<String, Value>) -> Result<Self, BadSchema> {
        jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            .build(&Value::Object(schema.clone()))
            .map(Self)
            .map_err(|error| BadSchema(why(&error)))
    }

    /// Checks a call's arguments.
    ///
    /// # Errors
    ///
    /// `invalid-arguments`, saying what to change.
    pub fn check_arguments(&self, arguments: &Value) -> Result<(), Fault> {
        if self.0.is_valid(arguments) {
            return Ok(());
        }
        let complaints = self.complaints(arguments);
        Err(Fault::new(
            Code::InvalidArguments,
            format!(
                "The arguments do not fit the tool's input schema: {complaints}. Change them and call again."
            ),
        ))
    }

    /// Checks a call's structured result.
    ///
    /// # Errors
    ///
    /// `invalid-output`; what did not fit is for the operator and the tool's author.
    pub fn check_output(&self, output: &Value) -> Result<(), Fault> {
        if self.0.is_valid(output) {
            return Ok(());
        }
        Err(Fault::new(
            Code::InvalidOutput,
            "The tool's result does not fit the output schema it promises. Its author should look.",
        )
        .detail(self.complaints(output)))
    }

    fn complaints(&self, value: &Value) -> String {
        let mut said: Vec<String> = self
            .0
            .iter_errors(value)
            .take(COMPLAINTS)
            .map(|error| {
                let place = error.instance_path().to_string();
                let place = if place.is_empty() {
                    "the arguments".to_owned()
                } else {
                    format!("`{place}`")
                };
                // Masked: what an agent sent is not repeated in full, it may be long or secret.
                format!("{place}: {}", error.masked())
            })
            .collect();
        said.dedup();
        let mut all = said.join("; ");
        all.truncate(all.floor_char_boundary(LONGEST));
        all
    }
}

/// The schemas of one function that was found sound when it was locked. Each is compiled when it is
/// first asked: a host with a thousand functions starts without a thousand compilations.
pub struct Checks {
    definition: Arc<Definition>,
    arguments: OnceLock<Result<Schema, BadSchema>>,
    output: OnceLock<Result<Schema, BadSchema>>,
}

impl Checks {
    /// The schemas of a definition, not looked at yet.
    #[must_use]
    pub const fn new(definition: Arc<Definition>) -> Self {
        Self {
            definition,
            arguments: OnceLock::new(),
            output: OnceLock::new(),
        }
    }

    /// Checks a call's arguments.
    ///
    /// # Errors
    ///
    /// `invalid-arguments`, saying what to change; `internal` for a lock that was written by hand.
    pub fn arguments(&self, arguments: &Value) -> Result<(), Fault> {
        let schema = &self.definition.input_schema;
        ready(&self.arguments, schema)?.check_arguments(arguments)
    }

    /// The schema of results, where the function has one.
    ///
    /// # Errors
    ///
    /// `internal` for a lock that was written by hand.
    pub fn output(&self) -> Result<Option<&Schema>, Fault> {
        let schema = self.definition.output_schema.as_ref();
        schema.map(|schema| ready(&self.output, schema)).transpose()
    }
}

fn ready<'a>(
    cell: &'a OnceLock<Result<Schema, BadSchema>>,
    schema: &Map<String, Value>,
) -> Result<&'a Schema, Fault> {
    cell.get_or_init(|| Schema::new(schema)).as_ref().map_err(|error| {
        Fault::internal(format!(
            "a schema in the lock file is not sound: {error}; run `toolhost lock` instead of editing it"
        ))
    })
}

/// Why a schema does not compile, without the library's advice to fetch what it points to.
fn why(error: &jsonschema::ValidationError<'_>) -> String {
    if let jsonschema::error::ValidationErrorKind::Referencing(reference) = error.kind() {
        let said = reference.to_string();
        let outside = said.split('\'').nth(1).unwrap_or_default();
        return format!(
            "it points outside itself, to `{outside}`; nothing is fetched, put what it needs under $defs"
        );
    }
    let place = error.schema_path().to_string();
    if place.is_empty() {
        error.to_string()
    } else {
        format!("{error} at {place}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(value: Value) -> Schema {
        let Value::Object(map) = value else {
            unreachable!()
        };
        Schema::new(&map).unwrap_or_else(|error| unreachable!("{error}"))
    }

    #[test]
    fn complaints_name_the_place() {
        let schema = schema(serde_json::json!({
            "type": "object",
            "properties": { "count": { "type": "integer" } },
            "required": ["count"],
            "additionalProperties": false,
        }));
        assert!(
            schema
                .check_arguments(&serde_json::json!({ "count": 1 }))
                .is_ok()
        );
        let say = schema
            .check_arguments(&serde_json::json!({ "count": "x" }))
            .map_err(|f| f.say.into_owned());
        assert!(
            say.as_ref()
                .is_err_and(|say| say.contains("/count") && say.contains("integer")),
            "{say:?}"
        );
        let say = schema
            .check_arguments(&serde_json::json!({}))
            .map_err(|f| f.say.into_owned());
        assert!(
            say.as_ref().is_err_and(|say| say.contains("count")),
            "{say:?}"
        );
    }

    #[test]
    fn nothing_is_fetched() {
        let outside = serde_json::json!({ "$ref": "http://127.0.0.1:1/x.json" });
        let Value::Object(map) = outside else {
            unreachable!()
        };
        assert!(Schema::new(&map).is_err());
    }
}
