//! Foreign bytes against every parser that takes them. Each target runs its seeds (checked in, or
//! taken from real inputs), everything that was ever found, and some thousand mutants of them; a long
//! run is the same with more time: `tests/fuzz/run.sh <target> <minutes>`.
//!
//! A try ends with an answer within [`engine::SLOWEST`], and with what each target claims of it.

mod authors;
mod content;
mod engine;
mod http;
mod json;
mod ledger;
mod manifest;
mod others;
mod values;
