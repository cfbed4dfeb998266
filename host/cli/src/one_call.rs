//! `call`: one function, called as an agent would, here or by the host that runs on the state folder.

use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::Value;

use super::owner::Claim;
use super::start::HostConfig;
use super::table::{Table, grouped, numbers, red, short, size, table};
use super::{Setting, out};
use crate::gate::{Operator, denial};
use crate::terms::{Bill, Door, json};
use toolhost_doors::{AnswerPiece, CallAnswer, CallRequest, perform};
use toolhost_ledger::state::Role;

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
    let asked = CallRequest {
        caller: caller.to_owned(),
        tool: tool.to_owned(),
        function: name.to_owned(),
        arguments,
    };
    let answer = made(&HostConfig::read(setting)?, asked).await?;
    if setting.json {
        out::json(&serde_json::to_value(&answer)?)?;
    } else {
        print_for_people(&answer)?;
        if bill {
            tell!("{}", bill_table(answer.bill()));
        }
    }
    Ok(match answer {
        CallAnswer::Ok { .. } => ExitCode::SUCCESS,
        CallAnswer::ToolError { .. } | CallAnswer::Fault { .. } => ExitCode::FAILURE,
    })
}

/// Makes the call here, where nobody owns the state folder; else its owner makes it.
async fn made(config: &HostConfig, asked: CallRequest) -> anyhow::Result<CallAnswer> {
    let state = match config.claim(Role::Call).await? {
        Claim::Mine(state) => state,
        Claim::Theirs(owner) => return owner.call(&asked).await,
    };
    let operator = Operator::of(&state);
    let host = config.host(state).await?;
    let answer = perform(&host, &operator, Door::Cli, asked).await;
    host.stop().await?;
    Ok(answer?)
}

fn print_for_people(answer: &CallAnswer) -> anyhow::Result<()> {
    let denied = match answer {
        CallAnswer::Ok {
            structured,
            contents,
            denied,
            ..
        } => {
            if let Some(structured) = structured {
                out::json(structured)?;
            }
            for piece in contents {
                print_piece(piece);
            }
            &denied[..]
        }
        CallAnswer::ToolError {
            code,
            message,
            denied,
            ..
        } => {
            tell!("{} {code}: {message}", red("tool error"));
            denied
        }
        CallAnswer::Fault {
            code,
            message,
            detail,
            ..
        } => {
            tell!("{} {code}: {message}", red("refused"));
            if let Some(detail) = detail {
                tell!("  {detail}");
            }
            &[]
        }
    };
    for say in denied {
        tell!("{}", denial(say));
    }
    Ok(())
}

fn print_piece(piece: &AnswerPiece) {
    match piece {
        AnswerPiece::Text { text } => say!("{text}"),
        AnswerPiece::Blob {
            mime_type, base64, ..
        } => {
            // Four digits are three bytes, but for what fills up the last of them.
            let bytes =
                base64.len() / 4 * 3 - base64.bytes().filter(|digit| *digit == b'=').count();
            tell!("({mime_type}, {}; --json prints it)", size(bytes as u64));
        }
        AnswerPiece::Link { link, name } => say!("{name} {link}"),
    }
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
