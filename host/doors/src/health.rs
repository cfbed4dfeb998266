//! What `/health` says: whether calls can run, and whether the runtime's workers do.
//!
//! It is asked on the thread of the front door, so that it is answered whatever the workers do. It
//! does not know what they work at.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::runtime::Handle;

use crate::call::Host;

/// A worker that came back to its runtime longer ago than this is stuck.
const STUCK: Duration = Duration::from_secs(1);

/// How often to look again whether a worker that is at work comes back.
const LOOK: Duration = Duration::from_millis(20);

/// Whether a host can run calls.
pub(super) struct Health {
    host: Arc<Host>,
    workers: Workers,
}

impl Health {
    /// Of a host whose doors are served by this runtime.
    pub(super) fn new(host: Arc<Host>, runtime: Handle) -> Self {
        Self {
            host,
            workers: Workers::new(runtime),
        }
    }

    /// Whether calls can run, and the rest of the answer. What cannot be recorded does not run.
    pub(super) async fn ask(&self) -> (bool, Value) {
        let ready = self.host.ledger.healthy() && self.workers.come_back().await;
        let snapshot = self.host.snapshot();
        let mut state = serde_json::json!({
            "status": match (ready, snapshot.catalog.is_lacking()) {
                (false, _) => "unready",
                // Calls run, but for those of something that the operator named and that is not there.
                (true, true) => "degraded",
                (true, false) => "ok",
            },
            // "dev" where agents may run under the host's own user: they could write its files.
            "mode": snapshot.mode,
            "name": "toolhost",
            "version": env!("CARGO_PKG_VERSION"),
        });
        // Why is in the log: anybody on this machine may ask here.
        if let Some(since) = self.host.stale_since() {
            let since = humantime::format_rfc3339_seconds(since);
            state["reload_failed_since"] = since.to_string().into();
        }
        (ready, state)
    }
}

/// The workers of a runtime: each sleeps, or comes back from its tasks again and again. The runtime
/// counts both, so that nothing has to run on them to know.
struct Workers {
    runtime: Handle,
    seen: Mutex<Vec<Seen>>,
}

/// What a worker had done when it was looked at.
#[derive(Debug, Clone, Copy)]
struct Seen {
    /// How often it went to sleep and woke: odd while it sleeps.
    sleeps: u64,
    /// How long it has worked, as of the last time it came back.
    worked: Duration,
    /// When it was first seen like this.
    first: Instant,
}

impl Workers {
    fn new(runtime: Handle) -> Self {
        Self {
            runtime,
            seen: Mutex::default(),
        }
    }

    /// Whether every worker sleeps, or comes back within a second.
    async fn come_back(&self) -> bool {
        let asked = Instant::now();
        loop {
            let now = Instant::now();
            match self.look(asked, now) {
                None => return true,
                Some(since) if now.duration_since(since) >= STUCK => return false,
                Some(_) => tokio::time::sleep(LOOK).await,
            }
        }
    }

    /// Since when the worker is at work that has not come back the longest, of those who neither
    /// sleep nor have come back since `asked`.
    fn look(&self, asked: Instant, now: Instant) -> Option<Instant> {
        let metrics = self.runtime.metrics();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut longest = None;
        for worker in 0..metrics.num_workers() {
            let sleeps = metrics.worker_park_unpark_count(worker);
            let worked = metrics.worker_total_busy_duration(worker);
            let fresh = Seen {
                sleeps,
                worked,
                first: now,
            };
            if seen.len() <= worker {
                seen.resize(worker + 1, fresh);
            }
            let Some(last) = seen.get_mut(worker) else {
                continue;
            };
            let came_back = (last.sleeps, last.worked) != (sleeps, worked);
            // What it did before anybody asked says nothing of now.
            let since_asked = last.first >= asked;
            if came_back {
                *last = fresh;
            }
            let sleeping = sleeps % 2 == 1;
            if !(sleeping || came_back && since_asked) {
                longest = longest.min(Some(last.first)).or(Some(last.first));
            }
        }
        longest
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::runtime::Builder;

    use super::*;

    /// Asked from another runtime, as at the front door.
    #[tokio::test]
    async fn x23_a_worker_that_does_not_come_back_is_noticed() {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let workers = Workers::new(runtime.handle().clone());
        assert!(workers.come_back().await, "nothing runs");

        // Busy, and well: it comes back after every piece.
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let busy = runtime.spawn(async move {
            while !stopped.load(Ordering::Relaxed) {
                tokio::task::yield_now().await;
            }
        });
        assert!(workers.come_back().await, "a worker is busy");

        let stopped = Arc::clone(&stop);
        let (turning, turns) = tokio::sync::oneshot::channel();
        let stuck = runtime.spawn(async move {
            turning.send(()).unwrap();
            while !stopped.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        turns.await.unwrap();
        let asked = Instant::now();
        assert!(!workers.come_back().await, "a worker is stuck");
        assert!(asked.elapsed() >= STUCK / 2);
        // Whoever asks next need not wait.
        let asked = Instant::now();
        assert!(!workers.come_back().await);
        assert!(asked.elapsed() < STUCK / 2);

        stop.store(true, Ordering::Relaxed);
        busy.await.unwrap();
        stuck.await.unwrap();
        // The worker may not have gone to sleep yet.
        let back = async { while !workers.come_back().await {} };
        let back = tokio::time::timeout(Duration::from_secs(30), back).await;
        back.expect("it came back");
        runtime.shutdown_background();
    }
}
