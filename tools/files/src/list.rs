//! What is in a directory. It reads no file.

use std::fs;
use std::time::UNIX_EPOCH;

use toolhost_sdk::{JsonSchema, ToolError, tool};

use crate::{path, roots, walk};

/// Entries that are given back at most.
const MOST_ENTRIES: usize = 500;

/// What is in a directory.
#[derive(Debug, PartialEq, serde::Serialize, JsonSchema)]
pub(crate) struct Listing {
    /// The directory.
    path: String,
    /// What is in it, by name; with `recursive` also what is below.
    pub(crate) entries: Vec<Entry>,
    /// There is more, which is not here: list a directory below, or narrow `pattern`.
    pub(crate) truncated: bool,
}

/// One entry.
#[derive(Debug, PartialEq, serde::Serialize, JsonSchema)]
pub(crate) struct Entry {
    /// Its whole path.
    pub(crate) path: String,
    /// What it is.
    pub(crate) kind: walk::Kind,
    /// Its size in bytes, where it is a file.
    pub(crate) size: Option<u64>,
    /// When it was changed, in seconds since 1970.
    modified: Option<u64>,
}

/// Lists a directory. `/` shows the directories that are granted.
#[tool(read_only, idempotent, title = "List files")]
pub(crate) fn list(
    /// The directory; `/` where it is missing.
    #[serde(default)]
    path: Option<String>,
    /// Also what is below, not only what is in it.
    #[serde(default)]
    recursive: bool,
    /// Only paths below the directory that fit, for example `**/*.md`.
    #[serde(default)]
    pattern: Option<String>,
) -> Result<Listing, ToolError> {
    let directory = path::normal(path.as_deref().unwrap_or("/"))?;
    let wanted = pattern.as_deref().map(walk::pattern).transpose()?;
    if directory == "/" && !path::is_granted("/") && !recursive && wanted.is_none() {
        return Ok(granted(directory));
    }
    let mut listing = Listing {
        path: directory.clone(),
        entries: Vec::new(),
        truncated: false,
    };
    let depth = if recursive { walk::DEEPEST } else { 1 };
    let complete = walk::each(&directory, depth, |found| {
        if wanted
            .as_ref()
            .is_some_and(|wanted| !walk::fits(wanted, found))
        {
            return true;
        }
        if listing.entries.len() == MOST_ENTRIES {
            return false;
        }
        listing.entries.push(entry(found.path, found.kind));
        true
    })?;
    listing.truncated = !complete;
    Ok(listing)
}

fn granted(directory: String) -> Listing {
    let entries = roots::all()
        .into_iter()
        .map(|root| entry(&root, walk::Kind::Directory));
    Listing {
        path: directory,
        entries: entries.collect(),
        truncated: false,
    }
}

/// What cannot be said of an entry is left out: a file that vanished meanwhile is no error.
fn entry(path: &str, kind: walk::Kind) -> Entry {
    let metadata = fs::symlink_metadata(path).ok();
    let modified = metadata
        .as_ref()
        .and_then(|metadata| metadata.modified().ok());
    Entry {
        path: path.to_owned(),
        kind,
        size: metadata
            .filter(|_| kind == walk::Kind::File)
            .map(|metadata| metadata.len()),
        modified: modified
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
            .map(|since| since.as_secs()),
    }
}
