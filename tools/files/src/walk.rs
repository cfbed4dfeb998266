//! Going through directories, in order, without following links. It does not know why.

use std::fs::{self, FileType};

use glob::{MatchOptions, Pattern};
use toolhost_sdk::{JsonSchema, ToolError};

use crate::{path, roots};

/// Levels of directories that are gone through: deeper ones are hardly anybody's own.
pub(crate) const DEEPEST: usize = 32;

/// Entries that are looked at before a walk ends: what an agent asks for must not cost more.
const MOST_LOOKED_AT: usize = 100_000;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A link; it is not followed.
    Link,
    /// Something else.
    Other,
}

impl From<FileType> for Kind {
    fn from(kind: FileType) -> Self {
        if kind.is_dir() {
            Self::Directory
        } else if kind.is_file() {
            Self::File
        } else if kind.is_symlink() {
            Self::Link
        } else {
            Self::Other
        }
    }
}

/// One entry on the way.
pub(crate) struct Found<'a> {
    /// Its whole path.
    pub(crate) path: &'a str,
    /// Its path below where the walk began.
    pub(crate) below: &'a str,
    /// What it is.
    pub(crate) kind: Kind,
}

/// Shows every entry below a directory; `visit` says whether to go on. Says whether all was seen.
///
/// # Errors
/// The directory itself cannot be read. A directory below that cannot is passed over.
pub(crate) fn each(
    start: &str,
    depth: usize,
    mut visit: impl FnMut(&Found<'_>) -> bool,
) -> Result<bool, ToolError> {
    let first = match start {
        "/" if !path::is_granted("/") => roots::all()
            .into_iter()
            .map(|root| (root, Kind::Directory))
            .collect(),
        start => entries(start)?,
    };
    let mut looked_at = 0_usize;
    let mut stack = vec![first.into_iter()];
    while let Some(level) = stack.last_mut() {
        let Some((path, kind)) = level.next() else {
            stack.pop();
            continue;
        };
        looked_at += 1;
        let below = path
            .strip_prefix(start)
            .unwrap_or(&path)
            .trim_start_matches('/');
        let found = Found {
            path: &path,
            below,
            kind,
        };
        if looked_at > MOST_LOOKED_AT || !visit(&found) {
            return Ok(false);
        }
        if kind == Kind::Directory
            && stack.len() < depth
            && let Ok(below) = entries(&path)
        {
            stack.push(below.into_iter());
        }
    }
    Ok(true)
}

/// What is in a directory, by name.
fn entries(directory: &str) -> Result<Vec<(String, Kind)>, ToolError> {
    let failed = |error| path::failed(directory, &error);
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        // A name that is no UTF-8 cannot be asked for by an agent.
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let kind = entry.file_type().map_or(Kind::Other, Kind::from);
        found.push((path::join(directory, &name), kind));
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found)
}

/// A pattern for paths: `*` within a name, `**` over directories.
pub(crate) fn pattern(text: &str) -> Result<Pattern, ToolError> {
    Pattern::new(text)
        .map_err(|error| ToolError::invalid_arguments(format_args!("pattern: {text:?}: {error}")))
}

/// Whether a path fits; a pattern without `/` is for the name alone.
pub(crate) fn fits(pattern: &Pattern, found: &Found<'_>) -> bool {
    let options = MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: false,
    };
    let name = found.below.rsplit('/').next().unwrap_or(found.below);
    let subject = if pattern.as_str().contains('/') {
        found.below
    } else {
        name
    };
    pattern.matches_with(subject, options)
}
