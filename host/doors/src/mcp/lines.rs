//! One message a line: the framing of stdio, which a byte stream of another kind shares.
//!
//! The library's own transport drops what it cannot read without a word, reads requests without
//! bound while answers wait, and forgets a call whose client is gone only after seconds; so this is
//! ours. It does not know methods, only which messages are requests, answers and cancellations.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, JsonRpcMessage, RequestId, ServerJsonRpcMessage,
    ServerResult,
};
use rmcp::transport::Transport;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::agent::CallerSession;
use super::connection::Peer;
use super::fast_path::PlainCalls;
use super::input::{Found, Input, LINE_TIME};
use super::intake::{self, Aside, LARGE, Ticket};
use super::message;
use super::output::Output;
use super::schemas;
use super::spin_wait::MessageSource;
use crate::budget::{Allowance, FREE};
use crate::call::Host;
use crate::deadline::Deadlined;
use crate::frame::{self, REFUSED, Refusal};
use crate::seats::Seat;
use crate::terms::json;

/// Requests of one connection that may be without an answer. Beyond it the connection is not read.
const MAX_IN_FLIGHT: usize = 128;

/// Answers of one connection that may wait for a slow reader, in bytes. Beyond it the connection is
/// not read.
const MAX_BACKLOG: u64 = 4 << 20;

/// Messages of one connection that may wait for a slow reader. Beyond it the connection is not read.
const MAX_UNWRITTEN: usize = 1024;

/// Lines up to here are always taken, in bytes: there are no more of them than requests in flight.
const SHORT: usize = 512;

/// How long running calls may go on when the client has closed its sending half: it may still read.
const AFTER_EOF: Duration = Duration::from_secs(5);

/// How often to look whether a client that is not read from is gone for good.
const LOOK: Duration = Duration::from_millis(20);

/// The messages of a connection. The library polls `receive` anew after everything it sends, so the
/// state that `receive` waits for may change only between two polls and needs no lock.
pub(super) struct Lines<R, W> {
    input: Input<R>,
    /// A large line that is being read elsewhere.
    aside: Option<Aside>,
    /// Requests that the library is to answer, and what they hold.
    in_flight: HashMap<RequestId, Ticket>,
    /// What all requests without an answer weigh, in bytes.
    waiting: Arc<AtomicU64>,
    /// Where large lines are read aside.
    host: Option<Arc<Host>>,
    allowance: Allowance,
    /// For the plain calls of a session, until one is open.
    caller_session: Option<CallerSession>,
    plain: PlainCalls,
    output: Arc<Output<Deadlined<W>>>,
    /// Each message that is on its way to be written has one of these.
    unwritten: Arc<()>,
    /// There is a refusal to flush, which nobody else does.
    unsaid: bool,
    /// Nothing more is read, and running calls end by this moment.
    ending: Option<Instant>,
    /// Something was said that the library begins with.
    begun: bool,
    seat: Option<Arc<Seat>>,
    /// What comes after a refusal is read and forgotten, so that the refusal is heard.
    reads_on: bool,
    stop: CancellationToken,
    closing: CancellationToken,
    cut: CancellationToken,
}

/// What reading came to.
enum Step {
    /// Something is at the front of the input.
    Found(Found),
    /// The line does not come to its end.
    TooSlow,
    /// The other side sends nothing more, or nothing more is to be taken.
    End,
}

impl<R, W> Lines<R, W>
where
    R: MessageSource,
    W: Peer,
{
    /// The messages that `reader` sends and `output` gets.
    pub(super) fn new(
        (reader, output): (R, Arc<Output<Deadlined<W>>>),
        (host, caller_session, allowance): (Arc<Host>, CallerSession, Allowance),
        seat: Option<Arc<Seat>>,
        (stop, closing, cut): (CancellationToken, CancellationToken, CancellationToken),
    ) -> Self {
        Self {
            host: Some(host),
            caller_session: Some(caller_session),
            seat,
            ..Self::bare((reader, output), allowance, (stop, closing, cut))
        }
    }

    /// Without a host: no calls.
    fn bare(
        (reader, output): (R, Arc<Output<Deadlined<W>>>),
        allowance: Allowance,
        (stop, closing, cut): (CancellationToken, CancellationToken, CancellationToken),
    ) -> Self {
        Self {
            input: Input::new(reader, allowance.clone()),
            aside: None,
            in_flight: HashMap::new(),
            waiting: Arc::default(),
            host: None,
            allowance,
            caller_session: None,
            plain: PlainCalls::new(),
            output,
            unwritten: Arc::default(),
            unsaid: false,
            ending: None,
            begun: false,
            seat: None,
            reads_on: false,
            stop,
            closing,
            cut,
        }
    }

    /// Reads on until there is a whole line. Given up at any await, it goes on where it was.
    async fn read(&mut self) -> Step {
        loop {
            if self.stop.is_cancelled() {
                return Step::End;
            }
            if self.is_full() {
                // Where the library makes room it polls anew.
                let is_behind = self.is_behind();
                tokio::select! {
                    () = self.stop.cancelled() => {}
                    () = self.plain.next() => continue,
                    end = self.output.flush_all(), if is_behind || self.unsaid => {
                        self.unsaid = false;
                        if end.is_ok() {
                            // What was written has yet to be noticed by who waits for it.
                            tokio::task::yield_now().await;
                            continue;
                        }
                    }
                    () = gone(&self.output) => self.cut.cancel(),
                }
                return Step::End;
            }
            if let Some(found) = self.input.look() {
                return Step::Found(found);
            }
            if let Some(step) = self.hold_what_comes().await {
                return step;
            }
            // What runs needs this thread.
            let is_idle = self.in_flight.is_empty() && self.plain.count() == 0;
            self.tell(is_idle, Instant::now());
            if is_idle {
                self.input.wait_awake();
            }
            let due = self.input.due();
            let count = tokio::select! {
                // Most often something is there: nobody else has to be asked then.
                biased;
                () = until(due), if due.is_some() => return Step::TooSlow,
                count = self.input.more() => count,
                () = self.stop.cancelled() => return Step::End,
                // One that was given up half way.
                end = self.output.flush_all(), if self.unsaid => {
                    self.unsaid = false;
                    match end {
                        Ok(()) => continue,
                        Err(_) => return Step::End,
                    }
                }
            };
            if !matches!(count, Ok(1..)) {
                return Step::End;
            }
        }
    }

    /// Tells whether something runs here.
    fn tell(&self, is_idle: bool, now: Instant) {
        match &self.seat {
            Some(seat) if is_idle => seat.is_silent(now.into_std()),
            Some(seat) => seat.is_busy(),
            None => {}
        }
    }

    /// Holds what the next read needs. Where the connection ends instead, it says how.
    async fn hold_what_comes(&mut self) -> Option<Step> {
        if self.input.has_room() {
            return None;
        }
        let due = self.input.due();
        tokio::select! {
            held = self.input.hold() => match held {
                true => None,
                false => Some(Step::End),
            },
            () = until(due), if due.is_some() => Some(Step::TooSlow),
            () = self.stop.cancelled() => Some(Step::End),
            () = gone(&self.output) => {
                self.cut.cancel();
                Some(Step::End)
            }
        }
    }

    fn is_full(&mut self) -> bool {
        self.in_flight.len() + self.plain.count() >= MAX_IN_FLIGHT
            || self.waiting.load(Ordering::Relaxed) > self.allowance.waiting()
            || self.is_behind()
    }

    /// Whether the client leaves too much unread: in bytes, or in messages, which have a price of their
    /// own while they wait.
    fn is_behind(&self) -> bool {
        self.output.backlog() > MAX_BACKLOG || Arc::strong_count(&self.unwritten) > MAX_UNWRITTEN
    }

    /// Takes a line off the input: a message for the library, or a refusal for the client. A plain
    /// call is begun here, and neither. A large line is only sent to be read.
    fn take(&mut self, length: usize) -> Option<Box<ClientJsonRpcMessage>> {
        let in_session = self.plain.is_open();
        if length > LARGE {
            let (line, coming) = self.input.take_large(length);
            let (host, allowance) = (self.host.clone(), self.allowance.clone());
            let aside = intake::read_line_aside(host, line, in_session, allowance, coming);
            self.aside = Some(aside);
            return None;
        }
        let (line, alone) = self.input.line(length);
        let line = message::content(line);
        let read = match self.ticket(line) {
            _ if line.is_empty() => Ok(None),
            Ok(ticket) => intake::read(line, in_session).map(|read| Some((read, ticket))),
            Err(refusal) => Err(refusal),
        };
        self.input.pass(length);
        match read {
            Ok(None) => None,
            Ok(Some((read, ticket))) => self.follow(read, ticket, alone),
            Err(refusal) => self.refuse(&refusal),
        }
    }

    /// What a small message holds: nothing of its caller's, as long as all of its connection are few.
    fn ticket(&self, line: &[u8]) -> Result<Ticket, Refusal> {
        let weight = json::rough_weight(line);
        let held = if self.waiting.load(Ordering::Relaxed) + weight > FREE {
            self.allowance.request(weight).ok()
        } else {
            return Ok(Ticket::new(weight, &self.waiting, None));
        };
        // What takes something back has to be heard.
        if held.is_none() && line.len() > SHORT {
            let id = frame::examine(line).ok().and_then(|it| it.id());
            return Err(Refusal::busy(id, weight));
        }
        Ok(Ticket::new(weight, &self.waiting, held))
    }

    /// Does what a line asks for.
    fn follow(
        &mut self,
        read: intake::Read,
        ticket: Ticket,
        alone: bool,
    ) -> Option<Box<ClientJsonRpcMessage>> {
        match read {
            intake::Read::Nothing => None,
            intake::Read::Plain(call) if self.is_running(&call.id) => {
                let id = serde_json::to_value(&call.id).ok();
                self.refuse(&Refusal::still_running(id))
            }
            intake::Read::Plain(call) => {
                self.plain.begin(call, ticket, alone, &self.output);
                None
            }
            intake::Read::Message(message) => {
                self.begun |= message::begins(&message);
                let is_stray = !self.begun && !matches!(*message, JsonRpcMessage::Request(_));
                match self.admit(message, ticket) {
                    // The library takes it for the end, and it is nothing.
                    Ok(_) if is_stray => None,
                    Ok(message) => Some(message),
                    Err(refusal) => self.refuse(&refusal),
                }
            }
        }
    }

    fn refuse<T>(&mut self, refusal: &Refusal) -> Option<T> {
        self.output.push(&refusal.to_json());
        self.unsaid = true;
        None
    }

    /// Writes refusals. Given up half way, it goes on where the next line is read.
    async fn say(&mut self) -> bool {
        let end = self.output.flush_all().await;
        self.unsaid = false;
        end.is_ok()
    }

    /// Refuses, and takes nothing more from this connection.
    fn end_with(&mut self, say: String) {
        let _: Option<()> = self.refuse(&Refusal::new(REFUSED, say));
        self.reads_on = true;
        self.ending = Some(Instant::now() + AFTER_EOF);
    }

    /// Waits for a large line to be read.
    async fn read_aside(&mut self) -> Option<Box<ClientJsonRpcMessage>> {
        let aside = self.aside.as_mut()?;
        let read = tokio::select! {
            read = aside => read,
            () = self.stop.cancelled() => {
                self.aside = None;
                return None;
            }
        };
        self.aside = None;
        match read {
            Ok((read, held)) => {
                let ticket = Ticket::new(held.amount(), &self.waiting, Some(held));
                self.follow(read, ticket, false)
            }
            Err(refusal) => self.refuse(&refusal),
        }
    }

    /// Keeps count of who waits for an answer.
    fn admit(
        &mut self,
        message: Box<ClientJsonRpcMessage>,
        ticket: Ticket,
    ) -> Result<Box<ClientJsonRpcMessage>, Refusal> {
        match &*message {
            JsonRpcMessage::Request(request) if self.is_running(&request.id) => {
                let id = serde_json::to_value(&request.id).ok();
                return Err(Refusal::still_running(id));
            }
            JsonRpcMessage::Request(request) => {
                self.in_flight.insert(request.id.clone(), ticket);
            }
            // The library never answers what was cancelled.
            JsonRpcMessage::Notification(notification) => {
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

    fn is_running(&self, id: &RequestId) -> bool {
        self.in_flight.contains_key(id) || self.plain.has(id)
    }

    /// Waits until everything asked is answered, the client is gone, or the time is up. The two
    /// latter cut off what still runs.
    async fn finish(&mut self, until: Instant) {
        self.closing.cancel();
        if self.reads_on && self.flush_within(AFTER_EOF).await.is_ok() {
            // Whether it came to its end or its time is up, there is nothing more to do for it.
            let _ = tokio::time::timeout_at(until, self.input.skip_line()).await;
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

/// Waits for a moment, or for ever where there is none.
async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// A message as it is written: in a list, schemas are in their authors' order.
fn in_order(message: &ServerJsonRpcMessage, line: Vec<u8>) -> Vec<u8> {
    let lists = matches!(message, JsonRpcMessage::Response(response)
        if matches!(response.result, ServerResult::ListToolsResult(_)));
    let in_order = lists.then(|| schemas::in_place(&line)).flatten();
    in_order.unwrap_or(line)
}

/// Waits until nobody will read an answer.
async fn gone<W: Peer>(output: &Output<W>) {
    while !output.check(Peer::is_gone) {
        tokio::time::sleep(LOOK).await;
    }
}

impl<R, W> Transport<RoleServer> for Lines<R, W>
where
    R: MessageSource,
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
                if let ServerResult::InitializeResult(result) = &response.result
                    && let Some(caller_session) = self.caller_session.take()
                {
                    self.plain
                        .open(caller_session, result.protocol_version.clone());
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
        // Written down here and not in the future: what was said first goes out first, and a message
        // is not kept until it is read.
        let id = match &message {
            JsonRpcMessage::Response(response) => Some(&response.id),
            JsonRpcMessage::Error(error) => error.id.as_ref(),
            _ => None,
        };
        let line = serde_json::to_vec(&message).map(|line| in_order(&message, line));
        let mark = line.map(|line| output.answer(&line, id));
        let unwritten = Arc::clone(&self.unwritten);
        async move {
            let _unwritten = unwritten;
            output.flush(mark?).await
        }
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        loop {
            if let Some(until) = self.ending {
                self.finish(until).await;
                return None;
            }
            if self.aside.is_some() {
                if let Some(message) = self.read_aside().await {
                    return Some(*message);
                }
                continue;
            }
            match self.read().await {
                Step::Found(Found::Endless) => {
                    let (longest, most) = (self.allowance.message(), self.allowance.forgotten());
                    self.end_with(format!(
                        "The line is longer than {longest} bytes, and did not end within {most} either. The connection ends here: send a smaller message on a new one."
                    ));
                }
                Step::Found(found) => {
                    if let Found::Line(length) = found
                        && let Some(message) = self.take(length)
                    {
                        return Some(*message);
                    }
                    // The next one is heard.
                    if let Found::Large(id) = found {
                        let refusal = Refusal::too_large(id, self.allowance.message());
                        let _: Option<()> = self.refuse(&refusal);
                    }
                    if self.unsaid && !self.say().await {
                        return None;
                    }
                }
                Step::TooSlow => self.end_with(format!(
                    "The line did not come to its end in {} seconds, or this caller's other requests left no room for it. The connection ends here: send whole lines on a new one.",
                    LINE_TIME.as_secs()
                )),
                Step::End => self.ending = Some(Instant::now() + AFTER_EOF),
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
