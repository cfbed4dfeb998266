//! Why a bucket did not do what was asked.

use std::fmt;

use crate::{Code, ToolError};

/// Why a bucket did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What to branch on.
    pub code: ErrorCode,
    /// What happened, in a sentence.
    pub message: String,
}

/// What to branch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorCode {
    /// No grant of the manifest has this name.
    NoSuchStore,
    /// It may not be used.
    Denied,
    /// The message says what.
    Other,
}

impl Error {
    /// An error whose message says it all.
    pub fn other(message: impl fmt::Display) -> Self {
        Self {
            code: ErrorCode::Other,
            message: message.to_string(),
        }
    }

    pub(super) fn no_such_store() -> Self {
        Self {
            code: ErrorCode::NoSuchStore,
            message: "no bucket of this name is granted".to_owned(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<Error> for ToolError {
    fn from(error: Error) -> Self {
        let code = match error.code {
            ErrorCode::NoSuchStore | ErrorCode::Denied => Code::Denied,
            ErrorCode::Other => Code::Failed,
        };
        Self::new(code, error.message)
    }
}
