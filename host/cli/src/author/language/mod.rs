//! The languages that a tool may be written in: how a project of each is recognised and built.
//!
//! It knows their own tools, and nothing of what the host thinks of the result.

mod javascript;
mod python;
mod run;
mod rust;

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::ValueEnum;

use super::kit;

/// A language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in super::super) enum Language {
    /// Components of 100 KB that start in microseconds.
    Rust,
    /// CPython within the component: 18 MB.
    Python,
    /// QuickJS within the component: 1 to 2 MB.
    #[value(alias = "js")]
    Javascript,
}

impl Language {
    /// The language of a project, by what lies in its folder.
    pub(super) fn of(folder: &Path) -> anyhow::Result<Self> {
        let has = |name: &str| folder.join(name).is_file();
        let found = [
            (Self::Rust, has("Cargo.toml")),
            (Self::Javascript, has("package.json")),
            (Self::Python, python::is_project(folder)),
        ];
        let mut found = found.iter().filter(|(_, there)| *there);
        match (found.next(), found.next()) {
            (Some((language, _)), None) => Ok(*language),
            (Some((one, _)), Some((other, _))) => bail!(
                "{} is a project in {} and in {}: a tool's folder is in one language",
                folder.display(),
                one.title(),
                other.title()
            ),
            (None, _) => bail!(
                "there is nothing to build in {}: no Cargo.toml (Rust), no requirements.txt or \
                 pyproject.toml with a tool.py (Python), no package.json (JavaScript). \
                 `toolhost new <name> --lang rust|python|javascript` makes a project",
                folder.display()
            ),
        }
    }

    /// As it is typed.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::Javascript => "javascript",
        }
    }

    /// As it is called.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
            Self::Python => "Python",
            Self::Javascript => "JavaScript",
        }
    }

    /// The command that tests a project's functions alone.
    pub(super) fn native_test(self) -> &'static str {
        match self {
            Self::Rust => rust::NATIVE_TEST,
            Self::Python => python::NATIVE_TEST,
            Self::Javascript => javascript::NATIVE_TEST,
        }
    }

    /// Whether a project cannot be called this although a tool can.
    pub(super) fn reserves(self, name: &str) -> bool {
        match self {
            Self::Rust => rust::RESERVED.contains(&name),
            Self::Python | Self::Javascript => false,
        }
    }

    /// The files of a new project.
    pub(super) fn project(self, name: &str) -> Vec<(PathBuf, String)> {
        let template = match self {
            Self::Rust => rust::TEMPLATE,
            Self::Python => python::TEMPLATE,
            Self::Javascript => javascript::TEMPLATE,
        };
        let mut files: Vec<_> = kit::template(template, name).collect();
        if self == Self::Rust {
            files.extend(rust::versions());
        }
        files
    }

    /// Writes the SDK into a project that builds with the one that this program brings.
    pub(super) fn bring_sdk(self, folder: &Path) -> anyhow::Result<()> {
        match self {
            Self::Rust => rust::bring_sdk(folder),
            Self::Python => kit::bring_sdk(folder, python::SDK, &[]).map(drop),
            Self::Javascript => kit::bring_sdk(folder, javascript::SDK, &[]).map(drop),
        }
    }

    /// Builds the project; gives the component's file.
    pub(super) async fn compile(self, folder: &Path) -> anyhow::Result<PathBuf> {
        self.bring_sdk(folder)?;
        match self {
            Self::Rust => rust::compile(folder).await,
            Self::Python => python::compile(folder).await,
            Self::Javascript => javascript::compile(folder).await,
        }
    }

    /// Whether its components need clocks and randomness of the host to be sound.
    pub(super) fn has_runtime(self) -> bool {
        matches!(self, Self::Python | Self::Javascript)
    }
}
