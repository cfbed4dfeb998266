//! How anything ends badly: a code to branch on, who is to blame, a sentence for the agent, and a
//! detail for the operator alone.

use std::borrow::Cow;

/// Why a call ended badly. A closed set, grouped by who has to change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// No such function, or none that this caller may use: the two look alike.
    UnknownFunction,
    /// The arguments do not fit the function's schema.
    InvalidArguments,
    /// The request, its line, its body or its nesting is larger than a bound.
    TooLarge,
    /// The caller took its call back, or went away.
    Cancelled,

    /// The guest ran into a trap of its own: unreachable code, out of bounds, an uncaught exception.
    Trapped,
    /// The guest used up its fuel.
    OutOfFuel,
    /// The guest needed more memory, tables or instances than it was granted.
    OutOfMemory,
    /// The host would have had to hold more for the guest, outside of its memory, than it may.
    OutOfHostMemory,
    /// The call took longer than its deadline.
    DeadlineExceeded,
    /// The guest's stack overflowed.
    StackOverflow,
    /// The guest held more handles or host resources than it may.
    TooManyResources,
    /// The guest's answer is larger than its limit.
    OutputTooLarge,
    /// The guest's answer does not fit what its definition promises.
    InvalidOutput,
    /// The component cannot be used: wrong kind of file, unknown import, changed since the lock.
    BadComponent,

    /// All places are taken and the queue is full.
    Busy,
    /// The host is stopping.
    ShuttingDown,

    /// Something that the function needs cannot be had now: a granted directory, its component.
    MissingResource,
    /// The ledger cannot be written: nothing runs that is not recorded.
    LedgerFailed,
    /// A defect of the host.
    Internal,
}

/// Who has to change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Blame {
    /// The agent: another call would do.
    Caller,
    /// The tool: its author should look.
    Tool,
    /// Nobody: a guard of the host did its work, later it may go.
    Guard,
    /// The host: its operator should look.
    Host,
}

impl Blame {
    /// As operators read it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Tool => "tool",
            Self::Guard => "guard",
            Self::Host => "host",
        }
    }
}

impl Code {
    /// Every code, for tests and documentation.
    pub const ALL: [Self; 19] = [
        Self::UnknownFunction,
        Self::InvalidArguments,
        Self::TooLarge,
        Self::Cancelled,
        Self::Trapped,
        Self::OutOfFuel,
        Self::OutOfMemory,
        Self::OutOfHostMemory,
        Self::DeadlineExceeded,
        Self::StackOverflow,
        Self::TooManyResources,
        Self::OutputTooLarge,
        Self::InvalidOutput,
        Self::BadComponent,
        Self::Busy,
        Self::ShuttingDown,
        Self::MissingResource,
        Self::LedgerFailed,
        Self::Internal,
    ];

    /// The code as agents, operators and the ledger read it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownFunction => "unknown-function",
            Self::InvalidArguments => "invalid-arguments",
            Self::TooLarge => "too-large",
            Self::Cancelled => "cancelled",
            Self::Trapped => "trapped",
            Self::OutOfFuel => "out-of-fuel",
            Self::OutOfMemory => "out-of-memory",
            Self::OutOfHostMemory => "out-of-host-memory",
            Self::DeadlineExceeded => "deadline-exceeded",
            Self::StackOverflow => "stack-overflow",
            Self::TooManyResources => "too-many-resources",
            Self::OutputTooLarge => "output-too-large",
            Self::InvalidOutput => "invalid-output",
            Self::BadComponent => "bad-component",
            Self::Busy => "busy",
            Self::ShuttingDown => "shutting-down",
            Self::MissingResource => "missing-resource",
            Self::LedgerFailed => "ledger-failed",
            Self::Internal => "internal",
        }
    }

    /// Who has to change something.
    #[must_use]
    pub const fn blame(self) -> Blame {
        match self {
            Self::UnknownFunction | Self::InvalidArguments | Self::TooLarge | Self::Cancelled => {
                Blame::Caller
            }
            Self::Trapped
            | Self::OutOfFuel
            | Self::OutOfMemory
            | Self::OutOfHostMemory
            | Self::DeadlineExceeded
            | Self::StackOverflow
            | Self::TooManyResources
            | Self::OutputTooLarge
            | Self::InvalidOutput
            | Self::BadComponent => Blame::Tool,
            Self::Busy | Self::ShuttingDown => Blame::Guard,
            Self::MissingResource | Self::LedgerFailed | Self::Internal => Blame::Host,
        }
    }
}

/// How a call ended badly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{say}")]
pub struct Fault {
    /// What to branch on.
    pub code: Code,
    /// A sentence that is safe for an agent, with the next step in it.
    pub say: Cow<'static, str>,
    /// What only the operator may read.
    pub detail: Option<String>,
    /// When the same call may go well, in seconds, where that is known.
    pub retry_after: Option<u32>,
}

impl Fault {
    /// A fault with nothing for the operator beyond what the agent reads.
    pub fn new(code: Code, say: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            say: say.into(),
            detail: None,
            retry_after: None,
        }
    }

    /// Adds when the same call may go well, in seconds.
    #[must_use]
    pub const fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Adds what only the operator may read.
    #[must_use]
    pub fn detail(mut self, detail: impl std::fmt::Display) -> Self {
        self.detail = Some(detail.to_string());
        self
    }

    /// A defect of the host: the agent learns only that it was not its fault.
    pub fn internal(detail: impl std::fmt::Display) -> Self {
        Self::new(
            Code::Internal,
            "The host failed while serving this call. It is not caused by your arguments; the operator's log has the reason.",
        )
        .detail(detail)
    }

    /// Who has to change something.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        self.code.blame()
    }
}
