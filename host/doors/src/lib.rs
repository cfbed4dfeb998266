//! The agents' doors (MCP over standard input and output, a Unix socket, and HTTP on loopback), and the
//! operators' own.
//!
//! What is said here becomes a [`crate::call::Request`], and what comes back becomes an answer in
//! the protocol. The room does not know what a tool is made of, what it may do, or what a manifest
//! looks like. Only the folder `mcp` knows the library that speaks the protocol.
//!
//! ```text
//! listen (a thread) ──> front ──> connection ──> HTTP ────┐
//!                        └── /health   └───────> lines ───┴─> mcp ──> call::Host
//! listen (a thread) ──> admin: operators, and nobody else ────────────────^
//! ```

use toolhost_core::{gate, shares, terms};
use toolhost_engine::call;

mod accept;
mod admin;
mod answer;
mod body;
mod breaks;
mod bridge;
mod budget;
mod deadline;
mod denial;
mod door;
mod drain;
mod frame;
mod front;
mod guard;
mod health;
mod http;
mod identify;
mod listen;
mod mcp;
mod pages;
mod peek_reader;
mod pieces;
mod seats;
mod serve;
mod skim;
mod stdio;
mod unix;

pub use admin::{
    AdminError, AnswerPiece, CallAnswer, CallRequest, Client, ReloadRequest, Reloaded, Unanswered,
    perform, serve_admin,
};
pub use bridge::bridge;
pub use door::Listener;
pub use mcp::{Line, is_plain_call, read_line};
pub use serve::{serve, serve_while_needed};
pub use stdio::serve_stdio;
pub use unix::{Audience, bindable};

/// What `tracing` may never show, whatever an operator asks for: the protocol library prints whole
/// requests at its lower levels, arguments included, and agents' own texts at its higher ones.
pub const UNLOGGED: &str = "rmcp";
