//! HTTP/1 in front of the protocol: which requests are let through to it, and for whom. The same
//! on TCP and on the Unix socket.
//!
//! It does not know the protocol's methods, except that `initialize` wants a session,
//! `subscriptions/listen` a stream, and `tools/list` its schemas in order.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};

use super::accept::{self, Accept};
use super::body::{Body, Coming, Until, collect, counted};
use super::budget::{Allowance, Budget, FREE, Held};
use super::deadline::Deadlined;
use super::denial::{Denial, json};
use super::drain::{Begun, Work};
use super::frame::{INTERNAL_ERROR, Refusal};
use super::health::Health;
use super::identify::{Shown, identify};
use super::mcp::{Endpoint, MessageHead, PlainCall, Signals, in_answer, read_aside, session};
use super::seats::{Owner, Seat, Unseated};
use super::{body, guard, pages};
use crate::call::Host;
use crate::terms::{Caller, Door};

/// How long a request's head or body may take to arrive, and a connection be without a request.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Headers of one request.
const MAX_HEADERS: usize = 64;

/// A request's head, in bytes.
const MAX_HEAD: usize = 64 << 10;

/// What a caller hears whose connections are as many as they may be.
pub(super) const NO_ROOM: &str = "This caller has as many connections open as the others leave it, and none of them is silent. Close one, and connect again.";

/// What is heard on a connection whose place was given away meanwhile.
const TOO_LATE: &str = "The place of this connection was given to another one, since no request came on it at once. Connect again.";

/// HTTP at one door.
pub(super) struct Web {
    host: Arc<Host>,
    endpoint: Endpoint,
    health: Arc<Health>,
    budget: Arc<Budget>,
    signals: Signals,
    work: Work,
}

/// A request that is let through, without its body.
struct Admitted {
    caller: Caller,
    allowance: Allowance,
    shown: Shown,
    /// Under which load of the host.
    load: u64,
    seat: Arc<Seat>,
    working: Begun,
    /// What its sender takes for an answer.
    accept: Accept,
}

/// What the body of a request comes to.
enum Read {
    /// A call that needs nothing of the library.
    Plain(PlainCall),
    /// Any other message, and what its caller holds for a large one.
    Message(MessageHead, Option<Held>),
}

/// How an answer is to be kept until its last byte is sent.
enum Kept {
    /// A stopping host waits for it.
    Whole(Option<Held>),
    /// A stream of events, which has no end of its own.
    Stream(Held),
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
        let end = tokio::select! {
            biased;
            end = connection.as_mut() => end,
            () = self.signals.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
            // Its place is another one's by now, and so is its descriptor.
            () = seat.gives_way_once_heard() => return,
        };
        if let Err(error) = end {
            tracing::debug!(%error, "an HTTP connection ended badly");
        }
    }

    /// Answers one request. Where that is a refusal, what is left of the body is read and forgotten
    /// first, as much as a message may have: most clients read no answer before they have sent all,
    /// and one whose connection is reset instead gives up more than this request.
    async fn respond(
        &self,
        request: Request<Incoming>,
        uid: Option<u32>,
        seat: Arc<Seat>,
    ) -> Response<Body> {
        seat.is_busy();
        let (head, body) = request.into_parts();
        let mut body = Coming::new(body, PATIENCE);
        let is_ours = guard::meant_for_us(&head.uri, &head.headers);
        let page = is_ours.is_ok().then(|| pages::origin(&head.headers));
        let is_asked_first = body::waits_for_leave(&head.headers);
        let answered = match is_ours {
            Ok(()) => self.answer(head, &mut body, uid, &seat).await,
            Err(foreign) => Err(foreign.into()),
        };
        let mut response = match answered {
            Ok(response) => response,
            Err(denial) => {
                if !is_asked_first {
                    body.forget(self.budget.message(), |_| {}).await;
                }
                seat.is_silent(Instant::now());
                denial.into()
            }
        };
        if let Some(page) = page.flatten() {
            pages::let_read(&mut response, page);
        }
        response
    }

    /// Everything that is checked before the protocol sees a request, cheapest first.
    async fn answer(
        &self,
        mut head: Parts,
        body: &mut Coming,
        uid: Option<u32>,
        seat: &Arc<Seat>,
    ) -> Result<Response<Body>, Denial> {
        let Some(working) = self.work.begin() else {
            return Err(Denial::busy("The host is stopping."));
        };
        if pages::is_preflight(&head.method, &head.headers) {
            seat.is_silent(Instant::now());
            return Ok(pages::preflight(&head.headers));
        }
        match place(&head) {
            Place::Endpoint => {}
            Place::Health => {
                seat.is_silent(Instant::now());
                return health(&self.health, &head.method).await;
            }
            Place::Nothing => return Err(nothing_here()),
        }
        let load = self.host.load();
        let (caller, shown) = identify(&self.host, &head.headers, uid)?;
        seat.belongs_to(Owner::Caller(Arc::clone(&caller.agent)))
            .map_err(|why| {
                Denial::busy(match why {
                    Unseated::Gone => TOO_LATE,
                    Unseated::Short => NO_ROOM,
                })
            })?;
        // The protocol has no use for it, and what is not there cannot be printed.
        head.headers.remove(AUTHORIZATION);
        let accept = Accept::of(&head.headers);
        accept::say_both(&mut head.headers);
        let admitted = Admitted {
            allowance: self.budget.of(&caller),
            caller,
            shown,
            load,
            seat: Arc::clone(seat),
            working,
            accept,
        };
        if head.method == Method::POST {
            self.post(admitted, head, body).await
        } else {
            self.other(admitted, head).await
        }
    }

    /// What to say when there is no answer: it was cut off, or its session just ended.
    fn failed(&self, id: Option<Value>) -> Denial {
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
        body: &mut Coming,
    ) -> Result<Response<Body>, Denial> {
        let (caller, allowance) = (&admitted.caller, &admitted.allowance);
        if !admitted.accept.any() {
            let say = "Answers are application/json or text/event-stream: send an Accept header that takes one of them, or none.";
            return Err(Denial::new(StatusCode::NOT_ACCEPTABLE, say));
        }
        guard::sends_json(&head.headers)
            .map_err(|say| Denial::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, say))?;
        // Before the call, so that it is not made for nothing.
        let room = allowance.has_answer(FREE);
        room.map_err(|_| Denial::busy(UNREAD))?;
        let session = session(&head.headers);
        let told = |denial: Denial| denial.told_in(session.as_ref());
        let body = collect(&head.headers, body, allowance).await;
        let (body, held) = body.map_err(told)?;
        let read = match held {
            None => match self.endpoint.plain(caller, &head.headers, &body) {
                Some(call) => Ok(Read::Plain(call)),
                None => MessageHead::read(&body).map(|asked| Read::Message(asked, None)),
            },
            Some(coming) => {
                let read = read_aside(&self.host, &body, allowance).await;
                drop(coming);
                read.map(|(asked, held)| Read::Message(asked, Some(held)))
            }
        };
        let read = read.map_err(|refusal| told(refusal.into()))?;
        // The body may have taken its time, and a reload the caller's rights.
        if self.host.load() != admitted.load && !admitted.shown.stands_for(&self.host, caller) {
            let say = "The credential is none of this host's callers' any more.";
            return Err(Denial::new(StatusCode::UNAUTHORIZED, say));
        }
        match read {
            Read::Plain(call) => self.call(admitted, call).await,
            Read::Message(asked, held) => {
                let request = Request::from_parts(head, Full::new(body));
                self.ask(admitted, request, asked, held).await
            }
        }
    }

    /// A call that the library does not have to see.
    async fn call(&self, admitted: Admitted, call: PlainCall) -> Result<Response<Body>, Denial> {
        let id = call.id.clone();
        let cut_off = || self.failed(serde_json::to_value(&id).ok());
        let answer = self.endpoint.call(&admitted.caller, call).await;
        let response = json(StatusCode::OK, answer.ok_or_else(cut_off)?);
        let response = admitted.accept.shape(response).await.ok_or_else(cut_off)?;
        self.keep(admitted, response, Kept::Whole(None))
    }

    /// Any other message.
    async fn ask(
        &self,
        admitted: Admitted,
        request: Request<Full<Bytes>>,
        asked: MessageHead,
        held: Option<Held>,
    ) -> Result<Response<Body>, Denial> {
        let (caller, allowance) = (&admitted.caller, &admitted.allowance);
        if asked.is_for_a_session() && !self.endpoint.make_room(caller).await {
            let say = "All places for sessions are taken. Close one with DELETE, wait, or use protocol version 2026-07-28, which needs none.";
            return Err(Denial::busy(say));
        }
        let stream = asked
            .is_for_a_stream()
            .then(|| admitted.stream())
            .transpose()?;
        let session = session(request.headers());
        let told = |denial: Denial| denial.told_in(session.as_ref());
        let failed = || {
            let (session, id) = (session.as_ref(), asked.id());
            told(
                match self.endpoint.is_running(caller, session, id.as_ref()) {
                    true => Refusal::still_running(id).into(),
                    false => self.failed(id),
                },
            )
        };
        let response = match held {
            None => self.endpoint.answer(caller, request).await,
            Some(_) => {
                let answering = self.endpoint.answer_large(caller, request, allowance);
                answering.await.map_err(|refusal| told(refusal.into()))?
            }
        };
        let response = match asked.is_for_the_list() {
            true => in_answer(response).await,
            false => response,
        };
        let response = match response.status() {
            // The type was right, so it is the message that the library could not make out.
            StatusCode::UNSUPPORTED_MEDIA_TYPE => return Err(told(asked.malformed().into())),
            StatusCode::INTERNAL_SERVER_ERROR => return Err(failed()),
            _ => in_words(response, asked.id()).await?,
        };
        if let Some(stream) = stream {
            return self.keep(admitted, response, Kept::Stream(stream));
        }
        let response = admitted.accept.shape(response).await.ok_or_else(failed)?;
        self.keep(admitted, response, Kept::Whole(held))
    }

    /// Streams of events, ends of sessions, and methods that there are not.
    async fn other(&self, admitted: Admitted, head: Parts) -> Result<Response<Body>, Denial> {
        let is_delete = head.method == Method::DELETE;
        let is_stream = head.method == Method::GET;
        let stream = is_stream.then(|| admitted.stream()).transpose()?;
        let request = Request::from_parts(head, Full::default());
        let response = self.endpoint.answer(&admitted.caller, request).await;
        // What a session says beside its requests' own streams: a late answer may be a list.
        let response = match is_stream {
            true => in_answer(response).await,
            false => response,
        };
        let mut response = in_words(response, None).await?;
        // The session is gone already, not merely soon, and clients warn of a 202.
        if is_delete && response.status() == StatusCode::ACCEPTED {
            *response.status_mut() = StatusCode::NO_CONTENT;
        }
        let kept = stream.map_or(Kept::Whole(None), Kept::Stream);
        self.keep(admitted, response, kept)
    }

    /// The end of every request: its answer counts until it is sent, or nobody waits for it any more. A
    /// stream of events has no end of its own: it ends when its caller is none any more or the
    /// connection gives way, and a stopping host does not wait for it. A session that was opened
    /// ends with its caller, too.
    fn keep(
        &self,
        admitted: Admitted,
        response: Response<Body>,
        kept: Kept,
    ) -> Result<Response<Body>, Denial> {
        let Admitted {
            caller,
            allowance,
            shown,
            seat,
            working,
            ..
        } = admitted;
        let dismissed = shown.dismissed(Arc::clone(&self.host), caller.clone());
        let (held, working, over) = match kept {
            Kept::Whole(held) => {
                self.endpoint.ends_with(&caller, &response, dismissed);
                (held, Some(working), None)
            }
            Kept::Stream(held) => {
                let gives_way = seat.giving_way();
                let over = async move {
                    tokio::select! {
                        // The connection was its caller's, too.
                        () = dismissed => gives_way.cancel(),
                        () = gives_way.cancelled() => {}
                    }
                };
                let over: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(over);
                (Some(held), None, Some(over))
            }
        };
        let until = Until {
            seat,
            allowance,
            working,
            over,
            held,
        };
        counted(response, until)
    }
}

impl Admitted {
    /// A place for a stream of events, for whoever can read one.
    fn stream(&self) -> Result<Held, Denial> {
        if !self.accept.events() {
            let say = "The answer is a stream of events: send an Accept header with text/event-stream in it.";
            return Err(Denial::new(StatusCode::NOT_ACCEPTABLE, say));
        }
        let say = "This caller has as many streams of events open as the others leave it. Close one, and open this one again.";
        self.allowance.stream().map_err(|_| Denial::busy(say))
    }
}

const UNREAD: &str = "This caller leaves as many bytes of answers unread as the host keeps for it. Read them, or close their connections, and send the request again.";

/// The library's answer; where it refuses with nothing but text, the same as an error of the protocol.
async fn in_words(
    response: Response<BoxBody<Bytes, Infallible>>,
    id: Option<Value>,
) -> Result<Response<Body>, Denial> {
    let status = response.status();
    let is_text = !accept::is_json(&response);
    let say = match status {
        StatusCode::NOT_FOUND if is_text => {
            "There is no such session: it is over, or was never this caller's. Open a new one with initialize, or use protocol version 2026-07-28, which needs none.".to_owned()
        }
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY if is_text => {
            // A sentence of the library's own.
            let Ok(body) = response.into_body().collect().await;
            String::from_utf8_lossy(&body.to_bytes()).into_owned()
        }
        _ => return Ok(response.map(|body| body.boxed_unsync())),
    };
    let mut denial = Denial::new(status, say);
    denial.refusal.id = id;
    Err(denial)
}

/// What a request asks, by its path. A slash at its end changes nothing.
enum Place {
    Endpoint,
    Health,
    Nothing,
}

fn place(head: &Parts) -> Place {
    let path = head.uri.path();
    match path.strip_suffix('/').unwrap_or(path) {
        "/mcp" => Place::Endpoint,
        "/health" => Place::Health,
        _ => Place::Nothing,
    }
}

fn nothing_here() -> Denial {
    let say = "There is nothing here. The endpoint is /mcp.";
    Denial::new(StatusCode::NOT_FOUND, say)
}

/// Answers `/health`, and nothing else.
pub(super) async fn health_only(own: &Health, head: Parts) -> Response<Body> {
    let page = pages::origin(&head.headers);
    if let Err(foreign) = guard::meant_for_us(&head.uri, &head.headers) {
        return Denial::from(foreign).into();
    }
    let answered = match place(&head) {
        Place::Health => health(own, &head.method).await,
        Place::Endpoint | Place::Nothing => Err(nothing_here()),
    };
    let mut response = answered.unwrap_or_else(Response::from);
    if let Some(page) = page {
        pages::let_read(&mut response, page);
    }
    response
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
