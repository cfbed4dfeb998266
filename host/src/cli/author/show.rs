//! What a build came to, for people and for programs.

use std::collections::BTreeMap;

use serde_json::json;

use super::super::Setting;
use super::super::table::{green, size, table};
use super::check::Built;
use super::project::Project;
use crate::capability;

pub(super) fn show(setting: &Setting, project: &Project, built: &Built) -> anyhow::Result<()> {
    let mut imports: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for import in &built.tool.imports {
        let power = capability::power(import);
        imports.entry(power).or_default().push(import);
    }
    if setting.json {
        let functions: Vec<_> = built.tool.functions.iter().collect();
        say!(
            "{}",
            json!({
                "tool": built.name,
                "component": built.component.display().to_string(),
                "language": project.language.word(),
                "bytes": built.bytes,
                "sha256": hex::encode(built.tool.digest),
                "imports": imports,
                "functions": functions,
            })
        );
        return Ok(());
    }
    let mut shown = table(&["imports", "for"]);
    for (power, imports) in &imports {
        shown.add_row([imports.join("\n"), (*power).to_owned()]);
    }
    if !imports.is_empty() {
        say!("{shown}\n");
    }
    let mut shown = table(&["function", "what it does"]);
    for function in &built.tool.functions {
        let first = function.description.lines().next().unwrap_or_default();
        shown.add_row([
            format!("{}.{}", built.name, function.name),
            first.to_owned(),
        ]);
    }
    say!("{shown}\n");
    let bytes = u64::try_from(built.bytes).unwrap_or(u64::MAX);
    let name = built.component.file_name().unwrap_or_default();
    eprintln!(
        "{} {} ({})",
        green("built"),
        name.to_string_lossy(),
        size(bytes)
    );
    if project.wishes.is_none() {
        eprintln!("There is no tool.toml: operators are not told what the tool needs, and why.");
    }
    Ok(())
}
