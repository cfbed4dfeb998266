//! The powers, one folder each: what may be granted (pure), what is decided from it (pure), what the
//! guest sees (host functions), and the state of one call.
//!
//! A capability knows nothing of callers, of protocols and of its siblings. It reaches the world
//! only through `service`. A new one is a folder here and its lines in `registry`.

mod attempts;
mod bindings;
mod context;
mod current_call;
mod provided;
mod registry;
mod sink;

pub mod clock;
pub mod command;
pub mod config;
pub mod dir;
pub mod env;
pub mod http;
pub mod kv;
pub mod log;
pub mod progress;
pub mod random;
pub mod service;

pub use attempts::AttemptLog;
pub use bindings::exports::toolhost::tool::tools;
pub use bindings::{Bound, BoundPre};
pub use context::CallContext;
pub use current_call::CurrentCall;
pub use provided::{nearest, provided_by, provides, usable};
pub use registry::{
    Grants, GuestState, HasGuestState, PrepareError, PreparedGrants, SharedServices, link,
    variation,
};

/// What an import is for: the capability's name as manifests have it, or `runtime` for what every
/// language's runtime brings along and no grant changes.
#[must_use]
pub fn power(import: &str) -> &'static str {
    let name = import.split('@').next().unwrap_or(import);
    match name.split_once('/').unwrap_or((name, "")) {
        ("toolhost:tool", "http") | ("wasi:http", _) => "http",
        ("toolhost:tool", "progress") => "progress",
        ("wasi:filesystem", _) => "dir",
        ("wasi:cli", "environment") => "env",
        ("wasi:cli", "stdout" | "stderr") | ("wasi:logging", _) => "log",
        ("wasi:clocks", _) => "clock",
        ("wasi:config", _) => "config",
        ("wasi:keyvalue", _) => "kv",
        ("wasi:random", _) => "random",
        ("wasi:sockets", _) => "sockets",
        _ => "runtime",
    }
}
