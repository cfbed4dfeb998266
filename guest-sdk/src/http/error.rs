//! Why there is no response. It does not know statuses: a response with a bad one is a response.

use std::fmt;

use crate::{Code, ToolError};

/// Why there is no response.
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
    /// No grant of the manifest allows this request.
    Denied,
    /// The request is malformed, or says what only the host may say.
    Invalid,
    /// The request or the response is larger than its limit.
    TooLarge,
    /// No whole response in time.
    Timeout,
    /// The name does not resolve, or nothing answers there, or its certificate does not hold.
    Unreachable,
    /// What came back is not HTTP.
    Protocol,
    /// A code this SDK does not know yet.
    Other,
}

impl ErrorCode {
    /// The code as `wit/http.wit` spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Invalid => "invalid",
            Self::TooLarge => "too-large",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::Protocol => "protocol",
            Self::Other => "other",
        }
    }

    /// Reads the host's code.
    #[must_use]
    pub fn parse(code: &str) -> Self {
        match code {
            "denied" => Self::Denied,
            "invalid" => Self::Invalid,
            "too-large" => Self::TooLarge,
            "timeout" => Self::Timeout,
            "unreachable" => Self::Unreachable,
            "protocol" => Self::Protocol,
            _ => Self::Other,
        }
    }
}

impl Error {
    /// An error with a code and a sentence.
    pub fn new(code: ErrorCode, message: impl fmt::Display) -> Self {
        Self {
            code,
            message: message.to_string(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}

impl std::error::Error for Error {}

impl From<Error> for ToolError {
    fn from(error: Error) -> Self {
        let code = match error.code {
            ErrorCode::Denied => Code::Denied,
            ErrorCode::Timeout | ErrorCode::Unreachable => Code::Unavailable,
            ErrorCode::Invalid | ErrorCode::TooLarge | ErrorCode::Protocol | ErrorCode::Other => {
                Code::Failed
            }
        };
        Self::new(code, error.message)
    }
}
