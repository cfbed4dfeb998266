//! `url`: the one place a grant reaches.

use super::diagnostics::{At, Finding};
use super::key_reader::Entry;
use super::problem::quoted;
use crate::egress::{Origin, ParsedRequest, RawRequest, RawTarget, TargetError};

/// Reads `http://host:port` or `https://host:port`, by the parser that reads a guest's requests.
///
/// What is written has to be what that parser makes of it, but for capitals, the scheme's own port
/// and one `/` at the end: an operator who reads a grant should not have to know that
/// `http://2130706433` is this machine.
pub(super) fn read(entry: &Entry<'_>) -> Option<Origin> {
    let text = entry.text()?;
    let target = RawTarget::Url(text.value);
    let asked = ParsedRequest::parse(&RawRequest {
        method: "GET",
        target,
    });
    let origin = match asked {
        Ok(asked) => only_origin(entry, &text, asked),
        Err(error) => Err(unreadable(entry, &text, error)),
    };
    origin.map_err(|finding| entry.page.report(finding)).ok()
}

/// Refuses what an origin does not have. What may hold a credential is not shown.
fn only_origin(
    entry: &Entry<'_>,
    text: &At<&str>,
    asked: ParsedRequest,
) -> Result<Origin, Finding> {
    if asked.query.is_some() {
        return Err(
            Finding::at(&entry.key.span, "the URL of a grant has no query")
                .hint(
                    "a grant covers every query; a key in it is written as \
                   `auth = { query = { name = \"<name>\", secret = \"<secret>\" } }`",
                )
                .masked(),
        );
    }
    let path = asked.path.as_str().trim_end_matches('/');
    if !path.is_empty() {
        let hint = format!("write the path into `allow`, for example \"GET {path}/**\"");
        return Err(Finding::at(&text.span, "the URL of a grant has no path").hint(hint));
    }
    let origin = asked.origin;
    let canonical = origin.to_string();
    if plainly(text.value, origin.scheme.default_port()) != canonical {
        let message = format!("{} is read as `{canonical}`", quoted(text.value));
        return Err(
            Finding::at(&text.span, message).hint("if that is the host you mean, write it so")
        );
    }
    Ok(origin)
}

fn unreadable(entry: &Entry<'_>, text: &At<&str>, error: TargetError) -> Finding {
    let finding = Finding::at(&text.span, error.to_string());
    match error {
        TargetError::UserInfo => Finding::at(&entry.key.span, error.to_string())
            .hint("write `auth = { basic = { user = \"<name>\", secret = \"<secret>\" } }`")
            .masked(),
        TargetError::Host if text.value.contains('*') => finding
            .hint("a grant reaches one host, `*` is not possible in it: write one grant for each"),
        _ => finding
            .hint("write for example \"https://api.example.com\" or \"http://10.0.0.7:8080\""),
    }
}

/// What is written, without the differences that mislead nobody.
fn plainly(text: &str, port: u16) -> String {
    let text = text.strip_suffix('/').unwrap_or(text);
    let text = text.strip_suffix(&format!(":{port}")).unwrap_or(text);
    text.to_ascii_lowercase()
}
