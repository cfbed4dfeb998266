//! What the manifest may grant of the log. Pure values.

use super::capability::{Capability, Grant, Granting};
use crate::terms::Reach;

/// From which level on the guest's messages are kept. Without a grant they are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogGrant {
    /// Line of the grant in the manifest, from 1.
    pub line: u32,
    /// The lowest level that is kept.
    pub level: Level,
}

/// As it is listed.
pub(super) static CAPABILITY: Capability = Capability {
    name: "log",
    imports: &["wasi:cli/stdout", "wasi:cli/stderr", "wasi:logging"],
    provides: &[
        ("wasi:cli/stderr", "0.2"),
        ("wasi:cli/stdout", "0.2"),
        ("wasi:logging/logging", "0.1"),
        ("wasi:logging/logging", "0.1.0-draft"),
        ("wasi:logging/logging", ""),
    ],
    provides_v03: &[("wasi:cli/stderr", "0.3"), ("wasi:cli/stdout", "0.3")],
    grant: Some(Granting {
        needs: &["wasi:logging/logging", "wasi:cli/stdout", "wasi:cli/stderr"],
        finds: "what is granted, else dropped",
        purpose: "messages for the operator's log",
        example: "log = \"info\"\n",
    }),
};

impl Grant for LogGrant {
    fn capability(&self) -> &'static Capability {
        &CAPABILITY
    }

    fn line(&self) -> u32 {
        self.line
    }

    fn reach(&self) -> Reach {
        Reach::Nothing
    }

    fn brief(&self) -> String {
        CAPABILITY.name.to_owned()
    }

    fn asks(&self) -> String {
        format!("writes to the log from {:?} on", self.level)
    }
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
