//! Writes toolhost tools in Rust: a plain function with an attribute becomes a function that agents
//! call. It knows the contract in `wit/`, and nothing of hosts, manifests or agents' protocols.
//!
//! ```
//! use toolhost_sdk::{ToolError, tool};
//!
//! /// Divides two whole numbers.
//! #[tool(read_only)]
//! fn divide(
//!     /// What is divided.
//!     dividend: i64,
//!     /// What it is divided by; not 0.
//!     divisor: i64,
//! ) -> Result<i64, ToolError> {
//!     dividend.checked_div(divisor).ok_or_else(|| ToolError::invalid_arguments("divisor must not be 0"))
//! }
//!
//! toolhost_sdk::export!(divide);
//!
//! assert_eq!(divide(6, 3), Ok(2));
//! ```
//!
//! The functions stay ordinary Rust: `cargo test` calls them natively, with
//! [`http::with_transport`] in place of the network. Only
//! `cargo build --target wasm32-wasip2` makes a component of them.

extern crate self as toolhost_sdk;

pub mod config;
mod error;
mod export;
mod function;
pub mod http;
mod json;
pub mod kv;
pub mod log;
mod output;
pub mod progress;
#[cfg(not(target_arch = "wasm32"))]
mod recorder;
mod schema;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod wasm;

pub use error::{Code, ToolError};
pub use function::{Definition, Function, Hints};
pub use output::{Content, IntoOutput, Link, Output, Resource, Text};
pub use schemars;
pub use schemars::JsonSchema;
pub use serde;
pub use serde_json;
/// ---
/// A function that agents could not call stops the build: one without a description,
/// ```compile_fail
/// #[toolhost_sdk::tool]
/// fn silent() {}
/// ```
/// one with a name outside the contract,
/// ```compile_fail
/// /// Shouts.
/// #[toolhost_sdk::tool(name = "Shout!")]
/// fn shout() {}
/// ```
/// and one with a promise that does not exist.
/// ```compile_fail
/// /// Reads.
/// #[toolhost_sdk::tool(readonly)]
/// fn read() {}
/// ```
pub use toolhost_sdk_macros::tool;

/// What the macros expand to; not for authors.
#[doc(hidden)]
pub mod __private {
    pub use crate::export::{Entry, assert_distinct};
    pub use crate::function::{Fallible, arguments, definition};
}
