//! The words every room shares. No room of the host is named here, and nothing here touches the world.

mod attempt;
mod bill;
mod clock;
mod definition;
mod fault;
mod fingerprint;
pub mod json;
mod limits;
mod ordered;
mod outcome;
mod recording;
mod schema;
mod scrub;
mod text;
mod wasi;

pub use attempt::{
    AnswerEnd, Attempt, AttemptAnswer, AttemptSink, DirOperation, DirTarget, HttpTarget, KvTarget,
    RuleRef, Target, Unrecorded, Usage, Verdict,
};
pub use bill::Bill;
pub use clock::{Clock, ManualClock, file_stamp, stamp};
pub use definition::{Annotations, Definition, FunctionId, Hints, Listed};
pub use fault::{Blame, Code, Fault};
pub use fingerprint::Fingerprint;
pub use limits::Limits;
pub use ordered::{Members, Ordered};
pub use outcome::{
    Blob, Content, GuestAnswer, Outcome, Output, Progress, RawError, RawOutput, ResourceLink,
    ToolError, ToolErrorCode,
};
pub use recording::{
    ClockAnswer, ConfigAnswer, DirAnswer, Divergence, EnvAnswer, FileStatus, HostAnswer,
    HostQuestion, HttpAnswer, HttpCode, KvAnswer, Moment, Pair, PollAnswer, RandomAnswer,
    RecordedAnswer, Recording, Stopped, StreamAnswer,
};
pub use schema::SchemaDocument;
pub use scrub::Scrub;
pub use text::{acts, is_hidden, is_mark, printable, printable_lines, seen, unmarked};
pub use wasi::Wasi;

/// Who asked: an agent, and where it is known the user it acts for.
///
/// Made by the gate from what a door saw (a token, a peer's uid, stdin). It keys rights, slots and
/// records; what it may do is the gate's to say.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Caller {
    /// The agent's name in the manifest: `[caller.<agent>]`, or `local`.
    pub agent: std::sync::Arc<str>,
    /// The user behind the agent, where the door says so.
    pub user: Option<std::sync::Arc<str>>,
}

/// What records leave out.
#[must_use]
pub const fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// How far a call can reach with its grants: what its record has to survive before it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Nothing outside: it can compute.
    Nothing,
    /// It can look at something outside.
    Reads,
    /// It can change something outside.
    Writes,
}

/// The door a call came through, as the ledger names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Door {
    /// Standard input and output of this process.
    Stdio,
    /// The agents' Unix socket.
    Unix,
    /// HTTP on loopback.
    Http,
    /// The command line of the process that owns the state folder: an operator, as a caller that he names.
    Cli,
    /// The operators' socket: the same of another process.
    Admin,
}
