//! `kv.*`: which buckets of keys and values a tool has, and how much each may hold.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::diagnostics::Finding;
use super::key_reader::{Entry, KeyReader};
use super::name::Kind;
use super::problem::quoted;
use super::units;
use crate::grants::KvGrant;

/// A bucket is checked as a whole at every start, and one key with one byte is the least use of it.
const BYTES: RangeInclusive<u64> = 2..=1 << 30;
/// A million of the smallest entries take some hundred megabytes of disk.
const KEYS: RangeInclusive<u64> = 1..=1_000_000;

/// Grants by name.
pub(super) type PartialKvGrants = BTreeMap<Arc<str>, KvGrant>;

/// The grants of a section, over those it inherits. `owner` is the tool, or the function as
/// `tool.function`: a function's own bucket is no other function's, whatever its name.
pub(super) fn read(
    sections: Vec<Entry<'_>>,
    owner: &str,
    inherited: &PartialKvGrants,
) -> PartialKvGrants {
    let mut drafts = inherited.clone();
    for section in sections {
        let page = section.page;
        let name = Kind::Grant.read(page, &section.key);
        if let Some(known) = inherited.get(&name) {
            let message = format!(
                "the tool already has a bucket {}, on line {}",
                quoted(&name),
                known.line
            );
            let finding = Finding::at(&section.key.span, message);
            page.report(
                finding.hint("every function of the tool has it; give this one another name"),
            );
            continue;
        }
        if let Some(table) = section.table() {
            drafts.insert(name.clone(), one(table, name, owner));
        }
    }
    drafts
}

fn one(mut table: KeyReader<'_>, name: Arc<str>, owner: &str) -> KvGrant {
    let mut required = |key: &'static str, example: &str| {
        let entry = table.take(key);
        if entry.is_none() {
            table.missing(key, format!("write for example `{key} = {example}`"));
        }
        entry
    };
    let bytes = required("bytes", "\"1MiB\"");
    let keys = required("keys", "1000");
    let bytes = bytes.and_then(|entry| units::bytes(&entry, BYTES));
    let keys = keys.and_then(|entry| units::count(&entry, KEYS));
    let per_caller = table.take("per_caller").is_some_and(|entry| apart(&entry));
    let grant = KvGrant {
        name,
        line: table.line(),
        owner: owner.into(),
        // A stand-in is never used: whatever it stands for was reported.
        bytes: bytes.unwrap_or(*BYTES.start()),
        keys: keys.unwrap_or(*KEYS.start()),
        per_caller,
    };
    table.finish();
    grant
}

fn apart(entry: &Entry<'_>) -> bool {
    let flag = entry.flag();
    if flag == Some(false) {
        let finding = Finding::at(&entry.key.span, "`per_caller = false` has no effect");
        entry
            .page
            .report(finding.hint("delete it: callers share a bucket unless it is `true`"));
    }
    flag == Some(true)
}

/// The grants as every other room knows them.
pub(super) fn grants(drafts: &PartialKvGrants) -> Vec<KvGrant> {
    drafts.values().cloned().collect()
}
