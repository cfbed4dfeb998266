//! The fixtures that MCP's conformance suite expects of a server under test, as far as they are
//! tools. In the manifest this component is called `test`: agents see `test_simple_text`.

use std::thread::sleep;
use std::time::Duration;

use toolhost_sdk::{Output, Resource, ToolError, config, kv, log, progress, tool};

/// One pixel.
const PIXEL: &[u8] = include_bytes!("pixel.png");

/// One sample of silence.
const SILENCE: &[u8] = include_bytes!("silence.wav");

/// The suite wants about this long between two notifications.
const PAUSE: Duration = Duration::from_millis(50);

/// Tests simple text content response
#[tool(read_only)]
fn simple_text() -> &'static str {
    "This is a simple text response for testing."
}

/// Tests image content response
#[tool(read_only)]
fn image_content() -> Output {
    Output::new().blob("image/png", PIXEL)
}

/// Tests audio content response
#[tool(read_only)]
fn audio_content() -> Output {
    Output::new().blob("audio/wav", SILENCE)
}

/// Tests embedded resource content response
#[tool(read_only)]
fn embedded_resource() -> Output {
    Output::new().resource(resource(
        "test://embedded-resource",
        "text/plain",
        "This is an embedded resource content.",
    ))
}

/// Tests response with multiple content types (text, image, resource)
#[tool(read_only)]
fn multiple_content_types() -> Output {
    Output::new()
        .text("Multiple content types test:")
        .blob("image/png", PIXEL)
        .resource(resource(
            "test://mixed-content-resource",
            "application/json",
            r#"{"test":"data","value":123}"#,
        ))
}

/// Tests error response handling
#[tool(read_only)]
fn error_handling() -> Result<String, ToolError> {
    Err(ToolError::failed(
        "This tool intentionally returns an error for testing",
    ))
}

/// Tests tool that reports progress notifications
#[tool(read_only)]
fn tool_with_progress() -> &'static str {
    for done in [0.0, 50.0] {
        report(done);
        sleep(PAUSE);
    }
    report(100.0);
    "Progress reported three times."
}

fn report(done: f64) {
    let message = format!("Completed step {done} of 100");
    progress::report(done, Some(100.0), Some(&message));
}

/// Says something to the operator's log only: an agent that asked for no log must get none
#[tool(read_only)]
fn logging_tool() -> &'static str {
    log::info("logging_tool was called");
    "Nothing was logged to the agent."
}

/// Answers at once: this host asks agents nothing while a call runs
#[tool(read_only)]
fn streaming_elicitation() -> &'static str {
    "No question was asked."
}

/// Tests tool that emits log messages during execution
#[tool(read_only)]
fn tool_with_logging() -> &'static str {
    log::info("Tool execution started");
    sleep(PAUSE);
    log::info("Tool processing data");
    sleep(PAUSE);
    log::info("Tool execution completed");
    "Tool with logging executed successfully"
}

/// Adds two whole numbers.
#[tool(read_only, idempotent)]
fn add(
    /// The first number.
    a: i64,
    /// The second number.
    b: i64,
) -> Result<Sum, ToolError> {
    let overflow =
        || ToolError::invalid_arguments("a + b does not fit 64 bits; use smaller numbers");
    Ok(Sum {
        sum: a.checked_add(b).ok_or_else(overflow)?,
    })
}

/// A sum.
#[derive(Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
struct Sum {
    /// a + b.
    sum: i64,
}

/// Counts how often a name was greeted, in the bucket `greeted`; the greeting is configured.
#[tool(destructive = false)]
fn greet(
    /// Whom to greet.
    name: String,
) -> Result<Greeting, ToolError> {
    let greeting = config::get("greeting").unwrap_or_else(|| "Hello".to_owned());
    Ok(Greeting {
        times: kv::open("greeted")?.increment(&name, 1)?,
        text: format!("{greeting}, {name}!"),
    })
}

/// A greeting.
#[derive(Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
struct Greeting {
    /// The words.
    text: String,
    /// How often it was said by now.
    times: i64,
}

/// Gives back what it gets.
#[tool(read_only, idempotent)]
fn echo(
    /// What to give back.
    text: String,
) -> Echo {
    Echo { text }
}

/// What came in.
#[derive(Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
struct Echo {
    /// What came in.
    text: String,
}

fn resource(uri: &str, mime_type: &str, text: &str) -> Resource {
    Resource {
        mime_type: mime_type.to_owned(),
        data: text.into(),
        uri: Some(uri.to_owned()),
    }
}

toolhost_sdk::export!(
    simple_text,
    image_content,
    audio_content,
    embedded_resource,
    multiple_content_types,
    error_handling,
    tool_with_progress,
    tool_with_logging,
    logging_tool,
    streaming_elicitation,
    add,
    echo,
    greet,
);

#[cfg(test)]
mod tests {
    use super::*;
    use toolhost_sdk::Function;

    #[test]
    fn sums_are_exact_or_refused() {
        assert_eq!(add(2, 3), Ok(Sum { sum: 5 }));
        assert!(add(i64::MAX, 1).is_err());
    }

    #[test]
    fn greetings_are_counted() {
        let greet = || greet("Ada".to_owned()).map(|said| (said.text, said.times));
        assert!(greet().is_err(), "there is no bucket");
        let twice = kv::with_buckets(["greeted"], || {
            assert_eq!(greet(), Ok(("Hello, Ada!".to_owned(), 1)));
            config::with_values([("greeting", "Hi")], greet)
        });
        assert_eq!(twice, Ok(("Hi, Ada!".to_owned(), 2)));
    }

    #[test]
    fn progress_grows_to_the_total() {
        tool_with_progress();
        let done: Vec<f64> = progress::recorded()
            .iter()
            .map(|report| report.done)
            .collect();
        assert_eq!(done, [0.0, 50.0, 100.0]);
    }

    #[test]
    fn arguments_come_as_json_and_unknown_ones_are_refused() {
        let answer = <echo as Function>::call(r#"{"text":"a"}"#);
        let structured = answer.map(|output| output.structured);
        assert_eq!(structured, Ok(Some(r#"{"text":"a"}"#.to_owned())));
        assert!(<echo as Function>::call(r#"{"text":"a","more":1}"#).is_err());
    }
}
