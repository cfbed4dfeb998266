//! What a call gives back when it ran to its end.

use std::fmt;

/// The end of a call that ran: the tool's result, or the tool's own error.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The tool did what was asked.
    Output(Output),
    /// The tool says why it did not.
    Error(ToolError),
}

/// What a function gives back.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Output {
    /// The structured result.
    pub structured: Option<serde_json::Value>,
    /// What to show beside it, or instead of it.
    pub contents: Vec<Content>,
    /// What the host denied meanwhile, in its own words: the tool could not pass them on.
    pub denied: Vec<String>,
}

/// What a guest answered, as it said it: nothing of it is checked yet.
pub type GuestAnswer = Result<RawOutput, RawError>;

/// A guest's result before it is judged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawOutput {
    /// The structured result as JSON text.
    pub structured: Option<String>,
    /// What to show beside it, or instead of it.
    pub contents: Vec<Content>,
}

/// A guest's error before it is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawError {
    /// What should be a [`ToolErrorCode`].
    pub code: String,
    /// What happened.
    pub message: String,
    /// Seconds after which the same call is worth another try.
    pub retry_after: Option<u32>,
    /// More for a program to read, as JSON text.
    pub data: Option<String>,
}

/// One piece of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Text for the model.
    Text(String),
    /// Bytes with their type.
    Blob(Blob),
    /// A pointer to something the agent may fetch by itself.
    Link(ResourceLink),
}

/// Bytes with their type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// For example `image/png`.
    pub mime_type: String,
    /// The bytes.
    pub data: Vec<u8>,
    /// The name of an embedded resource.
    pub uri: Option<String>,
}

/// A pointer to something the agent may fetch by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceLink {
    /// Where it is.
    pub uri: String,
    /// What to call it.
    pub name: String,
    /// What it is.
    pub description: Option<String>,
    /// What fetching it would give.
    pub mime_type: Option<String>,
}

/// Why a tool did not do what was asked.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolError {
    /// What an agent can act on.
    pub code: ToolErrorCode,
    /// What happened and what to do next.
    pub message: String,
    /// Seconds after which the same call is worth another try.
    pub retry_after: Option<u32>,
    /// More for a program to read.
    pub data: Option<serde_json::Value>,
    /// What the host denied meanwhile, in its own words: the tool could not pass them on.
    pub denied: Vec<String>,
}

/// What an agent can act on. A code the host does not know counts as `Failed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ToolErrorCode {
    /// The agent should change its arguments.
    InvalidArguments,
    /// What the arguments name does not exist.
    NotFound,
    /// Refused; asking again will not help.
    Denied,
    /// Too many calls.
    RateLimited,
    /// The upstream does not answer now.
    Unavailable,
    /// A person has to do or allow something first.
    NeedsHuman,
    /// Anything else.
    Failed,
}

impl ToolErrorCode {
    /// Reads a guest's code.
    #[must_use]
    pub fn parse(code: &str) -> Self {
        match code {
            "invalid-arguments" => Self::InvalidArguments,
            "not-found" => Self::NotFound,
            "denied" => Self::Denied,
            "rate-limited" => Self::RateLimited,
            "unavailable" => Self::Unavailable,
            "needs-human" => Self::NeedsHuman,
            _ => Self::Failed,
        }
    }

    /// The code as agents and the ledger read it.
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

impl fmt::Display for ToolErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How far a call is, said before it ends. Already scrubbed.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// How much is done; larger in every report of a call than in the one before.
    pub done: f64,
    /// Of how much.
    pub total: Option<f64>,
    /// In words.
    pub message: Option<String>,
}
