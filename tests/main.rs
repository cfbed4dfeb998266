//! The integration tests, in one binary: each promise of the host, through the library, a real
//! socket, or the program itself.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod harness;

mod add;
mod author;
mod calls;
mod cases_command;
mod cli;
mod compiling;
mod components;
mod crowd;
mod doors;
mod escapes;
mod foreign;
mod fuzz;
mod ground;
mod hostile;
mod inspect;
mod manifest;
mod network;
mod owner;
mod places;
mod powers;
mod programs;
mod recorder;
mod records;
mod reload;
mod runners;
mod sources;
mod starts;
mod strangers;
mod threats;
mod tools;
mod twins;
mod unread;
mod wasi3;
