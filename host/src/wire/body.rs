//! Bodies of HTTP: requests are counted while they come in, answers until they are sent.
//!
//! It does not know what is in them.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::time::timeout;

use super::budget::{Allowance, FREE, Held};
use super::denial::Denial;
use super::frame::{INVALID_REQUEST, MAX_BODY, Refusal};
use super::http::PATIENCE;
use super::mcp::LARGE;
use super::seats::Seat;
use super::serve::Begun;

/// The body of an answer.
pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// The body of a request, and the bytes that its caller holds for it.
pub(super) async fn collect(
    headers: &HeaderMap,
    body: Incoming,
    allowance: &Allowance,
) -> Result<(Bytes, Option<Held>), Denial> {
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let most = announced.unwrap_or(MAX_BODY);
    if most > MAX_BODY {
        return Err(too_large());
    }
    let all = async {
        // Before the first byte of it is taken.
        let held = match length(most) {
            small if small <= length(LARGE) => None,
            large => Some(allowance.request_in_turn(large).await.map_err(|_| full())?),
        };
        Ok((read(body, most).await?, held))
    };
    timeout(PATIENCE, all).await.unwrap_or_else(|_| {
        Err(Denial::new(
            StatusCode::REQUEST_TIMEOUT,
            "The body took longer than 30 seconds to arrive, or this caller's other requests left no room for it. Send it again.",
        ))
    })
}

async fn read(mut body: Incoming, most: usize) -> Result<Bytes, Denial> {
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let ended_early = |_| Refusal::new(INVALID_REQUEST, "The body ended before its end.");
        let Ok(data) = frame.map_err(ended_early)?.into_data() else {
            continue;
        };
        if all.len() + data.len() > most {
            return Err(too_large());
        }
        all.extend_from_slice(&data);
    }
    Ok(all.freeze())
}

fn too_large() -> Denial {
    let say = format!("The body is larger than {MAX_BODY} bytes. Send a smaller message.");
    Denial::new(StatusCode::PAYLOAD_TOO_LARGE, say)
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
pub(super) fn counted<B>(response: Response<B>, until: Until) -> Result<Response<Body>, Denial>
where
    B: hyper::body::Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let size = response.body().size_hint().exact().unwrap_or(0);
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
            body: body.boxed_unsync(),
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
        let Poll::Ready(Some(Ok(data))) = &frame else {
            return frame;
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
        frame
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

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
