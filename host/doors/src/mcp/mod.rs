//! The protocol itself, both eras: sessions opened by `initialize` (2024-11-05 to 2025-11-25) and
//! self-contained requests (2026-07-28). This folder alone names rmcp; the rest of the room deals
//! in bytes, requests and responses, so that the library could be replaced.
//!
//! It does not know addresses, tokens or files.

mod agent;
mod connection;
mod encode;
mod endpoint;
mod fast_path;
mod input;
mod intake;
mod lines;
mod message;
mod output;
mod schemas;
mod sessions;
mod spin_wait;
mod stateless;
mod tools;

pub(super) use connection::{Known, Peer, Signals, speak};
pub(super) use endpoint::{Endpoint, session};
pub(super) use fast_path::PlainCall;
pub(super) use intake::{LARGE, MessageHead, read_aside};
pub(super) use schemas::in_answer;
pub(super) use spin_wait::MessageSource;

pub use message::{Line, is_plain_call, read_line};

/// Standard input and output, without a thread between them and the runtime where both are pipes,
/// as they are for a client that starts this process.
pub(super) fn stdio() -> (impl MessageSource, impl Peer) {
    rmcp::transport::stdio_pipes()
}

impl Peer for rmcp::transport::io::StdioWriter {}

impl MessageSource for rmcp::transport::io::StdioReader {
    fn has_more(&mut self) -> bool {
        rustix::io::ioctl_fionread(std::io::stdin()).is_ok_and(|bytes| bytes > 0)
    }
}
