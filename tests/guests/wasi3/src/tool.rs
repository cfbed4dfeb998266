//! The contract: which functions there are, and which one is asked for.

use serde_json::{Value, from_str, json};

use super::bindings::exports::toolhost::tool::tools::{
    Content, Definition, Guest, Hints, Output, ToolError,
};
use super::{files, hoard, questions, waits, web};

pub(crate) struct Tool;

/// Every function takes an object and gives a text.
const FUNCTIONS: [&str; 24] = [
    "get",
    "head",
    "post",
    "crowd",
    "hold_trailers",
    "sleep",
    "sleepers",
    "streams",
    "starve",
    "churn",
    "spin",
    "hog",
    "print",
    "now",
    "env",
    "random",
    "connect",
    "resolve",
    "read",
    "write",
    "list",
    "pipe",
    "ask",
    "hoard",
];

impl Guest for Tool {
    fn definitions() -> Vec<Definition> {
        let definition = |name: &str| Definition {
            name: name.to_owned(),
            title: None,
            description: format!("Does `{name}` by WASI 0.3."),
            input_schema: json!({ "type": "object" }).to_string(),
            output_schema: None,
            hints: Hints {
                read_only: None,
                destructive: None,
                idempotent: None,
                open_world: None,
            },
        };
        FUNCTIONS.into_iter().map(definition).collect()
    }

    async fn call(name: String, arguments: String) -> Result<Output, ToolError> {
        let arguments: Value = from_str(&arguments).map_err(failed)?;
        let text = |key: &str| arguments[key].as_str().unwrap_or_default().to_owned();
        let number = |key: &str| arguments[key].as_u64().unwrap_or_default();
        let said = match name.as_str() {
            "get" => web::get(text("url")).await,
            "head" => web::head(text("url")).await,
            "post" => web::post(text("url"), text("body")).await,
            "crowd" => web::crowd(text("url"), number("n")).await,
            "hold_trailers" => web::hold_trailers(text("url")).await,
            "sleep" => waits::sleep(number("ms")).await,
            "sleepers" => waits::sleepers(number("n"), number("ms")).await,
            "streams" => waits::streams(number("n")),
            "starve" => waits::starve().await,
            "churn" => waits::churn().await,
            "spin" => waits::spin(),
            "hog" => waits::hog(),
            "print" => waits::print(text("text")).await,
            "now" => waits::now(),
            "env" => waits::env(),
            "random" => waits::random(number("n")),
            "connect" => web::connect(number("port")).await,
            "resolve" => web::resolve(text("name")).await,
            "read" => files::read(text("path")).await,
            "write" => files::write(text("path"), text("text")).await,
            "list" => files::list(text("path")).await,
            "pipe" => files::pipe(text("path"), text("to")).await,
            "ask" => questions::ask(number("n"), number("size"), number("ms")).await,
            "hoard" => hoard::hoard(text("way"), number("size"), number("times")).await,
            _ => Err(format!("there is no `{name}`")),
        };
        let text = said.map_err(failed)?;
        Ok(Output {
            structured: None,
            contents: vec![Content::Text(text)],
        })
    }
}

fn failed(why: impl std::fmt::Display) -> ToolError {
    ToolError {
        code: "failed".to_owned(),
        message: why.to_string(),
        retry_after: None,
        data: None,
    }
}
