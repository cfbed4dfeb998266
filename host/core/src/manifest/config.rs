//! `config`: values that a tool asks for by key.

use std::collections::BTreeMap;

use super::credential;
use super::diagnostics::{At, Finding};
use super::key_reader::Entry;
use super::problem::quoted;
use crate::grants::ConfigGrant;

/// The longest key, in bytes.
const KEY: usize = 256;

/// Values by key.
pub(super) type PartialConfigGrants = BTreeMap<String, ConfigGrant>;

/// The values of a section, over those it inherits.
pub(super) fn read(rows: Vec<Entry<'_>>, inherited: &PartialConfigGrants) -> PartialConfigGrants {
    let mut config = inherited.clone();
    for row in rows {
        let Some(text) = row.text() else { continue };
        match value(&row, &text, inherited) {
            Ok(grant) => {
                config.insert(grant.key.clone(), grant);
            }
            Err(finding) => row.page.report(finding),
        }
    }
    config
}

fn value(
    row: &Entry<'_>,
    text: &At<&str>,
    inherited: &PartialConfigGrants,
) -> Result<ConfigGrant, Finding> {
    let At { value: key, span } = &row.key;
    if key.is_empty() || key.len() > KEY || key.contains(char::is_control) {
        let message = format!("{} is no key of a configuration", quoted(key));
        let hint = format!("1 to {KEY} bytes without control characters");
        return Err(Finding::at(span, message).hint(hint));
    }
    if let Some(known) = inherited.get(*key) {
        let message = format!(
            "the tool already configures {}, on line {}",
            quoted(key),
            known.line
        );
        return Err(Finding::at(span, message).hint("set it in each function's section instead"));
    }
    if credential::is_like(text.value) {
        let message = format!("the value of {} looks like a credential", quoted(key));
        return Err(Finding::at(span, message)
            .hint("a tool never holds one: write a `[secret.<name>]` section and use it in the `auth` \
                 of a grant")
            .masked());
    }
    Ok(ConfigGrant {
        line: row.page.line(span),
        key: (*key).to_owned(),
        value: text.value.to_owned(),
    })
}

/// The values as every other room knows them.
pub(super) fn grants(drafts: &PartialConfigGrants) -> Vec<ConfigGrant> {
    drafts.values().cloned().collect()
}
