//! Why a call did not do what was asked, in the codes that agents act on. It does not know how an
//! error travels to the agent.

use std::fmt;

use serde::Serialize;

/// What an agent can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The agent should change its arguments.
    InvalidArguments,
    /// What the arguments name does not exist.
    NotFound,
    /// The tool or its upstream refuses; asking again will not help.
    Denied,
    /// Too many calls; [`ToolError::retry_after`] says when to come back.
    RateLimited,
    /// The upstream does not answer now; the same call may work later.
    Unavailable,
    /// A person has to do or allow something first.
    NeedsHuman,
    /// Anything else.
    Failed,
}

impl Code {
    /// The code as `wit/tools.wit` spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidArguments => "invalid-arguments",
            Self::NotFound => "not-found",
            Self::Denied => "denied",
            Self::RateLimited => "rate-limited",
            Self::Unavailable => "unavailable",
            Self::NeedsHuman => "needs-human",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a call did not do what was asked, as the agent will read it.
///
/// The message is a sentence that says what happened and what to do next.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolError {
    /// What the agent can act on.
    pub code: Code,
    /// What happened and what to do next.
    pub message: String,
    /// Seconds after which the same call is worth another try.
    pub retry_after: Option<u32>,
    /// More for a program to read.
    pub data: Option<serde_json::Value>,
}

impl ToolError {
    /// An error with a code and a sentence.
    pub fn new(code: Code, message: impl fmt::Display) -> Self {
        Self {
            code,
            message: message.to_string(),
            retry_after: None,
            data: None,
        }
    }

    /// The agent should change its arguments.
    pub fn invalid_arguments(message: impl fmt::Display) -> Self {
        Self::new(Code::InvalidArguments, message)
    }

    /// What the arguments name does not exist.
    pub fn not_found(message: impl fmt::Display) -> Self {
        Self::new(Code::NotFound, message)
    }

    /// Refused; asking again will not help.
    pub fn denied(message: impl fmt::Display) -> Self {
        Self::new(Code::Denied, message)
    }

    /// Too many calls.
    pub fn rate_limited(message: impl fmt::Display) -> Self {
        Self::new(Code::RateLimited, message)
    }

    /// The upstream does not answer now.
    pub fn unavailable(message: impl fmt::Display) -> Self {
        Self::new(Code::Unavailable, message)
    }

    /// A person has to do or allow something first.
    pub fn needs_human(message: impl fmt::Display) -> Self {
        Self::new(Code::NeedsHuman, message)
    }

    /// Anything else.
    pub fn failed(message: impl fmt::Display) -> Self {
        Self::new(Code::Failed, message)
    }

    /// Says after how many seconds the same call is worth another try.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Adds more for a program to read. A value that has no JSON form is left out: an error must
    /// not fail.
    #[must_use]
    pub fn data(mut self, data: impl Serialize) -> Self {
        self.data = serde_json::to_value(data).ok();
        self
    }

    /// Puts a sentence before the message: what the tool was about when this happened.
    #[must_use]
    pub fn context(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }
}

impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for ToolError {}

impl From<std::io::Error> for ToolError {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind;
        let code = match error.kind() {
            ErrorKind::NotFound => Code::NotFound,
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Code::Denied,
            _ => Code::Failed,
        };
        Self::new(code, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_io_error_keeps_what_an_agent_can_act_on() {
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        assert_eq!(ToolError::from(missing).code, Code::NotFound);
        let odd = std::io::Error::other("disk on fire");
        assert_eq!(ToolError::from(odd).to_string(), "failed: disk on fire");
    }

    #[test]
    fn details_are_added_in_any_order() {
        let error = ToolError::rate_limited("slow down")
            .data(serde_json::json!({ "limit": 30 }))
            .retry_after(7)
            .context("searching");
        assert_eq!(error.message, "searching: slow down");
        assert_eq!(error.retry_after, Some(7));
        assert_eq!(error.data, Some(serde_json::json!({ "limit": 30 })));
    }
}
