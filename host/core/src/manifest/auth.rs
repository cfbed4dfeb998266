//! `auth`: how the host proves who asks. Only names of secrets, never values.

use std::sync::Arc;

use super::diagnostics::{At, Finding};
use super::key_reader::{Entry, KeyReader};
use super::problem::quoted;
use super::secret::Secrets;
use crate::egress::{Auth, is_forbidden};

/// Reads the table; exactly one way stands in it.
pub(super) fn read(mut table: KeyReader<'_>, secrets: &Secrets) -> Option<Auth> {
    let page = table.page;
    let ways = ["bearer", "basic", "header", "query"].map(|way| table.take(way));
    let mut given = ways.into_iter().flatten();
    let (first, second) = (given.next(), given.next());
    let auth = match (first, second) {
        (Some(way), None) => way_of(&way, secrets),
        (Some(_), Some(second)) => {
            let message = "a grant proves itself in one way, this is a second";
            let finding = Finding::at(&second.key.span, message);
            secrets.doubt();
            page.report(finding.hint("keep one of `bearer`, `basic`, `header`, `query`"));
            None
        }
        (None, _) => {
            secrets.doubt();
            if table.is_empty() {
                let finding = Finding::at(&table.span, "`auth` says no way");
                page.report(finding.hint("write for example `auth = { bearer = \"<secret>\" }`"));
            }
            None
        }
    };
    table.finish();
    auth
}

fn way_of(way: &Entry<'_>, secrets: &Secrets) -> Option<Auth> {
    if way.key.value == "bearer" {
        return secrets.named(way).map(|secret| Auth::Bearer { secret });
    }
    let mut table = way.table()?;
    let label = if way.key.value == "basic" {
        "user"
    } else {
        "name"
    };
    let name = table.take(label);
    let secret = table.take("secret");
    for (key, entry) in [(label, &name), ("secret", &secret)] {
        if entry.is_none() {
            table.missing(
                key,
                format!(
                    "write `{} = {{ {label} = \"<{label}>\", secret = \"<secret>\" }}`",
                    way.key.value
                ),
            );
        }
    }
    if secret.is_none() {
        secrets.doubt();
    }
    let page = table.page;
    table.finish();
    let secret = secret.and_then(|entry| secrets.named(&entry));
    let name = name?.text()?;
    let auth = match way.key.value {
        "basic" => user(&name).map(|user| (user, secret)).map(basic),
        "header" => header(&name).map(|name| {
            Some(Auth::Header {
                name,
                secret: secret?,
            })
        }),
        _ => parameter(&name).map(|name| {
            Some(Auth::Query {
                name,
                secret: secret?,
            })
        }),
    };
    auth.unwrap_or_else(|finding| {
        page.report(finding);
        None
    })
}

fn basic((user, secret): (String, Option<Arc<str>>)) -> Option<Auth> {
    secret.map(|secret| Auth::Basic { user, secret })
}

fn user(text: &At<&str>) -> Result<String, Finding> {
    if text.value.contains(|c: char| c == ':' || c.is_control()) {
        let message = "a user's name has no `:` and no control characters in basic authentication";
        return Err(Finding::at(&text.span, message));
    }
    Ok(text.value.to_owned())
}

fn header(text: &At<&str>) -> Result<http::HeaderName, Finding> {
    let name = http::HeaderName::from_bytes(text.value.as_bytes()).map_err(|_| {
        let message = format!("{} is no name of a header", quoted(text.value));
        Finding::at(&text.span, message)
    })?;
    // A credential in one of those would be lost, or change how the request is framed or routed.
    if is_forbidden(&name) || name.as_str().starts_with("content-") {
        let message = format!("the header `{name}` is not for credentials");
        return Err(
            Finding::at(&text.span, message).hint("it belongs to the connection or to the host")
        );
    }
    Ok(name)
}

fn parameter(text: &At<&str>) -> Result<String, Finding> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~[]$:@!".contains(&b);
    if text.value.is_empty() || !text.value.bytes().all(plain) {
        let message = format!("{} is no name of a query parameter", quoted(text.value));
        return Err(
            Finding::at(&text.span, message).hint("write it plainly, without `=`, `&` and escapes")
        );
    }
    Ok(text.value.to_owned())
}
