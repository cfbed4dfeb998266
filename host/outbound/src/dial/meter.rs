//! How much may come over a connection that is nobody's: interim responses, frames that carry no
//! body, padding, handshakes. It counts on the socket, below TLS and HTTP, so that no kind of frame is
//! left out; what is read as a body is given back. What goes out is counted too, and what nobody waits for
//! any more is closed.
//!
//! It knows no HTTP: it is told when an exchange begins and ends, and what of a body was read.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use hyper_util::client::legacy::connect::{CaptureConnection, Connected, Connection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::idle;

/// What may be on its way through a connection and belong to no body that was read yet, in bytes:
/// what HTTP/1.1 reads ahead, the head, interim responses, the handshake.
const SLACK: i64 = 512 << 10;

/// With HTTP/2 on top of it, for each exchange: what comes of a body that nobody reads.
const AHEAD: i64 = super::client::WINDOW_OF_STREAM as i64;

/// What one more exchange on a connection in use may bring beyond its body, in bytes.
const HEAD: i64 = 256 << 10;

/// What carries a piece of a body, at most, in bytes: a frame, or a chunk, in a TLS record of its own.
const FRAMING: i64 = 64;

/// What the framing of small pieces may take of one response, in bytes. Beyond it, as much as they hold.
const FRAMINGS: i64 = 4 << 20;

/// More came over a connection than belongs to bodies.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("it sent too much that belongs to no body")]
pub(super) struct Noise;

/// Connections that rest between two exchanges.
pub(super) type Idle = idle::Idle<Resting>;

/// A connection that rests.
#[derive(Debug)]
pub(super) struct Resting(Weak<State>);

impl Resting {
    /// It gives way to another one, unless it is used again before it hears of it.
    fn gives_way(&self) {
        if let Some(state) = self.0.upgrade() {
            state.gives_way.store(true, Ordering::Release);
            state.task.wake();
        }
    }
}

/// Closes a connection that brings too much, or that nobody waits for. Clones are the same connection.
#[derive(Debug, Clone)]
pub(super) struct Meter(Arc<State>);

#[derive(Debug)]
struct State {
    caller: Arc<str>,
    idle: Idle,
    sums: Mutex<Sums>,
    /// Bytes that the socket took.
    sent: AtomicU64,
    closed: AtomicBool,
    /// It is to be closed, as long as nobody uses it.
    gives_way: AtomicBool,
    task: AtomicWaker,
}

impl Drop for State {
    fn drop(&mut self) {
        let sums = self.sums.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = sums.resting.take() {
            self.idle.leaves(&self.caller, number);
        }
    }
}

#[derive(Debug)]
struct Sums {
    /// Bytes that may still come.
    left: i64,
    is_h2: bool,
    /// Exchanges under way.
    open: u32,
    given_up: bool,
    /// Its number among those that rest.
    resting: Option<u64>,
}

impl Default for Sums {
    fn default() -> Self {
        Self {
            left: SLACK,
            is_h2: false,
            open: 0,
            given_up: false,
            resting: None,
        }
    }
}

impl Sums {
    /// What each exchange may bring before it is read.
    const fn ahead(&self) -> i64 {
        if self.is_h2 { AHEAD } else { 0 }
    }

    fn allow(&mut self, bytes: i64) {
        let most = SLACK + self.ahead() * i64::from(self.open);
        self.left = self.left.saturating_add(bytes).min(most);
    }
}

impl Meter {
    /// For a connection of this caller's.
    pub(super) fn new(caller: Arc<str>, idle: Idle) -> Self {
        Self(Arc::new(State {
            caller,
            idle,
            sums: Mutex::default(),
            sent: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            gives_way: AtomicBool::new(false),
            task: AtomicWaker::new(),
        }))
    }

    /// Says that it stands, and that nobody uses it yet.
    pub(super) fn stands(&self) {
        self.rests(&mut self.sums());
    }

    fn rests(&self, sums: &mut Sums) {
        let resting = Resting(Arc::downgrade(&self.0));
        let (number, other) = self.0.idle.rests(&self.0.caller, resting);
        sums.resting = Some(number);
        if let Some(other) = other {
            other.gives_way();
        }
    }

    fn works(&self, sums: &mut Sums) {
        if let Some(number) = sums.resting.take() {
            self.0.idle.leaves(&self.0.caller, number);
        }
        self.0.gives_way.store(false, Ordering::Release);
    }

    /// That of the connection that the client chose, if it has.
    pub(super) fn of(chosen: &CaptureConnection) -> Option<Self> {
        let mut extras = http::Extensions::new();
        chosen
            .connection_metadata()
            .as_ref()?
            .get_extras(&mut extras);
        extras.remove::<Self>()
    }

    /// Says that this connection speaks HTTP/2.
    pub(super) fn is_h2(&self) {
        self.sums().is_h2 = true;
    }

    /// Whether many requests may go over it at once: then nobody can tell whose its bytes are.
    pub(super) fn is_shared(&self) -> bool {
        self.sums().is_h2
    }

    /// Bytes that went over it so far, handshakes too: whoever asks compares.
    pub(super) fn sent(&self) -> u64 {
        self.0.sent.load(Ordering::Acquire)
    }

    fn note_sent(&self, polled: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = polled {
            let bytes = u64::try_from(*bytes).unwrap_or(u64::MAX);
            self.0.sent.fetch_add(bytes, Ordering::Release);
        }
    }

    /// Closes it, whatever goes over it: not a byte is written from here on.
    pub(super) fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
        self.0.task.wake();
    }

    fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn spend(&self, bytes: usize) -> io::Result<()> {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let mut sums = self.sums();
        sums.left = sums.left.saturating_sub(bytes);
        if sums.left < 0 {
            self.0.closed.store(true, Ordering::Release);
            return Err(io::Error::other(Noise));
        }
        Ok(())
    }

    fn allow(&self, bytes: i64) {
        self.sums().allow(bytes);
    }

    fn begin(&self) {
        let mut sums = self.sums();
        sums.open = sums.open.saturating_add(1);
        self.works(&mut sums);
        // Where nothing was under way, nothing is owed.
        let more = match sums.open {
            1 => SLACK + AHEAD,
            _ => HEAD + sums.ahead(),
        };
        sums.allow(more);
    }

    fn end(&self, whole: bool) {
        let close = {
            let mut sums = self.sums();
            // What came of it that nobody has read, or is still to come, is not the others' debt.
            let unread = if whole { 0 } else { sums.ahead() };
            sums.open = sums.open.saturating_sub(1);
            sums.allow(unread);
            sums.given_up |= !whole;
            if sums.open == 0 && !sums.given_up {
                self.rests(&mut sums);
            }
            sums.given_up && sums.open == 0
        };
        if close {
            self.close();
        }
    }

    /// Whoever drives the connection asks before each step, and is woken when it is closed.
    fn check(&self, context: &Context<'_>) -> io::Result<()> {
        self.0.task.register(context.waker());
        if self.0.closed.load(Ordering::Acquire) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }

    /// The same before it reads. A request that was not written by then goes over another connection.
    fn check_read(&self, context: &Context<'_>) -> io::Result<()> {
        self.check(context)?;
        if self.0.gives_way.load(Ordering::Acquire) && self.sums().open == 0 {
            self.0.closed.store(true, Ordering::Release);
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }

    /// The same before it writes: what is written on is used.
    fn check_write(&self, context: &Context<'_>) -> io::Result<()> {
        self.check(context)?;
        if self.0.gives_way.load(Ordering::Acquire) {
            self.0.gives_way.store(false, Ordering::Release);
        }
        Ok(())
    }

    fn sums(&self) -> MutexGuard<'_, Sums> {
        self.0.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request on a connection, until its response was read to its end or is given up. A connection
/// with a response that was given up takes no new request, and is closed as soon as nobody else waits
/// for another one on it.
#[derive(Debug)]
pub(super) struct Flight {
    meter: Meter,
    connection: CaptureConnection,
    framings: i64,
    whole: bool,
}

impl Flight {
    /// Begins where the client has chosen a connection.
    pub(super) fn begin(connection: &CaptureConnection) -> Option<Self> {
        let meter = Meter::of(connection)?;
        meter.begin();
        Some(Self {
            meter,
            connection: connection.clone(),
            framings: FRAMINGS,
            whole: false,
        })
    }

    /// Whether it is on this connection.
    pub(super) fn is_on(&self, meter: &Meter) -> bool {
        self.meter.same(meter)
    }

    /// Notes that a piece of the body was read.
    pub(super) fn read(&mut self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        let framing = FRAMING.min(self.framings);
        self.framings -= framing;
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX / 4);
        self.meter.allow(bytes.saturating_mul(2) + framing);
    }

    /// Notes that the response was read to its end.
    pub(super) fn whole(&mut self) {
        self.whole = true;
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if let (false, Some(connected)) = (self.whole, &*self.connection.connection_metadata()) {
            connected.poison();
        }
        self.meter.end(self.whole);
    }
}

/// A connection whose bytes are counted.
#[derive(Debug)]
pub(super) struct Counted {
    tcp: TcpStream,
    meter: Meter,
}

impl Counted {
    pub(super) fn new(tcp: TcpStream, meter: Meter) -> Self {
        Self { tcp, meter }
    }
}

impl Connection for Counted {
    fn connected(&self) -> Connected {
        self.tcp.connected().extra(self.meter.clone())
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.meter.check_read(context)?;
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.tcp).poll_read(context, buffer);
        if let Poll::Ready(Ok(())) = polled {
            self.meter.spend(buffer.filled().len() - before)?;
        }
        polled
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.meter.check_write(context)?;
        let polled = Pin::new(&mut self.tcp).poll_write(context, bytes);
        self.meter.note_sent(&polled);
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.meter.check_write(context)?;
        let polled = Pin::new(&mut self.tcp).poll_write_vectored(context, pieces);
        self.meter.note_sent(&polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}
