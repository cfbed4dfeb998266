//! `[secret.*]`: where secrets are, never what they are; and who names them.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::credential;
use super::name::{Kind, nearest};
use super::page::{Finding, Page, Span};
use super::path;
use super::problem::quoted;
use super::spec::{SecretSource, SecretSpec};
use super::table::{Entry, Table};

/// The secrets there are, and which of them something uses.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    specs: BTreeMap<Arc<str>, SecretSpec>,
    spans: BTreeMap<Arc<str>, Span>,
    used: RefCell<BTreeSet<Arc<str>>>,
    /// Some grant's `auth` could not be read, so what it uses is not known.
    doubtful: Cell<bool>,
}

/// Reads `[secret.*]`.
pub(super) fn read(sections: Vec<Entry<'_>>) -> Secrets {
    let mut secrets = Secrets::default();
    for section in sections {
        let name = Kind::Secret.read(section.page, &section.key);
        secrets
            .spans
            .insert(Arc::clone(&name), section.key.span.clone());
        let Some(table) = section.table() else {
            continue;
        };
        let line = table.line();
        let source = source(table).unwrap_or(SecretSource::Env(String::new()));
        secrets.specs.insert(name, SecretSpec { line, source });
    }
    secrets
}

fn source(mut table: Table<'_>) -> Option<SecretSource> {
    let page = table.page;
    let pasted = table.refuse("value", |entry| {
        Finding::at(
            &entry.key.span,
            "a secret's value does not belong in the manifest",
        )
        .hint(
            "put it into a file and write `file = \"<path>\"`, \
                   or into a variable and write `env = \"<name>\"`",
        )
        .masked()
    });
    let env = table.take("env");
    let file = table.take("file");
    let source = match (env, file) {
        (Some(env), None) => variable(&env),
        (None, Some(file)) => {
            let text = file.text();
            text.and_then(|text| path::host(page, &text))
                .map(SecretSource::File)
        }
        (Some(_), Some(file)) => {
            let message = "a secret comes from `env` or from `file`, not from both";
            page.report(Finding::at(&file.key.span, message).hint("delete one of the two"));
            None
        }
        (None, None) => {
            let span = table.span.clone();
            if !table.finish().hide(&["env", "file"]) && !pasted {
                let message = "the secret has no source";
                let hint = "write `env = \"<name of a variable>\"` or `file = \"<path>\"`";
                page.report(Finding::at(&span, message).hint(hint).remote());
            }
            return None;
        }
    };
    table.finish();
    source
}

fn variable(entry: &Entry<'_>) -> Option<SecretSource> {
    let name = entry.text()?;
    if is_variable(name.value) && !credential::is_like(name.value) {
        return Some(SecretSource::Env(name.value.to_owned()));
    }
    // What is no name may well be the value itself.
    let finding = Finding::at(&entry.key.span, "`env` takes the name of a variable").hint(
        "the variable holds the secret; its name has letters, digits and `_`, no digit first",
    );
    entry.page.report(finding.masked());
    None
}

/// Whether a text can name a variable: the portable names of POSIX, in either case.
pub(super) fn is_variable(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

impl Secrets {
    /// The secret that a grant's `key` names, which is used from here on.
    pub(super) fn named(&self, entry: &Entry<'_>) -> Option<Arc<str>> {
        let name = entry.text()?;
        if self.spans.contains_key(name.value) {
            self.used.borrow_mut().insert(Arc::from(name.value));
            return Some(Arc::from(name.value));
        }
        let finding = if Kind::Secret.allows(name.value) && !credential::is_like(name.value) {
            let known = self.spans.keys().map(|name| &**name);
            let hint = match nearest(name.value, known) {
                Some(near) => {
                    self.used.borrow_mut().insert(Arc::from(near));
                    format!("did you mean `{near}`?")
                }
                None => format!("add a section `[secret.{}]`", name.value),
            };
            let message = format!("there is no secret {}", quoted(name.value));
            Finding::at(&name.span, message).hint(hint).remote()
        } else {
            // Whoever writes something else here most likely pasted the credential itself.
            self.doubt();
            let message = format!(
                "{} takes the name of a secret, not its value",
                entry.label()
            );
            Finding::at(&entry.key.span, message)
                .hint("write the name of a `[secret.<name>]` section")
                .masked()
        };
        entry.page.report(finding);
        None
    }

    /// From here on it is not known which secrets are used.
    pub(super) fn doubt(&self) {
        self.doubtful.set(true);
    }

    /// Reports the secrets that nothing uses.
    pub(super) fn report_unused(&self, page: &Page<'_>) {
        if self.doubtful.get() {
            return;
        }
        let used = self.used.borrow();
        for (name, span) in self.spans.iter().filter(|(name, _)| !used.contains(*name)) {
            let message = format!("nothing uses the secret {}", quoted(name));
            let finding = Finding::at(span, message)
                .hint("name it in the `auth` of a grant, or delete the section");
            page.report(finding.remote());
        }
    }

    /// The files that secrets are read from.
    pub(super) fn files(&self) -> impl Iterator<Item = (&Arc<str>, &PathBuf)> {
        self.specs
            .iter()
            .filter_map(|(name, spec)| match &spec.source {
                SecretSource::File(path) => Some((name, path)),
                SecretSource::Env(_) => None,
            })
    }

    pub(super) fn into_specs(self) -> BTreeMap<Arc<str>, SecretSpec> {
        self.specs
    }
}
