//! HTTP/1 in front of the protocol: which requests are let through to it, and for whom. The same
//! on TCP and on the Unix socket.
//!
//! It does not know the protocol's methods, except that `initialize` wants a session.

use std::borrow::Cow;
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ALLOW, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use super::frame::{self, INTERNAL_ERROR, INVALID_REQUEST, MAX_BODY, Refusal};
use super::guard::{self, Claim, Foreign};
use super::mcp::{Endpoint, Signals};
use super::serve::{Begun, Work};
use crate::call::{Credential, Host};
use crate::terms::{Caller, Door};

/// How long a request's head or body may take to arrive, and a connection be without a request.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Headers of one request.
const MAX_HEADERS: usize = 64;

/// A request's head, in bytes.
const MAX_HEAD: usize = 64 << 10;

type Body = BoxBody<Bytes, Infallible>;

/// HTTP at one door.
pub(super) struct Web {
    host: Arc<Host>,
    endpoint: Endpoint,
    signals: Signals,
    work: Work,
}

impl Web {
    /// HTTP at one door, until the signals say otherwise.
    pub(super) fn new(host: Arc<Host>, door: Door, signals: Signals, work: Work) -> Self {
        let endpoint = Endpoint::new(Arc::clone(&host), door, signals.clone());
        Self {
            host,
            endpoint,
            signals,
            work,
        }
    }

    /// Serves one connection to its end. `uid` is the peer's, where the door knows it.
    pub(super) async fn converse<S>(self: Arc<Self>, stream: S, uid: Option<u32>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let service = service_fn(|request| {
            let web = Arc::clone(&self);
            async move { Ok::<_, Infallible>(web.respond(request, uid).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(PATIENCE)
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let end = tokio::select! {
            end = connection.as_mut() => end,
            () = self.signals.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = end {
            tracing::debug!(%error, "an HTTP connection ended badly");
        }
    }

    async fn respond(&self, request: Request<Incoming>, uid: Option<u32>) -> Response<Body> {
        let Some(working) = self.work.begin() else {
            return Denial::new(StatusCode::SERVICE_UNAVAILABLE, "The host is stopping.").into();
        };
        // A stream of notifications has no end of its own, so a stopping host does not wait for it.
        let has_an_end = request.method() != Method::GET;
        let response = self
            .admit(request, uid)
            .await
            .unwrap_or_else(Response::from);
        if !has_an_end {
            return response;
        }
        response.map(|body| {
            Counted {
                body,
                _until_its_last_byte: working,
            }
            .boxed()
        })
    }

    /// Whether calls can run: what cannot be recorded does not run.
    fn health(&self, method: &Method) -> Result<Response<Body>, Denial> {
        if method != Method::GET {
            let say = "Only GET /health is answered.";
            return Err(Denial::new(StatusCode::METHOD_NOT_ALLOWED, say));
        }
        let (status, word) = if self.host.ledger.healthy() {
            (StatusCode::OK, "ok")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "unready")
        };
        let mut state = serde_json::json!({
            "status": word,
            // "dev" where agents may run under the host's own user: they could write its files.
            "mode": self.host.setup().mode,
            "name": "toolhost",
            "version": env!("CARGO_PKG_VERSION"),
        });
        // Why is in the log: anybody on this machine may ask here.
        if let Some(since) = self.host.stale_since() {
            let since = humantime::format_rfc3339_seconds(since);
            state["reload_failed_since"] = since.to_string().into();
        }
        Ok(json(status, state.to_string().into_bytes()))
    }

    /// Everything that is checked before the protocol sees a request, cheapest first.
    async fn admit(
        &self,
        request: Request<Incoming>,
        uid: Option<u32>,
    ) -> Result<Response<Body>, Denial> {
        let (mut head, body) = request.into_parts();
        guard::meant_for_us(&head.uri, &head.headers)?;
        match head.uri.path() {
            "/mcp" => {}
            "/health" => return self.health(&head.method),
            _ => {
                let say = "There is nothing here. The endpoint is /mcp.";
                return Err(Denial::new(StatusCode::NOT_FOUND, say));
            }
        }
        let caller = self.identify(&head.headers, uid)?;
        // The protocol has no use for it, and what is not there cannot be printed.
        head.headers.remove(AUTHORIZATION);
        if head.method == Method::POST {
            self.post(&caller, head, body).await
        } else {
            let is_delete = head.method == Method::DELETE;
            let request = Request::from_parts(head, Full::default());
            let mut response = self.endpoint.answer(&caller, request).await;
            // The session is gone already, not merely soon, and clients warn of a 202.
            if is_delete && response.status() == StatusCode::ACCEPTED {
                *response.status_mut() = StatusCode::NO_CONTENT;
            }
            Ok(response)
        }
    }

    /// A token, where there is one, decides alone: an agent on the Unix socket may be another than
    /// the user it runs as.
    fn identify(&self, headers: &HeaderMap, uid: Option<u32>) -> Result<Caller, Denial> {
        let unauthorized = |say| Denial::new(StatusCode::UNAUTHORIZED, say);
        match (guard::claim(headers), uid) {
            (Claim::Token(token), _) => self
                .host
                .identify(Credential::Token(token))
                .ok_or_else(|| unauthorized("The bearer token is not one of this host's callers.")),
            (Claim::None, Some(uid)) => self
                .host
                .identify(Credential::Uid(uid))
                .ok_or_else(|| Denial::new(StatusCode::FORBIDDEN, stranger(uid))),
            (Claim::None, None) => Err(unauthorized(
                "A bearer token is needed: send \"Authorization: Bearer <token>\".",
            )),
            (Claim::Unreadable, _) => Err(unauthorized(
                "The Authorization header is not one bearer token: send \"Authorization: Bearer <token>\" once.",
            )),
        }
    }

    /// What to say when the library has no answer: it was cut off, or its session just ended.
    fn failed(&self, id: Option<serde_json::Value>) -> Denial {
        let (status, say) = if self.signals.cut.is_cancelled() {
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "The host is stopping and cut the call off.",
            )
        } else {
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                "The request could not be answered. If it belongs to a session, open a new one.",
            )
        };
        Denial {
            status,
            refusal: Refusal {
                code: INTERNAL_ERROR,
                id,
                say: say.into(),
            },
        }
    }

    async fn post(
        &self,
        caller: &Caller,
        head: Parts,
        body: Incoming,
    ) -> Result<Response<Body>, Denial> {
        check_type(&head.headers)?;
        let body = collect(&head.headers, body).await?;
        let envelope = frame::examine(&body)?;
        if envelope.method() == Some("initialize") && !self.endpoint.make_room(caller).await {
            let say = "All places for sessions are taken. Close one with DELETE, wait, or use protocol version 2026-07-28, which needs none.";
            return Err(Denial::new(StatusCode::SERVICE_UNAVAILABLE, say));
        }
        let request = Request::from_parts(head, Full::new(body.clone()));
        let response = self.endpoint.answer(caller, request).await;
        match response.status() {
            // The type was right, so it is the message that the library could not make out.
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Err(envelope.malformed().into()),
            StatusCode::INTERNAL_SERVER_ERROR => Err(self.failed(envelope.id())),
            _ => Ok(response),
        }
    }
}

/// A body that counts as work until it is sent or given up.
struct Counted {
    body: Body,
    _until_its_last_byte: Begun,
}

impl hyper::body::Body for Counted {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A request that the protocol never sees.
#[derive(Debug)]
struct Denial {
    status: StatusCode,
    refusal: Refusal,
}

impl Denial {
    fn new(status: StatusCode, say: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            refusal: Refusal::new(INVALID_REQUEST, say),
        }
    }
}

impl From<Refusal> for Denial {
    fn from(refusal: Refusal) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            refusal,
        }
    }
}

impl From<Foreign> for Denial {
    fn from(foreign: Foreign) -> Self {
        let status = match foreign {
            Foreign::BadHost => StatusCode::BAD_REQUEST,
            Foreign::Host | Foreign::Origin => StatusCode::FORBIDDEN,
        };
        Self::new(status, foreign.say())
    }
}

impl From<Denial> for Response<Body> {
    fn from(denial: Denial) -> Self {
        let response = json(denial.status, denial.refusal.to_json());
        match denial.status {
            StatusCode::UNAUTHORIZED => with(response, WWW_AUTHENTICATE, "Bearer"),
            StatusCode::SERVICE_UNAVAILABLE => with(response, RETRY_AFTER, "30"),
            StatusCode::METHOD_NOT_ALLOWED => with(response, ALLOW, "GET"),
            _ => response,
        }
    }
}

/// What to tell a peer that no caller stands for.
pub(super) fn stranger(uid: u32) -> String {
    format!(
        "User {uid} is none of this host's callers. Ask its operator for [caller.<name>] uid = {uid}."
    )
}

fn check_type(headers: &HeaderMap) -> Result<(), Denial> {
    let essence = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .unwrap_or_default();
    let say = if !essence.trim().eq_ignore_ascii_case("application/json") {
        "The Content-Type has to be application/json."
    } else if headers
        .get(CONTENT_ENCODING)
        .is_some_and(|encoding| encoding != "identity")
    {
        "The body has to come without a Content-Encoding."
    } else {
        return Ok(());
    };
    Err(Denial::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, say))
}

async fn collect(headers: &HeaderMap, body: Incoming) -> Result<Bytes, Denial> {
    let too_large = || {
        let say = format!("The body is larger than {MAX_BODY} bytes. Send a smaller message.");
        Denial::new(StatusCode::PAYLOAD_TOO_LARGE, say)
    };
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > MAX_BODY) {
        return Err(too_large());
    }
    match tokio::time::timeout(PATIENCE, Limited::new(body, MAX_BODY).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Refusal::new(INVALID_REQUEST, "The body ended before its end.").into()),
        Err(_) => Err(Denial::new(
            StatusCode::REQUEST_TIMEOUT,
            "The body took longer than 30 seconds to arrive.",
        )),
    }
}

fn json(status: StatusCode, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from(body)).boxed());
    *response.status_mut() = status;
    with(response, CONTENT_TYPE, "application/json")
}

fn with(mut response: Response<Body>, name: HeaderName, value: &'static str) -> Response<Body> {
    response
        .headers_mut()
        .insert(name, HeaderValue::from_static(value));
    response
}
