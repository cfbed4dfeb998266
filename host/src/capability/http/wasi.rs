//! What the guest sees of `wasi:http`: the same exchange behind wasmtime-wasi-http's types.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime_wasi_http::{Error, RequestOptions, WasiHttpHooks};

use super::ahead::{ahead, room};
use super::{ErrorCode, HttpContext, HttpError, Request, RequestTarget, exchange};
use crate::capability::frame::Pen;

/// What a guest may write to a request's body at once, in bytes.
const CHUNK: usize = 64 << 10;

/// What the bodies of one call's requests may hold together while they are written and sent, in bytes;
/// more where one alone may be larger.
const BODIES: usize = 8 << 20;

/// What a guest hears where there is no room for a body.
const FULL: &str = "The request was not sent: the bodies of the requests that this call has under way are too large together. Finish some of them first.";

/// How long after its call's end nothing waits for a guest any more, whatever else went wrong.
const LATE: Duration = Duration::from_millis(100);

/// Everything that `wasi:http` asks its embedder.
pub(super) struct Hooks {
    context: Arc<HttpContext>,
    /// The largest body of a request, in bytes.
    most: usize,
    /// For the bodies of requests.
    bodies: Arc<Semaphore>,
    pen: Pen,
    /// For what is read ahead, once there is a response.
    room: Option<Arc<Semaphore>>,
}

impl Hooks {
    pub(super) fn new(context: Arc<HttpContext>, request_body: u64, pen: Pen) -> Self {
        let most = usize::try_from(request_body).unwrap_or(usize::MAX);
        let bodies = most.clamp(BODIES, Semaphore::MAX_PERMITS);
        Self {
            context,
            most,
            bodies: Arc::new(Semaphore::new(bodies)),
            pen,
            room: None,
        }
    }
}

type Trailing = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Body = wasmtime_wasi_http::WasiBody;

impl WasiHttpHooks for Hooks {
    /// The dialer writes its own.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK
    }

    fn p3_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK
    }

    fn send_request(
        &mut self,
        request: http::Request<Body>,
        options: Option<RequestOptions>,
        _sent: Trailing,
    ) -> Box<dyn Future<Output = Result<(http::Response<Body>, Trailing), Error>> + Send> {
        let context = self.context.clone();
        let (most, bodies) = (self.most, Arc::clone(&self.bodies));
        // Until this future is gone it may begin an attempt, which then has a token of its own: one that
        // is given up before it was polled, or between two threads, is waited for all the same.
        let held = self.pen.hold();
        let room = Arc::clone(self.room.get_or_insert_with(room));
        let (head_timeout, gap) = timeouts(options.as_ref());
        Box::new(async move {
            let _held = held;
            let (head, body) = request.into_parts();
            // A guest of WASI 0.3 may hold its trailers back for ever. Its call ends before this does.
            let whole = tokio::time::timeout(context.left() + LATE, collect(body, most, bodies));
            let (body, _room) = whole.await.map_err(|_| Error::ConnectionWriteTimeout)??;
            let asked = parts(&head, body);
            let answered = tokio::time::timeout(head_timeout, exchange(&context, asked));
            let response = answered.await.map_err(|_| Error::ConnectionReadTimeout)??;

            let mut builder = http::Response::builder().status(response.status);
            if let Some(headers) = builder.headers_mut() {
                *headers = response.headers;
            }
            let stream = ahead(response.body, room);
            let stream = tokio_stream::StreamExt::timeout(stream, gap);
            let frames = Box::pin(stream).map(move |piece| {
                piece
                    .map_err(|_| Error::ConnectionReadTimeout)?
                    .map(Frame::data)
                    .map_err(Error::from)
            });
            let body = Body::new(StreamBody::new(frames));
            let response = builder
                .body(body)
                .map_err(|error| Error::InternalError(Some(error.to_string())))?;
            Ok((response, Box::new(std::future::ready(Ok(()))) as Trailing))
        })
    }
}

/// The longest time for the head of a response, and between two pieces of its body. A guest may
/// ask for zero; one millisecond is the shortest wait there is.
fn timeouts(options: Option<&RequestOptions>) -> (Duration, Duration) {
    // Beyond every deadline, and not beyond what a timer can hold.
    const LONGEST: Duration = Duration::from_secs(24 * 3600);
    let bounded = |time: Option<Duration>| {
        time.map_or(LONGEST, |time| {
            time.clamp(Duration::from_millis(1), LONGEST)
        })
    };
    let Some(options) = options else {
        return (LONGEST, LONGEST);
    };
    let head = bounded(options.connect_timeout).saturating_add(bounded(options.first_byte_timeout));
    (head.min(LONGEST), bounded(options.between_bytes_timeout))
}

/// A body as a whole, and the room that it takes until it is sent.
async fn collect(
    mut body: Body,
    most: usize,
    bodies: Arc<Semaphore>,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Error> {
    let mut whole = BytesMut::new();
    let mut taken: Option<OwnedSemaphorePermit> = None;
    while let Some(frame) = body.frame().await.transpose()? {
        let Ok(piece) = frame.into_data() else {
            continue;
        };
        if piece.len() > most.saturating_sub(whole.len()) {
            return Err(Error::HttpRequestBodySize(u64::try_from(most).ok()));
        }
        let bytes = u32::try_from(piece.len()).unwrap_or(u32::MAX);
        let room = Arc::clone(&bodies).try_acquire_many_owned(bytes);
        let room = room.map_err(|_| Error::InternalError(Some(FULL.to_owned())))?;
        match &mut taken {
            Some(taken) => taken.merge(room),
            None => taken = Some(room),
        }
        whole.extend_from_slice(&piece);
    }
    Ok((whole.freeze(), taken))
}

/// The guest's request as it said it: what it means is the judge's to find out.
fn parts(head: &http::request::Parts, body: Bytes) -> Request {
    let uri = &head.uri;
    Request {
        method: head.method.as_str().to_owned(),
        target: RequestTarget::Parts {
            scheme: uri.scheme_str().unwrap_or_default().to_owned(),
            authority: uri.authority().map(ToString::to_string).unwrap_or_default(),
            path_with_query: uri
                .path_and_query()
                .map(ToString::to_string)
                .unwrap_or_default(),
        },
        headers: head
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
            .collect(),
        body,
        timeout: None,
    }
}

impl From<HttpError> for Error {
    fn from(error: HttpError) -> Self {
        match error.code {
            ErrorCode::Denied => Self::HttpRequestDenied,
            ErrorCode::Timeout => Self::ConnectionReadTimeout,
            ErrorCode::Unreachable => Self::DestinationUnavailable,
            ErrorCode::Protocol => Self::HttpProtocolError,
            ErrorCode::LongUrl => Self::HttpRequestUriTooLong,
            ErrorCode::LargeHeaders => Self::HttpRequestHeaderSectionSize(None),
            ErrorCode::LargeBody => Self::HttpRequestBodySize(None),
            ErrorCode::LargeResponse => Self::HttpResponseBodySize(None),
            ErrorCode::Invalid => Self::InternalError(Some(error.say)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    /// A guest may begin as many requests as it has handles, and end none.
    #[tokio::test]
    async fn bodies_of_one_call_share_their_room() {
        let body = |bytes: usize| {
            let pieces = vec![Ok::<_, Error>(Frame::data(Bytes::from(vec![7; bytes])))];
            Body::new(StreamBody::new(futures_util::stream::iter(pieces)))
        };
        let room = Arc::new(Semaphore::new(10));
        let (whole, first) = collect(body(6), 8, Arc::clone(&room)).await.unwrap();
        assert_eq!(whole, vec![7; 6]);
        let none = collect(body(5), 8, Arc::clone(&room)).await;
        assert!(matches!(none, Err(Error::InternalError(Some(say))) if say == FULL));
        let large = collect(body(9), 8, Arc::clone(&room)).await;
        assert!(matches!(large, Err(Error::HttpRequestBodySize(Some(8)))));
        drop(first);
        assert!(collect(body(5), 8, room).await.is_ok());
    }

    #[test]
    fn no_timeout_is_zero_or_endless() {
        let options = |time| RequestOptions {
            connect_timeout: Some(time),
            first_byte_timeout: Some(time),
            between_bytes_timeout: Some(time),
        };
        let (head, gap) = timeouts(Some(&options(Duration::ZERO)));
        assert!(head > Duration::ZERO && gap > Duration::ZERO);
        let (head, gap) = timeouts(Some(&options(Duration::MAX)));
        assert!(head <= Duration::from_secs(86_400) && gap <= Duration::from_secs(86_400));
    }
}
