//! The host's side of the operators' door: who comes in, and what is answered.
//!
//! Connections are served on the listeners' own thread, so that health is answered whatever the workers
//! do; calls run where agents' calls run. Each connection is for one request, each step of it has a time
//! or a bound, and calls leave places to everything else that is asked.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use tokio::net::UnixStream;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::words::{AdminError, CallRequest, Reloaded, perform};
use crate::body::Body;
use crate::budget::{Allowance, Held};
use crate::call::Host;
use crate::deadline::Deadlined;
use crate::denial;
use crate::drain::Ends;
use crate::gate::Operator;
use crate::guard;
use crate::health::Health;
use crate::listen::{Service, Stream};
use crate::terms::{Door, Fault, json};

/// Connections at a time. The next one waits in the system's queue.
const CONNECTIONS: usize = 32;

/// Calls at a time: they may take as long as they take, and leave room to ask how the host is.
const CALLS: usize = 16;

/// How long a request's head may take to arrive, and how long its body.
const PATIENCE: Duration = Duration::from_secs(5);

/// A request's head, in bytes.
const HEAD: usize = 16 << 10;

/// Headers of one request.
const HEADERS: usize = 32;

/// A reload that an operator asks for, and where to say what came of it.
pub struct ReloadRequest(oneshot::Sender<Result<Reloaded, AdminError>>);

impl ReloadRequest {
    /// Says what came of it. The operator may have gone meanwhile.
    pub fn answer(self, answer: Result<Reloaded, AdminError>) {
        let _ = self.0.send(answer);
    }
}

/// What is served to operators.
pub(super) struct Admin {
    host: Arc<Host>,
    health: Health,
    reloads: mpsc::Sender<ReloadRequest>,
    ends: Ends,
    /// Where calls run.
    workers: Handle,
    own_uid: u32,
    connections: Arc<Semaphore>,
    calls: Arc<Semaphore>,
    /// What calls may hold in memory that are not answered yet.
    allowance: Allowance,
}

/// An operator who found a place.
pub(super) struct Arrived {
    stream: UnixStream,
    visit: Visit,
}

/// One operator's connection, as long as it is there.
struct Visit {
    operator: Operator,
    _place: OwnedSemaphorePermit,
    /// The place of its call, until the answer is read: who reads slowly leaves places to others.
    call: OnceLock<OwnedSemaphorePermit>,
}

impl Service for Admin {
    type Arrived = Arrived;

    fn ends(&self) -> &Ends {
        &self.ends
    }

    /// Whoever is not the host's own user is gone before a byte of his is read.
    async fn seat(&self, stream: Stream) -> Option<Arrived> {
        let Stream::Unix(stream, uid) = stream else {
            return None;
        };
        let Some(operator) = Operator::at_socket(uid, self.own_uid) else {
            tracing::warn!(
                uid,
                "another user came to the operators' socket and was turned away"
            );
            return None;
        };
        // Every place is free again before long: see the module's first words.
        let place = Arc::clone(&self.connections).acquire_owned().await.ok()?;
        let visit = Visit {
            operator,
            _place: place,
            call: OnceLock::new(),
        };
        Some(Arrived { stream, visit })
    }

    async fn receive(self: Arc<Self>, arrived: Arrived) -> io::Result<()> {
        let Arrived { stream, visit } = arrived;
        let service = service_fn(|request| {
            let (admin, visit) = (&self, &visit);
            async move { Ok::<_, Infallible>(admin.answer(visit, request).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(PATIENCE)
            .max_headers(HEADERS)
            .max_buf_size(HEAD)
            .keep_alive(false)
            .serve_connection(TokioIo::new(Deadlined::new(stream)), service);
        let mut connection = pin!(connection);
        let end = tokio::select! {
            biased;
            end = connection.as_mut() => end,
            () = self.ends.signals.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        end.map_err(io::Error::other)
    }
}

/// What is answered, or why it is refused; both are sent.
type Answer = Result<Response<Body>, Response<Body>>;

impl Admin {
    pub(super) fn new(
        host: Arc<Host>,
        message: usize,
        reloads: mpsc::Sender<ReloadRequest>,
        ends: Ends,
    ) -> Self {
        let workers = Handle::current();
        Self {
            health: Health::new(Arc::clone(&host), workers.clone()),
            host,
            reloads,
            ends,
            workers,
            own_uid: rustix::process::geteuid().as_raw(),
            connections: Arc::new(Semaphore::new(CONNECTIONS)),
            calls: Arc::new(Semaphore::new(CALLS)),
            allowance: Allowance::of_operators(message),
        }
    }

    /// A stopping host waits for the answer to be made, and a moment for it to be read.
    async fn answer(&self, visit: &Visit, request: Request<Incoming>) -> Response<Body> {
        let stopping = || refusal(StatusCode::SERVICE_UNAVAILABLE, "the host is stopping");
        let Some(_begun) = self.ends.work.begin() else {
            return stopping();
        };
        let respond = self.respond(visit, request);
        let answer = self.ends.signals.cut.run_until_cancelled(respond).await;
        answer.unwrap_or_else(stopping)
    }

    async fn respond(&self, visit: &Visit, request: Request<Incoming>) -> Response<Body> {
        let (head, body) = request.into_parts();
        if let Err(foreign) = guard::meant_for_us(&head.uri, &head.headers) {
            return refusal(StatusCode::FORBIDDEN, foreign.say());
        }
        let answered = match (&head.method, head.uri.path()) {
            (&Method::GET, "/health") => Ok(self.health().await),
            (&Method::GET, "/ledger/head") => self.head(),
            (&Method::POST, "/call") => self.call(visit, &head, body).await,
            (&Method::POST, "/reload") => self.reload(&head, body).await,
            (_, "/health" | "/ledger/head" | "/call" | "/reload") => Err(refusal(
                StatusCode::METHOD_NOT_ALLOWED,
                "it is asked with another method: see `toolhost help`",
            )),
            _ => Err(refusal(
                StatusCode::NOT_FOUND,
                "there is nothing here; this is the operators' socket, agents have one of their own",
            )),
        };
        answered.unwrap_or_else(|refused| refused)
    }

    async fn health(&self) -> Response<Body> {
        let (ready, state) = self.health.ask().await;
        let status = match ready {
            true => StatusCode::OK,
            false => StatusCode::SERVICE_UNAVAILABLE,
        };
        denial::json(status, state.to_string().into_bytes())
    }

    #[expect(clippy::result_large_err, reason = "an answer is one either way")]
    fn head(&self) -> Answer {
        let head = self.host.ledger.head().ok_or_else(|| {
            refusal(
                StatusCode::SERVICE_UNAVAILABLE,
                "the ledger has no record yet, or cannot be written",
            )
        })?;
        said(StatusCode::OK, &head)
    }

    async fn call(&self, visit: &Visit, head: &Parts, body: Incoming) -> Answer {
        // Whole, also where it is refused: most clients read no answer before they have sent all.
        let body = self.body(head, body).await?;
        let Ok(place) = Arc::clone(&self.calls).try_acquire_owned() else {
            let say = format!("{CALLS} calls of operators run already: try again later");
            return Err(refusal(StatusCode::SERVICE_UNAVAILABLE, say));
        };
        let _ = visit.call.set(place);
        let (asked, _held) = self.read(body).await?;
        self.perform(&visit.operator, asked).await
    }

    /// Reads a call aside, and takes what it holds in memory: it can be eighty times its bytes.
    async fn read(&self, body: bytes::Bytes) -> Result<(CallRequest, Held), Response<Body>> {
        let wrong = |why: String| (StatusCode::BAD_REQUEST, format!("this is no call: {why}"));
        let allowance = self.allowance.clone();
        let read = move || {
            let held = allowance.request(json::weight(&body)).map_err(|_| {
                let say =
                    "operators' calls hold all that they may: try again later, with less in one";
                (StatusCode::SERVICE_UNAVAILABLE, say.to_owned())
            })?;
            if let Some(name) = json::named_twice(&body) {
                return Err(wrong(format!("{name:?} is there twice in one object")));
            }
            let asked = serde_json::from_slice(&body).map_err(|error| wrong(error.to_string()))?;
            Ok((asked, held))
        };
        let aside = self.host.lanes.aside(self.allowance.agent(), read).await;
        let failed = |fault: Fault| (StatusCode::INTERNAL_SERVER_ERROR, fault.say.into_owned());
        let read = aside.map_err(failed).flatten();
        read.map_err(|(status, why)| refusal(status, why))
    }

    async fn perform(&self, operator: &Operator, asked: CallRequest) -> Answer {
        let (host, operator) = (Arc::clone(&self.host), operator.clone());
        // On the workers, which guests take turns on. An operator who goes takes his call with him.
        let call = async move { perform(&host, &operator, Door::Admin, asked).await };
        let call = AbortOnDropHandle::new(self.workers.spawn(call)).await;
        match call {
            Ok(Ok(answer)) => said(StatusCode::OK, &answer),
            Ok(Err(unknown)) => said(StatusCode::BAD_REQUEST, &unknown),
            Err(error) => Err(refusal(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("the host failed at this call: {error}"),
            )),
        }
    }

    async fn reload(&self, head: &Parts, body: Incoming) -> Answer {
        self.body(head, body).await?;
        let (sender, answer) = oneshot::channel();
        let busy = |_| {
            refusal(
                StatusCode::SERVICE_UNAVAILABLE,
                "the host is reloading already: try again when it is over",
            )
        };
        self.reloads.try_send(ReloadRequest(sender)).map_err(busy)?;
        match answer.await {
            Ok(Ok(reloaded)) => said(StatusCode::OK, &reloaded),
            Ok(Err(problems)) => said(StatusCode::UNPROCESSABLE_ENTITY, &problems),
            Err(_) => Err(refusal(
                StatusCode::SERVICE_UNAVAILABLE,
                "the host is stopping",
            )),
        }
    }

    /// The body of a request, which has to be JSON: a page cannot send that without being asked first.
    async fn body(&self, head: &Parts, body: Incoming) -> Result<bytes::Bytes, Response<Body>> {
        guard::sends_json(&head.headers)
            .map_err(|say| refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, say))?;
        let body = Limited::new(body, self.allowance.message()).collect();
        let late = |_| refusal(StatusCode::REQUEST_TIMEOUT, "the body did not come in time");
        let body = timeout(PATIENCE, body).await.map_err(late)?;
        let body = body.map_err(|error| match error.is::<LengthLimitError>() {
            true => {
                let most = self.allowance.message();
                let say = format!("a body has at most {most} bytes");
                refusal(StatusCode::PAYLOAD_TOO_LARGE, say)
            }
            false => refusal(StatusCode::BAD_REQUEST, "the body ended before its end"),
        })?;
        Ok(body.to_bytes())
    }
}

#[expect(clippy::result_large_err, reason = "an answer is one either way")]
fn said(status: StatusCode, answer: &impl Serialize) -> Answer {
    match serde_json::to_vec(answer) {
        Ok(text) => Ok(denial::json(status, text)),
        Err(error) => Err(refusal(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("the answer cannot be written: {error}"),
        )),
    }
}

fn refusal(status: StatusCode, why: impl Into<String>) -> Response<Body> {
    // A text is always written.
    let problems = serde_json::to_vec(&AdminError::one(why)).unwrap_or_default();
    denial::json(status, problems)
}
