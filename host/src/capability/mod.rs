//! The powers, one folder each: what may be granted (pure), what is decided from it (pure), what the
//! guest sees (host functions), and the state of one call.
//!
//! A capability knows nothing of callers, of protocols and of its siblings. It reaches the world
//! only through `service`. A new one is a folder here and its lines in `registry`.

mod attempts;
mod bindings;
mod context;
mod current_call;
mod described;
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
pub use described::{Capability, Grant, Granting};
pub use provided::{nearest, power, provided_by, provides};
pub use registry::{
    CAPABILITIES, Grants, GuestState, HasGuestState, PrepareError, PreparedGrants, SharedServices,
    link, variation,
};
