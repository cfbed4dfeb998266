//! What the manifest may grant of the log. Pure values.

/// From which level on the guest's messages are kept. Without a grant they are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogGrant {
    /// Line of the grant in the manifest, from 1.
    pub line: u32,
    /// The lowest level that is kept.
    pub level: Level,
}

/// The levels of `wasi:logging`, lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Every step.
    Trace,
    /// What helps to find a fault.
    Debug,
    /// What an operator wants to read.
    Info,
    /// Something is odd, the call goes on.
    Warn,
    /// The call cannot do what it should.
    Error,
    /// The tool cannot work at all.
    Critical,
}
