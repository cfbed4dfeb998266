//! One message a line: the framing of stdio, which a byte stream of another kind shares.
//!
//! The library's own transport drops what it cannot read without a word, reads requests without
//! bound while answers wait, and forgets a call whose client is gone only after seconds; so this is
//! ours. It does not know methods, only which messages are requests, answers and cancellations.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use rmcp::RoleServer;
use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, JsonRpcMessage, RequestId, ServerJsonRpcMessage,
    ServerResult,
};
use rmcp::transport::Transport;
use tokio::io::{AsyncReadExt as _, AsyncWrite};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::agent::{Agent, Desk};
use super::awake::{Awake, Source};
use super::output::{KEPT, Output};
use super::plain::{PlainCall, PlainCalls};
use crate::call::{Credential, Host};
use crate::terms::{Caller, Door};
use crate::wire::frame::{self, INVALID_REQUEST, MAX_LINE, Refusal};

/// Requests of one connection that may be without an answer. Beyond it the connection is not read.
const MAX_IN_FLIGHT: usize = 128;

/// Answers of one connection that may wait for a slow reader, in bytes. Beyond it the connection is
/// not read.
const MAX_BACKLOG: u64 = 4 << 20;

/// Requests of one connection without an answer, in bytes. Beyond it the connection is not read.
const MAX_WAITING: usize = 16 << 20;

/// How long running calls may go on when the client has closed its sending half: it may still read.
const AFTER_EOF: Duration = Duration::from_secs(5);

/// How often to look whether a client that is not read from is gone for good.
const LOOK: Duration = Duration::from_millis(20);

/// Room for one read, in bytes: an ordinary message comes in one.
const READ: usize = 4 << 10;

const UTF8_BOM: &[u8] = b"\xEF\xBB\xBF";

/// The other side of a connection.
pub(in crate::wire) trait Peer: AsyncWrite + Send + Unpin + 'static {
    /// Whether it is certainly gone, so that nobody will read an answer.
    fn is_gone(&self) -> bool {
        false
    }
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub(in crate::wire) struct Known {
    /// The caller it is.
    pub(in crate::wire) caller: Caller,
    /// By what.
    pub(in crate::wire) by: Credential<'static>,
    /// Through which door it came.
    pub(in crate::wire) door: Door,
}

/// How a connection is told to end.
#[derive(Debug, Clone)]
pub(in crate::wire) struct Signals {
    /// No more requests are taken; what runs may end.
    pub(in crate::wire) stop: CancellationToken,
    /// Nothing may run any longer.
    pub(in crate::wire) cut: CancellationToken,
}

/// Speaks the protocol on a byte stream until either side ends it, or the other one is no caller any
/// more: then no more requests are taken, and what runs may end.
pub(in crate::wire) async fn speak<R, W>(
    host: Arc<Host>,
    Known { caller, by, door }: Known,
    (reader, writer): (R, W),
    signals: Signals,
) where
    R: Source,
    W: Peer,
{
    let cut = signals.cut.child_token();
    let closing = CancellationToken::new();
    let _ends_with_this_future = cut.clone().drop_guard();
    let stop = signals.stop.child_token();
    let desk = Desk::new(Arc::clone(&host), caller.clone(), door).known_by(by);
    let agent = Agent::new(desk.clone(), closing.clone());
    let lines = Lines {
        reader,
        input: BytesMut::new(),
        scanned: 0,
        in_flight: HashMap::new(),
        desk: Some(desk),
        plain: PlainCalls::new(),
        output: Arc::new(Output::new(writer)),
        ending: None,
        awake: Awake::default(),
        too_long: false,
        stop: stop.clone(),
        closing,
        cut: cut.clone(),
    };
    let dismissed = async {
        host.dismissed(by, &caller).await;
        tracing::info!(agent = %caller.agent, "a connection ends: it is not this caller's any more");
        stop.cancel();
        std::future::pending().await
    };
    tokio::select! {
        () = converse(agent, lines, cut) => {}
        () = dismissed => {}
    }
}

async fn converse<R, W>(agent: Agent, lines: Lines<R, W>, cut: CancellationToken)
where
    R: Source,
    W: Peer,
{
    match rmcp::service::serve_server_with_ct(agent, lines, cut).await {
        Ok(service) => {
            if let Err(error) = service.waiting().await {
                tracing::error!(%error, "a connection's task failed");
            }
        }
        Err(error) => tracing::debug!(%error, "a connection ended before it began"),
    }
}

/// One connection. The library polls `receive` anew after everything it sends, so the state that
/// `receive` waits for may change only between two polls and needs no lock.
struct Lines<R, W> {
    reader: R,
    input: BytesMut,
    /// Bytes of `input` that hold no end of line.
    scanned: usize,
    /// Requests that the library is to answer, and their bytes.
    in_flight: HashMap<RequestId, usize>,
    /// For the plain calls of a session, until one is open.
    desk: Option<Desk>,
    plain: PlainCalls,
    output: Arc<Output<W>>,
    /// Nothing more is read, and running calls end by this moment.
    ending: Option<Instant>,
    awake: Awake,
    /// The last line read was longer than lines may be.
    too_long: bool,
    stop: CancellationToken,
    closing: CancellationToken,
    cut: CancellationToken,
}

/// What reading came to.
enum Read {
    /// A line of this length, without its end, is at the front of the input.
    Line(usize),
    /// The line is longer than lines may be.
    TooLong,
    /// The other side sends nothing more, or nothing more is to be taken.
    End,
}

impl<R, W> Lines<R, W>
where
    R: Source,
    W: Peer,
{
    /// Reads on until there is a whole line. Given up at any await, it goes on where it was.
    async fn read(&mut self) -> Read {
        loop {
            if self.stop.is_cancelled() {
                return Read::End;
            }
            if self.is_full() {
                // Where the library makes room it polls anew.
                tokio::select! {
                    () = self.stop.cancelled() => {}
                    () = self.plain.next() => continue,
                    () = gone(&self.output) => self.cut.cancel(),
                }
                return Read::End;
            }
            let fresh = self.input.get(self.scanned..).unwrap_or_default();
            if let Some(end) = fresh.iter().position(|byte| *byte == b'\n') {
                let length = self.scanned + end;
                self.scanned = 0;
                return if length > MAX_LINE {
                    Read::TooLong
                } else {
                    Read::Line(length)
                };
            }
            self.scanned = self.input.len();
            if self.scanned > MAX_LINE {
                return Read::TooLong;
            }
            self.input.reserve(READ);
            let asked = Instant::now();
            // What runs needs this thread.
            if self.in_flight.is_empty() && self.plain.count() == 0 {
                self.awake.wait(&mut self.reader);
            }
            let count = tokio::select! {
                count = self.reader.read_buf(&mut self.input) => count,
                () = self.stop.cancelled() => return Read::End,
            };
            self.awake.note(asked.elapsed());
            if !matches!(count, Ok(1..)) {
                return Read::End;
            }
        }
    }

    fn is_full(&mut self) -> bool {
        self.in_flight.len() + self.plain.count() >= MAX_IN_FLIGHT
            || self.in_flight.values().sum::<usize>() + self.plain.bytes() > MAX_WAITING
            || self.output.backlog() > MAX_BACKLOG
    }

    /// Takes a line off the input: a message for the library, or a refusal for the client. A plain
    /// call is begun here, and neither.
    async fn take(&mut self, length: usize) -> Option<ClientJsonRpcMessage> {
        let (line, rest) = self.input.split_at_checked(length).unwrap_or_default();
        let line = content(line);
        let message = if line.is_empty() {
            Ok(None)
        } else if let Some(call) = self.plain_call(line) {
            let alone = !rest.iter().skip(1).any(|byte| *byte == b'\n');
            self.plain.begin(call, length, alone, &self.output).await;
            Ok(None)
        } else {
            parse(line)
        };
        self.input.advance((length + 1).min(self.input.len()));
        if self.input.is_empty() && self.input.capacity() > KEPT {
            self.input = BytesMut::new();
        }
        match message.and_then(|message| self.admit(message, length)) {
            Ok(message) => message,
            Err(refusal) => {
                self.output.push(&refusal.to_json());
                None
            }
        }
    }

    /// Keeps count of who waits for an answer.
    fn admit(
        &mut self,
        message: Option<ClientJsonRpcMessage>,
        bytes: usize,
    ) -> Result<Option<ClientJsonRpcMessage>, Refusal> {
        match &message {
            Some(JsonRpcMessage::Request(request)) if self.is_running(&request.id) => {
                return Err(Refusal {
                    code: INVALID_REQUEST,
                    id: serde_json::to_value(&request.id).ok(),
                    say: "A request with this id is still running. Give each its own.".into(),
                });
            }
            Some(JsonRpcMessage::Request(request)) => {
                self.in_flight.insert(request.id.clone(), bytes);
            }
            // The library never answers what was cancelled.
            Some(JsonRpcMessage::Notification(notification)) => {
                if let ClientNotification::CancelledNotification(cancelled) =
                    &notification.notification
                    && let Some(id) = &cancelled.params.request_id
                {
                    self.in_flight.remove(id);
                    self.plain.cancel(id);
                }
            }
            _ => {}
        }
        Ok(message)
    }

    fn plain_call<'a>(&self, line: &'a [u8]) -> Option<PlainCall<'a>> {
        let call = self.plain.is_open().then(|| PlainCall::read(line))?;
        call.filter(|call| !self.is_running(&call.id))
    }

    fn is_running(&self, id: &RequestId) -> bool {
        self.in_flight.contains_key(id) || self.plain.has(id)
    }

    /// Reads a line that is too long to its end, so that a client still sending it gets to read why
    /// it was refused: closing with unread bytes would reset the connection.
    async fn skip_line(&mut self) {
        while !self.input.contains(&b'\n') {
            self.input.clear();
            if !matches!(self.reader.read_buf(&mut self.input).await, Ok(1..)) {
                return;
            }
        }
    }

    /// Waits until everything asked is answered, the client is gone, or the time is up. The two
    /// latter cut off what still runs.
    async fn finish(&mut self, until: Instant) {
        self.closing.cancel();
        if self.too_long && self.flush_within(AFTER_EOF).await.is_ok() {
            // Whether it came to its end or its time is up, there is nothing more to do for it.
            let _ = tokio::time::timeout_at(until, self.skip_line()).await;
        }
        while !self.in_flight.is_empty() || self.plain.count() > 0 {
            // The library's answers make it poll anew. A stopping host says itself when the time is up.
            tokio::select! {
                () = self.plain.next() => continue,
                () = gone(&self.output) => {}
                () = tokio::time::sleep_until(until), if !self.stop.is_cancelled() => {}
            }
            self.cut.cancel();
            return;
        }
        // The answers to what was asked last may be large, and their reader slow, but not for ever.
        if self.flush_within(AFTER_EOF).await.is_err() {
            self.cut.cancel();
        }
    }

    async fn flush_within(&mut self, time: Duration) -> io::Result<()> {
        tokio::time::timeout(time, self.output.flush_all()).await?
    }
}

/// Waits until nobody will read an answer.
async fn gone<W: Peer>(output: &Output<W>) {
    while !output.check(Peer::is_gone) {
        tokio::time::sleep(LOOK).await;
    }
}

/// A line without what may stand around a message.
fn content(line: &[u8]) -> &[u8] {
    line.strip_prefix(UTF8_BOM).unwrap_or(line).trim_ascii()
}

/// What a connection makes of a line.
#[derive(Debug)]
pub enum Line {
    /// A message for the protocol: a request or notification of this method, or an answer.
    Message(Option<String>),
    /// A notification that nobody here knows.
    Ignored,
    /// No message; this is what the other side hears, as JSON.
    Refused(Vec<u8>),
}

/// Reads one line, without its end, as connections do: the whole of what an agent's bytes meet before
/// the protocol. Lines longer than 4 MiB do not come this far.
#[must_use]
pub fn read_line(line: &[u8]) -> Line {
    let line = content(line);
    let method = |line| Some(frame::examine(line).ok()?.method()?.to_owned());
    match parse(line) {
        Ok(Some(_)) => Line::Message(method(line)),
        Ok(None) => Line::Ignored,
        Err(refusal) => Line::Refused(refusal.to_json()),
    }
}

/// Whether a connection with an open session begins this line's call by itself. Every such line is
/// one that [`read_line`] takes for a `tools/call`, too.
#[must_use]
pub fn is_plain_call(line: &[u8]) -> bool {
    PlainCall::read(content(line)).is_some()
}

/// A message the library reads, nothing for a notification that nobody here knows, or a refusal.
fn parse(line: &[u8]) -> Result<Option<ClientJsonRpcMessage>, Refusal> {
    let envelope = frame::examine(line)?;
    match serde_json::from_slice(line) {
        Ok(message) => Ok(Some(message)),
        Err(_) if envelope.is_notification() => Ok(None),
        Err(_) => Err(envelope.malformed()),
    }
}

impl<R, W> Transport<RoleServer> for Lines<R, W>
where
    R: Source,
    W: Peer,
{
    type Error = io::Error;

    fn send(
        &mut self,
        message: ServerJsonRpcMessage,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        match &message {
            JsonRpcMessage::Response(response) => {
                self.in_flight.remove(&response.id);
                if let ServerResult::InitializeResult(_) = response.result
                    && let Some(desk) = self.desk.take()
                {
                    self.plain.open(desk);
                }
            }
            JsonRpcMessage::Error(error) => {
                if let Some(id) = &error.id {
                    self.in_flight.remove(id);
                }
            }
            _ => {}
        }
        let output = Arc::clone(&self.output);
        // Written down here and not in the future: what was said first goes out first.
        let mark = serde_json::to_vec(&message).map(|line| output.push(&line));
        let cut = self.cut.clone();
        async move {
            let written = output.flush(mark?).await;
            if written.is_err() {
                cut.cancel();
            }
            written
        }
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        loop {
            if let Some(until) = self.ending {
                self.finish(until).await;
                return None;
            }
            match self.read().await {
                Read::Line(length) => {
                    if let Some(message) = self.take(length).await {
                        return Some(message);
                    }
                    // A refusal. Given up half way, the rest goes out with the next message.
                    if self.output.flush_all().await.is_err() {
                        self.cut.cancel();
                        return None;
                    }
                }
                Read::TooLong => {
                    let say = format!(
                        "The line is longer than {MAX_LINE} bytes. The connection ends here: send a smaller message on a new one."
                    );
                    self.output
                        .push(&Refusal::new(INVALID_REQUEST, say).to_json());
                    self.too_long = true;
                    self.ending = Some(Instant::now() + AFTER_EOF);
                }
                Read::End => self.ending = Some(Instant::now() + AFTER_EOF),
            }
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        self.flush_within(AFTER_EOF).await
    }
}

#[cfg(test)]
#[path = "lines_tests.rs"]
mod tests;
