//! Listeners: one thread with a runtime of its own takes connections in and gives each to the service
//! behind them. Each service has a thread of its own, so that a flood at one holds up no other.
//!
//! It does not know what is spoken on a connection, nor who may come.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::door::{Kind, Listener};
use super::drain::Ends;

/// How long to wait before taking connections in again when the system refuses, for example for
/// want of file descriptors.
const BREATHER: Duration = Duration::from_millis(100);

/// How often such refusals are told of.
const QUIET: Duration = Duration::from_secs(30);

/// A connection that is not looked at yet.
pub(super) enum Stream {
    Unix(UnixStream, u32),
    Tcp(TcpStream),
}

impl Stream {
    /// The user at its other end, where that can be known.
    pub(super) const fn uid(&self) -> Option<u32> {
        match self {
            Self::Unix(_, uid) => Some(*uid),
            Self::Tcp(_) => None,
        }
    }
}

/// What is served at listeners.
pub(super) trait Service: Send + Sync + 'static {
    /// A connection that found a place.
    type Arrived: Send + 'static;

    /// How it ends.
    fn ends(&self) -> &Ends;

    /// Finds a place for a connection, or drops it. Nobody else is taken in meanwhile: the next ones
    /// wait in the system's own queue.
    fn seat(&self, stream: Stream) -> impl Future<Output = Option<Self::Arrived>> + Send;

    /// Serves a connection to its end, which a stop brings about, or hands it on.
    fn receive(
        self: Arc<Self>,
        arrived: Self::Arrived,
    ) -> impl Future<Output = io::Result<()>> + Send;
}

/// Opens listeners on a thread of this name. What is returned is over when they are closed, which a
/// stop brings about.
///
/// # Errors
///
/// When the system gives no thread.
pub(super) fn open<S: Service>(
    thread: &str,
    listeners: Vec<Listener>,
    service: Arc<S>,
) -> io::Result<oneshot::Receiver<Infallible>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (closed, is_closed) = oneshot::channel();
    let serve = move || {
        runtime.block_on(async move {
            let mut doors = JoinSet::new();
            for listener in listeners {
                doors.spawn(keep(listener, Arc::clone(&service)));
            }
            while doors.join_next().await.is_some() {}
        });
        drop(closed);
    };
    thread::Builder::new().name(thread.into()).spawn(serve)?;
    Ok(is_closed)
}

enum Accepting {
    Unix(UnixListener),
    Tcp(TcpListener),
}

impl Accepting {
    fn new(kind: &Kind) -> io::Result<Self> {
        Ok(match kind {
            Kind::Unix(door) => Self::Unix(UnixListener::from_std(door.listener()?)?),
            Kind::Http(listener, _) => Self::Tcp(TcpListener::from_std(listener.try_clone()?)?),
        })
    }

    async fn next(&self) -> io::Result<Stream> {
        match self {
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                let uid = stream.peer_cred()?.uid();
                Ok(Stream::Unix(stream, uid))
            }
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // A small answer must not wait for the acknowledgement of the one before: 40 ms.
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
        }
    }
}

/// Keeps one listener until its service stops, and what it serves here until that is over.
async fn keep<S: Service>(listener: Listener, service: Arc<S>) {
    let accepting = match Accepting::new(&listener.kind) {
        Ok(accepting) => accepting,
        Err(error) => {
            tracing::error!(%error, door = listener.place(), "the door cannot be kept");
            return;
        }
    };
    let mut lobby = JoinSet::new();
    let take_in = async {
        let mut told: Option<Instant> = None;
        let mut untold = 0_u64;
        loop {
            match accepting.next().await {
                Ok(stream) => {
                    if let Some(arrived) = service.seat(stream).await {
                        lobby.spawn(meet(arrived, Arc::clone(&service)));
                    }
                    while lobby.try_join_next().is_some() {}
                }
                Err(error) => {
                    untold += 1;
                    if told.is_none_or(|at| at.elapsed() >= QUIET) {
                        tracing::warn!(%error, times = untold, "a connection could not be taken in");
                        (told, untold) = (Some(Instant::now()), 0);
                    }
                    tokio::time::sleep(BREATHER).await;
                }
            }
        }
    };
    let ends = service.ends();
    tokio::select! {
        () = take_in => {}
        () = ends.signals.stop.cancelled() => {}
        () = ends.closed.cancelled() => {}
    }
    // From here on nobody finds the door.
    drop((accepting, listener));
    let over = async { while lobby.join_next().await.is_some() {} };
    ends.closed.run_until_cancelled(over).await;
}

async fn meet<S: Service>(arrived: S::Arrived, service: Arc<S>) {
    if let Err(error) = service.receive(arrived).await {
        tracing::debug!(%error, "a connection ended badly");
    }
}
