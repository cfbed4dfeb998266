//! The answer to a call in the protocol's terms: outcomes and faults become content blocks, and
//! every fault finds its form in one exhaustive match.
//!
//! It does not know how an answer is written, nor to whom.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value};

use crate::gate::denial;
use crate::terms::{Blob, Code, Content, Fault, Outcome, Output, ResourceLink, ToolError};

/// What a call gives back to an agent.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    /// A result, of a call that went well or of one the agent can learn from.
    Result(CallResult),
    /// The request itself was wrong: a protocol error, "invalid parameters".
    Refused {
        /// What happened and what to do next.
        say: String,
    },
}

/// The result of a call.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct CallResult {
    /// The structured result.
    pub(super) structured: Option<Value>,
    /// What a model reads.
    pub(super) blocks: Vec<Block>,
    /// Whether the call went badly.
    pub(super) is_error: bool,
    /// What a program reads of a call that went badly, under names that begin with `toolhost/`.
    pub(super) meta: Map<String, Value>,
}

/// One content block.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Block {
    /// Text.
    Text(String),
    /// An image, in base64.
    Image { mime_type: String, data: String },
    /// A sound, in base64.
    Audio { mime_type: String, data: String },
    /// An embedded text.
    TextResource {
        uri: String,
        mime_type: String,
        text: String,
    },
    /// Embedded bytes, in base64.
    BlobResource {
        uri: String,
        mime_type: String,
        data: String,
    },
    /// A pointer.
    Link(ResourceLink),
}

/// The answer to a call of `function`, the name the agent used.
pub(super) fn answer(function: &str, end: Result<Outcome, Fault>) -> Answer {
    match end {
        Ok(Outcome::Output(mut output)) => {
            let denied = std::mem::take(&mut output.denied);
            Answer::Result(with_denials(from_output(function, output), denied))
        }
        Ok(Outcome::Error(mut error)) => {
            let denied = std::mem::take(&mut error.denied);
            Answer::Result(with_denials(from_tool_error(error), denied))
        }
        Err(fault) => from_fault(fault),
    }
}

/// What the host denied meanwhile: in blocks of its own, and under a name that no tool can use.
fn with_denials(mut result: CallResult, denied: Vec<String>) -> CallResult {
    if denied.is_empty() {
        return result;
    }
    let words = denied.iter().map(|say| Block::Text(denial(say)));
    result.blocks.extend(words);
    result.meta.insert("toolhost/denied".into(), denied.into());
    result
}

/// The one place where a fault becomes protocol. A wrong name is the protocol's own error; with
/// everything else the model can do something, so it gets a result that it reads.
fn from_fault(fault: Fault) -> Answer {
    match fault.code {
        Code::UnknownFunction => Answer::Refused {
            say: fault.say.into_owned(),
        },
        Code::InvalidArguments
        | Code::TooLarge
        | Code::Cancelled
        | Code::Trapped
        | Code::OutOfFuel
        | Code::OutOfMemory
        | Code::OutOfHostMemory
        | Code::DeadlineExceeded
        | Code::StackOverflow
        | Code::TooManyResources
        | Code::OutputTooLarge
        | Code::InvalidOutput
        | Code::BadComponent
        | Code::Busy
        | Code::ShuttingDown
        | Code::MissingResource
        | Code::LedgerFailed
        | Code::Internal => {
            let mut meta = Map::new();
            meta.insert("toolhost/code".into(), fault.code.as_str().into());
            meta.insert("toolhost/blame".into(), serde_json::json!(fault.blame()));
            if let Some(seconds) = fault.retry_after {
                meta.insert("toolhost/retry-after".into(), seconds.into());
            }
            Answer::Result(bad(fault.say.into_owned(), meta))
        }
    }
}

fn from_tool_error(error: ToolError) -> CallResult {
    let mut meta = Map::new();
    meta.insert("toolhost/code".into(), error.code.as_str().into());
    if let Some(data) = error.data {
        meta.insert("toolhost/data".into(), data);
    }
    let mut text = error.message;
    if let Some(seconds) = error.retry_after {
        meta.insert("toolhost/retry-after".into(), seconds.into());
        let unit = if seconds == 1 { "second" } else { "seconds" };
        text.push_str(&format!("\nTry again after {seconds} {unit}."));
    }
    bad(text, meta)
}

fn bad(text: String, meta: Map<String, Value>) -> CallResult {
    CallResult {
        structured: None,
        blocks: vec![Block::Text(text)],
        is_error: true,
        meta,
    }
}

/// Clients that do not read structured results see the same JSON as text, unless the tool itself
/// put it into words.
fn from_output(function: &str, output: Output) -> CallResult {
    let mut blocks = Vec::with_capacity(output.contents.len() + 1);
    let in_words = output
        .contents
        .iter()
        .any(|content| matches!(content, Content::Text(_)));
    if let Some(structured) = output.structured.as_ref().filter(|_| !in_words) {
        blocks.push(Block::Text(structured.to_string()));
    }
    for (index, content) in output.contents.into_iter().enumerate() {
        blocks.push(match content {
            Content::Text(text) => Block::Text(text),
            Content::Link(link) => Block::Link(link),
            Content::Blob(blob) => from_blob(function, index, blob),
        });
    }
    CallResult {
        structured: output.structured,
        blocks,
        is_error: false,
        meta: Map::new(),
    }
}

fn from_blob(function: &str, index: usize, blob: Blob) -> Block {
    let Blob {
        mime_type,
        data,
        uri,
    } = blob;
    let kind = mime_type.to_ascii_lowercase();
    if kind.starts_with("image/") {
        return Block::Image {
            mime_type,
            data: BASE64.encode(data),
        };
    }
    if kind.starts_with("audio/") {
        return Block::Audio {
            mime_type,
            data: BASE64.encode(data),
        };
    }
    let uri = uri.unwrap_or_else(|| format!("toolhost:///{function}/{index}"));
    let readable = kind.starts_with("text/") || kind.starts_with("application/json");
    match String::from_utf8(data) {
        Ok(text) if readable => Block::TextResource {
            uri,
            mime_type,
            text,
        },
        Ok(text) => Block::BlobResource {
            uri,
            mime_type,
            data: BASE64.encode(text),
        },
        Err(bytes) => Block::BlobResource {
            uri,
            mime_type,
            data: BASE64.encode(bytes.as_bytes()),
        },
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
