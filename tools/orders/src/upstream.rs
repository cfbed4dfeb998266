//! Talking to the shop: where it is, what it answers, what its errors mean. It does not know orders.

use serde::Serialize;
use serde_json::{Map, Value};
use toolhost_sdk::http::{self, Request, Response};
use toolhost_sdk::{Code, ToolError};

/// Where the shop is when the manifest says nothing (`env.SHOP_URL`).
const DEFAULT_URL: &str = "http://127.0.0.1:8080";

/// Asks for a path. `wrappers` are the names under which the answer's object may be put.
pub(crate) fn get(path: &str, wrappers: &[&str]) -> Result<Map<String, Value>, ToolError> {
    exchange(http::get(url(path)), wrappers)
}

/// Sends JSON to a path.
pub(crate) fn post(
    path: &str,
    body: &impl Serialize,
    wrappers: &[&str],
) -> Result<Map<String, Value>, ToolError> {
    let answer = exchange(http::post(url(path)).json_body(body), wrappers);
    answer.map_err(|error| match error.code {
        // Whether it was done is not known, so "the same call may work later" would be a trap.
        Code::Unavailable => ToolError {
            code: Code::Failed,
            ..error.context("it is not known whether the shop took the request; look the order up before asking again")
        },
        _ => error,
    })
}

fn url(path: &str) -> String {
    let base = std::env::var("SHOP_URL").unwrap_or_else(|_| DEFAULT_URL.to_owned());
    format!("{}{path}", base.trim_end_matches('/'))
}

fn exchange(request: Request, wrappers: &[&str]) -> Result<Map<String, Value>, ToolError> {
    let response = request.header("accept", "application/json").send()?;
    let body = object(&response);
    if response.status >= 400 {
        let said = body.as_ref().ok().and_then(complaint);
        return Err(refused(response, said));
    }
    let body = body?;
    if let Some(complaint) = complaint(&body) {
        return Err(ToolError::new(
            complaint.code(),
            format_args!("the shop says: {}", complaint.said),
        ));
    }
    Ok(unwrap(body, wrappers))
}

/// The body as a JSON object.
fn object(response: &Response) -> Result<Map<String, Value>, ToolError> {
    let text = response.text();
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.starts_with('<') {
        return Err(ToolError::unavailable(
            "the shop answered with a web page in place of data; that is what it does in maintenance, try again later",
        ));
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        // Lists of one are how the old interface answers some lookups.
        Ok(Value::Array(list)) => match <[Value; 1]>::try_from(list) {
            Ok([Value::Object(object)]) => Ok(object),
            _ => Err(ToolError::failed(
                "the shop answered with a list where one thing was asked for",
            )),
        },
        Ok(_) => Err(ToolError::failed(
            "the shop answered with JSON that is no object",
        )),
        Err(error) if text.is_empty() || error.is_eof() => Err(ToolError::unavailable(
            "the shop's answer is cut off; try again later",
        )),
        Err(error) => Err(ToolError::failed(format_args!(
            "the shop's answer is no JSON: {error}"
        ))),
    }
}

/// An error that stands inside an answer.
struct Complaint {
    said: String,
    /// A code beside it, as text.
    code: String,
}

impl Complaint {
    fn code(&self) -> Code {
        let all = format!("{} {}", self.code, self.said).to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| all.contains(word));
        if says(&[
            "not found",
            "not_found",
            "notfound",
            "unknown",
            "no such",
            "does not exist",
            "404",
        ]) {
            Code::NotFound
        } else if says(&["too many", "rate limit", "429"]) {
            Code::RateLimited
        } else if says(&[
            "timeout",
            "timed out",
            "busy",
            "try again",
            "maintenance",
            "unavailable",
            "503",
        ]) {
            Code::Unavailable
        } else if says(&[
            "forbidden",
            "not allowed",
            "already refunded",
            "denied",
            "403",
        ]) {
            Code::Denied
        } else {
            Code::Failed
        }
    }
}

/// What an answer complains of, whatever its status: `{"error": ...}`, `{"success": false}`, ...
fn complaint(body: &Map<String, Value>) -> Option<Complaint> {
    let words = |value: &Value| match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let beside = |names: &[&str]| names.iter().find_map(|name| words(body.get(*name)?));
    let unsuccessful = ["success", "ok"]
        .iter()
        .any(|name| body.get(*name) == Some(&Value::Bool(false)))
        || body
            .get("status")
            .and_then(Value::as_str)
            .is_some_and(|status| status.eq_ignore_ascii_case("error"));
    let error = body.get("error").or_else(|| body.get("errors"));
    let said = match error {
        Some(Value::Object(error)) => error
            .get("message")
            .or_else(|| error.get("code"))
            .and_then(words),
        Some(Value::Array(errors)) => errors.first().and_then(words),
        Some(Value::Bool(true)) => Some(String::new()),
        Some(value) => words(value),
        None => None,
    };
    if said.is_none() && !unsuccessful {
        return None;
    }
    let code = match error {
        Some(Value::Object(error)) => error.get("code").and_then(words),
        _ => beside(&["code", "error_code"]),
    };
    let said = said
        .filter(|said| !said.is_empty())
        .or_else(|| beside(&["message", "detail", "reason"]));
    Some(Complaint {
        said: said.unwrap_or_else(|| "an error without a word about it".to_owned()),
        code: code.unwrap_or_default(),
    })
}

/// A status that is an error: the shop's own words where it has any, never its web page.
fn refused(response: Response, said: Option<Complaint>) -> ToolError {
    let status = response.status;
    let bare = Response {
        body: Vec::new(),
        ..response
    };
    let mut error = match bare.error_for_status() {
        Err(error) => error,
        Ok(_) => ToolError::failed("the shop refused the request"),
    };
    if status == 400 || status == 422 {
        error.code = Code::InvalidArguments;
    }
    if status == 409 {
        error.code = Code::Denied;
    }
    error.message = match said {
        Some(complaint) => format!(
            "the shop answered with status {status} and says: {}",
            complaint.said
        ),
        None if status >= 500 => format!("the shop failed with status {status}; try again later"),
        None => format!("the shop answered with status {status}"),
    };
    error
}

/// The object itself where it stands under a name of its own.
fn unwrap(mut body: Map<String, Value>, wrappers: &[&str]) -> Map<String, Value> {
    for name in ["data", "result"].iter().chain(wrappers) {
        if let Some(Value::Object(_)) = body.get(*name)
            && let Some(Value::Object(inner)) = body.remove(*name)
        {
            body = inner;
        }
    }
    body
}

/// A name that may stand in a path.
pub(crate) fn identifier<'a>(argument: &str, text: &'a str) -> Result<&'a str, ToolError> {
    let text = text.trim();
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let fits = (1..=64).contains(&text.len())
        && text.chars().all(allowed)
        && text.contains(|c: char| c.is_ascii_alphanumeric());
    if fits {
        Ok(text)
    } else {
        Err(ToolError::invalid_arguments(format_args!(
            "{argument}: {text:?} is no number of the shop; use 1 to 64 letters, digits, `-`, `_` and `.`"
        )))
    }
}

/// Refuses an answer about something else than was asked for.
pub(crate) fn same(what: &str, asked: &str, found: Option<String>) -> Result<String, ToolError> {
    match found {
        Some(found) if !found.eq_ignore_ascii_case(asked) => Err(ToolError::failed(format_args!(
            "the shop answered with {what} {found:?} when asked for {asked:?}; try again, and tell a person if it stays so"
        ))),
        _ => Ok(asked.to_owned()),
    }
}
