//! Paths as text: what can be one, and which contains which. No file is looked at.

use std::path::{Component, Path, PathBuf};

use super::diagnostics::{At, Finding, TextDiagnostics};

/// A path of the host, absolute or from the manifest's folder.
pub(super) fn host(page: &TextDiagnostics<'_>, text: &At<&str>) -> Option<PathBuf> {
    let message = if text.value.is_empty() {
        "a path cannot be empty".to_owned()
    } else if text.value.contains(char::is_control) {
        "a path cannot have a control character".to_owned()
    } else if text.value.starts_with('~') {
        "`~` is not expanded: it would be a folder of that name".to_owned()
    } else if let Some(variable) = variable(text.value) {
        format!("`{variable}` is not expanded: it would be a part of the name")
    } else {
        return Some(PathBuf::from(text.value));
    };
    page.report(
        Finding::at(&text.span, message).hint("paths start at `/` or at the manifest's folder"),
    );
    None
}

/// What is meant as a variable: `$HOME`, `${HOME}`. A `$` before anything else, small letters too, is a
/// name's own.
fn variable(path: &str) -> Option<&str> {
    let starts = path.match_indices('$').map(|(at, _)| at);
    let mut found = starts.filter_map(|at| {
        let (_, rest) = path.split_at_checked(at + 1)?;
        let length = match rest.strip_prefix('{') {
            Some(braced) => braced.find('}')? + 2,
            None => rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .unwrap_or(rest.len()),
        };
        let first = rest.chars().next()?;
        let named = matches!(first, '{' | '_' | 'A'..='Z');
        named.then(|| path.get(at..=at + length)).flatten()
    });
    found.next()
}

/// The path without `.` and, as far as the text alone tells, without `..`.
pub(super) fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(out.components().next_back(), Some(Component::Normal(_))) =>
            {
                out.pop();
            }
            Component::ParentDir if out.has_root() => {}
            other => out.push(other),
        }
    }
    out
}

/// Whether `path` is `folder` or lies in it, as far as the text alone tells. Both are normal.
pub(super) fn holds(folder: &Path, path: &Path) -> bool {
    if folder.has_root() != path.has_root() {
        return false;
    }
    let ups = |path: &Path| {
        path.components()
            .take_while(|c| *c == Component::ParentDir)
            .count()
    };
    let only_ups = ups(folder) == folder.components().count() && !folder.has_root();
    let inside = path.strip_prefix(folder).is_ok_and(|rest| ups(rest) == 0);
    inside || (only_ups && ups(path) < ups(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant_as_a_variable_is_seen_and_nothing_else() {
        for (path, found) in [
            ("$HOME/notes", Some("$HOME")),
            ("a/${X}/b", Some("${X}")),
            ("a$_1", Some("$_1")),
            ("a$/$5/${", None),
            ("price$", None),
            ("Outer$inner.wasm", None),
        ] {
            assert_eq!(variable(path), found, "{path}");
        }
    }

    #[test]
    fn folders_hold_what_is_in_them_as_far_as_the_text_tells() {
        let check =
            |folder: &str, path: &str| holds(&normal(Path::new(folder)), &normal(Path::new(path)));
        for (folder, path) in [
            (".", "a"),
            (".", "."),
            ("a", "./a/b"),
            ("a/../b", "b/c"),
            ("..", "a"),
            ("../..", "../a"),
            ("../a", "../a/b"),
            ("/", "/a"),
            ("/a/..", "/b"),
            ("/../a", "/a/b"),
        ] {
            assert!(check(folder, path), "{folder} holds {path}");
        }
        for (folder, path) in [
            ("a", "ab"),
            ("a/b", "a"),
            (".", ".."),
            (".", "/a"),
            ("/", "a"),
            ("../a", "a"),
            ("..", "../.."),
        ] {
            assert!(!check(folder, path), "{folder} does not hold {path}");
        }
    }
}
