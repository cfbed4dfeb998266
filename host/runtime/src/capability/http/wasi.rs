//! What the guest sees of `wasi:http`: the same exchange behind wasmtime-wasi-http's types.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use tokio::sync::Semaphore;
use wasmtime_wasi_http::{Error, RequestOptions, WasiHttpHooks};

use super::held::{self, BODY, EXCHANGE, Pieces};
use crate::shares::{Account, Exceeded, Holding};
use toolhost_outbound::AttemptLog;
use toolhost_outbound::http::{
    ErrorCode, HttpContext, HttpError, OutboundRequest, ROOM, RequestTarget, ahead, exchange, room,
};

/// What a guest may write to a request's body at once, in bytes. Each body that is written holds two
/// such pieces, sent or not.
pub(super) const CHUNK: usize = 16 << 10;

/// What a guest hears where the call's account has no room for a request, or for a response's head.
const FULL: &str = "The request was not sent, or its response not taken: the host holds as much for this call as its limit `host_memory` allows. Finish some requests first, and let go of their headers and bodies.";

/// How long after its call's end nothing waits for a guest any more, whatever else went wrong.
const LATE: Duration = Duration::from_millis(100);

/// Everything that `wasi:http` asks its embedder.
pub(super) struct Hooks {
    context: Arc<HttpContext>,
    /// The largest body of a request, in bytes.
    most: usize,
    account: Account,
    attempts: AttemptLog,
    /// For what is read ahead, once there is a request.
    room: Option<Room>,
}

/// For what a call reads ahead, and that it is on the call's account.
type Room = (Arc<Semaphore>, Arc<Holding>);

impl Hooks {
    pub(super) fn new(
        context: Arc<HttpContext>,
        request_body: u64,
        attempts: AttemptLog,
        account: &Account,
    ) -> Self {
        Self {
            context,
            most: usize::try_from(request_body).unwrap_or(usize::MAX),
            account: account.clone(),
            attempts,
            room: None,
        }
    }

    /// Room for a request with this head, and for what is read ahead.
    fn hold(&mut self, request: &http::Request<Body>) -> Result<(Holding, Room), Exceeded> {
        let uri = request.uri();
        let texts = uri
            .authority()
            .map_or(0, |authority| authority.as_str().len())
            + uri.path_and_query().map_or(0, |path| path.as_str().len())
            + request.method().as_str().len();
        // Twice: it is copied into what is sent.
        let head = held::fields(request.headers()).saturating_add(held::length(texts));
        let body = match hyper::body::Body::is_end_stream(request.body()) {
            true => 0,
            false => BODY,
        };
        let held = EXCHANGE
            .saturating_add(body)
            .saturating_add(head.saturating_mul(2));
        let held = self.account.hold(held)?;
        let room = match &self.room {
            Some(room) => room.clone(),
            None => {
                let whole = self.account.hold(held::length(ROOM))?;
                self.room.insert((room(), Arc::new(whole))).clone()
            }
        };
        Ok((held, room))
    }
}

/// As a guest is told it, who can do something about it.
fn full(_: Exceeded) -> Error {
    Error::InternalError(Some(FULL.to_owned()))
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
        let most = self.most;
        let account = self.account.clone();
        // Until this future is gone it may begin an attempt, which then has a token of its own: one that
        // is given up before it was polled, or between two threads, is waited for all the same.
        let open = self.attempts.hold();
        let attempts = self.attempts.clone();
        let held = self.hold(&request);
        let (head_timeout, gap) = timeouts(options.as_ref());
        Box::new(async move {
            let _open = open;
            let (mut held, (room, whole)) = held.map_err(full)?;
            let (head, body) = request.into_parts();
            // A guest of WASI 0.3 may hold its trailers back for ever. Its call ends before this does.
            let body = collect(body, most, &mut held);
            let body = tokio::time::timeout(context.left() + LATE, body).await;
            let body = body.map_err(|_| Error::ConnectionWriteTimeout)??;
            let asked = OutboundRequest {
                silence: Some(gap),
                ..parts(&head, body)
            };
            let answered = tokio::time::timeout(head_timeout, exchange(&context, asked));
            let answered = answered.await.map_err(|_| Error::ConnectionReadTimeout)?;
            let response = answered.map_err(|error| {
                // Its code says that it was denied, and has no room for the rest.
                if error.code == ErrorCode::Denied {
                    attempts.denied(&error.say);
                }
                in_wasi(error)
            })?;

            // Of the request nothing is left; of the response, its head until its body is read.
            let head = held::fields(&response.headers).saturating_add(EXCHANGE);
            held.resize(head).map_err(full)?;
            let mut builder = http::Response::builder().status(response.status);
            if let Some(headers) = builder.headers_mut() {
                *headers = response.headers;
            }
            let stream = ahead(response.body.counted(&account), room);
            let frames = Box::pin(stream).map(move |piece| {
                // As long as the guest holds the body.
                let _on_account = (&held, &whole);
                piece.map(Frame::data).map_err(in_wasi)
            });
            let body = Body::new(StreamBody::new(frames));
            let response = builder
                .body(body)
                .map_err(|error| Error::InternalError(Some(error.to_string())))?;
            Ok((response, Box::new(std::future::ready(Ok(()))) as Trailing))
        })
    }
}

/// The longest time for the head of a response, and between two arrivals of its body: what the host
/// holds back meanwhile, and when the guest reads, has no part in it. A guest may ask for zero; one
/// millisecond is the shortest wait there is.
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

/// A body as a whole, held until it is sent.
async fn collect(mut body: Body, most: usize, held: &mut Holding) -> Result<Bytes, Error> {
    let mut whole = Pieces::default();
    while let Some(frame) = body.frame().await.transpose()? {
        let Ok(piece) = frame.into_data() else {
            continue;
        };
        if piece.len() > most.saturating_sub(whole.len()) {
            return Err(Error::HttpRequestBodySize(u64::try_from(most).ok()));
        }
        whole.push(piece, held).map_err(full)?;
    }
    Ok(whole.bytes())
}

/// The guest's request as it said it: what it means is the judge's to find out.
fn parts(head: &http::request::Parts, body: Bytes) -> OutboundRequest {
    let uri = &head.uri;
    OutboundRequest {
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
        silence: None,
    }
}

/// Why there is no response, as `wasi:http` says it.
fn in_wasi(error: HttpError) -> Error {
    match error.code {
        ErrorCode::Denied => Error::HttpRequestDenied,
        ErrorCode::Timeout => Error::ConnectionReadTimeout,
        ErrorCode::Unreachable => Error::DestinationUnavailable,
        ErrorCode::Protocol => Error::HttpProtocolError,
        ErrorCode::LongUrl => Error::HttpRequestUriTooLong,
        ErrorCode::LargeHeaders => Error::HttpRequestHeaderSectionSize(None),
        ErrorCode::LargeBody => Error::HttpRequestBodySize(None),
        ErrorCode::LargeResponse => Error::HttpResponseBodySize(None),
        ErrorCode::Invalid => Error::InternalError(Some(error.say)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    /// A guest may begin as many requests as it has handles, and end none.
    #[tokio::test]
    async fn bodies_of_one_call_are_on_its_account() {
        let body = |bytes: usize| {
            let pieces = vec![Ok::<_, Error>(Frame::data(Bytes::from(vec![7; bytes])))];
            Body::new(StreamBody::new(futures_util::stream::iter(pieces)))
        };
        let account = Account::new(10_000);
        let mut first = account.nothing();
        let whole = collect(body(6_000), 8_000, &mut first).await.unwrap();
        assert_eq!(whole, vec![7; 6_000]);
        let mut held = account.nothing();
        let none = collect(body(5_000), 8_000, &mut held).await;
        assert!(matches!(none, Err(Error::InternalError(Some(say))) if say == FULL));
        let large = collect(body(9_000), 8_000, &mut held).await;
        assert!(matches!(
            large,
            Err(Error::HttpRequestBodySize(Some(8_000)))
        ));
        drop(first);
        assert!(collect(body(5_000), 8_000, &mut held).await.is_ok());
        drop(held);
        assert_eq!(account.held(), 0);
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
