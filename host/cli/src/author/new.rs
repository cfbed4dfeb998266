//! `new`: a project that builds, tests and runs, from the template of its language.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::json;

use super::super::table::{bold, green};
use super::super::{Setting, out};
use super::Language;
use super::kit;
use crate::manifest;

pub(in super::super) fn new(
    setting: &Setting,
    name: &str,
    language: Language,
) -> anyhow::Result<ExitCode> {
    check_name(name, language)?;
    let folder = PathBuf::from(name);
    match std::fs::create_dir(&folder) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => bail!(
            "`{name}` is there already, and nothing of it was touched: choose another name, or move it away"
        ),
        Err(error) => return Err(error).with_context(|| format!("cannot make the folder {name}")),
    }
    let written = fill(&folder, name, language);
    let files = written.inspect_err(|_| {
        // It was made a moment ago, by this very run.
        let _ = std::fs::remove_dir_all(&folder);
    })?;
    let next = next(name, language);
    if setting.json {
        let files: Vec<_> = files
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        out::json(&json!({
            "folder": std::path::absolute(&folder)?.display().to_string(),
            "language": language.word(),
            "files": files,
            "next": next,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    tell!(
        "{} {} is a tool in {}. Next:",
        green("ok"),
        bold(name),
        language.title()
    );
    for line in next {
        say!("  {line}");
    }
    Ok(ExitCode::SUCCESS)
}

/// The names that a tool may have in a manifest; agents see them.
fn check_name(name: &str, language: Language) -> anyhow::Result<()> {
    if !manifest::is_tool_name(name) {
        let shown: String = name.chars().take(64).flat_map(char::escape_debug).collect();
        bail!("`{shown}` is no name for a tool: 1 to 32 of `a-z`, `0-9`, `_`, a letter first");
    }
    if language.reserves(name) {
        bail!(
            "`{name}` is no name for a project in {}: the language or one of its own parts is called that",
            language.title()
        );
    }
    Ok(())
}

fn fill(folder: &Path, name: &str, language: Language) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for (path, text) in language.project(name) {
        let cannot = || format!("cannot write {}", folder.join(&path).display());
        kit::write(&folder.join(&path), &text).with_context(cannot)?;
        files.push(path);
    }
    if files.is_empty() {
        bail!(
            "this toolhost was built without a template for {}; install it again from its checkout",
            language.title()
        );
    }
    language.bring_sdk(folder)?;
    files.sort();
    Ok(files)
}

fn next(name: &str, language: Language) -> Vec<String> {
    vec![
        format!("cd {name}"),
        "toolhost build".to_owned(),
        language.native_test().to_owned(),
        "toolhost test".to_owned(),
        format!("toolhost add {name}.wasm"),
        format!("toolhost call {name}.count '{{\"text\": \"one two\"}}'"),
    ]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn names_are_those_of_manifests() {
        for good in ["a", "orders", "a_1", &"a".repeat(32)] {
            assert!(check_name(good, Language::Python).is_ok(), "{good}");
        }
        let long = "a".repeat(33);
        for bad in [
            "",
            "A",
            "1a",
            "_a",
            "a-b",
            "a b",
            "../a",
            "a/b",
            "é",
            &long,
            "a\u{1b}[2J",
        ] {
            let said = check_name(bad, Language::Rust).unwrap_err().to_string();
            assert!(said.contains("1 to 32 of"), "{said}");
            assert!(!said.contains('\u{1b}'), "{said}");
        }
        assert!(check_name("match", Language::Rust).is_err());
    }

    #[test]
    fn every_language_has_a_project_with_what_an_author_needs() {
        for language in Language::value_variants() {
            let files = language.project("hello");
            let has = |name: &str| files.iter().any(|(path, _)| path == Path::new(name));
            for name in ["tool.toml", "README.md", ".gitignore"] {
                assert!(has(name), "{}: {name}", language.title());
            }
            assert!(files.iter().any(|(path, _)| path.starts_with("cases")));
            for (path, text) in &files {
                assert!(!text.contains("{{name}}"), "{}", path.display());
            }
            let (_, tool) = files
                .iter()
                .find(|(path, _)| path == Path::new("tool.toml"))
                .unwrap();
            let part = manifest::parse_part("tool.toml", tool).unwrap();
            assert_eq!(&*part.tools.first().unwrap().name, "hello");
        }
    }
}
