//! What keeps a host from starting: all of it in one run, each with the line of the manifest that it is
//! about, where there is one.
//!
//! It does not know what was looked at.

use std::fmt;

use anyhow::anyhow;
use serde::Serialize;

use super::out;
use super::start::Opened;
use crate::catalog::Trouble;

/// Everything that is wrong, in the order in which it was found.
pub(super) struct Diagnostics {
    file: String,
    json: bool,
    list: Vec<Diagnostic>,
}

/// One thing that is wrong.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Diagnostic {
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    message: String,
}

impl Diagnostics {
    /// None yet, of what this manifest names.
    pub(super) fn of(opened: &Opened) -> Self {
        let file = opened.path.file_name().unwrap_or_default();
        Self {
            file: file.to_string_lossy().into_owned(),
            json: opened.json,
            list: Vec::new(),
        }
    }

    /// Notes something; once, however often it is found.
    pub(super) fn add(&mut self, line: impl Into<Option<u32>>, message: impl Into<String>) {
        let new = Diagnostic {
            line: line.into(),
            message: message.into(),
        };
        if !self.list.contains(&new) {
            self.list.push(new);
        }
    }

    /// What a stage came to, or its error noted.
    pub(super) fn stage<T>(&mut self, result: anyhow::Result<T>) -> Option<T> {
        result
            .map_err(|error| self.add(None, format!("{error:#}")))
            .ok()
    }

    /// Notes what is wrong with tools.
    pub(super) fn extend(&mut self, troubles: impl IntoIterator<Item = Trouble>) {
        for trouble in troubles {
            self.add(trouble.line, trouble.message);
        }
    }

    /// Takes over what others noted.
    pub(super) fn append(&mut self, other: Self) {
        for one in other.list {
            self.add(one.line, one.message);
        }
    }

    /// Each, in one line.
    pub(super) fn iter(&self) -> impl Iterator<Item = String> {
        self.list.iter().map(|one| match one.line {
            Some(line) => format!("{} ({}:{line})", one.message, self.file),
            None => one.message.clone(),
        })
    }

    /// # Errors
    ///
    /// All that is wrong, if anything is.
    pub(super) fn into_result(self) -> anyhow::Result<()> {
        match self.list.is_empty() {
            true => Ok(()),
            false => Err(self.into_error()),
        }
    }

    /// All that is wrong as one error: for programs as a list.
    fn into_error(self) -> anyhow::Error {
        match self.json {
            true => out::json_text(&self.list).map_or_else(|error| error, |text| anyhow!("{text}")),
            false => anyhow!("{self}"),
        }
    }

    /// What is wrong with tools of this manifest, as one error.
    pub(super) fn refuse(
        opened: &Opened,
        troubles: impl IntoIterator<Item = Trouble>,
    ) -> anyhow::Error {
        let mut wrong = Self::of(opened);
        wrong.extend(troubles);
        wrong.into_error()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, one) in self.list.iter().enumerate() {
            let gap = if at == 0 { "" } else { "\n\n" };
            write!(f, "{gap}error: {}", one.message)?;
            if let Some(line) = one.line {
                write!(f, "\n  --> {}:{line}", self.file)?;
            }
        }
        Ok(())
    }
}
