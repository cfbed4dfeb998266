//! Bodies of HTTP: requests are counted while they come in, answers until they are sent.
//!
//! It does not know what is in them.

use std::borrow::Cow;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, EXPECT};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::time::timeout_at;

use super::breaks;
use super::budget::{Allowance, FREE, Held};
use super::denial::Denial;
use super::drain::Begun;
use super::frame::{INVALID_REQUEST, Refusal};
use super::mcp::LARGE;
use super::seats::Seat;
use super::skim::Skim;

/// The body of an answer.
pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Why a body is not there.
enum Missing {
    Denied(Denial),
    /// It is longer than bodies may be, and this is how it begins.
    TooLarge(BytesMut),
}

/// The body of a request while it comes in. Whatever it is read for, there is one deadline for all of it
/// and one count of what was read.
pub(super) struct Coming {
    body: Incoming,
    until: tokio::time::Instant,
    /// In bytes.
    read: usize,
}

impl Coming {
    /// A body that has this time from now on.
    pub(super) fn new(body: Incoming, within: Duration) -> Self {
        Self {
            body,
            until: tokio::time::Instant::now() + within,
            read: 0,
        }
    }

    /// The next bytes of it.
    async fn next(&mut self) -> Option<hyper::Result<Bytes>> {
        loop {
            match self.body.frame().await?.map(Frame::into_data) {
                Ok(Ok(data)) => {
                    self.read = self.read.saturating_add(data.len());
                    return Some(Ok(data));
                }
                Ok(Err(_)) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Reads what is left and forgets it: until `most` bytes were read in all, or its time is up.
    pub(super) async fn forget(&mut self, most: usize, mut see: impl FnMut(&[u8])) {
        let until = self.until;
        let all = async {
            while self.read <= most
                && let Some(Ok(data)) = self.next().await
            {
                see(&data);
            }
        };
        // Read or not: there is nothing more to do for it.
        let _ = timeout_at(until, all).await;
    }

    /// All of it, where it is no longer than `most`.
    async fn whole(&mut self, most: usize) -> Result<Bytes, Missing> {
        let mut all = BytesMut::new();
        while let Some(data) = self.next().await {
            let ended_early = |_| {
                let refusal = Refusal::new(INVALID_REQUEST, "The body ended before its end.");
                Missing::Denied(refusal.into())
            };
            all.extend_from_slice(&data.map_err(ended_early)?);
            if self.read > most {
                return Err(Missing::TooLarge(all));
            }
        }
        Ok(all.freeze())
    }
}

/// The body of a request, and the bytes that its caller holds for it. One that is too large is read on
/// for a while, with nothing kept of it but its id.
pub(super) async fn collect(
    headers: &HeaderMap,
    body: &mut Coming,
    allowance: &Allowance,
) -> Result<(Bytes, Option<Held>), Denial> {
    let longest = allowance.message();
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let most = announced.unwrap_or(longest);
    let until = body.until;
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
        Ok((body.whole(most).await?, held))
    };
    let begin = match timeout_at(until, all).await {
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
        let most = allowance.forgotten();
        body.forget(most, |data| skim.feed(data)).await;
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::sync::mpsc::channel;

    use http_body_util::Empty;
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    /// One body, read by several hands, has one deadline.
    #[tokio::test]
    async fn x67_a_body_that_does_not_come_is_waited_for_once() {
        let (near, mut far) = tokio::io::duplex(1 << 10);
        let within = Duration::from_millis(300);
        let (tell, told) = channel();
        let service = service_fn(|request: http::Request<Incoming>| {
            let tell = tell.clone();
            async move {
                let mut coming = Coming::new(request.into_body(), within);
                let since = Instant::now();
                for _ in 0..3 {
                    coming.forget(1 << 20, |_| {}).await;
                }
                tell.send(since.elapsed()).unwrap();
                Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
            }
        });
        let head = b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nx";
        far.write_all(head).await.unwrap();
        let _ = http1::Builder::new()
            .serve_connection(TokioIo::new(near), service)
            .await;
        let took = told.recv().unwrap();
        assert!((within..within * 2).contains(&took), "{took:?}");
    }
}
