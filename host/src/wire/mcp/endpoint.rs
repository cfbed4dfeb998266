//! The protocol over HTTP, one service per caller: what a session knows it knows of one caller
//! only.
//!
//! It does not know sockets, tokens or headers, except those that the protocol itself defines.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use http_body_util::combinators::BoxBody;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::agent::{Agent, Desk};
use super::lines::Signals;
use super::sessions::{MAX_SESSIONS, Sessions};
use crate::call::Host;
use crate::terms::{Caller, Door};
use crate::wire::frame::MAX_BODY;

/// Callers whose services are kept. Beyond it those without a session are made anew when needed.
const MAX_CALLERS: usize = 1024;

/// All callers' services at one door.
pub(in crate::wire) struct Endpoint {
    host: Arc<Host>,
    door: Door,
    signals: Signals,
    room: Arc<Semaphore>,
    services: Mutex<HashMap<Caller, Arc<Service>>>,
}

struct Service {
    sessions: Arc<Sessions>,
    http: StreamableHttpService<Agent, Sessions>,
}

impl Endpoint {
    /// An endpoint behind one door. Streams end at `signals.stop`, sessions at `signals.cut`.
    pub(in crate::wire) fn new(host: Arc<Host>, door: Door, signals: Signals) -> Self {
        let room = Arc::new(Semaphore::new(MAX_SESSIONS));
        Self {
            host,
            door,
            signals,
            room,
            services: Mutex::default(),
        }
    }

    /// Makes room for a session of `caller`; false means that all places are taken.
    pub(in crate::wire) async fn make_room(&self, caller: &Caller) -> bool {
        self.service(caller).sessions.make_room().await
    }

    /// Answers a request of `caller`. Dropping the answer cancels what runs for it, except in a
    /// session, where the client may come back.
    pub(in crate::wire) async fn answer(
        &self,
        caller: &Caller,
        request: Request<Full<Bytes>>,
    ) -> Response<BoxBody<Bytes, Infallible>> {
        let service = self.service(caller);
        service.http.handle(request).await
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
        let desk = Desk::new(Arc::clone(&self.host), caller.clone(), self.door);
        let closing: CancellationToken = self.signals.stop.clone();
        let sessions = Arc::new(Sessions::new(Arc::clone(&self.room)));
        // Host and Origin are checked before anybody comes here, on the Unix socket by other rules.
        let config = StreamableHttpServerConfig::default()
            .disable_allowed_hosts()
            .disable_allowed_origins()
            .with_sse_retry(None)
            .with_json_response(true)
            .with_max_request_body_bytes(MAX_BODY)
            .with_cancellation_token(self.signals.cut.clone());
        let http = StreamableHttpService::new(
            move || Ok(Agent::new(desk.clone(), closing.clone())),
            Arc::clone(&sessions),
            config,
        );
        Service { sessions, http }
    }
}
