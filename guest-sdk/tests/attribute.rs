//! What the attribute makes of a function, in every shape a function may have.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::{Value, json};
use toolhost_sdk::{Code, Definition, Function, Hints, Output, Text, ToolError, tool};

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Trip {
    /// Where to.
    city: String,
    #[serde(default)]
    days: u8,
}

/// Plans a trip.
///
/// Ask for the city first.
#[tool(read_only, open_world = false, title = "Plan a trip")]
fn plan(args: Trip) -> Result<Text, ToolError> {
    Ok(Text(format!("{} days in {}", args.days, args.city)))
}

/// Takes its arguments apart at once.
#[tool]
fn apart(Trip { city, .. }: Trip) -> String {
    city
}

/// Adds.
#[tool(idempotent, name = "sum_of_two")]
fn add(
    /// The first.
    a: i64,
    #[serde(default)]
    #[schemars(range(max = 9))]
    b: i64,
    /// Says more.
    verbose: Option<bool>,
) -> i64 {
    a + b + i64::from(verbose == Some(true))
}

/// Does nothing.
#[tool(destructive = false)]
fn nothing() {}

type Result<T, E = ToolError> = std::result::Result<T, E>;

/// Always fails.
#[tool]
fn fails() -> Result<Output> {
    Err(ToolError::denied("no"))
}

toolhost_sdk::export!(plan, apart, add, nothing, fails);

fn definition<F: Function>() -> Definition {
    F::definition()
}

fn call<F: Function>(arguments: Value) -> Result<Output> {
    F::call(&arguments.to_string())
}

#[test]
fn the_doc_comment_is_the_description() {
    let definition = definition::<plan>();
    assert_eq!(definition.name, "plan");
    assert_eq!(definition.title.as_deref(), Some("Plan a trip"));
    assert_eq!(
        definition.description,
        "Plans a trip.\n\nAsk for the city first."
    );
}

#[test]
fn markers_are_promises_and_nothing_said_is_none() {
    let promised = Hints {
        read_only: Some(true),
        open_world: Some(false),
        ..Hints::default()
    };
    assert_eq!(definition::<plan>().hints, promised);
    assert_eq!(definition::<nothing>().hints.destructive, Some(false));
    assert_eq!(definition::<fails>().hints, Hints::default());
}

#[test]
fn one_parameter_called_args_is_the_whole_object() {
    let schema = definition::<plan>().input_schema;
    assert_eq!(
        schema["properties"]["city"],
        json!({ "type": "string", "description": "Where to." })
    );
    assert_eq!(schema["required"], json!(["city"]));
    assert_eq!(definition::<apart>().input_schema, schema);
    let answer = call::<plan>(json!({ "city": "Ulm", "days": 2 }));
    assert_eq!(answer, Ok(Output::new().text("2 days in Ulm")));
    assert_eq!(
        call::<apart>(json!({ "city": "Ulm" })),
        Ok(Output::new().text("Ulm"))
    );
}

#[test]
fn several_parameters_are_one_property_each() {
    let definition = definition::<add>();
    assert_eq!(definition.name, "sum_of_two");
    let schema = definition.input_schema;
    assert_eq!(schema["required"], json!(["a"]));
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["properties"]["a"]["description"], "The first.");
    assert_eq!(schema["properties"]["b"]["maximum"], 9);
    assert_eq!(
        call::<add>(json!({ "a": 1 }))
            .unwrap()
            .structured
            .as_deref(),
        Some(r#"{"result":1}"#)
    );
    assert_eq!(
        call::<add>(json!({ "a": 1, "c": 1 })).unwrap_err().code,
        Code::InvalidArguments
    );
}

#[test]
fn without_parameters_there_is_a_closed_empty_object() {
    let definition = definition::<nothing>();
    assert_eq!(
        definition.input_schema,
        json!({ "type": "object", "properties": {}, "additionalProperties": false })
    );
    assert_eq!(definition.output_schema, None);
    assert_eq!(call::<nothing>(json!({})), Ok(Output::new()));
    assert!(call::<nothing>(json!({ "a": 1 })).is_err());
}

#[test]
fn a_result_under_another_name_is_still_one() {
    assert_eq!(call::<fails>(json!({})), Err(ToolError::denied("no")));
}

#[test]
fn the_functions_stay_plain_rust() {
    assert_eq!(add(1, 2, Some(true)), 4);
    nothing();
}
