//! What the doors ask of a host beside calls: who somebody is, what it may use, and that it goes by
//! another snapshot from now on, or stops.
//!
//! It does not know what a call does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use super::{Host, ListWatch, Snapshot};
use crate::gate::{Credential, Results};
use crate::ledger::{Ledger, LedgerError, Reload};
use crate::manifest::Manifest;
use crate::quota::Quota;
use crate::sandbox::{Lanes, Sandbox};
use crate::terms::{Caller, Listed};

/// How long calls that were given up have to close their books when the host stops.
const BOOKS: Duration = Duration::from_secs(1);

impl Host {
    /// Puts the rooms together.
    #[must_use]
    pub fn new(
        snapshot: Snapshot,
        quota: Quota,
        (sandbox, lanes): (Arc<Sandbox>, Lanes),
        ledger: Ledger,
    ) -> Self {
        Self {
            snapshot: watch::Sender::new(Arc::new(snapshot)),
            quota,
            sandbox,
            lanes,
            results: Results::default(),
            ledger,
            stale: Mutex::default(),
        }
    }

    /// Who may ask for what, as of now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.borrow().clone()
    }

    /// Who this is, if anybody.
    #[must_use]
    pub fn identify(&self, credential: Credential<'_>) -> Option<Caller> {
        self.snapshot.borrow().callers.identify(credential)
    }

    /// Waits until this credential stands for another caller than this one, or for none.
    pub async fn dismissed(&self, credential: Credential<'_>, caller: &Caller) {
        let is_another = |snapshot: &Arc<Snapshot>| {
            snapshot.callers.identify(credential).as_ref() != Some(caller)
        };
        // The sender is this host's own.
        let _ = self.snapshot.subscribe().wait_for(is_another).await;
    }

    /// How often the host was loaded anew: who was identified under another load is asked again.
    #[must_use]
    pub fn load(&self) -> u64 {
        self.snapshot.borrow().load()
    }

    /// The functions a caller may use, in the order of the names agents see.
    #[must_use]
    pub fn listing(&self, caller: &Caller) -> Arc<Vec<Listed>> {
        self.snapshot
            .borrow()
            .listing(caller)
            .cloned()
            .unwrap_or_default()
    }

    /// Tells when a caller's list is another one.
    #[must_use]
    pub fn watch(&self, caller: &Caller) -> ListWatch {
        ListWatch::new(self.snapshot.subscribe(), caller)
    }

    /// Puts a new snapshot in the place of the old one, with the places that `manifest` grants. Calls that
    /// run finish on what they started with; those that wait for a place are judged anew.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be written: then nothing changes.
    pub async fn reload(
        &self,
        snapshot: Snapshot,
        manifest: &Manifest,
        mut reload: Reload<'_>,
    ) -> Result<(), LedgerError> {
        let snapshot = snapshot.following(&self.snapshot());
        reload.load = snapshot.load();
        self.ledger.reload(reload).await?;
        // Before the snapshot: whoever finds a function there finds places for it.
        self.quota.change(manifest);
        let snapshot = Arc::new(snapshot);
        // What only the old one held goes here, outside of the lock.
        drop(self.snapshot.send_replace(snapshot));
        *self.stale() = None;
        Ok(())
    }

    /// Says that what the operator wrote last could not be loaded. The first of several counts.
    pub fn not_reloaded(&self, now: SystemTime) {
        self.stale().get_or_insert(now);
    }

    /// Since when the snapshot is not what the operator wrote last, if it is not.
    #[must_use]
    pub fn stale_since(&self) -> Option<SystemTime> {
        *self.stale()
    }

    fn stale(&self) -> MutexGuard<'_, Option<SystemTime>> {
        self.stale.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets no call in any more and ends the record. Calls that run are not waited for: the doors do.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be written.
    pub async fn stop(&self) -> Result<(), LedgerError> {
        self.stop_within(BOOKS).await
    }

    /// The same, where calls have so much time to close their books: one whose agent has gone is
    /// waited for by nobody else, and its record has to have an end.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be written.
    pub async fn stop_within(&self, time: Duration) -> Result<(), LedgerError> {
        self.quota.close();
        if !self.lanes.are_empty(time).await {
            tracing::warn!(
                "calls did not come to their end in time: the ledger has none of theirs"
            );
        }
        self.ledger.seal().await
    }
}
