//! What the operator wrote, checked. Text in, values or problems out; no file is opened here.
//!
//! Everything wrong is found in one run and each wrong thing is one problem: a reader reports what
//! it sees on the [`diagnostics::TextDiagnostics`] and goes on with a stand-in, and nothing leaves [`parse`] if there
//! is any report.

mod auth;
mod caller;
mod command;
mod config;
mod content;
mod credential;
mod diagnostics;
mod dir;
mod egress;
mod grants;
mod host;
mod http;
mod key_reader;
mod kv;
mod limits;
mod name;
mod network;
mod origin;
mod own_files;
mod path;
mod pattern;
mod problem;
mod rule;
mod secret;
mod spec;
#[cfg(test)]
mod tests;
mod tool;
mod units;

pub use name::nearest;
pub use problem::{Problem, Problems};
pub use spec::*;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use toml::de::DeTable;

use crate::terms::Limits;
use diagnostics::{Finding, TextDiagnostics};
use grants::Site;
use key_reader::KeyReader;
use limits::Scope;
use problem::quoted;

/// The only version of the manifest there is.
const SCHEMA: &str = "1";

/// The most that is read, in bytes. A thousand tools fit.
pub const LONGEST: usize = 1 << 20;

/// Reads a manifest.
///
/// `file_name` is what problems call it. Paths are taken as they are written.
///
/// # Errors
///
/// Everything that is wrong with the text, in its order.
pub fn parse(file_name: &str, text: &str) -> Result<Manifest, Problems> {
    parse_as(Whole::Manifest, file_name, text)
}

/// Reads what a tool asks for, as its author writes it: the part of a manifest with its `[tool.*]`
/// and the secrets that names. What is the operator's alone is an unknown key in it.
///
/// # Errors
///
/// Everything that is wrong with the text, in its order.
pub fn parse_part(file_name: &str, text: &str) -> Result<Manifest, Problems> {
    parse_as(Whole::Part, file_name, text)
}

/// Whether a tool may be called this: 1 to 32 of `a-z`, `0-9` and `_`, a letter first.
#[must_use]
pub fn is_tool_name(name: &str) -> bool {
    name::Kind::Tool.allows(name)
}

/// What a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whole {
    /// All that an operator wrote.
    Manifest,
    /// What an author wrote for one.
    Part,
}

fn parse_as(whole: Whole, file_name: &str, text: &str) -> Result<Manifest, Problems> {
    let page = TextDiagnostics::new(text);
    if text.len() > LONGEST {
        let message = format!(
            "the manifest has {} bytes, at most {LONGEST} are read",
            text.len()
        );
        page.report(Finding::at(&(0..0), message));
        return page.close(file_name, stand_in());
    }
    // The parser bounds how deep it goes (80 levels), so nesting ends in an error, not a crash.
    let (root, errors) = DeTable::parse_recoverable(text);
    let manifest = read(whole, KeyReader::new(&page, 0..0, root.get_ref()));
    report_syntax(&page, &errors);
    page.close(file_name, manifest)
}

fn read(whole: Whole, mut root: KeyReader<'_>) -> Manifest {
    let page = root.page;
    if whole == Whole::Manifest && !is_known(&mut root) {
        // What another version means by the rest is not known.
        return stand_in();
    }
    let mut operators = |key| match whole {
        Whole::Manifest => root.table(key),
        Whole::Part => None,
    };
    let (host, egress) = host::read(operators("host"));
    let limits = operators("limits");
    let defaults = limits::read(limits, Limits::DEFAULT, Scope::Tool);
    let secrets = secret::read(root.entries("secret"));
    let callers = match whole {
        Whole::Manifest => root.entries("caller"),
        Whole::Part => Vec::new(),
    };
    let sections = root.entries("tool");
    root.finish();

    let site = Site {
        page,
        secrets: &secrets,
        egress: &egress,
        opened: RefCell::default(),
    };
    let read = |section| tool::read(section, &site, defaults.limits);
    let (tools, own): (Vec<_>, Vec<_>) = sections.iter().filter_map(read).unzip();
    let tools: Vec<Arc<ToolSpec>> = tools.into_iter().map(Arc::new).collect();
    let names = sections.iter().map(|section| section.key.value).collect();
    let callers = caller::read(callers, &names, host.concurrency);

    for written in defaults.concurrency.iter().chain(own.iter().flatten()) {
        report_unreached(page, written, host.concurrency);
    }
    let opened = site.opened.take();
    own_files::report_exposed(page, &opened, &host, &secrets, &tools);
    own_files::report_within(page, &opened);
    secrets.report_unused(page);
    egress.report_idle(page);
    Manifest {
        host,
        secrets: secrets.into_specs(),
        callers,
        tools,
    }
}

/// Whether the manifest says that it is of the version known here.
fn is_known(root: &mut KeyReader<'_>) -> bool {
    let Some(entry) = root.take("schema") else {
        root.missing("schema", "write `schema = 1` as the first line");
        return true;
    };
    match entry.value().as_integer() {
        Some(number) if number.as_str() == SCHEMA => true,
        Some(number) => {
            let message = format!("schema {} is not known", quoted(number.as_str()));
            let finding = Finding::at(&entry.span, message);
            root.page
                .report(finding.hint("this version of toolhost reads `schema = 1`"));
            false
        }
        None => entry.not::<()>("the integer 1").is_some(),
    }
}

fn report_unreached(page: &TextDiagnostics<'_>, written: &tool::Concurrency, host: u32) {
    if written.value > host {
        let message = format!("{} calls of one tool can never run at once", written.value);
        let hint = format!("`concurrency` of `[host]` is {host}, over all tools");
        page.report(Finding::at(&written.span, message).hint(hint));
    }
}

/// Reports what the parser found, which makes what follows it doubtful. A key given twice does not.
fn report_syntax(page: &TextDiagnostics<'_>, errors: &[toml::de::Error]) {
    let place = |error: &toml::de::Error| error.span().unwrap_or(0..0);
    let (twice, broken): (Vec<_>, Vec<_>) = errors
        .iter()
        .partition(|error| error.message() == "duplicate key");
    if let Some(first) = broken.iter().map(|error| place(error).start).min() {
        page.doubt_from(first);
    }
    for error in broken {
        let finding = Finding::at(&place(error), error.message());
        page.report(unless_secret(page, finding, &place(error)));
    }
    let headers = page.headers();
    let section = |line: u32| {
        let before = headers.partition_point(|header| *header <= line);
        headers.get(before.checked_sub(1)?).copied()
    };
    let mut sections = BTreeSet::new();
    for span in twice.into_iter().map(place) {
        let line = page.line(&span);
        let header = headers.binary_search(&line).is_ok();
        if header {
            sections.insert(line);
        } else if section(line).is_some_and(|header| sections.contains(&header)) {
            // All of a section that is there twice is there twice.
            continue;
        }
        let what = if header { "section" } else { "key" };
        let message = format!("the {what} {} is there twice", quoted(page.quote(&span)));
        let finding = Finding::at(&span, message).hint("keep one of the two");
        page.report(unless_secret(page, finding, &span));
    }
}

/// The finding, without the value on its line where that is meant to be a credential.
fn unless_secret(
    page: &TextDiagnostics<'_>,
    finding: Finding,
    span: &diagnostics::Span,
) -> Finding {
    let line = page.line_of(span);
    let key = line
        .value
        .split_once('=')
        .map_or("", |(key, _)| key)
        .trim_end();
    if credential::is_meant_by(key.trim_start()) {
        let start = line.span.start;
        return finding.moved(start..start + key.len()).masked();
    }
    finding
}

/// What is carried along where a problem keeps it from being used.
fn stand_in() -> Manifest {
    Manifest {
        host: host::read(None).0,
        secrets: Default::default(),
        callers: Vec::new(),
        tools: Vec::new(),
    }
}
