//! A typed reader over the parsed text: asks for keys by name, says what has the wrong type, and
//! reports the keys that nobody asked for.
//!
//! It does not know which keys there are: each section's reader does.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::credential;
use super::diagnostics::{At, Finding, Span, TextDiagnostics};
use super::name::nearest;
use super::problem::quoted;

/// A table of the text, read key by key and then finished.
pub(super) struct KeyReader<'t> {
    pub(super) page: &'t TextDiagnostics<'t>,
    /// Its header, its braces, or the key that brought it into being.
    pub(super) span: Span,
    rows: &'t DeTable<'t>,
    known: Vec<&'static str>,
    refused: Vec<&'static str>,
    lacking: Vec<(&'static str, String)>,
}

/// The keys of a table that unknown ones were most likely meant to be.
pub(super) struct Slips(Vec<&'static str>);

/// A value of the text with what to call it.
#[derive(Clone)]
pub(super) struct Entry<'t> {
    pub(super) page: &'t TextDiagnostics<'t>,
    /// The key as it is written; of a list's element, the list's key.
    pub(super) key: At<&'t str>,
    /// Where the value stands.
    pub(super) span: Span,
    label: String,
    value: &'t DeValue<'t>,
}

impl<'t> KeyReader<'t> {
    pub(super) fn new(page: &'t TextDiagnostics<'t>, span: Span, rows: &'t DeTable<'t>) -> Self {
        Self {
            page,
            span,
            rows,
            known: Vec::new(),
            refused: Vec::new(),
            lacking: Vec::new(),
        }
    }

    /// The line of the section, from 1.
    pub(super) fn line(&self) -> u32 {
        self.page.line(&self.span)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The value of a key, which is known from here on.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Entry<'t>> {
        self.known.push(key);
        self.row(key)
    }

    /// Reports a key that may not stand here, with more to say than "unknown"; whether it does.
    pub(super) fn refuse(
        &mut self,
        key: &'static str,
        why: impl FnOnce(&Entry<'t>) -> Finding,
    ) -> bool {
        self.refused.push(key);
        let entry = self.row(key);
        if let Some(entry) = &entry {
            self.page.report(why(entry));
        }
        entry.is_some()
    }

    /// Says that a key has to be there and is not; reported unless it is there with a slip.
    pub(super) fn missing(&mut self, key: &'static str, hint: impl Into<String>) {
        self.lacking.push((key, hint.into()));
    }

    pub(super) fn text(&mut self, key: &'static str) -> Option<At<&'t str>> {
        self.take(key)?.text()
    }

    pub(super) fn table(&mut self, key: &'static str) -> Option<KeyReader<'t>> {
        self.take(key)?.table()
    }

    /// The rows of a table whose keys are the operator's own words, in the order of the keys.
    pub(super) fn entries(&mut self, key: &'static str) -> Vec<Entry<'t>> {
        let table = self.table(key);
        table.map(|table| table.into_rows()).unwrap_or_default()
    }

    /// The rows of this table, whose keys are the operator's own words.
    pub(super) fn into_rows(self) -> Vec<Entry<'t>> {
        let rows = self.rows.iter();
        rows.map(|(key, value)| entry(self.page, key, value))
            .collect()
    }

    fn row(&self, key: &str) -> Option<Entry<'t>> {
        let (key, value) = self.rows.get_key_value(key)?;
        Some(entry(self.page, key, value))
    }

    /// Reports every key that nobody asked for, and those that are missing.
    pub(super) fn finish(self) -> Slips {
        let asked = |key: &str| self.known.contains(&key) || self.refused.contains(&key);
        let mut slips = Vec::new();
        for (key, value) in self.rows.iter().filter(|(key, _)| !asked(key.get_ref())) {
            let near = nearest(key.get_ref(), self.known.iter().copied());
            slips.extend(near);
            let hint = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here: {}", self.known.join(", ")),
            };
            let message = format!("unknown key {}", quoted(key.get_ref()));
            let finding = Finding::at(&key.span(), message).hint(hint);
            let secret = credential::is_meant_by(key.get_ref())
                || value.get_ref().as_str().is_some_and(credential::is_like);
            self.page
                .report(if secret { finding.masked() } else { finding });
        }
        for (key, hint) in self
            .lacking
            .into_iter()
            .filter(|(key, _)| !slips.contains(key))
        {
            let finding = Finding::at(&self.span, format!("`{key}` is missing")).hint(hint);
            self.page.report(finding.remote());
        }
        Slips(slips)
    }
}

impl Slips {
    /// Whether one of `keys` is most likely there under a wrong name.
    pub(super) fn hide(&self, keys: &[&str]) -> bool {
        self.0.iter().any(|slip| keys.contains(slip))
    }
}

fn entry<'t>(
    page: &'t TextDiagnostics<'t>,
    key: &'t Spanned<toml::de::DeString<'t>>,
    value: &'t Spanned<DeValue<'t>>,
) -> Entry<'t> {
    Entry {
        page,
        key: At {
            value: key.get_ref(),
            span: key.span(),
        },
        span: value.span(),
        label: quoted(key.get_ref()),
        value: value.get_ref(),
    }
}

impl<'t> Entry<'t> {
    /// What to call it in a sentence.
    pub(super) fn label(&self) -> &str {
        &self.label
    }

    pub(super) fn value(&self) -> &'t DeValue<'t> {
        self.value
    }

    pub(super) fn text(&self) -> Option<At<&'t str>> {
        match self.value.as_str() {
            Some(value) => Some(At {
                value,
                span: self.span.clone(),
            }),
            None => self.not("a string"),
        }
    }

    pub(super) fn flag(&self) -> Option<bool> {
        match self.value.as_bool() {
            Some(flag) => Some(flag),
            None => self.not("`true`"),
        }
    }

    pub(super) fn list(&self) -> Option<Vec<Entry<'t>>> {
        let Some(list) = self.value.as_array() else {
            return self.not("a list");
        };
        let element = |value: &'t Spanned<DeValue<'t>>| Entry {
            page: self.page,
            key: self.key.clone(),
            span: value.span(),
            label: format!("an entry of {}", self.label),
            value: value.get_ref(),
        };
        Some(list.iter().map(element).collect())
    }

    pub(super) fn table(&self) -> Option<KeyReader<'t>> {
        match self.value.as_table() {
            Some(rows) => Some(KeyReader::new(self.page, self.span.clone(), rows)),
            None => self.not("a table"),
        }
    }

    /// Reports that the value has the wrong type.
    pub(super) fn not<T>(&self, expected: &str) -> Option<T> {
        let actual = match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        let message = format!("{} must be {expected}, this is {actual}", self.label);
        let text = self.value.as_str().unwrap_or_default();
        let secret = credential::is_like(text) || credential::is_meant_by(self.key.value);
        self.page.report(if secret {
            Finding::at(&self.key.span, message).masked()
        } else {
            Finding::at(&self.span, message)
        });
        None
    }
}
