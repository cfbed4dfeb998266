//! The agents' doors of a host: what their connections share.
//!
//! It does not know the protocol, nor how connections are taken in.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::budget::Budget;
use super::door::Listener;
use super::drain::{Drain, Ends};
use super::frame::Framing;
use super::front::Handed;
use super::health::Health;
use super::http::Web;
use super::mcp::{Known, speak};
use super::peek_reader::Peeking;
use super::seats::{Seat, Seats};
use crate::call::{Credential, Host};
use crate::terms::Door;
use toolhost_outbound::descriptors::Descriptors;

/// Serves agents at the listeners until `stop`. Then no connection and no request is taken in any
/// more, what runs may end within `grace`, and what is left after it is cut off. A message of an
/// agent, a line or a body, has at most `message` bytes.
///
/// # Errors
///
/// When the system gives no thread, or no descriptors, to take connections in with.
pub async fn serve(
    host: Arc<Host>,
    listeners: Vec<Listener>,
    message: usize,
    stop: CancellationToken,
    grace: Duration,
) -> io::Result<()> {
    serve_while_needed(
        host,
        listeners,
        message,
        (stop, grace),
        std::future::pending(),
    )
    .await
}

/// The same, and where nobody is connected any more once `alone` is over, it stops by itself.
///
/// # Errors
///
/// As [`serve`]'s.
pub async fn serve_while_needed(
    host: Arc<Host>,
    listeners: Vec<Listener>,
    message: usize,
    (stop, grace): (CancellationToken, Duration),
    alone: impl Future<Output = ()>,
) -> io::Result<()> {
    let drain = Drain::new(stop.clone());
    let budget = Arc::new(Budget::new(message));
    let acceptor = Arc::new(Acceptor::new(host, budget, drain.ends()));
    let seats = Arc::clone(&acceptor.seats);
    let left = async {
        alone.await;
        seats.are_empty().await;
        stop.cancel();
    };
    let served = async {
        let served = drain.serve("front-door", listeners, acceptor, grace);
        let served = served.await;
        // Also where the doors could not be opened: nobody is left to wait for.
        stop.cancel();
        served
    };
    tokio::join!(served, stop.run_until_cancelled(left)).0
}

/// What every connection needs.
pub(super) struct Acceptor {
    pub(super) host: Arc<Host>,
    pub(super) seats: Arc<Seats>,
    pub(super) health: Arc<Health>,
    pub(super) ends: Ends,
    /// Where connections are served.
    pub(super) workers: Handle,
    budget: Arc<Budget>,
    on_unix: Arc<Web>,
    on_tcp: Arc<Web>,
}

impl Acceptor {
    fn new(host: Arc<Host>, budget: Arc<Budget>, ends: Ends) -> Self {
        let workers = Handle::current();
        let health = Arc::new(Health::new(Arc::clone(&host), workers.clone()));
        let web = |door| {
            let shared = (Arc::clone(&health), Arc::clone(&budget));
            let web = Web::new(
                Arc::clone(&host),
                door,
                shared,
                ends.signals.clone(),
                ends.work.clone(),
            );
            Arc::new(web)
        };
        Self {
            on_unix: web(Door::Unix),
            on_tcp: web(Door::Http),
            seats: Arc::new(Seats::new(Descriptors::now().doors)),
            host,
            health,
            ends,
            workers,
            budget,
        }
    }

    /// Serves one connection to its end.
    pub(super) async fn serve(self: Arc<Self>, stream: Handed, framing: Framing, seat: Arc<Seat>) {
        let closed = self.ends.closed.clone();
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
        let (Some(caller), Some(_working)) = (caller, self.ends.work.begin()) else {
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
        speak(
            Arc::clone(&self.host),
            known,
            halves,
            self.ends.signals.clone(),
        )
        .await;
        Ok(())
    }
}
