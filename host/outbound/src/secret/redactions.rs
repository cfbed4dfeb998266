//! How often a credential was taken out of what one call brought back, and when that is too often; and
//! the credentials that the call has sent, which are looked for until it ends.
//!
//! That a guess is the whole of a secret shows by its being taken out: nothing else of a guess shows. So
//! a call has few guesses. It does not know what was searched.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::value::Secret;

/// As many end a call: an upstream that repeats a credential once or twice is a nuisance, one that
/// goes on is somebody's way to try guesses.
pub const MOST_REDACTIONS: u32 = 3;

/// The redactions of one call. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Redactions(Arc<Counted>);

#[derive(Debug, Default)]
struct Counted {
    times: AtomicU32,
    over: Notify,
    sent: Mutex<Vec<Secret>>,
}

impl Redactions {
    /// Notes that a credential was taken out so many times.
    pub fn note(&self, times: u32) {
        let add = |known: u32| Some(known.saturating_add(times));
        let before = self
            .0
            .times
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        let before = before.unwrap_or(u32::MAX);
        if times > 0 && before.saturating_add(times) >= MOST_REDACTIONS {
            // It is kept for who is not waiting yet.
            self.0.over.notify_one();
        }
    }

    /// Keeps a credential that the call is about to send: whoever holds one has it sought.
    pub fn keep(&self, secret: &Secret) {
        let mut sent = self.0.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if !sent.contains(secret) {
            sent.push(secret.clone());
        }
    }

    /// Whether there were as many as end a call.
    #[must_use]
    pub fn are_too_many(&self) -> bool {
        self.0.times.load(Ordering::Relaxed) >= MOST_REDACTIONS
    }

    /// Waits until there are as many as end a call. For one waiter.
    pub async fn too_many(&self) {
        self.0.over.notified().await;
    }
}
