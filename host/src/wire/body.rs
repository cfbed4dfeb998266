//! Bodies of HTTP: requests are counted while they come in, answers until they are sent.
//!
//! It does not know what is in them.

use std::borrow::Cow;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, EXPECT};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::time::timeout;

use super::breaks;
use super::budget::{Allowance, FREE, Held};
use super::denial::Denial;
use super::frame::{INVALID_REQUEST, Refusal};
use super::http::PATIENCE;
use super::mcp::LARGE;
use super::seats::Seat;
use super::serve::Begun;
use super::skim::Skim;

/// The body of an answer.
pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Why a body is not there.
enum Missing {
    Denied(Denial),
    /// It is longer than bodies may be, and this is how it begins.
    TooLarge(BytesMut),
}

/// The body of a request, and the bytes that its caller holds for it. One that is too large is read on
/// for a while, with nothing kept of it but its id.
pub(super) async fn collect(
    headers: &HeaderMap,
    body: &mut Incoming,
    allowance: &Allowance,
) -> Result<(Bytes, Option<Held>), Denial> {
    let longest = allowance.message();
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let most = announced.unwrap_or(longest);
    let all = async {
        if most > longest {
            return Err(Missing::TooLarge(BytesMut::new()));
        }
        // Before the first byte of it is taken.
        let held = match length(most) {
            small if small <= length(LARGE) => None,
            large => {
                let held = allowance.request_in_turn(large).await;
                Some(held.map_err(|_| Missing::Denied(full()))?)
            }
        };
        Ok((read(body, most).await?, held))
    };
    let begin = match timeout(PATIENCE, all).await {
        Ok(Ok(whole)) => return Ok(whole),
        Ok(Err(Missing::Denied(denial))) => return Err(denial),
        Ok(Err(Missing::TooLarge(begin))) => begin,
        Err(_) => {
            return Err(Denial::new(
                StatusCode::REQUEST_TIMEOUT,
                "The body took longer than 30 seconds to arrive, or this caller's other requests left no room for it. Send it again.",
            ));
        }
    };
    let mut skim = Skim::default();
    skim.feed(&begin);
    drop(begin);
    if !waits_for_leave(headers) {
        forget(body, allowance.forgotten(), |data| skim.feed(data)).await;
    }
    Err(Denial {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        refusal: Refusal::too_large(skim.id(), longest),
    })
}

/// Whether the client sends nothing before it is told to go on. What is never read is never sent.
pub(super) fn waits_for_leave(headers: &HeaderMap) -> bool {
    headers.contains_key(EXPECT)
}

/// Reads what is left of a body and forgets it: as much as `most`, for as long as a body may take.
pub(super) async fn forget(body: &mut Incoming, most: usize, mut see: impl FnMut(&[u8])) {
    let mut left = most;
    let all = async {
        while let Some(Ok(frame)) = body.frame().await {
            let Some(data) = frame.data_ref() else {
                continue;
            };
            see(data);
            match left.checked_sub(data.len()) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    // Read or not: there is nothing more to do for it.
    let _ = timeout(PATIENCE, all).await;
}

async fn read(body: &mut Incoming, most: usize) -> Result<Bytes, Missing> {
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let ended_early = |_| {
            let refusal = Refusal::new(INVALID_REQUEST, "The body ended before its end.");
            Missing::Denied(refusal.into())
        };
        let Ok(data) = frame.map_err(ended_early)?.into_data() else {
            continue;
        };
        let is_too_large = all.len() + data.len() > most;
        all.extend_from_slice(&data);
        if is_too_large {
            return Err(Missing::TooLarge(all));
        }
    }
    Ok(all.freeze())
}

fn full() -> Denial {
    Denial::busy(
        "This caller's requests hold as much of the host as they may. Wait for their answers and send it again.",
    )
}

/// What goes with an answer until its last byte is sent, or nobody waits for it any more.
pub(super) struct Until {
    /// Whose place on the connection it is.
    pub(super) seat: Arc<Seat>,
    /// What it may hold.
    pub(super) allowance: Allowance,
    /// A stopping host waits for it.
    #[expect(dead_code, reason = "it counts by being there")]
    pub(super) working: Option<Begun>,
    /// A stream of events: it ends with this, and is not waited for.
    pub(super) over: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// What it holds for a stream, or for the request that it answers.
    #[expect(dead_code, reason = "it counts by being there")]
    pub(super) held: Option<Held>,
}

/// The same answer, counted.
pub(super) fn counted(response: Response<Body>, until: Until) -> Result<Response<Body>, Denial> {
    let size = hyper::body::Body::size_hint(response.body());
    let size = size.exact().unwrap_or(0);
    let answer = match size {
        small if small <= FREE => None,
        large => Some(
            until
                .allowance
                .answer(large)
                .map_err(|_| Denial::busy(unread(large, until.allowance.unread())))?,
        ),
    };
    if until.over.is_some() {
        until.seat.is_silent(Instant::now());
    }
    Ok(response.map(|body| {
        Counted {
            body,
            until,
            answer,
        }
        .boxed_unsync()
    }))
}

/// What to say where an answer cannot be kept until it is read.
pub(super) fn unread(bytes: u64, others: u64) -> String {
    format!(
        "The call is over and recorded, but its answer of {bytes} bytes was dropped: this caller leaves {others} bytes of other answers unread. Read them, then ask again."
    )
}

struct Counted {
    body: Body,
    until: Until,
    /// Bytes that are given out and may not be sent yet.
    answer: Option<Held>,
}

impl hyper::body::Body for Counted {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        let over = this.until.over.as_mut();
        if over.is_some_and(|over| over.as_mut().poll(context).is_ready()) {
            return Poll::Ready(None);
        }
        let frame = Pin::new(&mut this.body).poll_frame(context);
        let Poll::Ready(Some(Ok(data))) = frame else {
            return frame;
        };
        // An event comes whole, and has no length that was said before.
        let data = match this.body.size_hint().exact() {
            None => data.map_data(one_line),
            Some(_) => data,
        };
        let bytes = data.data_ref().map_or(0, |data| length(data.len()));
        // An answer of known size is counted as a whole.
        if this.body.size_hint().exact().is_none() && bytes > FREE {
            this.answer = None;
            match this.until.allowance.answer(bytes) {
                Ok(held) => this.answer = Some(held),
                Err(_) => {
                    tracing::info!(bytes, "a stream ends: its caller leaves too much unread");
                    return Poll::Ready(None);
                }
            }
        }
        Poll::Ready(Some(Ok(data)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.until.seat.is_silent(Instant::now());
    }
}

/// The same event, one line to every reader.
fn one_line(event: Bytes) -> Bytes {
    match breaks::escaped(&event) {
        Cow::Borrowed(_) => event,
        Cow::Owned(escaped) => escaped.into(),
    }
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
