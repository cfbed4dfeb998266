//! `[secret.*]`: where secrets are, never what they are; and who names them.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::credential;
use super::diagnostics::{Finding, Span, TextDiagnostics};
use super::key_reader::{Entry, KeyReader};
use super::name::{Kind, nearest};
use super::path;
use super::problem::quoted;
use super::spec::{CommandSpec, SecretPlace, SecretSpec};
use super::units;

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
        let Some(mut table) = section.table() else {
            continue;
        };
        let line = table.line();
        let accept_short = accept_short(&mut table);
        let place = place(table).unwrap_or(SecretPlace::Env(String::new()));
        let spec = SecretSpec {
            line,
            place,
            accept_short,
        };
        secrets.specs.insert(name, spec);
    }
    secrets
}

/// Whether the operator accepts a value that can be guessed. `false` would say nothing.
fn accept_short(table: &mut KeyReader<'_>) -> bool {
    let Some(entry) = table.take("accept_short") else {
        return false;
    };
    let accepts = entry.flag();
    if accepts == Some(false) {
        let message = "`accept_short = false` changes nothing: a short secret is refused anyway";
        let finding = Finding::at(&entry.key.span, message);
        entry.page.report(finding.hint("leave it out"));
    }
    accepts.unwrap_or(false)
}

/// The ways to say where a secret is.
const WAYS: [&str; 3] = ["env", "file", "command"];

fn place(mut table: KeyReader<'_>) -> Option<SecretPlace> {
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
    let ways = WAYS.map(|way| table.take(way));
    let mut given = ways.into_iter().flatten();
    let (Some(way), second) = (given.next(), given.next()) else {
        let span = table.span.clone();
        if !table.finish().hide(&WAYS) && !pasted {
            let message = "the secret has no source";
            let hint = "write `env = \"<name of a variable>\"`, `file = \"<path>\"` or \
                        `command = [\"<program>\", \"<argument>\"]`";
            page.report(Finding::at(&span, message).hint(hint).remote());
        }
        return None;
    };
    let place = match (&second, way.key.value) {
        (Some(second), _) => {
            let message = "a secret comes from one place, this is a second";
            let hint = "keep one of `env`, `file`, `command`";
            page.report(Finding::at(&second.key.span, message).hint(hint));
            None
        }
        (None, "env") => variable(&way),
        (None, "file") => file(&way),
        (None, _) => command(&way),
    };
    let mut ways = [Some(&way), second.as_ref()].into_iter().flatten();
    let ages = ways.any(|way| way.key.value == "command");
    let place = aging(&mut table, ages, place);
    table.finish();
    place
}

fn file(entry: &Entry<'_>) -> Option<SecretPlace> {
    let path = path::host(entry.page, &entry.text()?)?;
    Some(SecretPlace::File(path))
}

/// The longest a program may run, by default; a start waits for it.
const TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60);
/// How long what a program printed holds, by default.
const TTL: Duration = Duration::from_secs(300);
const TTLS: RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_secs(24 * 3600);
/// More words than that are no command line.
const MOST_WORDS: usize = 64;

/// Reads how long a command may take and how long its value holds; only it can age.
fn aging(table: &mut KeyReader<'_>, ages: bool, place: Option<SecretPlace>) -> Option<SecretPlace> {
    if !ages {
        for key in ["timeout", "ttl"] {
            table.refuse(key, |entry| {
                let message = format!("`{key}` is for a `command`, this secret has none");
                let hint = "a variable does not change, and a file is read again when it changes";
                Finding::at(&entry.key.span, message).hint(hint)
            });
        }
        return place;
    }
    let timeout = table.take("timeout");
    let timeout = timeout.and_then(|entry| units::duration(&entry, TIMEOUTS));
    let ttl = table.take("ttl");
    let ttl = ttl.and_then(|entry| units::duration(&entry, TTLS));
    let Some(SecretPlace::Command(spec)) = place else {
        return place;
    };
    Some(SecretPlace::Command(CommandSpec {
        timeout: timeout.unwrap_or(TIMEOUT),
        ttl: ttl.unwrap_or(TTL),
        ..spec
    }))
}

fn command(entry: &Entry<'_>) -> Option<SecretPlace> {
    let page = entry.page;
    let hint = "write for example `command = [\"vault\", \"kv\", \"get\", \"-field=token\", \
                \"secret/shop\"]`; no shell reads it";
    let words = entry.list()?;
    let (Some(program), true) = (words.first(), words.len() <= MOST_WORDS) else {
        let message = format!(
            "`command` is a program and at most {} arguments",
            MOST_WORDS - 1
        );
        page.report(Finding::at(&entry.span, message).hint(hint));
        return None;
    };
    let program = path::host(page, &program.text()?);
    let arguments = words.iter().skip(1).map(argument);
    // All of them are looked at, so that all that is wrong is said.
    let arguments: Vec<Option<String>> = arguments.collect();
    Some(SecretPlace::Command(CommandSpec {
        program: program?,
        arguments: arguments.into_iter().collect::<Option<_>>()?,
        timeout: TIMEOUT,
        ttl: TTL,
    }))
}

fn argument(entry: &Entry<'_>) -> Option<String> {
    let text = entry.text()?;
    let finding = if credential::is_like(text.value) {
        let message = "an argument of `command` looks like a credential";
        let hint = "everybody on this machine can read a program's arguments";
        Finding::at(&entry.key.span, message).hint(hint).masked()
    } else if text.value.contains('\0') {
        Finding::at(&text.span, "an argument has no NUL character")
    } else {
        return Some(text.value.to_owned());
    };
    entry.page.report(finding);
    None
}

fn variable(entry: &Entry<'_>) -> Option<SecretPlace> {
    let name = entry.text()?;
    if is_variable(name.value) && !credential::is_like(name.value) {
        return Some(SecretPlace::Env(name.value.to_owned()));
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
    pub(super) fn report_unused(&self, page: &TextDiagnostics<'_>) {
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
            .filter_map(|(name, spec)| match &spec.place {
                SecretPlace::File(path) => Some((name, path)),
                SecretPlace::Env(_) | SecretPlace::Command(_) => None,
            })
    }

    /// The programs that print secrets, where they are written as paths.
    pub(super) fn programs(&self) -> impl Iterator<Item = (&Arc<str>, &PathBuf)> {
        self.specs
            .iter()
            .filter_map(|(name, spec)| match &spec.place {
                SecretPlace::Command(spec) => {
                    let is_path = spec.program.components().count() > 1;
                    is_path.then_some((name, &spec.program))
                }
                SecretPlace::Env(_) | SecretPlace::File(_) => None,
            })
    }

    pub(super) fn into_specs(self) -> BTreeMap<Arc<str>, SecretSpec> {
        self.specs
    }
}
