//! Paths as agents write them, and errors in their words. It does not touch files.

use std::io::{self, ErrorKind};

use toolhost_sdk::{Code, ToolError};

use crate::roots;

/// A path in normal form: absolute, without empty or `.` segments.
///
/// # Errors
/// `invalid-arguments` for a `..`: the host would refuse it where it leaves a grant, but an agent
/// is better told to write the path plainly.
pub(crate) fn normal(path: &str) -> Result<String, ToolError> {
    if path.contains('\0') {
        return Err(ToolError::invalid_arguments(
            "path: it has a zero byte in it",
        ));
    }
    let mut normal = String::new();
    for segment in path
        .split('/')
        .filter(|segment| !segment.is_empty() && *segment != ".")
    {
        if segment == ".." {
            return Err(ToolError::invalid_arguments(format_args!(
                "path: {path:?} has a `..` in it; write the path from its root"
            )));
        }
        normal.push('/');
        normal.push_str(segment);
    }
    Ok(if normal.is_empty() {
        "/".to_owned()
    } else {
        normal
    })
}

/// An error of the file system, with the path and the next step.
pub(crate) fn failed(path: &str, error: &io::Error) -> ToolError {
    let (code, message) = match error.kind() {
        ErrorKind::NotFound => (Code::NotFound, format!("{path} does not exist")),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            (Code::Denied, format!("{path}: this is not allowed here"))
        }
        ErrorKind::NotADirectory => (Code::InvalidArguments, format!("{path} is no directory")),
        ErrorKind::IsADirectory => (
            Code::InvalidArguments,
            format!("{path} is a directory; `list` shows what is in it"),
        ),
        ErrorKind::AlreadyExists => (Code::InvalidArguments, format!("{path} exists already")),
        _ => (Code::Failed, format!("{path}: {error}")),
    };
    let outside = code == Code::NotFound && !is_granted(path);
    if outside {
        elsewhere(path)
    } else {
        ToolError::new(code, message)
    }
}

/// Whether a path lies in a granted directory.
pub(crate) fn is_granted(path: &str) -> bool {
    roots::all().iter().any(|root| within(path, root))
}

/// Whether a path is a directory's own or below it.
pub(crate) fn within(path: &str, root: &str) -> bool {
    let root = root.trim_end_matches('/');
    match path.strip_prefix(root) {
        Some(rest) => rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

fn elsewhere(path: &str) -> ToolError {
    let roots = roots::all();
    let hint = match roots.as_slice() {
        [] => "no directory is granted to this function".to_owned(),
        roots => format!("paths begin with {}", roots.join(" or ")),
    };
    ToolError::not_found(format_args!("{path} does not exist here; {hint}"))
}

/// A directory and a name in it.
pub(crate) fn join(directory: &str, name: &str) -> String {
    format!("{}/{name}", directory.trim_end_matches('/'))
}
