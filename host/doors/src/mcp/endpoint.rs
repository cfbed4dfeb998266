//! The protocol over HTTP, one service per caller: what a session knows it knows of one caller
//! only.
//!
//! It does not know sockets, tokens or headers, except those that the protocol itself defines.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::Full;
use http_body_util::combinators::BoxBody;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::Value;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::agent::{Agent, CallerSession};
use super::connection::Signals;
use super::fast_path::PlainCall;
use super::intake::in_turn;
use super::sessions::Sessions;
use super::stateless;
use crate::budget::{Allowance, Budget};
use crate::call::Host;
use crate::frame::Refusal;
use crate::terms::{Caller, Door};

/// Callers whose services are kept. Beyond it those without a session are made anew when needed.
const MAX_CALLERS: usize = 1024;

/// The header that names a session.
const SESSION: &str = "mcp-session-id";

/// The body of an answer.
type Answer = BoxBody<Bytes, Infallible>;

/// The session of the older era that a request belongs to.
pub(crate) fn session(headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get(SESSION).cloned()
}

/// All callers' services at one door.
pub(crate) struct Endpoint {
    host: Arc<Host>,
    budget: Arc<Budget>,
    door: Door,
    signals: Signals,
    services: Mutex<HashMap<Caller, Arc<Service>>>,
}

struct Service {
    /// Where plain calls are made.
    caller_session: Arc<CallerSession>,
    sessions: Arc<Sessions>,
    http: StreamableHttpService<Agent, Sessions>,
}

impl Endpoint {
    /// An endpoint behind one door. Streams end at `signals.stop`, sessions at `signals.cut`.
    pub(crate) fn new(
        (host, budget): (Arc<Host>, Arc<Budget>),
        door: Door,
        signals: Signals,
    ) -> Self {
        Self {
            host,
            budget,
            door,
            signals,
            services: Mutex::default(),
        }
    }

    /// Makes room for a session of `caller`; false means that all places are taken.
    pub(crate) async fn make_room(&self, caller: &Caller) -> bool {
        self.service(caller).sessions.make_room().await
    }

    /// Answers any request of `caller`. Dropping the answer cancels what runs for it, except in a
    /// session, where the client may come back.
    pub(crate) async fn answer(
        &self,
        caller: &Caller,
        request: Request<Full<Bytes>>,
    ) -> Response<Answer> {
        let service = self.service(caller);
        service.http.handle(request).await
    }

    /// The plain call that a request is, if it is one.
    pub(crate) fn plain(
        &self,
        caller: &Caller,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Option<PlainCall> {
        let call = stateless::read(headers, body)?;
        // Arguments that are said in headers, too, are the library's to compare.
        let has_header_parameters = self
            .service(caller)
            .caller_session
            .has_header_parameters(&call.name);
        (!has_header_parameters).then_some(call)
    }

    /// Answers a plain call of `caller`; nothing where it was cut off. Dropping the answer cancels it.
    pub(crate) async fn call(&self, caller: &Caller, call: PlainCall) -> Option<Vec<u8>> {
        let caller_session = Arc::clone(&self.service(caller).caller_session);
        // In a box: what waits for it is moved about, and this is large.
        let answering = Box::pin(stateless::answer(caller_session, call));
        let answer = self.signals.cut.run_until_cancelled(answering).await?;
        (!answer.is_empty()).then_some(answer)
    }

    /// The same for a large request. The library reads it in the first step that it takes, so that one
    /// is made aside.
    pub(crate) async fn answer_large(
        &self,
        caller: &Caller,
        request: Request<Full<Bytes>>,
        allowance: &Allowance,
    ) -> Result<Response<Answer>, Refusal> {
        let service = self.service(caller);
        let mut answering = Box::pin(async move { service.http.handle(request).await });
        let runtime = Handle::current();
        let first_step = move || {
            // What it starts belongs to the workers.
            let _inside = runtime.enter();
            let step = (&mut answering).now_or_never();
            (answering, step)
        };
        let (answering, step) = in_turn(Some(&self.host), allowance, first_step).await?;
        Ok(match step {
            Some(response) => response,
            // Polled anew, it wakes this task from now on.
            None => answering.await,
        })
    }

    /// Whether a request with this id runs in this session.
    pub(crate) fn is_running(
        &self,
        caller: &Caller,
        session: Option<&HeaderValue>,
        id: Option<&Value>,
    ) -> bool {
        let session = session.and_then(|id| id.to_str().ok());
        let (Some(session), Some(id)) = (session, id) else {
            return false;
        };
        self.service(caller).sessions.is_running(session, id)
    }

    /// Ends the session that a response opened, if it did, as soon as `dismissed` is over.
    pub(crate) fn ends_with<B>(
        &self,
        caller: &Caller,
        response: &Response<B>,
        dismissed: impl Future<Output = ()> + Send + 'static,
    ) {
        let session = response.headers().get(SESSION);
        if let Some(session) = session.and_then(|id| id.to_str().ok()) {
            self.service(caller).sessions.end_with(session, dismissed);
        }
    }

    fn service(&self, caller: &Caller) -> Arc<Service> {
        let mut services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(service) = services.get(caller) {
            return Arc::clone(service);
        }
        if services.len() >= MAX_CALLERS {
            services.retain(|_, service| !service.sessions.is_empty());
        }
        let service = Arc::new(self.open(caller));
        services.insert(caller.clone(), Arc::clone(&service));
        service
    }

    fn open(&self, caller: &Caller) -> Service {
        let caller_session = CallerSession::new(Arc::clone(&self.host), caller.clone(), self.door);
        let closing: CancellationToken = self.signals.stop.clone();
        let sessions = Arc::new(Sessions::new(self.budget.of(caller)));
        // Host and Origin are checked before anybody comes here, on the Unix socket by other rules.
        let config = StreamableHttpServerConfig::default()
            .disable_allowed_hosts()
            .disable_allowed_origins()
            .with_sse_retry(None)
            .with_json_response(true)
            .with_max_request_body_bytes(self.budget.message())
            .with_cancellation_token(self.signals.cut.clone());
        let plain = caller_session.clone().speaking(stateless::VERSION);
        let http = StreamableHttpService::new(
            move || Ok(Agent::new(caller_session.clone(), closing.clone())),
            Arc::clone(&sessions),
            config,
        );
        Service {
            caller_session: Arc::new(plain),
            sessions,
            http,
        }
    }
}
