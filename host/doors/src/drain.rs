//! How a service ends in good order: no connection and no request is taken in any more, what runs may
//! end, what is left is cut off.
//!
//! It does not know what is served.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::door::Listener;
use super::listen::{self, Service};
use super::mcp::Signals;

/// How long connections may take to close once nothing runs any more.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Counts what has to end before a stopping host may go.
#[derive(Debug, Clone)]
pub(super) struct Work(mpsc::WeakSender<Infallible>);

impl Work {
    /// Counts one piece of work; `None` when the host is stopping and nothing runs any more.
    pub(super) fn begin(&self) -> Option<Begun> {
        self.0.upgrade().map(Begun)
    }
}

/// One piece of work, until it is dropped.
#[derive(Debug)]
pub(super) struct Begun(
    #[expect(dead_code, reason = "it counts by being there")] mpsc::Sender<Infallible>,
);

/// What a service hears of its end, and what it says of its work.
#[derive(Debug, Clone)]
pub(super) struct Ends {
    pub(super) signals: Signals,
    /// Nothing is open any longer.
    pub(super) closed: CancellationToken,
    /// Connections that left the listeners' thread.
    pub(super) connections: TaskTracker,
    pub(super) work: Work,
}

/// Brings the end of one service about, at the latest when it is dropped.
pub(super) struct Drain {
    ends: Ends,
    working: mpsc::Sender<Infallible>,
    all_done: mpsc::Receiver<Infallible>,
    _when_given_up: [DropGuard; 2],
}

impl Drain {
    /// For a service that serves until `stop`.
    pub(super) fn new(stop: CancellationToken) -> Self {
        let signals = Signals {
            stop,
            cut: CancellationToken::new(),
        };
        let closed = CancellationToken::new();
        let (working, all_done) = mpsc::channel(1);
        Self {
            _when_given_up: [
                signals.cut.clone().drop_guard(),
                closed.clone().drop_guard(),
            ],
            ends: Ends {
                signals,
                closed,
                connections: TaskTracker::new(),
                work: Work(working.downgrade()),
            },
            working,
            all_done,
        }
    }

    /// What the service has to know of it.
    pub(super) fn ends(&self) -> Ends {
        self.ends.clone()
    }

    /// Has connections taken in until the stop. Then what runs may end within `grace`, and what is left
    /// after it is cut off.
    ///
    /// # Errors
    ///
    /// When the system gives no thread, or no descriptors: nothing was served.
    pub(super) async fn serve<S: Service>(
        self,
        thread: &str,
        listeners: Vec<Listener>,
        service: Arc<S>,
        grace: Duration,
    ) -> io::Result<()> {
        let Self {
            ends,
            working,
            mut all_done,
            _when_given_up,
        } = self;
        let closed = listen::open(thread, listeners, service)?;
        ends.signals.stop.cancelled().await;
        drop(working);
        if tokio::time::timeout(grace, all_done.recv()).await.is_err() {
            tracing::warn!(
                ?grace,
                "calls still ran at the end of the grace period and were cut off"
            );
        }
        ends.signals.cut.cancel();
        let over = async {
            // It says nothing: it is over when its other end is dropped.
            let _ = closed.await;
            ends.connections.close();
            ends.connections.wait().await;
        };
        if tokio::time::timeout(LAST_WORDS, over).await.is_err() {
            tracing::debug!("connections were still open and were dropped");
        }
        Ok(())
    }
}
