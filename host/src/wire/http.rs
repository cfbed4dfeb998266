//! HTTP/1 in front of the protocol: which requests are let through to it, and for whom. The same
//! on TCP and on the Unix socket.
//!
//! It does not know the protocol's methods, except that `initialize` wants a session and
//! `subscriptions/listen` a stream.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use zeroize::Zeroizing;

use super::body::{Body, Until, collect, counted};
use super::budget::{Allowance, Budget, FREE, Held};
use super::deadline::Deadlined;
use super::denial::{Denial, json};
use super::frame::{INTERNAL_ERROR, Refusal};
use super::guard::{self, Claim};
use super::health::Health;
use super::mcp::{Asked, Endpoint, Signals, read_aside};
use super::seats::{Owner, Seat};
use super::serve::{Begun, Work};
use crate::call::{Credential, Host};
use crate::terms::{Caller, Door};

/// How long a request's head or body may take to arrive, and a connection be without a request.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Headers of one request.
const MAX_HEADERS: usize = 64;

/// A request's head, in bytes.
const MAX_HEAD: usize = 64 << 10;

/// What a caller hears whose connections are as many as they may be.
pub(super) const NO_ROOM: &str = "This caller has as many connections open as the others leave it, and none of them is silent. Close one, and connect again.";

/// HTTP at one door.
pub(super) struct Web {
    host: Arc<Host>,
    endpoint: Endpoint,
    health: Arc<Health>,
    budget: Arc<Budget>,
    signals: Signals,
    work: Work,
}

/// What a request was known by, for as long as its answer takes.
pub(super) enum Shown {
    Token(Zeroizing<String>),
    Uid(u32),
}

impl Shown {
    fn credential(&self) -> Credential<'_> {
        match self {
            Self::Token(token) => Credential::Token(token),
            Self::Uid(uid) => Credential::Uid(*uid),
        }
    }

    /// Whether it still stands for this caller.
    fn stands_for(&self, host: &Host, caller: &Caller) -> bool {
        host.identify(self.credential()).as_ref() == Some(caller)
    }

    /// Waits until it stands for another caller, or for none.
    async fn dismissed(self, host: Arc<Host>, caller: Caller) {
        host.dismissed(self.credential(), &caller).await;
    }
}

/// A request that is let through, without its body.
struct Admitted {
    caller: Caller,
    allowance: Allowance,
    shown: Shown,
    /// Under which load of the host.
    load: u64,
}

impl Web {
    /// HTTP at one door, until the signals say otherwise.
    pub(super) fn new(
        host: Arc<Host>,
        door: Door,
        (health, budget): (Arc<Health>, Arc<Budget>),
        signals: Signals,
        work: Work,
    ) -> Self {
        let own = (Arc::clone(&host), Arc::clone(&budget));
        Self {
            endpoint: Endpoint::new(own, door, signals.clone()),
            host,
            health,
            budget,
            signals,
            work,
        }
    }

    /// Serves one connection to its end. `uid` is the peer's, where the door knows it.
    pub(super) async fn converse<S>(self: Arc<Self>, stream: S, uid: Option<u32>, seat: Arc<Seat>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let service = service_fn(|request| {
            let (web, seat) = (Arc::clone(&self), Arc::clone(&seat));
            async move { Ok::<_, Infallible>(web.respond(request, uid, seat).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(PATIENCE)
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(Deadlined::new(stream)), service);
        let mut connection = pin!(connection);
        // Polled first: a request that was there already has shown by then whose it is.
        let gives_way = async {
            seat.waits_for_its_peer();
            seat.gives_way().await;
        };
        let end = tokio::select! {
            biased;
            end = connection.as_mut() => end,
            () = self.signals.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
            // Its place is another one's by now, and so is its descriptor.
            () = gives_way => return,
        };
        if let Err(error) = end {
            tracing::debug!(%error, "an HTTP connection ended badly");
        }
    }

    async fn respond(
        &self,
        request: Request<Incoming>,
        uid: Option<u32>,
        seat: Arc<Seat>,
    ) -> Response<Body> {
        let Some(working) = self.work.begin() else {
            return Denial::busy("The host is stopping.").into();
        };
        seat.is_busy();
        let answered = self.admit(request, uid, &seat, working).await;
        answered.unwrap_or_else(|denial| {
            seat.is_silent(Instant::now());
            denial.into()
        })
    }

    /// Everything that is checked before the protocol sees a request, cheapest first.
    async fn admit(
        &self,
        request: Request<Incoming>,
        uid: Option<u32>,
        seat: &Arc<Seat>,
        working: Begun,
    ) -> Result<Response<Body>, Denial> {
        let (mut head, body) = request.into_parts();
        guard::meant_for_us(&head.uri, &head.headers)?;
        match head.uri.path() {
            "/mcp" => {}
            "/health" => {
                seat.is_silent(Instant::now());
                return health(&self.health, &head.method).await;
            }
            _ => {
                let say = "There is nothing here. The endpoint is /mcp.";
                return Err(Denial::new(StatusCode::NOT_FOUND, say));
            }
        }
        let load = self.host.load();
        let (caller, shown) = self.identify(&head.headers, uid)?;
        seat.belongs_to(Owner::Caller(Arc::clone(&caller.agent)))
            .map_err(|_| Denial::busy(NO_ROOM))?;
        // The protocol has no use for it, and what is not there cannot be printed.
        head.headers.remove(AUTHORIZATION);
        let admitted = Admitted {
            allowance: self.budget.of(&caller),
            caller,
            shown,
            load,
        };
        if head.method == Method::POST {
            self.post(admitted, head, body, (seat, working)).await
        } else {
            self.other(admitted, head, (seat, working)).await
        }
    }

    /// A token, where there is one, decides alone: an agent on the Unix socket may be another than
    /// the user it runs as.
    fn identify(&self, headers: &HeaderMap, uid: Option<u32>) -> Result<(Caller, Shown), Denial> {
        let unauthorized = |say| Denial::new(StatusCode::UNAUTHORIZED, say);
        match (guard::claim(headers), uid) {
            (Claim::Token(token), _) => self
                .host
                .identify(Credential::Token(token))
                .map(|caller| (caller, Shown::Token(Zeroizing::new(token.to_owned()))))
                .ok_or_else(|| unauthorized("The bearer token is not one of this host's callers.")),
            (Claim::None, Some(uid)) => self
                .host
                .identify(Credential::Uid(uid))
                .map(|caller| (caller, Shown::Uid(uid)))
                .ok_or_else(|| Denial::new(StatusCode::FORBIDDEN, stranger(uid))),
            (Claim::None, None) => Err(unauthorized(
                "A bearer token is needed: send \"Authorization: Bearer <token>\".",
            )),
            (Claim::Unreadable, _) => Err(unauthorized(
                "The Authorization header is not one bearer token: send \"Authorization: Bearer <token>\" once.",
            )),
        }
    }

    /// What to say when the library has no answer: it was cut off, its id is in use, or its session
    /// just ended.
    fn failed(&self, caller: &Caller, head: &HeaderMap, asked: &Asked) -> Denial {
        let id = asked.id();
        if self.endpoint.is_running(caller, head, id.as_ref()) {
            return Refusal::still_running(id).into();
        }
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
        admitted: Admitted,
        head: Parts,
        body: Incoming,
        (seat, working): (&Arc<Seat>, Begun),
    ) -> Result<Response<Body>, Denial> {
        let Admitted {
            caller,
            allowance,
            shown,
            load,
        } = admitted;
        check_type(&head.headers)?;
        // Before the call, so that it is not made for nothing.
        drop(allowance.answer(FREE).map_err(|_| Denial::busy(UNREAD))?);
        let (body, held) = collect(&head.headers, body, &allowance).await?;
        let (asked, held) = match held {
            None => (Asked::read(&body)?, None),
            Some(coming) => {
                let (asked, held) = read_aside(&self.host, &body, &allowance).await?;
                drop(coming);
                (asked, Some(held))
            }
        };
        // The body may have taken its time, and a reload the caller's rights.
        if self.host.load() != load && !shown.stands_for(&self.host, &caller) {
            let say = "The credential is none of this host's callers' any more.";
            return Err(Denial::new(StatusCode::UNAUTHORIZED, say));
        }
        if asked.is_for_a_session() && !self.endpoint.make_room(&caller).await {
            let say = "All places for sessions are taken. Close one with DELETE, wait, or use protocol version 2026-07-28, which needs none.";
            return Err(Denial::busy(say));
        }
        let stream = asked
            .is_for_a_stream()
            .then(|| stream(&allowance))
            .transpose()?;
        let headers = head.headers.clone();
        let request = Request::from_parts(head, Full::new(body));
        let response = match held {
            None => self.endpoint.answer(&caller, request).await,
            Some(_) => {
                let answering = self.endpoint.answer_large(&caller, request, &allowance);
                answering.await?
            }
        };
        match response.status() {
            // The type was right, so it is the message that the library could not make out.
            StatusCode::UNSUPPORTED_MEDIA_TYPE => return Err(asked.malformed().into()),
            StatusCode::INTERNAL_SERVER_ERROR => {
                return Err(self.failed(&caller, &headers, &asked));
            }
            _ => {}
        }
        if asked.is_for_a_session() {
            let dismissed = shown.dismissed(Arc::clone(&self.host), caller.clone());
            self.endpoint.ends_with(&caller, &response, dismissed);
            return counted(response, until(seat, allowance, working, None, held));
        }
        let over = stream.is_some().then_some((shown, caller));
        let held = stream.or(held);
        counted(
            response,
            self.until_over(seat, allowance, working, over, held),
        )
    }

    /// Streams of events, ends of sessions, and methods that there are not.
    async fn other(
        &self,
        admitted: Admitted,
        head: Parts,
        (seat, working): (&Arc<Seat>, Begun),
    ) -> Result<Response<Body>, Denial> {
        let Admitted {
            caller,
            allowance,
            shown,
            ..
        } = admitted;
        let is_stream = head.method == Method::GET;
        let is_delete = head.method == Method::DELETE;
        let held = is_stream.then(|| stream(&allowance)).transpose()?;
        let request = Request::from_parts(head, Full::default());
        let mut response = self.endpoint.answer(&caller, request).await;
        // The session is gone already, not merely soon, and clients warn of a 202.
        if is_delete && response.status() == StatusCode::ACCEPTED {
            *response.status_mut() = StatusCode::NO_CONTENT;
        }
        let over = is_stream.then_some((shown, caller));
        counted(
            response,
            self.until_over(seat, allowance, working, over, held),
        )
    }

    /// Until when an answer counts: a stream of events until its caller is none any more or the
    /// connection gives way. It has no end of its own, so a stopping host does not wait for it.
    fn until_over(
        &self,
        seat: &Arc<Seat>,
        allowance: Allowance,
        working: Begun,
        stream: Option<(Shown, Caller)>,
        held: Option<Held>,
    ) -> Until {
        let Some((shown, caller)) = stream else {
            return until(seat, allowance, working, None, held);
        };
        let dismissed = shown.dismissed(Arc::clone(&self.host), caller);
        let gives_way = seat.giving_way();
        let over = async move {
            tokio::select! {
                // The connection was its caller's, too.
                () = dismissed => gives_way.cancel(),
                () = gives_way.cancelled() => {}
            }
        };
        let over: Over = Box::pin(over);
        Until {
            working: None,
            ..until(seat, allowance, working, Some(over), held)
        }
    }
}

type Over = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

fn until(
    seat: &Arc<Seat>,
    allowance: Allowance,
    working: Begun,
    over: Option<Over>,
    held: Option<Held>,
) -> Until {
    Until {
        seat: Arc::clone(seat),
        allowance,
        working: Some(working),
        over,
        held,
    }
}

const UNREAD: &str = "This caller leaves as many bytes of answers unread as the host keeps for it. Read them, or close their connections, and send the request again.";

fn stream(allowance: &Allowance) -> Result<Held, Denial> {
    let say = "This caller has as many streams of events open as the others leave it. Close one, and open this one again.";
    allowance.stream().map_err(|_| Denial::busy(say))
}

/// Answers `/health`, and nothing else.
pub(super) async fn health_only(own: &Health, head: Parts) -> Response<Body> {
    let answer = async {
        guard::meant_for_us(&head.uri, &head.headers)?;
        if head.uri.path() != "/health" {
            let say = "There is nothing here. The endpoint is /mcp.";
            return Err(Denial::new(StatusCode::NOT_FOUND, say));
        }
        health(own, &head.method).await
    };
    answer.await.unwrap_or_else(Response::from)
}

async fn health(health: &Health, method: &Method) -> Result<Response<Body>, Denial> {
    if method != Method::GET {
        let say = "Only GET /health is answered.";
        return Err(Denial::new(StatusCode::METHOD_NOT_ALLOWED, say));
    }
    let (ready, state) = health.ask().await;
    let status = match ready {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    Ok(json(status, state.to_string().into_bytes()))
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
