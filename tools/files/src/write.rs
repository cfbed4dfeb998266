//! Writing a file. It reads none.

use std::fs::{self, OpenOptions};
use std::io::Write as _;

use toolhost_sdk::{JsonSchema, ToolError, tool};

use crate::path;

/// What to do where the file is there already.
#[derive(Debug, Clone, Copy, Default, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// Refuse.
    #[default]
    New,
    /// Write over it: what was in it is lost.
    Overwrite,
    /// Write behind what is in it.
    Append,
}

/// What was written.
#[derive(Debug, PartialEq, serde::Serialize, JsonSchema)]
pub(crate) struct Written {
    /// The file.
    path: String,
    /// Its size now, in bytes.
    pub(crate) size: u64,
}

/// Writes a text file. A file that is there already is left alone unless `mode` says otherwise.
#[tool(destructive, idempotent = false, title = "Write a file")]
pub(crate) fn write(
    /// The file.
    path: String,
    /// Its text.
    text: String,
    /// `new` refuses where the file exists, `overwrite` replaces it, `append` adds to it.
    #[serde(default)]
    mode: Mode,
    /// Also make the directories that are missing.
    #[serde(default)]
    make_directories: bool,
) -> Result<Written, ToolError> {
    let path = path::normal(&path)?;
    let failed = |error| path::failed(&path, &error);
    if make_directories && let Some((parent, _)) = path.rsplit_once('/') {
        make(parent)?;
    }
    let mut options = OpenOptions::new();
    match mode {
        Mode::New => options.write(true).create_new(true),
        Mode::Overwrite => options.write(true).create(true).truncate(true),
        Mode::Append => options.append(true).create(true),
    };
    let mut file = options.open(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => ToolError::invalid_arguments(format_args!(
            "{path} exists already; choose another path, or `mode`: `overwrite` or `append`"
        )),
        _ => failed(error),
    })?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    Ok(Written {
        path: path.clone(),
        size,
    })
}

/// Makes the directories on the way, below a granted one: above it nothing can be made.
fn make(directory: &str) -> Result<(), ToolError> {
    match fs::create_dir_all(directory) {
        Ok(()) => Ok(()),
        Err(_) if fs::metadata(directory).is_ok_and(|metadata| metadata.is_dir()) => Ok(()),
        Err(error) => Err(path::failed(directory, &error)),
    }
}
