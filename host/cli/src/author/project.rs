//! A project's folder: what it is called, what it asks for, and in which language it is written.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};

use super::super::authoring::beneath;
use super::{Language, refused};
use crate::compile::bounded::utf8;
use crate::compile::embedded_manifest;
use crate::manifest::{self, Manifest, ToolSpec};

/// What a tool asks for, in a project.
const WISHES: &str = "tool.toml";

/// A project that is to be built.
pub(super) struct Project {
    /// Absolute.
    pub(super) folder: PathBuf,
    pub(super) language: Language,
    /// The text of its `tool.toml`.
    pub(super) wishes: Option<String>,
}

impl Project {
    /// Looks at a folder.
    pub(super) fn open(folder: &Path) -> anyhow::Result<Self> {
        let folder = std::fs::canonicalize(folder)
            .with_context(|| format!("cannot open the folder {}", folder.display()))?;
        if !folder.is_dir() {
            bail!(
                "{} is no folder; name the one with the tool's sources",
                folder.display()
            );
        }
        Ok(Self {
            language: Language::of(&folder)?,
            wishes: wishes(&folder)?,
            folder,
        })
    }

    /// The tool as its author asks for it to be run; one that asks for nothing where there is no
    /// `tool.toml`. `component` is its file.
    pub(super) fn tool(&self, component: PathBuf) -> anyhow::Result<Manifest> {
        let read = match &self.wishes {
            Some(text) => manifest::parse_part(WISHES, text),
            None => {
                let name = self.folder_name()?;
                manifest::parse_part(
                    WISHES,
                    &format!("[tool.{name}]\ncomponent = \"{name}.wasm\"\n"),
                )
            }
        };
        let mut read = read.map_err(|problems| refused(problems.to_string()))?;
        let [tool] = read.tools.as_slice() else {
            return Err(refused(format!(
                "{WISHES} has {} tools; it is to have one section [tool.<name>]",
                read.tools.len()
            )));
        };
        let tool = ToolSpec {
            component,
            ..ToolSpec::clone(tool)
        };
        read.tools = vec![Arc::new(tool)];
        Ok(read)
    }

    fn folder_name(&self) -> anyhow::Result<String> {
        let name = self.folder.file_name().unwrap_or_default();
        let name = name.to_string_lossy().replace('-', "_");
        if !manifest::is_tool_name(&name) {
            return Err(refused(format!(
                "the folder's name, `{}`, is none for a tool: give the tool one in {WISHES}, [tool.<name>]",
                name.escape_debug()
            )));
        }
        Ok(name)
    }
}

fn wishes(folder: &Path) -> anyhow::Result<Option<String>> {
    let most = u64::try_from(embedded_manifest::MOST)?;
    let bytes = match beneath(folder, Path::new(WISHES), most) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => {
            return Err(refused(format!("{WISHES}: {error}")));
        }
        Err(error) => {
            let path = folder.join(WISHES);
            return Err(error).with_context(|| format!("cannot read {}", path.display()));
        }
    };
    match utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        Err(error) => Err(refused(format!("{WISHES}: {error}"))),
    }
}
