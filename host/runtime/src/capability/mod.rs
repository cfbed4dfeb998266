//! The powers, one folder each: what may be granted (pure), what is decided from it (pure), what the
//! guest sees (host functions), and the state of one call.
//!
//! A capability knows nothing of callers, of protocols and of its siblings. It reaches the
//! network only through `toolhost_outbound`. A new one is a folder here and its lines in `registry`.

mod bindings;
mod context;
mod registry;
mod seam;
mod sink;
mod streams;

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

pub use bindings::exports::toolhost::tool::tools;
pub use bindings::{Bound, BoundPre, answer_in_terms};
pub use context::CallContext;
pub use registry::{
    GuestState, HasGuestState, PrepareError, PreparedGrants, SharedServices, link, variation,
};
