//! All listeners of a host: takes connections in, hands each to the framing it speaks, and ends
//! them in good order.
//!
//! It does not know the protocol.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::door::{Kind, Listener};
use super::frame::{Framing, INVALID_REQUEST, Refusal};
use super::http::{PATIENCE, Web, stranger};
use super::mcp::{Known, Signals, speak};
use super::peeking::Peeking;
use super::unix;
use crate::call::{Credential, Host};
use crate::terms::Door;

/// Connections at one listener. Beyond it they wait in the system's own queue.
const MAX_CONNECTIONS: usize = 512;

/// How long to wait before taking connections in again when the system refuses, for example for
/// want of file descriptors.
const BREATHER: Duration = Duration::from_millis(100);

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
/// more, what runs may end within `grace`, and what is left after it is cut off.
pub async fn serve(
    host: Arc<Host>,
    listeners: Vec<Listener>,
    stop: CancellationToken,
    grace: Duration,
) {
    let signals = Signals {
        stop,
        cut: CancellationToken::new(),
    };
    let _cut_when_given_up = signals.cut.clone().drop_guard();
    let (working, mut all_done) = mpsc::channel(1);
    let mut doors = JoinSet::new();
    for listener in listeners {
        let work = Work(working.downgrade());
        doors.spawn(keep(listener, Arc::clone(&host), signals.clone(), work));
    }
    signals.stop.cancelled().await;
    drop(working);
    if tokio::time::timeout(grace, all_done.recv()).await.is_err() {
        tracing::warn!(
            ?grace,
            "calls still ran at the end of the grace period and were cut off"
        );
    }
    signals.cut.cancel();
    let closed = async { while doors.join_next().await.is_some() {} };
    if tokio::time::timeout(LAST_WORDS, closed).await.is_err() {
        tracing::debug!("connections were still open and were dropped");
    }
}

/// Keeps one listener, and its connections to their ends.
async fn keep(listener: Listener, host: Arc<Host>, signals: Signals, work: Work) {
    let reception = Arc::new(Reception::new(&listener, host, signals.clone(), work));
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    let take_in = async {
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            match accept(&listener.kind).await {
                Ok(stream) => {
                    let reception = Arc::clone(&reception);
                    connections.spawn(async move {
                        reception.meet(stream).await;
                        drop(place);
                    });
                    while connections.try_join_next().is_some() {}
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be taken in");
                    tokio::time::sleep(BREATHER).await;
                }
            }
        }
    };
    signals.stop.run_until_cancelled(take_in).await;
    drop(listener);
    while connections.join_next().await.is_some() {}
}

enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

async fn accept(kind: &Kind) -> io::Result<Stream> {
    match kind {
        Kind::Unix(door) => door.accept().await.map(Stream::Unix),
        Kind::Http(listener, _) => {
            let (stream, _) = listener.accept().await?;
            // A small answer must not wait for the acknowledgement of the one before: 40 ms.
            stream.set_nodelay(true)?;
            Ok(Stream::Tcp(stream))
        }
    }
}

/// What every connection of a listener needs.
struct Reception {
    host: Arc<Host>,
    web: Arc<Web>,
    signals: Signals,
    work: Work,
}

impl Reception {
    fn new(listener: &Listener, host: Arc<Host>, signals: Signals, work: Work) -> Self {
        let door = match &listener.kind {
            Kind::Unix(_) => Door::Unix,
            Kind::Http(..) => Door::Http,
        };
        let web = Web::new(Arc::clone(&host), door, signals.clone(), work.clone());
        Self {
            host,
            web: Arc::new(web),
            signals,
            work,
        }
    }

    async fn meet(&self, stream: Stream) {
        let result = match stream {
            Stream::Tcp(stream) => {
                Arc::clone(&self.web).converse(stream, None).await;
                Ok(())
            }
            Stream::Unix(stream) => self.meet_unix(stream).await,
        };
        if let Err(error) = result {
            tracing::debug!(%error, "a connection ended badly");
        }
    }

    async fn meet_unix(&self, mut stream: UnixStream) -> io::Result<()> {
        let uid = stream.peer_cred()?.uid();
        // A known user may keep a connection and say nothing; somebody else says at once what he wants.
        let framing = async {
            match self.host.identify(Credential::Uid(uid)) {
                Some(_) => unix::framing(&stream).await,
                None => tokio::time::timeout(PATIENCE, unix::framing(&stream)).await?,
            }
        };
        let framing = self.signals.stop.run_until_cancelled(framing).await;
        match framing.transpose()?.flatten() {
            None => {}
            Some(Framing::Http) => Arc::clone(&self.web).converse(stream, Some(uid)).await,
            Some(Framing::Lines) => {
                let (Some(caller), Some(_working)) =
                    (self.host.identify(Credential::Uid(uid)), self.work.begin())
                else {
                    let mut line = Refusal::new(INVALID_REQUEST, stranger(uid)).to_json();
                    line.push(b'\n');
                    return stream.write_all(&line).await;
                };
                let (reader, writer) = stream.into_split();
                let halves = (Peeking::new(reader), writer);
                let known = Known {
                    caller,
                    by: Credential::Uid(uid),
                    door: Door::Unix,
                };
                speak(Arc::clone(&self.host), known, halves, self.signals.clone()).await;
            }
        }
        Ok(())
    }
}
