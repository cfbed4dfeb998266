//! Programs: a component that is started as a command and not called. Its command line and input come
//! from the call's arguments, its standard output is the answer, its exit code and what it wrote to
//! standard error are the tool's error.

mod grant;
mod render;

pub use grant::{Argument, CommandGrant, Part, Stdout, Template};
pub use render::{Invocation, render};

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::p2::pipe::MemoryInputPipe;

use super::frame::Charter;
use super::sink::{End, Sink, Take};
use super::tools;
use crate::terms::{Code, Fault};

/// The program of one call.
pub(crate) struct State {
    grant: Arc<CommandGrant>,
    stdout: Sink<Whole>,
    stderr: Sink<End>,
}

impl State {
    /// Gives a program its command line and its streams.
    pub(super) fn new(
        grant: &Arc<CommandGrant>,
        charter: &Charter<'_>,
        wasi: &mut WasiCtxBuilder,
    ) -> Result<Self, Fault> {
        // They were an object when they were checked against the schema.
        let call: Map<String, Value> =
            serde_json::from_str(charter.arguments).map_err(Fault::internal)?;
        let invocation = render(grant, &call).map_err(|why| {
            Fault::new(
                Code::InvalidArguments,
                format!("The arguments cannot be given to the program: {why}. Change them and call again."),
            )
        })?;
        let program = charter.speaker.split('.').next().unwrap_or_default();
        wasi.arg(program);
        wasi.args(&invocation.arguments);
        wasi.stdin(MemoryInputPipe::new(invocation.stdin));
        let state = Self {
            grant: grant.clone(),
            stdout: Sink::new(Whole {
                bytes: Vec::new(),
                left: usize::try_from(charter.limits.output).unwrap_or(usize::MAX),
                cut: false,
            }),
            stderr: Sink::new(End::default()),
        };
        wasi.stdout(state.stdout.clone());
        wasi.stderr(state.stderr.clone());
        Ok(state)
    }

    /// What a program that ended with this code has answered.
    pub(super) fn ended(
        &self,
        exit: i32,
    ) -> Result<Result<tools::Output, tools::ToolError>, Fault> {
        let success = |code: &u8| i32::from(*code) == exit;
        if !self.grant.success.iter().any(success) {
            return Ok(Err(self.error(exit)));
        }
        let stdout = self.stdout.taker();
        if stdout.cut {
            return Err(Fault::new(
                Code::OutputTooLarge,
                "The program printed more than its limit. Ask for less in one call.",
            ));
        }
        let text = || {
            String::from_utf8(stdout.bytes.clone()).map_err(|_| {
                Fault::new(
                    Code::InvalidOutput,
                    "The program printed what is not UTF-8. Its operator should say its MIME type: `stdout = \"application/octet-stream\"`.",
                )
            })
        };
        let (structured, contents) = match &self.grant.stdout {
            Stdout::Text => (None, vec![tools::Content::Text(text()?)]),
            Stdout::Json => (Some(text()?), Vec::new()),
            Stdout::Blob(mime_type) => {
                let blob = tools::Blob {
                    mime_type: mime_type.clone(),
                    data: stdout.bytes.clone(),
                    uri: None,
                };
                (None, vec![tools::Content::Blob(blob)])
            }
            Stdout::Ignored => (None, Vec::new()),
        };
        Ok(Ok(tools::Output {
            structured,
            contents,
        }))
    }

    fn error(&self, exit: i32) -> tools::ToolError {
        let (said, printed) = (self.complaint(), self.printed());
        // Not every program complains where it should.
        let message = match (said.as_str(), printed.as_str()) {
            ("", "") => format!("The program ended with exit code {exit} and said nothing."),
            ("", printed) => {
                format!("The program ended with exit code {exit} and printed: {printed}")
            }
            (said, _) => format!("The program ended with exit code {exit}: {said}"),
        };
        let data = json!({ "exit_code": exit, "stderr": said, "stdout": printed });
        tools::ToolError {
            code: "failed".to_owned(),
            message,
            retry_after: None,
            data: Some(data.to_string()),
        }
    }

    /// The end of what it wrote to standard output, where that is text.
    fn printed(&self) -> String {
        let stdout = self.stdout.taker();
        if std::str::from_utf8(&stdout.bytes).is_err() {
            return String::new();
        }
        let mut end = End::default();
        end.take(Bytes::copy_from_slice(&stdout.bytes));
        end.text()
    }

    /// The end of what it wrote to standard error.
    pub(super) fn complaint(&self) -> String {
        self.stderr.taker().text()
    }
}

/// All bytes up to a limit, and whether there were more.
struct Whole {
    bytes: Vec<u8>,
    left: usize,
    cut: bool,
}

impl Take for Whole {
    fn take(&mut self, bytes: Bytes) {
        let kept = bytes.get(..self.left).unwrap_or(&bytes);
        self.cut |= kept.len() < bytes.len();
        self.left -= kept.len();
        self.bytes.extend_from_slice(kept);
    }
}
