//! `call`: one function, called as an agent would.

use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::start::Opened;
use super::table::{Table, grouped, numbers, red, short, size, table};
use super::{Setting, out};
use crate::call::Request;
use crate::gate::denial;
use crate::terms::{Bill, Content, Door, Fault, Outcome, ToolError, json};

pub(super) async fn call(
    setting: &Setting,
    function: &str,
    arguments: &str,
    bill: bool,
    caller: &str,
) -> anyhow::Result<ExitCode> {
    if let Some(name) = json::named_twice(arguments.as_bytes()) {
        bail!("an object in the arguments has the name {name:?} twice; say it once");
    }
    let arguments = match serde_json::from_str(arguments).context("the arguments are not JSON")? {
        Value::Object(arguments) => arguments,
        _ => bail!(
            "the arguments must be a JSON object, like '{{\"url\": \"https://example.org\"}}'"
        ),
    };
    let (tool, name) = function.split_once('.').with_context(|| {
        format!("`{function}` names no function; write tool.function, see `toolhost list`")
    })?;
    let host = Opened::read(setting)?.host().await?;
    let caller = host.snapshot().callers.named(caller).with_context(|| {
        format!("the manifest has no [caller.{caller}]; choose one with --caller")
    })?;
    let request = Request {
        caller,
        door: Door::Cli,
        function: format!("{tool}_{name}"),
        arguments,
        progress: None,
    };
    let (released, used) = host.call_with_bill(request).await;
    host.stop().await?;
    let outcome = released.map(|release| release.into_outcome());
    if setting.json {
        print_json(&outcome, used)?;
    } else {
        print_for_people(&outcome)?;
        if bill {
            tell!("{}", bill_table(&used));
        }
    }
    Ok(if matches!(outcome, Ok(Outcome::Output(_))) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn print_json(outcome: &Result<Outcome, Fault>, bill: Bill) -> anyhow::Result<()> {
    let value = match outcome {
        Ok(Outcome::Output(output)) => json!({
            "outcome": "ok",
            "structured": output.structured,
            "contents": output.contents.iter().map(content_json).collect::<Vec<_>>(),
            "denied": output.denied,
        }),
        Ok(Outcome::Error(error)) => json!({
            "outcome": "tool-error",
            "code": error.code,
            "message": error.message,
            "retry_after": error.retry_after,
            "data": error.data,
            "denied": error.denied,
        }),
        Err(fault) => json!({
            "outcome": "fault",
            "code": fault.code,
            "blame": fault.blame(),
            "message": fault.say,
            "detail": fault.detail,
            "retry_after": fault.retry_after,
        }),
    };
    let mut value = value;
    value["bill"] = serde_json::to_value(bill)?;
    out::json(&value)?;
    Ok(())
}

fn content_json(content: &Content) -> Value {
    use base64::Engine as _;
    match content {
        Content::Text(text) => json!({ "text": text }),
        Content::Blob(blob) => json!({
            "mime_type": blob.mime_type,
            "uri": blob.uri,
            "base64": base64::engine::general_purpose::STANDARD.encode(&blob.data),
        }),
        Content::Link(link) => json!({ "link": link.uri, "name": link.name }),
    }
}

fn print_for_people(outcome: &Result<Outcome, Fault>) -> anyhow::Result<()> {
    match outcome {
        Ok(Outcome::Output(output)) => {
            if let Some(structured) = &output.structured {
                out::json(structured)?;
            }
            for content in &output.contents {
                match content {
                    Content::Text(text) => say!("{text}"),
                    Content::Blob(blob) => tell!(
                        "({}, {}; --json prints it)",
                        blob.mime_type,
                        size(blob.data.len() as u64)
                    ),
                    Content::Link(link) => say!("{} {}", link.name, link.uri),
                }
            }
        }
        Ok(Outcome::Error(ToolError { code, message, .. })) => {
            tell!("{} {code}: {message}", red("tool error"));
        }
        Err(fault) => {
            tell!("{} {}: {}", red("refused"), fault.code.as_str(), fault.say);
            if let Some(detail) = &fault.detail {
                tell!("  {detail}");
            }
        }
    }
    let denied = match outcome {
        Ok(Outcome::Output(output)) => &output.denied[..],
        Ok(Outcome::Error(error)) => &error.denied[..],
        Err(_) => &[],
    };
    for say in denied {
        tell!("{}", denial(say));
    }
    Ok(())
}

/// A bill as a table of one row.
pub(super) fn bill_table(bill: &Bill) -> Table {
    let mut shown = table(&["fuel", "peak memory", "wall", "requests", "egress"]);
    shown.add_row([
        grouped(bill.fuel),
        size(bill.peak_memory),
        short(bill.wall),
        bill.egress_requests.to_string(),
        size(bill.egress_bytes),
    ]);
    numbers(&mut shown, &[0, 1, 2, 3, 4]);
    shown
}
