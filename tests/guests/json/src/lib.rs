//! The one schema that MCP's conformance suite expects to come through word for word. In the
//! manifest this component is called `json`: agents see `json_schema_2020_12_tool`.

use toolhost_sdk::serde_json::{self, Value, json};
use toolhost_sdk::{Definition, Function, Hints, Output, ToolError};

/// Takes a person's contact data; its schema is the point.
enum Schema2020 {}

impl Function for Schema2020 {
    const NAME: &'static str = "schema_2020_12_tool";

    fn definition() -> Definition {
        Definition {
            name: Self::NAME.to_owned(),
            title: None,
            description: "Tool with JSON Schema 2020-12 features".to_owned(),
            input_schema: input_schema(),
            output_schema: None,
            hints: Hints {
                read_only: Some(true),
                ..Hints::default()
            },
        }
    }

    fn call(arguments: &str) -> Result<Output, ToolError> {
        let arguments: Value =
            serde_json::from_str(arguments).map_err(ToolError::invalid_arguments)?;
        Ok(Output::new().text(format!("JSON Schema 2020-12 tool called with: {arguments}")))
    }
}

/// As the scenario `json-schema-2020-12` of the suite's 0.2.0-alpha.12 has it.
fn input_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": {
                    "street": { "type": "string" },
                    "city": { "type": "string" },
                },
            },
        },
        "properties": {
            "name": { "type": "string" },
            "address": { "$ref": "#/$defs/address" },
            "contactMethod": { "type": "string", "enum": ["phone", "email"] },
            "phone": { "type": "string" },
            "email": { "type": "string" },
        },
        "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
        "if": {
            "properties": { "contactMethod": { "const": "phone" } },
            "required": ["contactMethod"],
        },
        "then": { "required": ["phone"] },
        "else": { "required": ["email"] },
        "additionalProperties": false,
    })
}

toolhost_sdk::export!(Schema2020);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_as_json() {
        assert!(Schema2020::call(r#"{"email":"a@b.example"}"#).is_ok());
        assert!(Schema2020::call("{").is_err());
    }
}
