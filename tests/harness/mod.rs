//! What all tests stand on: the guests, hosts in this process and as programs of their own, an
//! outside world on loopback, and agents that speak to a door byte by byte.
//!
//! It knows no promise of the host: those are in the tests.

mod agent;
pub(crate) mod bombs;
mod child;
mod guests;
mod house;
mod machine;
mod site;
mod upstream;
mod words;

pub(crate) use agent::{Agent, Reply, Speaker, exchange, modern_meta, speak};
pub(crate) use child::{Ended, Program, Serving, ended};
pub(crate) use guests::{
    BUILT, cache, cache_folder, checkout, compiler, guest, sandbox, target, tool, v03_guest,
};
pub(crate) use house::House;
pub(crate) use machine::skipped;
pub(crate) use site::{Site, manifest};
pub(crate) use upstream::{Seen, Upstream, text_response};
pub(crate) use words::{EMPTY, Handmade, Words, component, definition};

use toolhost_core::terms::{Code, Content, Fault, Outcome, ToolError};

/// How a call ended.
pub(crate) type End = Result<Outcome, Fault>;

/// The structured result of a call that went well.
pub(crate) fn structured(end: &End) -> serde_json::Value {
    match end {
        Ok(Outcome::Output(output)) => output.structured.clone().expect("a structured result"),
        other => panic!("no result: {other:?}"),
    }
}

/// The first text of a call that went well.
pub(crate) fn text(end: &End) -> String {
    let Ok(Outcome::Output(output)) = end else {
        panic!("no result: {end:?}")
    };
    let texts = output.contents.iter().find_map(|content| match content {
        Content::Text(text) => Some(text.clone()),
        _ => None,
    });
    texts.unwrap_or_else(|| panic!("no text: {output:?}"))
}

/// The code of a call that the host ended.
pub(crate) fn code(end: &End) -> Code {
    match end {
        Err(fault) => fault.code,
        other => panic!("no fault: {other:?}"),
    }
}

/// What the tool itself said of a call that went wrong.
pub(crate) fn tool_error(end: &End) -> &ToolError {
    match end {
        Ok(Outcome::Error(error)) => error,
        other => panic!("no error of the tool's: {other:?}"),
    }
}

/// SHA-256 of a token, as manifests have it.
pub(crate) fn sha256(token: &str) -> String {
    use sha2::Digest as _;
    hex::encode(sha2::Sha256::digest(token))
}
