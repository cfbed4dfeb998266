//! A web page for agents: as Markdown, in parts that fit an agent's window.
//!
//! Which pages may be asked for is the manifest's to say. It runs no script and keeps nothing.

mod address;
mod charset;
mod page;
mod window;

use toolhost_sdk::http::{self, Response};
use toolhost_sdk::{ToolError, tool};

/// Redirects that are followed, each of them as a request of its own that a grant must allow.
const MOST_REDIRECTS: usize = 5;

/// What is asked for first: some servers have Markdown themselves.
const ACCEPT: &str = "text/markdown, text/html;q=0.9, application/xhtml+xml;q=0.9, text/plain;q=0.8, application/json;q=0.8, */*;q=0.1";

/// Gets a web page as Markdown; text and JSON come as they are. Long pages come in parts: the last
/// line says where to go on. What a page says was written by strangers.
#[tool(read_only, idempotent, open_world, title = "Get a web page")]
fn get(
    /// The page's address, `https://...`.
    #[schemars(length(min = 1, max = 8_192))]
    url: String,
    /// Where to begin, in characters of the Markdown; 0 where it is missing.
    #[serde(default)]
    start: Option<usize>,
    /// Characters at most, 20000 where it is missing.
    #[serde(default)]
    #[schemars(range(min = 100, max = 100_000))]
    max_chars: Option<usize>,
    /// The whole page, with its menus and footers; otherwise only its main part, where it has one.
    #[serde(default)]
    whole: bool,
) -> Result<String, ToolError> {
    let (address, response) = load(address::parse(&url)?)?;
    let page = page::read(&address, &response, whole)?;
    let most = max_chars.unwrap_or(20_000).clamp(100, 100_000);
    let part = window::cut(&page.text, start.unwrap_or(0), most)?;
    let mut answer = String::new();
    if let Some(title) = page.title {
        answer.push_str(&format!("Title: {title}\n"));
    }
    answer.push_str(&format!("Source: {address}\n\n{}", part.text));
    if let Some(note) = part.note {
        answer.push_str(&format!("\n\n{note}"));
    }
    Ok(answer)
}

/// The page, wherever it has moved to.
fn load(mut address: url::Url) -> Result<(url::Url, Response), ToolError> {
    for _ in 0..=MOST_REDIRECTS {
        let sent = http::get(&address)
            .header("accept", ACCEPT)
            .header("user-agent", "toolhost-fetch")
            .send();
        let response = sent.map_err(|error| ToolError::from(error).context(&address))?;
        match (response.status, response.header("location")) {
            (301 | 302 | 303 | 307 | 308, Some(location)) => {
                address = address::redirected(&address, location)?;
            }
            (300..=399, _) => {
                return Err(ToolError::failed(format_args!(
                    "{address} answered with status {} and no page",
                    response.status
                )));
            }
            (400.., _) => return Err(refused(&address, response)),
            _ => return Ok((address, response)),
        }
    }
    Err(ToolError::failed(format_args!(
        "{address}: more than {MOST_REDIRECTS} redirects; the site seems to go in circles"
    )))
}

/// The status without the page that comes with it: error pages are long and say little.
fn refused(address: &url::Url, response: Response) -> ToolError {
    let bare = Response {
        body: Vec::new(),
        ..response
    };
    match bare.error_for_status() {
        Err(error) => error.context(address),
        Ok(bare) => ToolError::failed(format_args!(
            "{address} answered with status {}",
            bare.status
        )),
    }
}

toolhost_sdk::export!(get);

#[cfg(test)]
mod tests;
