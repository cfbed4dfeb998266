//! What a tool would get, in rows for whoever decides: each grant in words, with the comment above it as
//! its reason. It judges nothing.

use std::collections::BTreeMap;

use toml_edit::{Decor, Item, RawString, Table};

use super::asks::sections;
use crate::manifest::{FunctionSpec, Grants, ToolSpec};
use crate::terms::Limits;

/// The longest reason that is shown, in characters.
const LONGEST: usize = 400;

/// One thing that is asked for.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub(super) struct Row {
    /// All functions, or which one.
    pub(super) owner: String,
    pub(super) what: String,
    /// The author's reason.
    pub(super) why: String,
}

/// Comments above tables and keys, by their path within the tool.
pub(super) fn collect(path: &str, table: &Table, reasons: &mut BTreeMap<String, String>) {
    for (key, item) in table.iter() {
        let at = if path.is_empty() {
            key.to_owned()
        } else {
            format!("{path}.{key}")
        };
        let above = match item {
            Item::Table(inner) => {
                collect(&at, inner, reasons);
                comment(inner.decor())
            }
            _ => table
                .key(key)
                .map(|key| comment(key.leaf_decor()))
                .unwrap_or_default(),
        };
        if !above.is_empty() {
            reasons.insert(at, above);
        }
    }
}

/// The comment in front of something.
pub(super) fn comment(decor: &Decor) -> String {
    let text = decor
        .prefix()
        .and_then(RawString::as_str)
        .unwrap_or_default();
    let lines = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix('#'));
    let whole = lines.map(str::trim).collect::<Vec<_>>().join(" ");
    let whole = whole.trim();
    match whole.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", whole.get(..end).unwrap_or_default()),
        None => whole.to_owned(),
    }
}

/// What the tool would get, section by section; what a function has of its tool is not said again.
pub(super) fn rows(tool: &ToolSpec, reasons: &BTreeMap<String, String>) -> Vec<Row> {
    let mut rows = Vec::new();
    for (function, spec) in sections(tool) {
        let (owner, prefix, inherited) = match function {
            None => ("all functions".to_owned(), String::new(), None),
            Some(name) => (
                name.to_owned(),
                format!("function.{name}"),
                Some(&*tool.all),
            ),
        };
        for (path, what) in asked(spec, inherited) {
            let at = [prefix.as_str(), &path]
                .into_iter()
                .filter(|part| !part.is_empty());
            let at = at.collect::<Vec<_>>().join(".");
            // The nearest comment above it, up to the section's.
            let paths = std::iter::successors(Some(at.as_str()), |at| {
                at.rsplit_once('.').map(|(above, _)| above)
            });
            let section = (!prefix.is_empty()).then_some(prefix.as_str());
            let why = paths
                .chain(section)
                .filter(|at| *at != "function")
                .find_map(|at| reasons.get(at));
            let why = why.or_else(|| reasons.get("").filter(|_| function.is_none()));
            rows.push(Row {
                owner: owner.clone(),
                what,
                why: why
                    .filter(|why| !why.is_empty())
                    .cloned()
                    .unwrap_or_else(|| "-".to_owned()),
            });
        }
    }
    for (name, how) in &tool.uses {
        rows.push(Row {
            owner: name.to_string(),
            what: "runs the program".to_owned(),
            why: how.description.clone(),
        });
    }
    rows
}

/// What a section adds to what it inherits: the path of each in the section, and in words.
fn asked(spec: &FunctionSpec, inherited: Option<&FunctionSpec>) -> Vec<(String, String)> {
    let none = Grants::default();
    let had = inherited.map_or(&none, |spec| &spec.grants);
    let grants = spec.grants.beyond(had);
    let grants = grants.each().map(|grant| (grant.path(), grant.asks()));
    let mut all: Vec<(String, String)> = grants.collect();
    // As a manifest has them: what has a section of its own, then the keys of this one.
    all.sort_by_key(|(path, _)| !path.contains('.'));
    let usual = inherited.map_or(Limits::DEFAULT, |spec| spec.limits);
    if spec.limits != usual {
        all.push(("limits".to_owned(), "limits of its own".to_owned()));
    }
    all
}
