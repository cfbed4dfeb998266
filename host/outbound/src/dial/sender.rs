//! Who sends: what one call may take of the connections and look-ups that all share.
//!
//! It knows the caller's name as a key and nothing else of him.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// Connections that one call may have in use at once, over all of its grants: half of what a caller
/// gets of one grant.
pub(super) const CONNECTIONS_OF_CALL: usize = 16;

/// Look-ups of names that one call may have under way at once.
const LOOKUPS_OF_CALL: usize = 4;

tokio::task_local! {
    /// Whose request asks for a connection. The client's connector is called within the request that
    /// needs it, and is told nothing but where to.
    pub(super) static SENDER: Sender;
}

/// One call of one caller. Clones are the same call.
#[derive(Debug, Clone)]
pub struct Sender {
    pub(super) caller: Arc<str>,
    pub(super) connections: Arc<Semaphore>,
    pub(super) lookups: Arc<Semaphore>,
}

impl Sender {
    /// A call of this caller that has nothing under way yet.
    #[must_use]
    pub fn new(caller: Arc<str>) -> Self {
        Self {
            caller,
            connections: Arc::new(Semaphore::new(CONNECTIONS_OF_CALL)),
            lookups: Arc::new(Semaphore::new(LOOKUPS_OF_CALL)),
        }
    }
}

impl Default for Sender {
    fn default() -> Self {
        Self::new(Arc::default())
    }
}
