//! Sessions of the older era over HTTP: as many as there is room for, each as long as it is used.
//!
//! One caller's sessions are in one of these, so an id that another caller presents is unknown. It
//! does not know callers, nor what is said in a session.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::Stream;
use rmcp::RoleServer;
use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, JsonRpcMessage, RequestId, ServerJsonRpcMessage,
};
use rmcp::transport::Transport;
use rmcp::transport::streamable_http_server::SessionManager;
use rmcp::transport::streamable_http_server::session::local::{
    LocalSessionManager, LocalSessionManagerError, SessionConfig,
};
use rmcp::transport::streamable_http_server::session::{ServerSseMessage, SessionId};
use serde::Deserialize as _;
use serde_json::Value;
use tokio_util::task::AbortOnDropHandle;

use crate::budget::{Allowance, Held};

/// How long a session lives without a message.
const IDLE: Duration = Duration::from_secs(300);

/// One caller's sessions.
#[derive(Debug)]
pub(super) struct Sessions {
    inner: LocalSessionManager,
    allowance: Allowance,
    places: Mutex<Places>,
}

#[derive(Debug, Default)]
struct Places {
    open: HashMap<SessionId, Place>,
    /// What a session held that ended for the next one.
    spare: Option<Held>,
}

#[derive(Debug)]
struct Place {
    used: Instant,
    held: Held,
    running: Running,
    /// Ends the session when its caller is none any more.
    _watch: Option<AbortOnDropHandle<()>>,
}

/// Ids of requests that are not answered yet.
type Running = Arc<Mutex<HashSet<RequestId>>>;

/// Why a session cannot be opened or used.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    /// All places are taken.
    #[error("no more sessions can be opened")]
    Full,
    /// A request has the id of one that runs.
    #[error("a request with this id is still running")]
    Running,
    /// The session itself.
    #[error(transparent)]
    Session(#[from] LocalSessionManagerError),
}

impl Sessions {
    /// No sessions yet, of a caller who is allowed this.
    pub(super) fn new(allowance: Allowance) -> Self {
        let mut config = SessionConfig::default();
        config.keep_alive = Some(IDLE);
        // Older clients take an event without data for a broken message.
        config.sse_retry = None;
        let mut inner = LocalSessionManager::default();
        inner.session_config = config;
        Self {
            inner,
            allowance,
            places: Mutex::default(),
        }
    }

    /// Whether no session is open.
    pub(super) fn is_empty(&self) -> bool {
        self.places().open.is_empty()
    }

    /// Makes room for one more session: when there is none, the caller's own longest unused one
    /// ends. Many clients never close theirs.
    pub(super) async fn make_room(&self) -> bool {
        let oldest = {
            let mut places = self.places();
            if places.spare.is_some() {
                return true;
            }
            if let Ok(held) = self.allowance.session() {
                places.spare = Some(held);
                return true;
            }
            let open = places.open.iter();
            let oldest = open.min_by_key(|(_, place)| place.used);
            let Some(id) = oldest.map(|(id, _)| Arc::clone(id)) else {
                return false;
            };
            let place = places.open.remove(&id);
            places.spare = place.map(|place| place.held);
            id
        };
        self.close_session(&oldest).await.is_ok()
    }

    /// Whether a request with this id runs in a session.
    pub(super) fn is_running(&self, session: &str, id: &Value) -> bool {
        let Ok(id) = RequestId::deserialize(id) else {
            return false;
        };
        let running = self.running(session);
        running.is_some_and(|running| lock(&running).contains(&id))
    }

    /// Ends a session as soon as `dismissed` is over.
    pub(super) fn end_with(
        self: &Arc<Self>,
        session: &str,
        dismissed: impl Future<Output = ()> + Send + 'static,
    ) {
        let (sessions, id) = (Arc::downgrade(self), SessionId::from(session));
        let closing = Arc::clone(&id);
        let watch = tokio::spawn(async move {
            dismissed.await;
            let Some(sessions) = sessions.upgrade() else {
                return;
            };
            tracing::info!(
                agent = &**sessions.allowance.agent(),
                "a session ends: it is not this caller's any more"
            );
            // This task ends with the session's place.
            tokio::spawn(async move { drop(sessions.close_session(&closing).await) });
        });
        if let Some(place) = self.places().open.get_mut(&id) {
            place._watch = Some(AbortOnDropHandle::new(watch));
        } else {
            watch.abort();
        }
    }

    fn running(&self, session: &str) -> Option<Running> {
        let places = self.places();
        let place = places.open.get(session)?;
        Some(Arc::clone(&place.running))
    }

    fn touch(&self, id: &SessionId) {
        if let Some(place) = self.places().open.get_mut(id) {
            place.used = Instant::now();
        }
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lock(running: &Running) -> MutexGuard<'_, HashSet<RequestId>> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The library's side of a session, with an eye on which requests are answered.
pub(super) struct Tracked {
    inner: <LocalSessionManager as SessionManager>::Transport,
    running: Running,
}

impl Transport<RoleServer> for Tracked {
    type Error =
        <<LocalSessionManager as SessionManager>::Transport as Transport<RoleServer>>::Error;

    fn send(
        &mut self,
        message: ServerJsonRpcMessage,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let id = match &message {
            JsonRpcMessage::Response(response) => Some(response.id.clone()),
            JsonRpcMessage::Error(error) => error.id.clone(),
            _ => None,
        };
        let running = Arc::clone(&self.running);
        let sent = self.inner.send(message);
        async move {
            let end = sent.await;
            // Only now: until the answer has found its stream, the id leads there.
            if let Some(id) = id {
                lock(&running).remove(&id);
            }
            end
        }
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        let message = self.inner.receive().await?;
        // The library never answers what was cancelled.
        if let JsonRpcMessage::Notification(notification) = &message
            && let ClientNotification::CancelledNotification(cancelled) = &notification.notification
            && let Some(id) = &cancelled.params.request_id
        {
            lock(&self.running).remove(id);
        }
        Some(message)
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.inner.close().await
    }
}

impl SessionManager for Sessions {
    type Error = SessionError;
    type Transport = Tracked;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), SessionError> {
        let spare = self.places().spare.take();
        let held = match spare {
            Some(held) => held,
            None => self.allowance.session().map_err(|_| SessionError::Full)?,
        };
        let (id, inner) = self.inner.create_session().await?;
        let running = Running::default();
        let place = Place {
            used: Instant::now(),
            held,
            running: Arc::clone(&running),
            _watch: None,
        };
        self.places().open.insert(Arc::clone(&id), place);
        Ok((id, Tracked { inner, running }))
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, SessionError> {
        Ok(self.inner.initialize_session(id, message).await?)
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, SessionError> {
        self.touch(id);
        Ok(self.inner.has_session(id).await?)
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), SessionError> {
        let closed = self.inner.close_session(id).await;
        let place = self.places().open.remove(id);
        drop(place);
        Ok(closed?)
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, SessionError> {
        let running = self.running(id);
        let request = match &message {
            JsonRpcMessage::Request(request) => Some(request.id.clone()),
            _ => None,
        };
        if let (Some(running), Some(id)) = (&running, &request)
            && !lock(running).insert(id.clone())
        {
            return Err(SessionError::Running);
        }
        let stream = self.inner.create_stream(id, message).await;
        if let (Err(_), Some(running), Some(id)) = (&stream, &running, &request) {
            lock(running).remove(id);
        }
        Ok(stream?)
    }

    async fn accept_message(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<(), SessionError> {
        Ok(self.inner.accept_message(id, message).await?)
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, SessionError> {
        Ok(self.inner.create_standalone_stream(id).await?)
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, SessionError> {
        Ok(self.inner.resume(id, last_event_id).await?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::budget::Budget;
    use crate::terms::Caller;

    fn caller(budget: &Arc<Budget>, name: &str) -> Sessions {
        Sessions::new(budget.of(&Caller {
            agent: name.into(),
            user: None,
        }))
    }

    async fn open(sessions: &Sessions) -> (SessionId, Tracked) {
        sessions.create_session().await.unwrap()
    }

    #[tokio::test]
    async fn x30_when_there_is_no_room_the_callers_longest_unused_session_ends() {
        let budget = Arc::new(Budget::new(4 << 20));
        let mine = caller(&budget, "ada");
        let mut open_ones = Vec::new();
        while let Ok(session) = mine.create_session().await {
            open_ones.push(session);
        }
        assert_eq!(open_ones.len(), 128, "as many as are left to others");
        let first = open_ones[0].0.clone();
        mine.has_session(&first).await.unwrap();
        assert!(mine.make_room().await);
        assert!(mine.has_session(&first).await.unwrap());
        assert!(!mine.has_session(&open_ones[1].0).await.unwrap());
        open(&mine).await;
        assert!(mine.create_session().await.is_err());

        let theirs = caller(&budget, "bob");
        assert!(theirs.make_room().await);
        open(&theirs).await;
    }

    #[tokio::test]
    async fn one_callers_sessions_are_neither_seen_nor_ended_by_another() {
        let budget = Arc::new(Budget::new(4 << 20));
        let (mine, theirs) = (caller(&budget, "ada"), caller(&budget, "bob"));
        let (id, _transport) = open(&mine).await;
        assert!(!theirs.has_session(&id).await.unwrap());
        theirs.close_session(&id).await.unwrap();
        assert!(mine.has_session(&id).await.unwrap());
        mine.close_session(&id).await.unwrap();
        assert!(mine.is_empty());
    }

    #[tokio::test]
    async fn x32_a_session_ends_when_its_caller_is_dismissed() {
        let mine = Arc::new(caller(&Arc::new(Budget::new(4 << 20)), "ada"));
        let (id, _transport) = open(&mine).await;
        let (dismiss, dismissed) = tokio::sync::oneshot::channel::<()>();
        mine.end_with(&id, async move { drop(dismissed.await) });
        assert!(mine.has_session(&id).await.unwrap());
        drop(dismiss);
        while !mine.is_empty() {
            tokio::task::yield_now().await;
        }
        assert!(!mine.has_session(&id).await.unwrap());
    }
}
