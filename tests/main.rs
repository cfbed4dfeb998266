//! All integration tests, in one binary: each promise of the host, through the library, a real
//! socket, or the program itself.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod harness;

mod calls;
mod cli;
mod components;
mod doors;
mod fuzz;
mod manifest;
mod network;
mod places;
mod powers;
mod rooms;
mod tools;
