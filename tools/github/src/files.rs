//! Files of a repository. It does not know issues.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use toolhost_sdk::{JsonSchema, ToolError, http, tool};

use crate::api;

/// Characters that are given back at once.
const MOST_TEXT: usize = 100_000;

/// What GitHub has under a path: one thing, or a directory as a list.
#[derive(Deserialize)]
#[serde(untagged)]
enum Raw {
    Directory(Vec<RawEntry>),
    One(RawFile),
}

#[derive(Deserialize)]
struct RawEntry {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    size: u64,
}

#[derive(Deserialize)]
struct RawFile {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    sha: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    encoding: String,
    #[serde(default)]
    content: String,
    html_url: Option<String>,
}

/// A file, or the entries of a directory.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Read {
    /// Its path in the repository.
    path: String,
    /// The text from `start_line` on; missing for a directory.
    pub(crate) text: Option<String>,
    /// The first line of `text`, from 1.
    start_line: Option<usize>,
    /// How many lines the file has.
    pub(crate) lines: Option<usize>,
    /// Where to go on with `start_line`, where the text was cut.
    pub(crate) next_line: Option<usize>,
    /// What is in it, where it is a directory.
    pub(crate) entries: Option<Vec<Entry>>,
    /// The blob's name in git.
    sha: Option<String>,
    /// Its page.
    url: Option<String>,
}

/// One entry of a directory.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Entry {
    /// Its name.
    name: String,
    /// `file`, `dir`, `symlink` or `submodule`.
    kind: String,
    /// Its size in bytes.
    size: u64,
}

/// Reads a text file of a repository, or lists a directory. Long files come in parts: go on at
/// `next_line`.
#[tool(read_only, open_world, title = "Read a file")]
pub(crate) fn read_file(
    /// The repository, `owner/name`.
    repo: String,
    /// The path in the repository; empty for its root.
    path: String,
    /// A branch, tag or commit; the default branch where it is missing.
    #[serde(default, rename = "ref")]
    reference: Option<String>,
    /// The first line wanted, from 1.
    #[serde(default)]
    #[schemars(range(min = 1))]
    start_line: Option<usize>,
) -> Result<Read, ToolError> {
    let repo = api::repository(&repo)?;
    let mut request = api::get(&format!("/repos/{repo}/contents{}", in_path(&path)?));
    if let Some(reference) = reference {
        request = request.query("ref", reference);
    }
    match api::ask(request)? {
        Raw::Directory(entries) => Ok(directory(path, entries)),
        Raw::One(file) => text_of(file, start_line.unwrap_or(1).max(1)),
    }
}

/// A path's segments, escaped. `.` and `..` would leave the repository's part of the API.
fn in_path(path: &str) -> Result<String, ToolError> {
    let mut escaped = String::new();
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        if segment == "." || segment == ".." {
            return Err(ToolError::invalid_arguments(format_args!(
                "path: {path:?} has a `{segment}` in it; write the path from the repository's root"
            )));
        }
        escaped.push_str(&format!("/{}", http::segment(segment)));
    }
    Ok(escaped)
}

fn directory(path: String, entries: Vec<RawEntry>) -> Read {
    let entries = entries.into_iter().map(|entry| Entry {
        name: entry.name,
        kind: entry.kind,
        size: entry.size,
    });
    Read {
        path,
        text: None,
        start_line: None,
        lines: None,
        next_line: None,
        entries: Some(entries.collect()),
        sha: None,
        url: None,
    }
}

fn text_of(file: RawFile, start: usize) -> Result<Read, ToolError> {
    if file.kind != "file" {
        return Err(ToolError::failed(format_args!(
            "{} is a {}, not a file",
            file.path, file.kind
        )));
    }
    if file.encoding != "base64" {
        // Source: "Get repository content" in GitHub's documentation: 1 MB and more have no content.
        return Err(ToolError::failed(format_args!(
            "{} has {} bytes; GitHub gives files of 1 MB and more only as downloads",
            file.path, file.size
        )));
    }
    let text = decode(&file)?;
    let lines = text.lines().count();
    if start > lines.max(1) {
        return Err(ToolError::invalid_arguments(format_args!(
            "start_line: the file has {lines} lines"
        )));
    }
    let (part, next_line) = window(&text, start);
    Ok(Read {
        path: file.path,
        text: Some(part),
        start_line: Some(start),
        lines: Some(lines),
        next_line,
        entries: None,
        sha: Some(file.sha),
        url: file.html_url,
    })
}

fn decode(file: &RawFile) -> Result<String, ToolError> {
    let packed: String = file.content.split_ascii_whitespace().collect();
    let bytes = STANDARD.decode(packed).map_err(|error| {
        ToolError::failed(format_args!(
            "GitHub's answer for {} is damaged: {error}",
            file.path
        ))
    })?;
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(ToolError::failed(format_args!(
            "{} is no text file",
            file.path
        ))),
    }
}

/// Whole lines from `start` on, as many as fit; and the line to go on with. A single line that is
/// longer than that is cut.
fn window(text: &str, start: usize) -> (String, Option<usize>) {
    let mut part = String::new();
    for (index, line) in text
        .split_inclusive('\n')
        .enumerate()
        .skip(start.saturating_sub(1))
    {
        if part.len() + line.len() > MOST_TEXT {
            if part.is_empty() {
                return (api::cut(line, MOST_TEXT / 4).0, Some(index + 2));
            }
            return (part, Some(index + 1));
        }
        part.push_str(line);
    }
    (part, None)
}
