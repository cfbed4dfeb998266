//! Python: componentize-py, in a virtual environment of the project's own.

use std::path::{Path, PathBuf};

use super::super::refused;

pub(super) const TEMPLATE: &str = "guest-sdk/python/template";
pub(super) const NATIVE_TEST: &str = "python3 -m unittest";
pub(super) const SDK: &[&str] = &["wit", "guest-sdk/python"];

pub(super) fn is_project(folder: &Path) -> bool {
    let has = |name: &str| folder.join(name).is_file();
    has("requirements.txt") || has("pyproject.toml")
}

pub(super) async fn compile(_folder: &Path) -> anyhow::Result<PathBuf> {
    Err(refused("not yet"))
}
