//! What the operator wrote, checked: the values every other room works with.

use core::net::SocketAddr;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::grants::CommandGrant;
pub use crate::grants::Grants;
use crate::terms::{Limits, SchemaDocument, Wasi};

/// A whole manifest. Paths are as written: whoever reads files resolves them against the
/// manifest's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// `[host]`.
    pub host: HostSpec,
    /// `[secret.*]` by name.
    pub secrets: BTreeMap<Arc<str>, SecretSpec>,
    /// `[caller.*]`, in the order of their names.
    pub callers: Vec<CallerSpec>,
    /// `[tool.*]`, in the order of their names.
    pub tools: Vec<Arc<ToolSpec>>,
}

/// `[host]`: what concerns the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostSpec {
    /// Where ledger, compiled components and tokens are kept. `.toolhost` by default.
    pub state: PathBuf,
    /// The agents' Unix socket, where one is wanted. By default `<state>/agents/agent.sock`.
    pub unix: Option<PathBuf>,
    /// The agents' HTTP address, always loopback, where one is wanted. By default `127.0.0.1:7420`.
    pub http: Option<SocketAddr>,
    /// The operators' Unix socket. By default `<state>/admin/admin.sock`.
    pub admin: PathBuf,
    /// Line of `agents`, from 1, where it is written.
    pub agents_line: Option<u32>,
    /// What is to be there for a start.
    pub start: Start,
    /// Calls that run at once, over all tools. 64 by default.
    pub concurrency: u32,
    /// Calls that wait for a place, over all tools. 256 by default.
    pub queue: u32,
    /// The largest message of an agent, a line or a body, in bytes. 4 MiB by default.
    pub message: usize,
    /// The DNS server that names of grants are asked of, where it is not left to the system.
    pub dns: Option<SocketAddr>,
}

/// `start` of `[host]`: what a start does about a secret, a directory or a component that cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// It is refused, and all that is missing is named.
    #[default]
    Strict,
    /// It costs the tools that need it, and nothing else. Health says so.
    Degraded,
}

/// `[secret.<name>]`: where a secret is, never what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretSpec {
    /// Line of the section, from 1.
    pub line: u32,
    /// Where its value comes from.
    pub place: SecretPlace,
    /// Whether a value is accepted that is short enough to be guessed.
    pub accept_short: bool,
}

/// Where a secret's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretPlace {
    /// A variable of the host's environment.
    Env(String),
    /// A file; its last line ending is not part of the value.
    File(PathBuf),
    /// What a program prints.
    Command(CommandSpec),
}

/// A program that prints a secret, and nothing else, on its standard output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandSpec {
    /// The program: a path as written, or a name to be looked up in `PATH`.
    pub program: PathBuf,
    /// Its arguments, which no shell reads.
    pub arguments: Vec<String>,
    /// The longest it may run. 10 s by default.
    pub timeout: Duration,
    /// How long what it printed holds. 5 minutes by default.
    pub ttl: Duration,
}

/// `[caller.<name>]`: an agent, how it is known, and what it may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerSpec {
    /// Its name.
    pub name: Arc<str>,
    /// Line of the section, from 1.
    pub line: u32,
    /// SHA-256 of its bearer token.
    pub token_sha256: Option<[u8; 32]>,
    /// The uid it connects to the Unix socket with.
    pub uid: Option<u32>,
    /// It is the one on standard input.
    pub stdio: bool,
    /// The user it acts for, where that is fixed.
    pub user: Option<Arc<str>>,
    /// Calls of it that run at once, over all tools. By default all that the host runs but one for
    /// each other caller.
    pub concurrency: Option<u32>,
    /// What it may use.
    pub may: Vec<Right>,
}

/// One entry of `may`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Right {
    /// Line of the entry, from 1.
    pub line: u32,
    /// The tool, or every tool for `*`.
    pub tool: Option<Arc<str>>,
    /// The function, or every function of the tool for `tool.*`.
    pub function: Option<Arc<str>>,
}

/// `[tool.<name>]`: a component and its powers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolSpec {
    /// Its name: 1 to 32 of `a-z`, `0-9` and `_`, a letter first.
    pub name: Arc<str>,
    /// Line of the section, from 1.
    pub line: u32,
    /// The component's file.
    pub component: PathBuf,
    /// The generation of WASI it is run with.
    pub wasi: Wasi,
    /// Limits and grants of every function that has no section of its own.
    pub all: Arc<FunctionSpec>,
    /// Limits and grants of the functions that have one: the tool's, with the section's added.
    pub functions: BTreeMap<Arc<str>, Arc<FunctionSpec>>,
    /// The functions of a program: it does not say itself what it is for.
    pub uses: BTreeMap<Arc<str>, Arc<UseSpec>>,
}

/// `[tool.<tool>.command.<function>]`: a program as a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UseSpec {
    /// A name for people.
    pub title: Option<String>,
    /// What it does and when to use it.
    pub description: String,
    /// JSON Schema of the call's arguments.
    pub input_schema: SchemaDocument,
    /// JSON Schema of what it prints, where that is JSON.
    pub output_schema: Option<SchemaDocument>,
    /// Its command line and streams.
    pub grant: Arc<CommandGrant>,
}

impl ToolSpec {
    /// Limits and grants of one function.
    #[must_use]
    pub fn function(&self, name: &str) -> &Arc<FunctionSpec> {
        self.functions.get(name).unwrap_or(&self.all)
    }
}

/// What one function may do, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionSpec {
    /// Line of the section it comes from, from 1.
    pub line: u32,
    /// The bounds of one call.
    pub limits: Limits,
    /// The powers.
    pub grants: Grants,
}
