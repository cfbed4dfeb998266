//! The powers of one section: a tool's, or a function's over its tool's.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::credential;
use super::diagnostics::{At, Finding, TextDiagnostics};
use super::egress::Egress;
use super::key_reader::{Entry, KeyReader};
use super::name::did_you_mean;
use super::problem::quoted;
use super::secret::{Secrets, is_variable};
use super::spec::Grants;
use super::{config, dir, http, kv};
use crate::grants::EnvGrant;
use crate::grants::{Level, LogGrant};

/// What the sections of all tools share while they are read.
pub(super) struct Site<'t> {
    pub(super) page: &'t TextDiagnostics<'t>,
    pub(super) secrets: &'t Secrets,
    pub(super) egress: &'t Egress,
    pub(super) opened: RefCell<Vec<dir::CanonicalDir>>,
}

/// Powers as far as they could be read.
#[derive(Debug, Clone, Default)]
pub(super) struct GrantSet {
    pub(super) http: http::PartialHttpGrants,
    dir: dir::PartialDirGrants,
    env: BTreeMap<String, EnvGrant>,
    kv: kv::PartialKvGrants,
    config: config::PartialConfigGrants,
    log: Option<LogGrant>,
}

/// The powers a section grants, over those it inherits. `owner` is whose section it is: `tool` or
/// `tool.function`.
pub(super) fn read(
    table: &mut KeyReader<'_>,
    site: &Site<'_>,
    owner: &str,
    inherited: &GrantSet,
) -> GrantSet {
    GrantSet {
        http: http::read(table.entries("http"), site, &inherited.http),
        dir: dir::read(table.entries("dir"), &inherited.dir, &site.opened),
        env: env(table.entries("env"), &inherited.env),
        kv: kv::read(table.entries("kv"), owner, &inherited.kv),
        config: config::read(table.entries("config"), &inherited.config),
        log: match table.take("log") {
            Some(entry) => log(&entry),
            None => inherited.log,
        },
    }
}

impl GrantSet {
    /// The powers as every other room knows them.
    pub(super) fn grants(&self) -> Grants {
        Grants {
            http: http::grants(&self.http),
            dir: dir::grants(&self.dir),
            env: self.env.values().cloned().collect(),
            kv: kv::grants(&self.kv),
            config: config::grants(&self.config),
            log: self.log,
            // A program's use is the function's, not the section's.
            command: None,
        }
    }
}

fn env(rows: Vec<Entry<'_>>, inherited: &BTreeMap<String, EnvGrant>) -> BTreeMap<String, EnvGrant> {
    let mut env = inherited.clone();
    for row in rows {
        let Some(text) = row.text() else { continue };
        match variable(&row, &text, inherited) {
            Ok(grant) => {
                env.insert(grant.name.clone(), grant);
            }
            Err(finding) => row.page.report(finding),
        }
    }
    env
}

fn variable(
    row: &Entry<'_>,
    text: &At<&str>,
    inherited: &BTreeMap<String, EnvGrant>,
) -> Result<EnvGrant, Finding> {
    let At { value: name, span } = &row.key;
    if !is_variable(name) {
        let message = format!("{} is no name of a variable", quoted(name));
        return Err(Finding::at(span, message).hint("letters, digits and `_`, no digit first"));
    }
    if let Some(known) = inherited.get(*name) {
        let message = format!(
            "the tool already sets {}, on line {}",
            quoted(name),
            known.line
        );
        return Err(Finding::at(span, message).hint("set it in each function's section instead"));
    }
    if text.value.contains('\0') {
        let message = "a variable's value has no NUL character";
        return Err(Finding::at(&text.span, message));
    }
    if credential::is_like(text.value) {
        let message = format!("the value of {} looks like a credential", quoted(name));
        return Err(Finding::at(span, message)
            .hint("a tool never holds one: write a `[secret.<name>]` section and use it in the `auth` \
                 of a grant")
            .masked());
    }
    Ok(EnvGrant {
        line: row.page.line(span),
        name: (*name).to_owned(),
        value: text.value.to_owned(),
    })
}

fn log(entry: &Entry<'_>) -> Option<LogGrant> {
    const LEVELS: [(&str, Level); 6] = [
        ("trace", Level::Trace),
        ("debug", Level::Debug),
        ("info", Level::Info),
        ("warn", Level::Warn),
        ("error", Level::Error),
        ("critical", Level::Critical),
    ];
    let text = entry.text()?;
    if let Some((_, level)) = LEVELS.into_iter().find(|(name, _)| *name == text.value) {
        return Some(LogGrant {
            line: entry.page.line(&entry.key.span),
            level,
        });
    }
    let names = LEVELS.map(|(name, _)| name);
    let near = match text.value {
        "warning" => Some("did you mean `warn`?".to_owned()),
        other => did_you_mean(other, names),
    };
    let hint = near.unwrap_or_else(|| format!("one of {}", names.join(", ")));
    let message = format!("unknown level {}", quoted(text.value));
    entry
        .page
        .report(Finding::at(&text.span, message).hint(hint));
    None
}
