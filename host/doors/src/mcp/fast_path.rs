//! The commonest message the shortest way. A call without extras, in a session that is open, is
//! begun where it was read and answered without passing through the library's loop and its tasks,
//! which cost as much as the call itself.
//!
//! It does not know any other message: what is not plain is the library's. What is plain without a
//! session is in `stateless`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use rmcp::ErrorData;
use rmcp::model::{CallToolResult, ProtocolVersion, RequestId, ServerJsonRpcMessage, ServerResult};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use tokio::task::{AbortHandle, JoinSet};

use super::agent::CallerSession;
use super::connection::Peer;
use super::intake::Ticket;
use super::output::Output;
use crate::frame;
use crate::terms::json;

/// A `tools/call` that says which function and with what, and nothing that the library would have
/// to look at, such as a token for progress.
#[derive(Debug)]
pub(crate) struct PlainCall {
    pub(crate) id: RequestId,
    pub(super) name: String,
    pub(super) arguments: Map<String, Value>,
}

/// A request with nothing in it but what requests have to have.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Message<'a, P> {
    jsonrpc: &'a str,
    #[serde(deserialize_with = "id")]
    id: RequestId,
    method: &'a str,
    params: P,
}

impl<P> Message<'_, P> {
    /// Its id and parameters, if it is a `tools/call`.
    pub(super) fn call(self) -> Option<(RequestId, P)> {
        // What is refused is so in the words of `frame`.
        let is_call = self.jsonrpc == "2.0" && self.method == METHOD;
        is_call.then_some((self.id, self.params))
    }
}

/// What calls a function.
pub(super) const METHOD: &str = "tools/call";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Params<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    // What is there twice is refused, in words that this has not.
    #[serde(default, deserialize_with = "json::object")]
    arguments: Map<String, Value>,
}

/// An id as it is answered to. The library takes `1.0` for 1, which a bridge does not know it by.
fn id<'de, D: Deserializer<'de>>(json: D) -> Result<RequestId, D::Error> {
    let id = frame::answerable(Value::deserialize(json)?);
    let id = match id {
        Some(Value::String(text)) => Some(RequestId::String(text.into())),
        Some(Value::Number(number)) => number.as_i64().map(RequestId::Number),
        _ => None,
    };
    id.ok_or_else(|| D::Error::custom("no id"))
}

impl PlainCall {
    /// Reads a line, if it is one. A line that is not is the library's to read, or to refuse.
    pub(super) fn read(line: &[u8]) -> Option<Self> {
        let message: Message<'_, Params<'_>> = serde_json::from_slice(line).ok()?;
        let (id, params) = message.call()?;
        Some(Self {
            id,
            name: params.name.into_owned(),
            arguments: params.arguments,
        })
    }
}

/// What stops each call.
type Calls = HashMap<RequestId, AbortHandle>;
type Running = Arc<Mutex<Calls>>;

/// The plain calls of one connection. Dropping it cancels them.
pub(super) struct PlainCalls {
    /// Where they are asked for, once a session is open.
    caller_session: Option<Arc<CallerSession>>,
    running: Running,
    /// Calls that did not end at once, and answers that a slow reader has to be waited for.
    tasks: JoinSet<()>,
}

impl PlainCalls {
    /// None, and none is taken yet.
    pub(super) fn new() -> Self {
        Self {
            caller_session: None,
            running: Running::default(),
            tasks: JoinSet::new(),
        }
    }

    /// A session is open: from now on requests need not say by themselves how they are meant.
    pub(super) fn open(&mut self, caller_session: CallerSession, version: ProtocolVersion) {
        self.caller_session = Some(Arc::new(caller_session.speaking(version)));
    }

    /// Whether a session is open.
    pub(super) fn is_open(&self) -> bool {
        self.caller_session.is_some()
    }

    /// Begins a call, which holds `ticket` until it is answered. One that is `alone` is run on until it
    /// first waits: most end there, and no other thread has to hear of them. Where more is to be read,
    /// another thread takes it.
    ///
    /// Nothing here waits: what has to goes on in a task, which polls it anew.
    pub(super) fn begin<W: Peer>(
        &mut self,
        call: PlainCall,
        ticket: Ticket,
        alone: bool,
        output: &Arc<Output<W>>,
    ) {
        let Some(caller_session) = self.caller_session.clone() else {
            return;
        };
        let id = call.id;
        let own = id.clone();
        let line = move |answer| line(answer, own);
        let mut answer = Box::pin(caller_session.answer(call.name, call.arguments, line));
        if alone && let Some(line) = (&mut answer).now_or_never() {
            let mark = output.answer(&line, Some(&id));
            let output = Arc::clone(output);
            let mut flush = Box::pin(async move { drop(output.flush(mark).await) });
            if (&mut flush).now_or_never().is_none() {
                self.tasks.spawn(flush);
            }
            return;
        }
        let (running, output, own) = (Arc::clone(&self.running), Arc::clone(output), id.clone());
        let mut ids = lock(&self.running);
        let task = self.tasks.spawn(async move {
            let line = answer.await;
            lock(&running).remove(&own);
            let mark = output.answer(&line, Some(&own));
            drop((line, ticket));
            // What cannot be written cuts the connection.
            drop(output.flush(mark).await);
        });
        ids.insert(id, task);
    }

    /// Stops a call and forgets it: what was taken back is not answered.
    pub(super) fn cancel(&mut self, id: &RequestId) {
        if let Some(task) = lock(&self.running).remove(id) {
            task.abort();
        }
    }

    /// Whether a call with this id runs.
    pub(super) fn has(&self, id: &RequestId) -> bool {
        !self.tasks.is_empty() && lock(&self.running).contains_key(id)
    }

    /// How many are not over yet.
    pub(super) fn count(&mut self) -> usize {
        while self.tasks.try_join_next().is_some() {}
        self.tasks.len()
    }

    /// Waits for one to be over; for ever when there is none.
    pub(super) async fn next(&mut self) {
        if self.tasks.join_next().await.is_none() {
            std::future::pending().await
        }
    }
}

fn lock(running: &Running) -> MutexGuard<'_, Calls> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The answer as a line.
fn line(answer: Result<CallToolResult, ErrorData>, id: RequestId) -> Vec<u8> {
    let message = match answer {
        Ok(result) => {
            // Sessions are of the older era.
            let mut result = ServerResult::CallToolResult(result);
            result.strip_result_type_for_legacy_peer();
            result.strip_non_object_output_for_legacy_peer();
            ServerJsonRpcMessage::response(result, id)
        }
        Err(error) => ServerJsonRpcMessage::error(error, Some(id)),
    };
    // The library's own types: they are always JSON.
    serde_json::to_vec(&message).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::frame::LONGEST_ID;

    /// Sessions know objects only: another value is a text, before all others.
    #[test]
    fn a_result_that_is_no_object_is_a_text() {
        let mut result = CallToolResult::success(vec![]);
        result.structured_content = Some(serde_json::json!([1, 2]));
        let line = line(Ok(result), RequestId::Number(1));
        let answer: Value = serde_json::from_slice(&line).unwrap();
        let result = &answer["result"];
        assert_eq!(result["content"][0]["text"], "[1,2]", "{answer}");
        assert!(result.get("structuredContent").is_none(), "{answer}");
        assert!(result.get("resultType").is_none(), "{answer}");
    }

    #[test]
    fn only_a_call_without_extras_is_plain() {
        let plain = [
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"x":[1]}}}"#,
            r#"{"method":"tools/call","params":{"name":"a\u0062"},"id":"x","jsonrpc":"2.0"}"#,
        ];
        for line in plain {
            assert!(PlainCall::read(line.as_bytes()).is_some(), "{line}");
        }
        let other = [
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"name":"a"}}"#,
            r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"a"}}"#,
            r#"{"jsonrpc":"2.0","id":null,"method":"tools/call","params":{"name":"a"}}"#,
            r#"{"jsonrpc":"2.0","id":1.5,"method":"tools/call","params":{"name":"a"}}"#,
            r#"{"jsonrpc":"2.0","id":1.0,"method":"tools/call","params":{"name":"a"}}"#,
            r#"{"jsonrpc":"2.0","id":1e0,"method":"tools/call","params":{"name":"a"}}"#,
            r#"{"jsonrpc":"1.0","id":1,"method":"tools/call","params":{"name":"a"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","_meta":{}}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":[]}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":null}}"#,
            r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"tools/call","params":{"name":"a"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"},"x":1}"#,
        ];
        for line in other {
            assert!(PlainCall::read(line.as_bytes()).is_none(), "{line}");
        }
        let with_id =
            |length: usize| plain[1].replace(r#""x""#, &format!("{:?}", "x".repeat(length)));
        assert!(PlainCall::read(with_id(LONGEST_ID).as_bytes()).is_some());
        assert!(PlainCall::read(with_id(LONGEST_ID + 1).as_bytes()).is_none());
    }
}
