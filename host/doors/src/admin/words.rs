//! What is said at the operators' door, as both sides say it.
//!
//! It does not know how it is carried.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::call::{Host, Request};
use crate::gate::Operator;
use crate::terms::{Bill, Content, Door, Fault, FunctionId, Outcome};

/// A call that an operator asks for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallRequest {
    /// The caller that it is made as.
    pub caller: String,
    /// The tool.
    pub tool: String,
    /// Its function.
    pub function: String,
    /// The arguments.
    pub arguments: Map<String, Value>,
}

/// How a call ended, and what it used.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum CallAnswer {
    /// The tool gave a result.
    Ok {
        /// The structured result.
        structured: Option<Value>,
        /// What to show beside it.
        contents: Vec<AnswerPiece>,
        /// What the host denied meanwhile.
        denied: Vec<String>,
        /// What it used.
        bill: Bill,
    },
    /// The tool said why it gave none.
    ToolError {
        /// What an agent can act on.
        code: String,
        /// What happened.
        message: String,
        /// When to try again, in seconds.
        retry_after: Option<u32>,
        /// More for a program.
        data: Option<Value>,
        /// What the host denied meanwhile.
        denied: Vec<String>,
        /// What it used.
        bill: Bill,
    },
    /// The host ended it, or turned it away.
    Fault {
        /// What to branch on.
        code: String,
        /// Who has to change something.
        blame: String,
        /// What an agent reads.
        message: String,
        /// What only an operator reads.
        detail: Option<String>,
        /// When to try again, in seconds.
        retry_after: Option<u32>,
        /// What it used.
        bill: Bill,
    },
}

/// One piece of a result.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AnswerPiece {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// Bytes.
    Blob {
        /// For example `image/png`.
        mime_type: String,
        /// The name of an embedded resource.
        uri: Option<String>,
        /// The bytes.
        base64: String,
    },
    /// A pointer to something.
    Link {
        /// Where it is.
        link: String,
        /// What to call it.
        name: String,
    },
}

/// What a reload changed.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Reloaded {
    /// How many functions there are now.
    pub functions: usize,
    /// Functions that were not there before.
    pub added: Vec<String>,
    /// Functions that are not there any more.
    pub removed: Vec<String>,
    /// Functions whose component, words, limits or grants are others, or stand elsewhere in the manifest.
    pub changed: Vec<String>,
}

/// Why something was not done: in words, and as a list for programs.
#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[error("{error}")]
pub struct AdminError {
    /// In words.
    pub error: String,
    /// Each with its place, where it has one.
    #[serde(default)]
    pub problems: Value,
}

impl AdminError {
    /// One thing that is wrong.
    #[must_use]
    pub fn one(error: impl Into<String>) -> Self {
        let error = error.into();
        Self {
            problems: serde_json::json!([{ "message": error }]),
            error,
        }
    }
}

/// Makes a call as an operator asks for it.
///
/// # Errors
///
/// The manifest has no such caller, or the function is another tool's.
pub async fn perform(
    host: &Arc<Host>,
    operator: &Operator,
    door: Door,
    call: CallRequest,
) -> Result<CallAnswer, AdminError> {
    let snapshot = host.snapshot();
    let named = snapshot.callers.named(operator, &call.caller);
    let caller = named.ok_or_else(|| {
        let name = &call.caller;
        AdminError::one(format!(
            "the manifest has no [caller.{name}]; choose one with --caller"
        ))
    })?;
    let asked = FunctionId {
        tool: call.tool.into(),
        function: call.function.into(),
    };
    // What agents call by this name may be another tool's.
    let function = asked.agent_name();
    if let Some(other) = snapshot.catalog.find(&function)
        && other.listed.id != asked
    {
        return Err(AdminError::one(format!(
            "the manifest has no function {asked}; there is {}",
            other.listed.id
        )));
    }
    drop(snapshot);
    let request = Request {
        caller,
        door,
        function,
        arguments: call.arguments,
        progress: None,
    };
    let (released, bill) = host.call_with_bill(request).await;
    let outcome = released.map(|release| release.into_outcome());
    Ok(CallAnswer::new(outcome, bill))
}

impl CallAnswer {
    fn new(outcome: Result<Outcome, Fault>, bill: Bill) -> Self {
        match outcome {
            Ok(Outcome::Output(output)) => Self::Ok {
                structured: output.structured,
                contents: output.contents.into_iter().map(AnswerPiece::of).collect(),
                denied: output.denied,
                bill,
            },
            Ok(Outcome::Error(error)) => Self::ToolError {
                code: error.code.as_str().to_owned(),
                message: error.message,
                retry_after: error.retry_after,
                data: error.data,
                denied: error.denied,
                bill,
            },
            Err(fault) => Self::Fault {
                code: fault.code.as_str().to_owned(),
                blame: fault.blame().as_str().to_owned(),
                message: fault.say.into_owned(),
                detail: fault.detail,
                retry_after: fault.retry_after,
                bill,
            },
        }
    }

    /// What the call used.
    #[must_use]
    pub const fn bill(&self) -> &Bill {
        match self {
            Self::Ok { bill, .. } | Self::ToolError { bill, .. } | Self::Fault { bill, .. } => bill,
        }
    }
}

impl AnswerPiece {
    fn of(content: Content) -> Self {
        match content {
            Content::Text(text) => Self::Text { text },
            Content::Blob(blob) => Self::Blob {
                mime_type: blob.mime_type,
                uri: blob.uri,
                base64: STANDARD.encode(&blob.data),
            },
            Content::Link(link) => Self::Link {
                link: link.uri,
                name: link.name,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;
    use crate::terms::{Blob, Code, Output, ResourceLink, ToolError, ToolErrorCode};

    /// What a command prints of a call is the same whether or not another process made it.
    #[test]
    fn an_answer_comes_over_the_socket_as_it_was() {
        let text = Content::Text("{\"text\":1}".into());
        let blob = |uri: Option<&str>| {
            Content::Blob(Blob {
                mime_type: "image/png".into(),
                data: vec![0, 255, 7],
                uri: uri.map(ToOwned::to_owned),
            })
        };
        let link = Content::Link(ResourceLink {
            uri: "https://example.org".into(),
            name: "there".into(),
            description: None,
            mime_type: None,
        });
        let output = |structured| {
            Ok(Outcome::Output(Output {
                structured,
                contents: vec![text.clone(), blob(None), blob(Some("a:b")), link.clone()],
                denied: vec!["no".into()],
            }))
        };
        let error = ToolError {
            code: ToolErrorCode::RateLimited,
            message: "later".into(),
            retry_after: Some(3),
            data: Some(json!({ "a": [1, null] })),
            denied: Vec::new(),
        };
        let bill = Bill {
            fuel: u64::MAX,
            ..Bill::default()
        };
        for outcome in [
            output(None),
            output(Some(
                json!({ "n": u64::MAX, "f": 0.1, "outcome": "x", "bill": {} }),
            )),
            Ok(Outcome::Error(error)),
            Err(Fault::new(Code::Busy, "busy").retry_after(7)),
            Err(Fault::internal("why")),
        ] {
            let here = serde_json::to_value(CallAnswer::new(outcome, bill)).unwrap();
            let carried = serde_json::to_vec(&here).unwrap();
            let there: CallAnswer = serde_json::from_slice(&carried).unwrap();
            assert_eq!(serde_json::to_value(there).unwrap(), here);
        }
    }
}
