//! The protocol itself, both eras: sessions opened by `initialize` (2024-11-05 to 2025-11-25) and
//! self-contained requests (2026-07-28). This folder alone names rmcp; the rest of the room deals
//! in bytes, requests and responses, so that the library could be replaced.
//!
//! It does not know addresses, tokens or files.

mod agent;
mod awake;
mod connection;
mod encode;
mod endpoint;
mod input;
mod intake;
mod lines;
mod message;
mod output;
mod plain;
mod schemas;
mod sessions;
mod stateless;
mod tools;

pub(super) use awake::Source;
pub(super) use connection::{Known, Peer, Signals, speak};
pub(super) use endpoint::{Endpoint, session};
pub(super) use intake::{Asked, LARGE, read_aside};
pub(super) use plain::PlainCall;
pub(super) use schemas::in_answer;

pub use message::{Line, is_plain_call, read_line};

/// Standard input and output, without a thread between them and the runtime where both are pipes,
/// as they are for a client that starts this process.
pub(super) fn stdio() -> (impl Source, impl Peer) {
    rmcp::transport::stdio_pipes()
}

impl Peer for rmcp::transport::io::StdioWriter {}

impl Source for rmcp::transport::io::StdioReader {
    fn has_more(&mut self) -> bool {
        rustix::io::ioctl_fionread(std::io::stdin()).is_ok_and(|bytes| bytes > 0)
    }
}
