//! Reaching for files: every path is the agent's.

use std::fmt::Display;
use std::fs;
use std::io;
use std::mem;

use toolhost_sdk::{ToolError, tool};

/// Reads a file.
#[tool(read_only)]
pub(crate) fn read(
    /// Its path.
    path: String,
) -> Result<String, ToolError> {
    fs::read_to_string(&path).map_err(|error| failed(&path, error))
}

/// Writes a file, over what was there.
#[tool(destructive)]
pub(crate) fn write(
    /// Its path.
    path: String,
    /// What to write.
    text: String,
) -> Result<String, ToolError> {
    fs::write(&path, &text).map_err(|error| failed(&path, error))?;
    Ok(format!("wrote {} bytes", text.len()))
}

/// Lists a directory.
#[tool(read_only)]
pub(crate) fn list(
    /// Its path.
    path: String,
) -> Result<Vec<String>, ToolError> {
    let entries = fs::read_dir(&path).map_err(|error| failed(&path, error))?;
    let names: io::Result<Vec<String>> = entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect();
    let mut names = names.map_err(|error| failed(&path, error))?;
    names.sort();
    Ok(names)
}

/// Deletes a file.
#[tool(destructive)]
pub(crate) fn remove(
    /// Its path.
    path: String,
) -> Result<(), ToolError> {
    fs::remove_file(&path).map_err(|error| failed(&path, error))
}

/// Moves a file.
#[tool(destructive)]
pub(crate) fn rename(
    /// Its path.
    from: String,
    /// Where to.
    to: String,
) -> Result<(), ToolError> {
    let both = format!("{from} -> {to}");
    fs::rename(from, to).map_err(|error| failed(&both, error))
}

/// Gives a file a second name.
#[tool(destructive)]
pub(crate) fn hard_link(
    /// Its path.
    original: String,
    /// The second name.
    link: String,
) -> Result<(), ToolError> {
    let both = format!("{link} -> {original}");
    fs::hard_link(original, link).map_err(|error| failed(&both, error))
}

/// Opens the same file many times and closes none; timers where no path is given.
#[tool(read_only)]
pub(crate) fn many_handles(
    /// How many.
    n: u32,
    /// The file or directory.
    #[serde(default)]
    path: Option<String>,
) -> Result<String, ToolError> {
    for opened in 0..n {
        match &path {
            Some(path) => {
                let file = fs::File::open(path)
                    .map_err(|error| failed(format_args!("{path}, number {opened}"), error))?;
                mem::forget(file);
            }
            None => forget_a_timer()?,
        }
    }
    Ok(format!("holds {n} handles"))
}

#[cfg(target_arch = "wasm32")]
#[allow(clippy::unnecessary_wraps)]
fn forget_a_timer() -> Result<(), ToolError> {
    mem::forget(wasip2::clocks::monotonic_clock::subscribe_duration(
        1_000_000_000,
    ));
    Ok(())
}

#[cfg(not(target_arch = "wasm32"))]
fn forget_a_timer() -> Result<(), ToolError> {
    Err(ToolError::failed(
        "there are no timers to hold outside a component",
    ))
}

fn failed(what: impl Display, error: io::Error) -> ToolError {
    ToolError::from(error).context(what)
}

#[cfg(test)]
mod tests {
    use toolhost_sdk::Code;

    #[test]
    fn what_is_not_there_is_not_found() {
        let error = super::read("/nowhere/at/all".to_owned()).map_err(|error| error.code);
        assert_eq!(error, Err(Code::NotFound));
        let error = super::list("/nowhere/at/all".to_owned()).map_err(|error| error.code);
        assert_eq!(error, Err(Code::NotFound));
    }
}
