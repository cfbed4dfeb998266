//! Sessions of the older era over HTTP: as many as there is room for, each as long as it is used.
//!
//! One caller's sessions are in one of these, so an id that another caller presents is unknown. It
//! does not know callers, nor what is said in a session.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::Stream;
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::streamable_http_server::SessionManager;
use rmcp::transport::streamable_http_server::session::local::{
    LocalSessionManager, LocalSessionManagerError, SessionConfig,
};
use rmcp::transport::streamable_http_server::session::{ServerSseMessage, SessionId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Sessions at one door, of all callers together.
pub(super) const MAX_SESSIONS: usize = 256;

/// How long a session lives without a message.
const IDLE: Duration = Duration::from_secs(300);

/// One caller's sessions.
#[derive(Debug)]
pub(super) struct Sessions {
    inner: LocalSessionManager,
    room: Arc<Semaphore>,
    places: Mutex<HashMap<SessionId, Place>>,
}

#[derive(Debug)]
struct Place {
    used: Instant,
    _taken: OwnedSemaphorePermit,
}

/// Why a session cannot be opened or used.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    /// All places are taken, by other callers.
    #[error("{MAX_SESSIONS} sessions are open")]
    Full,
    /// The session itself.
    #[error(transparent)]
    Session(#[from] LocalSessionManagerError),
}

impl Sessions {
    /// No sessions yet, with places from `room`.
    pub(super) fn new(room: Arc<Semaphore>) -> Self {
        let mut config = SessionConfig::default();
        config.keep_alive = Some(IDLE);
        // Older clients take an event without data for a broken message.
        config.sse_retry = None;
        let mut inner = LocalSessionManager::default();
        inner.session_config = config;
        Self {
            inner,
            room,
            places: Mutex::default(),
        }
    }

    /// Whether no session is open.
    pub(super) fn is_empty(&self) -> bool {
        self.places().is_empty()
    }

    /// Makes room for one more session: when there is none, the caller's own longest unused one
    /// ends. Many clients never close theirs.
    pub(super) async fn make_room(&self) -> bool {
        if self.room.available_permits() > 0 {
            return true;
        }
        let oldest = {
            let places = self.places();
            places
                .iter()
                .min_by_key(|(_, place)| place.used)
                .map(|(id, _)| Arc::clone(id))
        };
        match oldest {
            None => false,
            Some(id) => self.close_session(&id).await.is_ok(),
        }
    }

    fn touch(&self, id: &SessionId) {
        if let Some(place) = self.places().get_mut(id) {
            place.used = Instant::now();
        }
    }

    fn places(&self) -> MutexGuard<'_, HashMap<SessionId, Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionManager for Sessions {
    type Error = SessionError;
    type Transport = <LocalSessionManager as SessionManager>::Transport;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), SessionError> {
        let room = Arc::clone(&self.room);
        let taken = room.try_acquire_owned().map_err(|_| SessionError::Full)?;
        let (id, transport) = self.inner.create_session().await?;
        let place = Place {
            used: Instant::now(),
            _taken: taken,
        };
        self.places().insert(Arc::clone(&id), place);
        Ok((id, transport))
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
        self.places().remove(id);
        Ok(closed?)
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, SessionError> {
        Ok(self.inner.create_stream(id, message).await?)
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

    #[tokio::test]
    async fn when_there_is_no_room_the_callers_longest_unused_session_ends() {
        let room = Arc::new(Semaphore::new(2));
        let mine = Sessions::new(Arc::clone(&room));
        let (first, _one) = mine.create_session().await.unwrap();
        let (second, _two) = mine.create_session().await.unwrap();
        assert!(matches!(
            mine.create_session().await,
            Err(SessionError::Full)
        ));

        mine.has_session(&first).await.unwrap();
        assert!(mine.make_room().await);
        assert!(mine.has_session(&first).await.unwrap());
        assert!(!mine.has_session(&second).await.unwrap());
        mine.create_session().await.unwrap();
    }

    #[tokio::test]
    async fn one_callers_sessions_are_neither_seen_nor_ended_by_another() {
        let room = Arc::new(Semaphore::new(1));
        let mine = Sessions::new(Arc::clone(&room));
        let theirs = Sessions::new(room);
        let (id, _transport) = mine.create_session().await.unwrap();
        assert!(!theirs.has_session(&id).await.unwrap());
        assert!(!theirs.make_room().await);
        theirs.close_session(&id).await.unwrap();
        assert!(mine.has_session(&id).await.unwrap());
        mine.close_session(&id).await.unwrap();
        assert!(theirs.make_room().await);
    }
}
