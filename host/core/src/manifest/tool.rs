//! `[tool.*]` and its function sections: components and their powers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::command;
use super::diagnostics::{Finding, TextDiagnostics};
use super::grants::{self, GrantSet, Site};
use super::http;
use super::key_reader::{Entry, KeyReader};
use super::limits::{self, Scope};
use super::name::Kind;
use super::path;
use super::problem::quoted;
use super::spec::{FunctionSpec, ToolSpec};
use crate::terms::{Limits, Wasi};

/// Where a tool's own section says how many of its calls run at once.
pub(super) type Concurrency = super::diagnostics::At<u32>;

/// Reads one tool's section; what is missing in it is reported.
pub(super) fn read(
    section: &Entry<'_>,
    site: &Site<'_>,
    defaults: Limits,
) -> Option<(ToolSpec, Option<Concurrency>)> {
    let name = Kind::Tool.read(section.page, &section.key);
    let mut table = section.table()?;
    let line = table.line();
    let component = component(&mut table);
    let wasi = wasi(&mut table);
    let set = limits::read(table.table("limits"), defaults, Scope::Tool);
    let grant_set = grants::read(&mut table, site, &name, &GrantSet::default());
    let sections = functions(&mut table, site, &name, set.limits, &grant_set);
    let uses = command::read(table.entries("command"));
    table.finish();
    let extensions = sections.values().map(|(_, grant_set)| &grant_set.http);
    http::report_silent(site.page, &grant_set.http, extensions.clone());
    http::report_unfollowed(site.page, &grant_set.http, extensions);
    let all = FunctionSpec {
        line,
        limits: set.limits,
        grants: grant_set.grants(),
    };
    let mut functions: BTreeMap<Arc<str>, FunctionSpec> = sections
        .into_iter()
        .map(|(name, (spec, _))| (name, spec))
        .collect();
    for (name, how) in &uses {
        let function = functions.entry(name.clone()).or_insert_with(|| all.clone());
        function.grants.command = Some(how.grant.clone());
    }
    let functions = functions.into_iter();
    let spec = ToolSpec {
        name,
        line,
        component,
        wasi,
        all: Arc::new(all),
        functions: functions
            .map(|(name, spec)| (name, Arc::new(spec)))
            .collect(),
        uses,
    };
    Some((spec, set.concurrency))
}

fn component(table: &mut KeyReader<'_>) -> PathBuf {
    let entry = table.take("component");
    if entry.is_none() {
        table.missing(
            "component",
            "write for example `component = \"tools/notes.wasm\"`",
        );
    }
    let text = entry.and_then(|entry| entry.text());
    let path = text.and_then(|text| path::host(table.page, &text));
    path.unwrap_or_default()
}

/// Which generation of WASI the component is run with. Whether it needs it is known when it is read.
fn wasi(table: &mut KeyReader<'_>) -> Wasi {
    let Some(text) = table.text("wasi") else {
        return Wasi::default();
    };
    Wasi::named(text.value).unwrap_or_else(|| {
        let message = format!("unknown generation of WASI {}", quoted(text.value));
        let finding = Finding::at(&text.span, message);
        table.page.report(
            finding.hint("write `\"0.2\"`, which is what a tool gets without it, or `\"0.3\"`"),
        );
        Wasi::default()
    })
}

fn functions(
    table: &mut KeyReader<'_>,
    site: &Site<'_>,
    tool: &str,
    limits: Limits,
    inherited: &GrantSet,
) -> BTreeMap<Arc<str>, (FunctionSpec, GrantSet)> {
    let mut functions = BTreeMap::new();
    for section in table.entries("function") {
        let name = Kind::Function.read(section.page, &section.key);
        let Some(table) = section.table() else {
            continue;
        };
        if table.is_empty() {
            report_inert(section.page, &section);
            continue;
        }
        let owner = format!("{tool}.{name}");
        functions.insert(name, function(table, site, &owner, limits, inherited));
    }
    functions
}

fn function(
    mut table: KeyReader<'_>,
    site: &Site<'_>,
    owner: &str,
    limits: Limits,
    inherited: &GrantSet,
) -> (FunctionSpec, GrantSet) {
    let limits = limits::read(table.table("limits"), limits, Scope::Function).limits;
    let grant_set = grants::read(&mut table, site, owner, inherited);
    http::report_silent(site.page, &grant_set.http, std::iter::empty());
    // What the tool's grant says is judged with all its functions.
    http::report_unfollowed(
        site.page,
        &http::own(&grant_set.http, &inherited.http),
        std::iter::empty(),
    );
    let spec = FunctionSpec {
        line: table.line(),
        limits,
        grants: grant_set.grants(),
    };
    table.finish();
    (spec, grant_set)
}

fn report_inert(page: &TextDiagnostics<'_>, section: &Entry<'_>) {
    let message = format!(
        "the section of {} has no effect: it says nothing",
        section.label()
    );
    page.report(
        Finding::at(&section.span, message).hint("write its limits or grants, or delete it"),
    );
}
