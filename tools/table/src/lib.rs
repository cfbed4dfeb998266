//! Tables for agents: what is in a CSV or JSON-lines file, and queries over it, so that an agent
//! reads ten rows in place of ten thousand.
//!
//! Which files there are is the manifest's to say. Nothing is written.

mod aggregate;
mod cell;
mod describe;
mod filter;
mod output;
mod query;
mod source;

toolhost_sdk::export!(describe::describe, query::query);

#[cfg(test)]
mod tests;
