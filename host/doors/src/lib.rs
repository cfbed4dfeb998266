//! The agents' door: MCP over standard input and output, a Unix socket, and HTTP on loopback.
//!
//! What is said here becomes a [`crate::call::Request`], and what comes back becomes an answer in
//! the protocol. The room does not know what a tool is made of, what it may do, or what a manifest
//! looks like. Only the folder `mcp` knows the library that speaks the protocol.
//!
//! ```text
//! front (a thread) ──> connection ──> HTTP ────┐
//!    └── /health            └───────> lines ───┴─> mcp ──> call::Host
//! ```

use toolhost_core::{gate, shares, terms};
use toolhost_engine::call;

mod accept;
mod answer;
mod body;
mod breaks;
mod bridge;
mod budget;
mod deadline;
mod denial;
mod door;
mod frame;
mod front;
mod guard;
mod health;
mod http;
mod identify;
mod mcp;
mod pages;
mod peeking;
mod pieces;
mod seats;
mod serve;
mod skim;
mod stdio;
mod unix;

pub use bridge::bridge;
pub use door::Listener;
pub use mcp::{Line, is_plain_call, read_line};
pub use serve::serve;
pub use stdio::serve_stdio;
pub use unix::{Audience, bindable};

/// What `tracing` may never show, whatever an operator asks for: the protocol library prints whole
/// requests at its lower levels, arguments included, and agents' own texts at its higher ones.
pub const UNLOGGED: &str = "rmcp";
