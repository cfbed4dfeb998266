//! JavaScript: componentize-qjs.

use std::path::{Path, PathBuf};

use super::super::refused;

pub(super) const TEMPLATE: &str = "guest-sdk/javascript/template";
pub(super) const NATIVE_TEST: &str = "npm test";
pub(super) const SDK: &[&str] = &["wit", "guest-sdk/javascript"];

pub(super) async fn compile(_folder: &Path) -> anyhow::Result<PathBuf> {
    Err(refused("not yet"))
}
