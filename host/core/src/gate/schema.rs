//! JSON Schemas of arguments and results: compiled once, asked on every call. Whose they are it does
//! not know.

mod weight;

use serde_json::{Map, Value};

use self::weight::Weight;
use crate::terms::{Code, Fault};

/// At most so many complaints in one answer: enough for an agent to mend its call.
const COMPLAINTS: usize = 5;

/// The longest answer of complaints, in bytes: a property's name may be as long as a message.
const LONGEST: usize = 2_000;

/// How many complaints there may be where any is looked for: each is kept until all are found.
const EXPLAINED: u64 = 300_000;

/// Steps back that a regular expression may take on one text. Those that have no look-around and no
/// references take none.
const STEPS: usize = 10_000;

/// The most memory that a regular expression may have, in bytes.
const EXPRESSION: usize = 1 << 20;

/// A compiled schema.
pub struct Schema {
    validator: jsonschema::Validator,
    weight: Weight,
}

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
        let schema = Value::Object(schema.clone());
        let weight = Weight::of(&schema).map_err(BadSchema)?;
        let patterns = jsonschema::PatternOptions::fancy_regex()
            .backtrack_limit(STEPS)
            .size_limit(EXPRESSION)
            .dfa_size_limit(EXPRESSION);
        let validator = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            .with_pattern_options(patterns)
            .build(&schema)
            .map_err(|error| BadSchema(why(&error)))?;
        Ok(Self { validator, weight })
    }

    /// How much work it may be to check the value of this JSON text, in visits of a keyword. A check
    /// cannot be stopped.
    #[must_use]
    pub fn work(&self, text: &str) -> u64 {
        self.weight.work(text)
    }

    /// Checks a call's arguments, which `text` says.
    ///
    /// # Errors
    ///
    /// `invalid-arguments`, saying what to change.
    pub fn check_arguments(&self, arguments: &Value, text: &str) -> Result<(), Fault> {
        if self.validator.is_valid(arguments) {
            return Ok(());
        }
        let complaints = self.complaints(arguments, text);
        Err(Fault::new(
            Code::InvalidArguments,
            format!(
                "The arguments do not fit the tool's input schema: {complaints}. Change them and call again."
            ),
        ))
    }

    /// Checks a call's structured result, which `text` says.
    ///
    /// # Errors
    ///
    /// `invalid-output`; what did not fit is for the operator and the tool's author.
    pub fn check_output(&self, output: &Value, text: &str) -> Result<(), Fault> {
        if self.validator.is_valid(output) {
            return Ok(());
        }
        Err(Fault::new(
            Code::InvalidOutput,
            "The tool's result does not fit the output schema it promises. Its author should look.",
        )
        .detail(self.complaints(output, text)))
    }

    fn complaints(&self, value: &Value, text: &str) -> String {
        if self.weight.complaints(text) > EXPLAINED {
            return "there is too much in them to say where".to_owned();
        }
        let mut said: Vec<String> = self
            .validator
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
        let check = |text: &str| {
            let value = serde_json::from_str(text).unwrap_or_default();
            let checked = schema.check_arguments(&value, text);
            checked.map_err(|f| f.say.into_owned())
        };
        assert!(check(r#"{"count":1}"#).is_ok());
        let say = check(r#"{"count":"x"}"#);
        assert!(
            say.as_ref()
                .is_err_and(|say| say.contains("/count") && say.contains("integer")),
            "{say:?}"
        );
        let say = check("{}");
        assert!(
            say.as_ref().is_err_and(|say| say.contains("count")),
            "{say:?}"
        );
    }

    /// Where every complaint would be kept, and there would be 2^60 of them, none is looked for.
    #[test]
    fn what_is_too_much_to_explain_is_not_explained() {
        let list = |most: u32| serde_json::json!({ "items": { "$ref": "#" }, "maxItems": most });
        let schema = schema(serde_json::json!({
            "type": "array",
            "anyOf": [list(5), list(6), { "const": 0 }],
        }));
        let text = format!("{}1{}", "[".repeat(60), "]".repeat(60));
        let value = serde_json::from_str(&text).unwrap_or_default();
        let say = schema.check_output(&value, &text);
        let detail = say.err().and_then(|fault| fault.detail);
        assert!(
            detail
                .as_ref()
                .is_some_and(|detail| detail.contains("too much")),
            "{detail:?}"
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
