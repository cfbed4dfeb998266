//! What keeps a host from starting: all of it in one run, each with the line of the manifest that it is
//! about, where there is one.
//!
//! It does not know what was looked at.

use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};

use super::start::HostConfig;
use crate::catalog::Trouble;
use crate::manifest::{Problem, Problems};

/// Everything that is wrong, in the order in which it was found. As an error it is all of it.
#[derive(Debug)]
pub(super) struct Diagnostics {
    file: String,
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
    pub(super) fn of(config: &HostConfig) -> Self {
        let file = config.path.file_name().unwrap_or_default();
        Self {
            file: file.to_string_lossy().into_owned(),
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

    /// Whether nothing is wrong.
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
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
            false => Err(self.into()),
        }
    }

    /// What is wrong with tools of this manifest, as one error.
    pub(super) fn refuse(
        config: &HostConfig,
        troubles: impl IntoIterator<Item = Trouble>,
    ) -> anyhow::Error {
        let mut wrong = Self::of(config);
        wrong.extend(troubles);
        wrong.into()
    }
}

impl std::error::Error for Diagnostics {}

/// What an error says to programs: a list, also of one.
pub(super) fn for_programs(error: &anyhow::Error) -> Value {
    if let Some(wrong) = error.downcast_ref::<Diagnostics>() {
        return json!(wrong.list);
    }
    if let Some(told) = error.downcast_ref::<toolhost_doors::AdminError>() {
        return told.problems.clone();
    }
    match error.downcast_ref::<Problems>() {
        Some(problems) => json!(problems.iter().collect::<Vec<&Problem>>()),
        None => json!([{ "message": format!("{error:#}") }]),
    }
}

/// What an error says, a line for each thing that is wrong.
pub(super) fn each(error: &anyhow::Error) -> Vec<String> {
    if let Some(wrong) = error.downcast_ref::<Diagnostics>() {
        return wrong.iter().collect();
    }
    let Some(problems) = error.downcast_ref::<Problems>() else {
        return vec![format!("{error:#}")];
    };
    let line = |one: &Problem| {
        let (message, file, line) = (one.message(), problems.file_name(), one.line());
        let hint = one.hint().map(|hint| format!(": {hint}"));
        format!(
            "{message} ({file}:{line}:{}){}",
            one.column(),
            hint.unwrap_or_default()
        )
    };
    problems.iter().map(line).collect()
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
