//! toolhost runs AI agents' tools as WebAssembly components: granted, bounded, recorded, billed.
//!
//! The rooms, top to bottom; each names only rooms below it. `host/ARCHITECTURE.md` is the map.

// Only `cli::out` prints, and not with these.
#![cfg_attr(
    not(test),
    deny(clippy::print_stdout, clippy::print_stderr, clippy::dbg_macro)
)]

pub mod cli;
pub mod wire;

pub mod call;

pub mod catalog;
pub mod sandbox;

pub mod gate;
pub mod ledger;
pub mod quota;

pub mod manifest;

pub mod capability;

pub mod shares;
pub mod terms;
