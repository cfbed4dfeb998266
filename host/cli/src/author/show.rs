//! What a build came to, for people and for programs.

use std::collections::BTreeMap;

use serde_json::json;

use super::super::table::{green, size, table};
use super::super::{Setting, out};
use super::check::Built;
use super::project::Project;
use crate::grants;

pub(super) fn show(setting: &Setting, project: &Project, built: &Built) -> anyhow::Result<()> {
    let mut imports: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for import in &built.tool.imports {
        let power = grants::power(import);
        imports.entry(power).or_default().push(import);
    }
    if setting.json {
        let functions: Vec<_> = built.tool.functions.iter().collect();
        out::json_line(&json!({
                "tool": built.name,
                "component": built.component.display().to_string(),
                "language": project.language.word(),
                "bytes": built.bytes,
                "sha256": hex::encode(built.tool.digest),
                "imports": imports,
                "functions": functions,
        }))?;
        return Ok(());
    }
    let file = built.component.file_name().unwrap_or_default();
    let file = file.to_string_lossy();
    let bytes = u64::try_from(built.bytes).unwrap_or(u64::MAX);
    let mut shown = table(&["component", "size", "language"]);
    shown.add_row([&*file, &size(bytes), project.language.title()]);
    say!("{shown}\n");
    if !imports.is_empty() {
        let mut shown = table(&["for", "it imports"]);
        for (power, imports) in &imports {
            shown.add_row([*power, &imports.join(", ")]);
        }
        say!("{shown}\n");
    }
    let mut shown = table(&["function", "what it does"]);
    for function in &built.tool.functions {
        let first = function.description.split("\n\n").next();
        let first = first.unwrap_or_default().replace('\n', " ");
        shown.add_row([format!("{}.{}", built.name, function.name), first]);
    }
    say!("{shown}");
    tell!("{} {file}", green("built"));
    if project.wishes.is_none() {
        tell!("There is no tool.toml: operators are not told what the tool needs, and why.");
    }
    Ok(())
}
