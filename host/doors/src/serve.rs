//! All doors of a host: what their connections share, and how they end in good order.
//!
//! It does not know the protocol, nor how connections are taken in.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::budget::Budget;
use super::door::Listener;
use super::frame::Framing;
use super::front::{self, Handed};
use super::health::Health;
use super::http::Web;
use super::mcp::{Known, Signals, speak};
use super::peeking::Peeking;
use super::seats::{Seat, Seats};
use crate::call::{Credential, Host};
use crate::terms::Door;
use toolhost_outbound::descriptors::Descriptors;

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

/// Serves agents at the listeners until `stop`. Then no connection and no request is taken in any
/// more, what runs may end within `grace`, and what is left after it is cut off. A message of an
/// agent, a line or a body, has at most `message` bytes.
pub async fn serve(
    host: Arc<Host>,
    listeners: Vec<Listener>,
    message: usize,
    stop: CancellationToken,
    grace: Duration,
) {
    let signals = Signals {
        stop,
        cut: CancellationToken::new(),
    };
    let _cut_when_given_up = signals.cut.clone().drop_guard();
    let closed = CancellationToken::new();
    let _closed_when_given_up = closed.clone().drop_guard();
    let (working, mut all_done) = mpsc::channel(1);
    let work = Work(working.downgrade());
    let budget = Arc::new(Budget::new(message));
    let ends = (signals.clone(), closed.clone());
    let reception = Arc::new(Reception::new(host, budget, ends, work));
    let connections = reception.connections.clone();
    let front = match front::open(listeners, reception) {
        Ok(front) => front,
        Err(error) => {
            tracing::error!(%error, "the doors cannot be opened");
            return;
        }
    };
    signals.stop.cancelled().await;
    drop(working);
    if tokio::time::timeout(grace, all_done.recv()).await.is_err() {
        tracing::warn!(
            ?grace,
            "calls still ran at the end of the grace period and were cut off"
        );
    }
    signals.cut.cancel();
    let over = async {
        // It says nothing: it is over when its other end is dropped.
        let _ = front.await;
        connections.close();
        connections.wait().await;
    };
    if tokio::time::timeout(LAST_WORDS, over).await.is_err() {
        tracing::debug!("connections were still open and were dropped");
    }
}

/// What every connection needs.
pub(super) struct Reception {
    pub(super) host: Arc<Host>,
    pub(super) seats: Arc<Seats>,
    pub(super) health: Arc<Health>,
    pub(super) signals: Signals,
    /// Where connections are served.
    pub(super) workers: Handle,
    pub(super) connections: TaskTracker,
    /// Nothing is open any longer.
    pub(super) closed: CancellationToken,
    budget: Arc<Budget>,
    on_unix: Arc<Web>,
    on_tcp: Arc<Web>,
    work: Work,
}

impl Reception {
    fn new(
        host: Arc<Host>,
        budget: Arc<Budget>,
        (signals, closed): (Signals, CancellationToken),
        work: Work,
    ) -> Self {
        let workers = Handle::current();
        let health = Arc::new(Health::new(Arc::clone(&host), workers.clone()));
        let web = |door| {
            let shared = (Arc::clone(&health), Arc::clone(&budget));
            let web = Web::new(
                Arc::clone(&host),
                door,
                shared,
                signals.clone(),
                work.clone(),
            );
            Arc::new(web)
        };
        Self {
            on_unix: web(Door::Unix),
            on_tcp: web(Door::Http),
            seats: Arc::new(Seats::new(Descriptors::now().doors)),
            connections: TaskTracker::new(),
            host,
            health,
            signals,
            workers,
            closed,
            budget,
            work,
        }
    }

    /// Serves one connection to its end.
    pub(super) async fn serve(self: Arc<Self>, stream: Handed, framing: Framing, seat: Arc<Seat>) {
        let closed = self.closed.clone();
        let served = async {
            let end = match stream {
                Handed::Tcp(stream) => self.serve_tcp(stream, seat).await,
                Handed::Unix(stream, uid) => self.serve_unix(stream, uid, framing, seat).await,
            };
            if let Err(error) = end {
                tracing::debug!(%error, "a connection ended badly");
            }
        };
        closed.run_until_cancelled(served).await;
    }

    async fn serve_tcp(&self, stream: std::net::TcpStream, seat: Arc<Seat>) -> io::Result<()> {
        let stream = TcpStream::from_std(stream)?;
        Arc::clone(&self.on_tcp).converse(stream, None, seat).await;
        Ok(())
    }

    async fn serve_unix(
        &self,
        stream: std::os::unix::net::UnixStream,
        uid: u32,
        framing: Framing,
        seat: Arc<Seat>,
    ) -> io::Result<()> {
        let stream = UnixStream::from_std(stream)?;
        if framing == Framing::Http {
            let web = Arc::clone(&self.on_unix);
            web.converse(stream, Some(uid), seat).await;
            return Ok(());
        }
        // Who it is was seen at the front door; a reload may have come between.
        let caller = self.host.identify(Credential::Uid(uid));
        let (Some(caller), Some(_working)) = (caller, self.work.begin()) else {
            return Ok(());
        };
        let (reader, writer) = stream.into_split();
        let halves = (Peeking::new(reader), writer);
        let known = Known {
            allowance: self.budget.of(&caller),
            caller,
            by: Credential::Uid(uid),
            door: Door::Unix,
            seat: Some(seat),
        };
        speak(Arc::clone(&self.host), known, halves, self.signals.clone()).await;
        Ok(())
    }
}
