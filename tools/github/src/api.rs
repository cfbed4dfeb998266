//! Talking to GitHub's REST API: addresses, headers, what its refusals mean. It does not know
//! issues or files.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toolhost_sdk::http::{self, Request, Response};
use toolhost_sdk::{Code, ToolError};

/// Where the API is when the manifest says nothing (`env.GITHUB_API`).
const DEFAULT_URL: &str = "https://api.github.com";

/// The REST API's version that the types here were written for.
const VERSION: &str = "2022-11-28";

/// The address of a path below the API's root.
pub(crate) fn url(path: &str) -> String {
    let base = std::env::var("GITHUB_API").unwrap_or_else(|_| DEFAULT_URL.to_owned());
    format!("{}{path}", base.trim_end_matches('/'))
}

/// Sends a request and reads its answer.
pub(crate) fn ask<T: DeserializeOwned>(request: Request) -> Result<T, ToolError> {
    let response = request
        .header("accept", "application/vnd.github+json")
        .header("x-github-api-version", VERSION)
        .header("user-agent", "toolhost-github")
        .send()?;
    match response.status {
        200..=299 => response.json(),
        _ => Err(refused(&response)),
    }
}

/// What GitHub puts into the body of an error.
#[derive(Default, Deserialize)]
struct Complaint {
    #[serde(default)]
    message: String,
}

fn refused(response: &Response) -> ToolError {
    let said: Complaint = complaint_of(&response.body);
    let said = said.message.trim();
    let (code, message) = match response.status {
        301 | 302 | 307 | 308 => (
            Code::NotFound,
            "the repository has moved; search for its new name".to_owned(),
        ),
        _ if is_limit(response, said) => (
            Code::RateLimited,
            "GitHub's rate limit is used up; wait as long as retry-after says".to_owned(),
        ),
        401 => (
            Code::Denied,
            "GitHub refuses the host's credential; an operator has to renew it".to_owned(),
        ),
        403 => (Code::Denied, format!("GitHub does not allow this: {said}")),
        404 => (
            Code::NotFound,
            "GitHub has nothing there, or does not show it to this host".to_owned(),
        ),
        410 => (Code::NotFound, format!("it is gone: {said}")),
        422 => (
            Code::InvalidArguments,
            format!("GitHub cannot work with these arguments: {said}"),
        ),
        500.. => (
            Code::Unavailable,
            format!(
                "GitHub failed with status {}; try again later",
                response.status
            ),
        ),
        status => (
            Code::Failed,
            format!("GitHub answered with status {status}: {said}"),
        ),
    };
    let mut error = ToolError::new(code, message);
    if code == Code::RateLimited {
        error.retry_after = Some(wait(response));
    }
    error
}

fn complaint_of(body: &[u8]) -> Complaint {
    toolhost_sdk::serde_json::from_slice(body).unwrap_or_default()
}

/// GitHub says "too often" with 429, or with 403 and a used-up budget or a word in the message.
/// Source: "Rate limits for the REST API" in its documentation.
fn is_limit(response: &Response, said: &str) -> bool {
    let used_up = response.header("x-ratelimit-remaining") == Some("0");
    response.status == 429
        || (response.status == 403 && (used_up || said.to_lowercase().contains("rate limit")))
}

/// Seconds to wait: said plainly, or until the budget's reset, or the minute that GitHub's
/// documentation asks for where it says nothing.
fn wait(response: &Response) -> u32 {
    let until_reset = || {
        let reset: u64 = response.header("x-ratelimit-reset")?.parse().ok()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        u32::try_from(reset.saturating_sub(now)).ok()
    };
    response
        .retry_after()
        .or_else(until_reset)
        .unwrap_or(60)
        .max(1)
}

/// `owner/name`, checked, as it stands in a path.
pub(crate) fn repository(repo: &str) -> Result<String, ToolError> {
    let part = |text: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        (1..=100).contains(&text.len()) && text.chars().all(allowed) && text != "." && text != ".."
    };
    match repo.trim().split_once('/') {
        Some((owner, name)) if part(owner) && part(name) => Ok(format!("{owner}/{name}")),
        _ => Err(ToolError::invalid_arguments(format_args!(
            "repo: {repo:?} is no repository; write it as `owner/name`"
        ))),
    }
}

/// Text for an agent's window: at most this many characters, and whether something is missing.
pub(crate) fn cut(text: &str, most: usize) -> (String, bool) {
    match text.char_indices().nth(most) {
        Some((end, _)) => (text.get(..end).unwrap_or(text).to_owned(), true),
        None => (text.to_owned(), false),
    }
}

/// A request for a path.
pub(crate) fn get(path: &str) -> Request {
    http::get(url(path))
}
