//! Programs: a component that is started as a command and not called. Its command line and input come
//! from the call's arguments, its standard output is the answer, its exit code and what it wrote to
//! standard error are the tool's error.

mod render;

pub use render::{Invocation, render};

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::p2::pipe::MemoryInputPipe;

use super::context::CallContext;
use super::sink::{End, Sink, Take};
use crate::grants::{CommandGrant, Stdout};
use crate::shares::{Exceeded, Holding};
use crate::terms::{Blob, Code, Content, Fault, GuestAnswer, RawError, RawOutput};

/// What an argument costs beyond its bytes.
const ARGUMENT: usize = 64;

/// The program of one call.
pub(crate) struct State {
    grant: Arc<CommandGrant>,
    /// For its command line and its input.
    _given: Holding,
    stdout: Sink<Whole>,
    stderr: Sink<End>,
}

impl State {
    /// Gives a program its command line and its streams.
    pub(super) fn new(
        grant: &Arc<CommandGrant>,
        context: &CallContext<'_>,
        wasi: &mut WasiCtxBuilder,
    ) -> Result<Self, Fault> {
        // They were an object when they were checked against the schema.
        let call: Map<String, Value> =
            serde_json::from_str(context.arguments).map_err(Fault::internal)?;
        let invocation = render(grant, &call).map_err(|why| {
            Fault::new(
                Code::InvalidArguments,
                format!("The arguments cannot be given to the program: {why}. Change them and call again."),
            )
        })?;
        let line = invocation
            .arguments
            .iter()
            .map(|argument| argument.len() + ARGUMENT);
        let given = bytes(line.sum::<usize>() + invocation.stdin.len());
        let given = context.account.hold(given).map_err(|_| short())?;
        let program = context.function.split('.').next().unwrap_or_default();
        wasi.arg(program);
        wasi.args(&invocation.arguments);
        wasi.stdin(MemoryInputPipe::new(invocation.stdin));
        let state = Self {
            grant: grant.clone(),
            _given: given,
            stdout: Sink::new(Whole {
                bytes: Vec::new(),
                left: usize::try_from(context.limits.output).unwrap_or(usize::MAX),
                cut: false,
                short: false,
                held: context.account.nothing(),
            }),
            stderr: Sink::new(End::default()),
        };
        wasi.stdout(state.stdout.clone());
        wasi.stderr(state.stderr.clone());
        Ok(state)
    }

    /// What a program that ended with this code has answered.
    pub(super) fn ended(&self, exit: i32) -> Result<GuestAnswer, Fault> {
        let success = |code: &u8| i32::from(*code) == exit;
        if !self.grant.success.iter().any(success) {
            return Ok(Err(self.error(exit)));
        }
        let stdout = self.stdout.taker();
        if stdout.short {
            return Err(short());
        }
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
            Stdout::Text => (None, vec![Content::Text(text()?)]),
            Stdout::Json => (Some(text()?), Vec::new()),
            Stdout::Blob(mime_type) => {
                let blob = Blob {
                    mime_type: mime_type.clone(),
                    data: stdout.bytes.clone(),
                    uri: None,
                };
                (None, vec![Content::Blob(blob)])
            }
            Stdout::Ignored => (None, Vec::new()),
        };
        Ok(Ok(RawOutput {
            structured,
            contents,
        }))
    }

    fn error(&self, exit: i32) -> RawError {
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
        RawError {
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
        End::of(&stdout.bytes)
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
    /// There was no room for all of them.
    short: bool,
    held: Holding,
}

impl Whole {
    /// Makes room for more. While the bytes move, both places are held.
    fn room(&mut self, more: usize) -> Result<(), Exceeded> {
        let (has, needs) = (self.bytes.capacity(), self.bytes.len() + more);
        if needs > has {
            let wanted = needs.max(has + has / 2).max(4 << 10);
            self.held.grow(bytes(wanted))?;
            self.bytes.reserve_exact(wanted - self.bytes.len());
            self.held.shrink(bytes(has));
        }
        Ok(())
    }
}

fn bytes(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// The program's input or output is more than the host holds for a call.
fn short() -> Fault {
    Fault::new(
        Code::OutOfHostMemory,
        "What the program is given and what it prints are more than its limit `host_memory`. Ask for less in one call.",
    )
}

impl Take for Whole {
    fn take(&mut self, bytes: Bytes) {
        let kept = bytes.get(..self.left).unwrap_or(&bytes);
        self.cut |= kept.len() < bytes.len();
        self.left -= kept.len();
        if self.short || self.room(kept.len()).is_err() {
            self.short = true;
            return;
        }
        self.bytes.extend_from_slice(kept);
    }
}
