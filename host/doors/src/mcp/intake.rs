//! What a message weighs before it is read, and where it is read: small ones on the spot, large ones
//! aside, in one of a few places that the callers take in turns. What a message becomes in memory can
//! be eighty times its bytes, so that is what counts.
//!
//! It does not know what a message asks for.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use rmcp::model::ClientJsonRpcMessage;
use serde_json::Value;

use super::fast_path::PlainCall;
use super::message;
use crate::budget::{Allowance, Held};
use crate::call::Host;
use crate::frame::{self, INTERNAL_ERROR, Refusal};
use crate::terms::json;

/// Messages up to here are read on the spot, in bytes: a millisecond or two, whatever is in them.
pub(crate) const LARGE: usize = 32 << 10;

/// What a line comes to.
pub(super) enum Read {
    /// A notification that nobody here knows.
    Nothing,
    /// A call that is begun where it was read.
    Plain(PlainCall),
    /// A message for the library.
    Message(Box<ClientJsonRpcMessage>),
}

/// Reads a line. Calls without extras are told apart where there is a session for them.
pub(super) fn read(line: &[u8], in_session: bool) -> Result<Read, Refusal> {
    if let Some(call) = in_session.then(|| PlainCall::read(line)).flatten() {
        return Ok(Read::Plain(call));
    }
    Ok(message::parse(line)?.map_or(Read::Nothing, |message| Read::Message(Box::new(message))))
}

/// A line that is being read aside, and what its caller holds for it.
pub(super) type Aside = Pin<Box<dyn Future<Output = Result<(Read, Held), Refusal>> + Send>>;

/// Reads a large line aside. `coming` is what was held for it while it came.
pub(super) fn read_line_aside(
    host: Option<Arc<Host>>,
    line: BytesMut,
    in_session: bool,
    allowance: Allowance,
    coming: Option<Held>,
) -> Aside {
    Box::pin(async move {
        let own = allowance.clone();
        let reading = move || {
            let line = message::content(&line);
            let held = weigh(line, &own)?;
            let read = read(line, in_session)?;
            drop(coming);
            Ok((read, held))
        };
        in_turn(host.as_ref(), &allowance, reading).await?
    })
}

/// What is to be known of a body before the library reads it.
pub(crate) struct MessageHead {
    method: Option<String>,
    id: Option<Value>,
}

impl MessageHead {
    /// Looks at a message on the spot.
    pub(crate) fn read(body: &[u8]) -> Result<Self, Refusal> {
        let envelope = frame::examine(body)?;
        Ok(Self {
            method: envelope.method().map(str::to_owned),
            id: envelope.id(),
        })
    }

    /// The request's id.
    pub(crate) fn id(&self) -> Option<Value> {
        self.id.clone()
    }

    /// It opens a session.
    pub(crate) fn is_for_a_session(&self) -> bool {
        self.method.as_deref() == Some("initialize")
    }

    /// Its answer has schemas in it.
    pub(crate) fn is_for_the_list(&self) -> bool {
        self.method.as_deref() == Some("tools/list")
    }

    /// Its answer is a stream that has no end of its own.
    pub(crate) fn is_for_a_stream(&self) -> bool {
        self.method.as_deref() == Some("subscriptions/listen")
    }

    /// What to say when the message is not what its method asks for.
    pub(crate) fn malformed(&self) -> Refusal {
        Refusal::malformed(self.id())
    }
}

/// Looks at a large message aside, and takes what it will hold.
pub(crate) async fn read_aside(
    host: &Arc<Host>,
    body: &Bytes,
    allowance: &Allowance,
) -> Result<(MessageHead, Held), Refusal> {
    let (body, own) = (body.clone(), allowance.clone());
    let reading = move || Ok((MessageHead::read(&body)?, weigh(&body, &own)?));
    in_turn(Some(host), allowance, reading).await?
}

/// Does work on a large message aside, when it is this caller's turn.
pub(super) async fn in_turn<T: Send + 'static>(
    host: Option<&Arc<Host>>,
    allowance: &Allowance,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
    let Some(host) = host else {
        return Ok(work());
    };
    let done = host.lanes.aside(allowance.agent(), work).await;
    done.map_err(|fault| Refusal::new(INTERNAL_ERROR, fault.say))
}

/// Takes what a large message will hold when it is read.
fn weigh(message: &[u8], allowance: &Allowance) -> Result<Held, Refusal> {
    let bytes = json::weight(message);
    allowance.request(bytes).map_err(|_| {
        let id = frame::examine(message).ok().and_then(|it| it.id());
        Refusal::busy(id, bytes)
    })
}

/// A request that is not answered yet, and what it holds.
#[derive(Debug)]
pub(super) struct Ticket {
    weight: u64,
    of_all: Arc<AtomicU64>,
    _held: Option<Held>,
}

impl Ticket {
    /// For a request of this weight, which counts in the sum of its connection's.
    pub(super) fn new(weight: u64, of_all: &Arc<AtomicU64>, held: Option<Held>) -> Self {
        of_all.fetch_add(weight, Ordering::Relaxed);
        Self {
            weight,
            of_all: Arc::clone(of_all),
            _held: held,
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.of_all.fetch_sub(self.weight, Ordering::Relaxed);
    }
}
