//! Entries of `allow`: a method and a path pattern, in the long form also what query and body may
//! say.

use std::sync::Arc;

use super::content;
use super::diagnostics::{At, Finding, Span, TextDiagnostics};
use super::key_reader::Entry;
use super::name::nearest;
use super::pattern;
use super::problem::quoted;
use crate::egress::Rule;

/// Methods of everyday; others are allowed, but not those that look like a slip of one of these.
const COMMON: [&str; 8] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY",
];

/// A rule and where it stands.
pub(super) type Placed = At<Rule>;

/// Reads the rules of one list; each one that is wrong is reported and left out.
pub(super) fn read(entries: &[Entry<'_>]) -> Vec<Placed> {
    entries.iter().filter_map(entry).collect()
}

fn entry(entry: &Entry<'_>) -> Option<Placed> {
    if entry.value().as_str().is_some() {
        return one(entry.page, &entry.text()?);
    }
    if entry.value().as_table().is_none() {
        return entry.not("a string such as \"GET /orders/*\", or a table with `rule`");
    }
    let mut table = entry.table()?;
    let rule = table.take("rule");
    if rule.is_none() {
        table.missing("rule", "write for example `rule = \"POST /orders\"`");
    }
    let content = content::read(&mut table);
    table.finish();
    let mut placed = one(entry.page, &rule?.text()?)?;
    placed.value.content = Some(Arc::new(content));
    Some(placed)
}

fn one(page: &TextDiagnostics<'_>, text: &At<&str>) -> Option<Placed> {
    let Some((method, path)) = text.value.split_once(' ') else {
        let message = format!("{} is not a method and a path", quoted(text.value));
        page.report(Finding::at(&text.span, message).hint("write for example \"GET /orders/*\""));
        return None;
    };
    let method = method_named(page, &text.span, method);
    let path = path.trim_start_matches(' ');
    if path.contains("://") {
        let finding = Finding::at(&text.span, "a rule has a path, the host stands in `url`");
        page.report(finding.hint("write for example \"GET /orders/*\""));
        return None;
    }
    match pattern::parse(path) {
        Ok(path) => Some(At {
            value: Rule {
                line: page.line(&text.span),
                text: Arc::from(text.value),
                method: method?,
                path,
                content: None,
            },
            span: text.span.clone(),
        }),
        Err(flaw) => {
            page.report(Finding::at(&text.span, flaw.message).hint(flaw.hint));
            None
        }
    }
}

fn method_named(page: &TextDiagnostics<'_>, span: &Span, text: &str) -> Option<http::Method> {
    let capitals = text.to_ascii_uppercase();
    let near = nearest(&capitals, COMMON).filter(|near| *near != text);
    let word = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-');
    let (message, hint) = if matches!(capitals.as_str(), "CONNECT" | "TRACE") {
        (
            format!("the method {} is never sent", quoted(text)),
            "delete the rule".to_owned(),
        )
    } else if text != capitals && COMMON.contains(&capitals.as_str()) {
        (
            format!("the method {} is not in capitals", quoted(text)),
            format!("write `{capitals}`"),
        )
    } else if let (Some(near), true) = (near, word) {
        (
            format!("unknown method {}", quoted(text)),
            format!("did you mean `{near}`?"),
        )
    } else if text == "*" {
        (
            "a rule names its method".to_owned(),
            "write one rule for each method".to_owned(),
        )
    } else if !word {
        (
            format!("{} is no method", quoted(text)),
            "write for example \"GET /orders/*\"".to_owned(),
        )
    } else if text != capitals {
        (
            format!("the method {} is not in capitals", quoted(text)),
            format!("write `{capitals}`"),
        )
    } else {
        return http::Method::from_bytes(text.as_bytes()).ok();
    };
    page.report(Finding::at(span, message).hint(hint));
    None
}

/// Reports each rule from index `fresh` on that an earlier one leaves nothing to.
pub(super) fn report_shadowed(page: &TextDiagnostics<'_>, rules: &[Placed], fresh: usize) {
    for (index, rule) in rules.iter().enumerate().skip(fresh) {
        let same = |earlier: &&Placed| {
            earlier.value.method == rule.value.method && earlier.value.content == rule.value.content
        };
        let wider = |earlier: &&Placed| pattern::covers(&earlier.value.path, &rule.value.path);
        let mut earlier = rules.iter().take(index).filter(same);
        if let Some(earlier) = earlier.find(wider) {
            let message = format!("{} can never decide anything", quoted(&rule.value.text));
            let hint = format!(
                "{} on line {} already allows all of it",
                quoted(&earlier.value.text),
                earlier.value.line
            );
            page.report(Finding::at(&rule.span, message).hint(hint));
        }
    }
}

/// Reports each rule from index `fresh` on that lets through what a closed one refuses, or the other
/// way round: the closed one would look as if it held.
pub(super) fn report_opened(page: &TextDiagnostics<'_>, rules: &[Placed], fresh: usize) {
    for (index, rule) in rules.iter().enumerate().skip(fresh) {
        let closed = |placed: &Placed| placed.value.content.is_some();
        let clash = |earlier: &&Placed| {
            closed(earlier) != closed(rule) && overlap(&earlier.value, &rule.value)
        };
        let Some(earlier) = rules.iter().take(index).find(clash) else {
            continue;
        };
        let (open, shut) = if closed(rule) {
            (earlier, rule)
        } else {
            (rule, earlier)
        };
        let message = format!(
            "what {} on line {} refuses of a request's content, {} on line {} allows",
            quoted(&shut.value.text),
            shut.value.line,
            quoted(&open.value.text),
            open.value.line
        );
        let hint = "keep their paths apart, or write `query` and `body` for both";
        page.report(Finding::at(&rule.span, message).hint(hint));
    }
}

/// Whether some request fits both rules.
pub(super) fn overlap(one: &Rule, other: &Rule) -> bool {
    one.method == other.method && pattern::overlap(&one.path, &other.path)
}
