//! Programs of WASI 0.3: an asynchronous `run`, its streams, and the limits of both.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use toolhost_core::terms::Code;

use super::{refused, said, site};
use crate::harness::{House, code, structured, tool_error};

/// A program's uses, with more in its tool's section.
fn program(more: &str) -> House {
    let text = format!(
        r#"
[tool.p]
component = "runs.wasm"
wasi = "0.3"
{more}
[tool.p.command.arguments]
description = "Says its arguments."
input.one = {{ type = "string" }}
arguments = ["arguments", "--one={{one}}"]
[tool.p.command.upper]
description = "Shouts."
input.text = {{ type = "string" }}
arguments = ["upper"]
stdin = "{{text}}"
[tool.p.command.length]
description = "Gives JSON back."
input.text = {{ type = "string" }}
arguments = ["upper"]
stdin = "{{text}}"
stdout = "json"
[tool.p.command.flood]
description = "Prints 64 MB."
arguments = ["flood"]
[tool.p.command.twice]
description = "Prints through two streams."
arguments = ["twice"]
[tool.p.command.fail]
description = "Fails."
arguments = ["fail"]
[tool.p.command.exit]
description = "Ends with a code."
input.code = {{ type = "integer" }}
arguments = ["exit", "{{code}}"]
success = [0, 4]
[tool.p.command.sleep]
description = "Sleeps."
arguments = ["sleep"]
[tool.p.command.spin]
description = "Loops."
arguments = ["spin"]
[tool.everything]
component = "everything.wasm"
"#
    );
    House::at(site(), &text)
}

#[tokio::test]
async fn a_program_of_0_3_is_a_function_by_its_command_line() {
    let house = program("");
    let arguments = json!({ "one": "$HOME; `x`" });
    assert_eq!(
        said(&house, "p_arguments", arguments).await,
        r#"["--one=$HOME; `x`"]"#
    );
    // More than one piece of a stream, both ways.
    let text = "größe ".repeat(50_000);
    let shout = said(&house, "p_upper", json!({ "text": text })).await;
    assert_eq!(shout, text.to_uppercase());
    let end = house.call("p_length", json!({ "text": "7" })).await;
    assert_eq!(structured(&end), Value::from(7));
    assert_eq!(said(&house, "p_twice", json!({})).await, "first second");
}

#[tokio::test]
async fn a_program_of_0_3_fails_with_its_code_and_its_last_words() {
    let house = program("");
    let end = house.call("p_fail", json!({})).await;
    assert!(
        refused(&end).contains("exit code 1: it did not work"),
        "{end:?}"
    );
    let end = house.call("p_exit", json!({ "code": 3 })).await;
    let error = tool_error(&end);
    assert_eq!(
        error.data.as_ref().expect("data")["exit_code"],
        3,
        "{error:?}"
    );
    assert_eq!(said(&house, "p_exit", json!({ "code": 4 })).await, "");
}

#[tokio::test]
async fn what_a_program_of_0_3_prints_and_takes_has_its_bounds() {
    let house = program("limits = { deadline = \"2s\", output = \"1MiB\" }");
    let end = house.call("p_flood", json!({})).await;
    assert_eq!(code(&end), Code::OutputTooLarge, "{end:?}");
    let began = Instant::now();
    house
        .ends_with("p_sleep", json!({}), Code::DeadlineExceeded)
        .await;
    assert!(began.elapsed() < Duration::from_secs(30));
    let house = program("limits = { fuel = 1_000_000 }");
    house.ends_with("p_spin", json!({}), Code::OutOfFuel).await;
    house
        .still_serves("everything_echo", json!({ "text": "here" }))
        .await;
}
