//! Filters over JSON as an agent sends it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::{Value, json};
use toolhost_sdk::{Code, Function};

use super::*;

fn answer(arguments: Value) -> Result<Value, ToolError> {
    let output = <run as Function>::call(&arguments.to_string())?;
    Ok(serde_json::from_str(&output.structured.unwrap()).unwrap())
}

fn results(arguments: Value) -> Value {
    answer(arguments).unwrap()["results"].clone()
}

fn message(filter: &str) -> String {
    let error = answer(json!({ "filter": filter, "input": {} })).unwrap_err();
    assert_eq!(error.code, Code::InvalidArguments, "{filter}");
    error.message
}

#[test]
fn a_filter_selects_and_reshapes() {
    let input = json!({ "items": [{ "n": "a", "p": 5 }, { "n": "b", "p": 20 }] });
    let filter = "[.items[] | select(.p > $least) | {name: .n}]";
    assert_eq!(
        results(json!({ "filter": filter, "input": input, "variables": { "least": 10 } })),
        json!([[{ "name": "b" }]])
    );
}

#[test]
fn the_standard_library_is_there() {
    let filter = r#"group_by(.k) | map({(.[0].k): length}) | add, ("a,b" | split(",")), ("x1" | test("[0-9]")), (0 | todate), ("aGk=" | @base64d)"#;
    assert_eq!(
        results(json!({ "filter": filter, "input": [{ "k": "x" }, { "k": "y" }, { "k": "x" }] })),
        json!([{ "x": 2, "y": 1 }, ["a", "b"], true, "1970-01-01T00:00:00Z", "hi"])
    );
}

#[test]
fn each_input_is_run_and_none_is_null() {
    assert_eq!(
        results(json!({ "filter": ". + 1", "inputs": [1, 2] })),
        json!([2, 3])
    );
    assert_eq!(results(json!({ "filter": ".", "inputs": [] })), json!([]));
    assert_eq!(results(json!({ "filter": "." })), json!([null]));
    assert!(answer(json!({ "filter": ".", "input": 1, "inputs": [1] })).is_err());
}

#[test]
fn no_digit_of_a_number_is_lost() {
    let output =
        <run as Function>::call(r#"{"filter":".","input":123456789012345678901234567890}"#)
            .unwrap();
    assert!(
        output
            .structured
            .unwrap()
            .contains("123456789012345678901234567890")
    );
}

#[test]
fn what_json_has_not_becomes_text() {
    assert_eq!(
        results(json!({ "filter": "nan, {(1|tostring): 2}" })),
        json!(["NaN", { "1": 2 }])
    );
}

#[test]
fn too_many_results_are_cut_also_endless_ones() {
    let answer = |filter: &str| answer(json!({ "filter": filter, "limit": 2 })).unwrap();
    assert_eq!(
        answer("range(3)"),
        json!({ "results": [0, 1], "truncated": true })
    );
    assert_eq!(
        answer("range(2)"),
        json!({ "results": [0, 1], "truncated": false })
    );
    assert_eq!(
        answer("repeat(1)"),
        json!({ "results": [1, 1], "truncated": true })
    );
    assert_eq!(
        answer(r#""x" * 2000000"#),
        json!({ "results": [], "truncated": true })
    );
}

#[test]
fn halt_only_ends_the_results() {
    assert_eq!(results(json!({ "filter": "1, halt, 2" })), json!([1]));
}

#[test]
fn mistakes_are_told_with_their_place() {
    assert_eq!(
        message("map(."),
        "the filter has mistakes: line 1, column 6: expected closing parenthesis, the filter ends"
    );
    assert_eq!(
        message(".a |\n nope(1)"),
        "the filter has mistakes: line 2, column 2: there is no filter nope/1"
    );
    assert_eq!(
        message("$x"),
        "the filter has mistakes: line 1, column 1: there is no variable $x"
    );
    assert_eq!(
        message(".a |"),
        "the filter has mistakes: line 1, column 5: expected term, the filter ends"
    );
    assert!(message(r#"include "x"; ."#).contains("module loading not supported"));
}

#[test]
fn a_filter_that_does_not_fit_says_where() {
    assert_eq!(
        message(r#""a" | .b"#),
        "the filter fails: cannot index \"a\" with \"b\""
    );
    assert_eq!(message(r#"error("stop")"#), "the filter fails: \"stop\"");
    let error = answer(json!({ "filter": ".a", "inputs": [{}, 1] })).unwrap_err();
    assert_eq!(
        error.message,
        "inputs[1]: the filter fails: cannot index 1 with \"a\""
    );
    assert!(message(r#"error("x" * 10000)"#).len() < 600);
}

#[test]
fn a_variable_needs_a_name() {
    let error = answer(json!({ "filter": ".", "variables": { "a b": 1 } })).unwrap_err();
    assert_eq!(error.code, Code::InvalidArguments);
}
